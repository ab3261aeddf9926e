"""The life of buckets and objects with minio's own client."""

import datetime
import io
import json
import os
import threading
import uuid

import minio
import pytest
import requests
from conftest import ENDPOINT
from minio.commonconfig import ComposeSource, CopySource, REPLACE, Tags
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig

MIB = 1024 * 1024
SOON = datetime.timedelta(seconds=60)


def put(mc, bucket, name, content=b"x", **more):
    return mc.put_object(bucket, name, io.BytesIO(content), len(content), **more)


def read(mc, bucket, name, **part):
    answer = mc.get_object(bucket, name, **part)
    try:
        return answer.read()
    finally:
        answer.close()
        answer.release_conn()


def refused(code, call, *arguments):
    with pytest.raises(S3Error) as refusal:
        call(*arguments)
    assert refusal.value.code == code, refusal.value


def test_a_bucket_is_made_found_and_unmade(mc):
    name = f"mc-{uuid.uuid4().hex[:12]}"
    assert not mc.bucket_exists(name)
    mc.make_bucket(name)
    assert mc.bucket_exists(name)
    assert name in [each.name for each in mc.list_buckets()]
    refused("BucketAlreadyOwnedByYou", mc.make_bucket, name)
    assert mc.get_bucket_versioning(name).status in (None, "Off")
    mc.remove_bucket(name)
    refused("NoSuchBucket", mc.remove_bucket, name)


def test_files_go_up_and_come_back(mc, bucket, tmp_path):
    content = os.urandom(MIB) * 64
    (tmp_path / "large").write_bytes(content)
    mc.fput_object(bucket, "sub/large.bin", tmp_path / "large", part_size=16 * MIB, metadata={"camera": "gate"})
    seen = mc.stat_object(bucket, "sub/large.bin")
    assert (seen.size, seen.metadata["x-amz-meta-camera"]) == (64 * MIB, "gate")
    mc.fget_object(bucket, "sub/large.bin", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == content
    assert read(mc, bucket, "sub/large.bin", offset=5 * MIB, length=7) == content[5 * MIB : 5 * MIB + 7]


def test_a_stream_of_unknown_length_goes_up_in_parts(mc, bucket):
    content = os.urandom(11 * MIB)
    mc.put_object(bucket, "stream", io.BytesIO(content), -1, part_size=5 * MIB)
    assert read(mc, bucket, "stream") == content


def test_copies_and_compositions(mc, bucket):
    put(mc, bucket, "first", b"a" * (5 * MIB), content_type="image/png", metadata={"n": "1"})
    put(mc, bucket, "second", b"b")
    mc.copy_object(bucket, "copy", CopySource(bucket, "first"))
    assert mc.stat_object(bucket, "copy").content_type == "image/png"
    mc.copy_object(bucket, "other", CopySource(bucket, "first"), metadata={"n": "2"}, metadata_directive=REPLACE)
    assert mc.stat_object(bucket, "other").metadata["x-amz-meta-n"] == "2"
    mc.compose_object(bucket, "both", [ComposeSource(bucket, "first"), ComposeSource(bucket, "second")])
    assert read(mc, bucket, "both") == b"a" * (5 * MIB) + b"b"


def test_lists_and_removals(mc, bucket):
    names = [f"a/b/{number}" for number in range(5)] + ["a/c", "z ü"]
    for name in names:
        put(mc, bucket, name)
    assert [each.object_name for each in mc.list_objects(bucket, recursive=True)] == names
    # The client gives the objects of a page before its folders.
    assert [each.object_name for each in mc.list_objects(bucket)] == ["z ü", "a/"]
    assert [each.object_name for each in mc.list_objects(bucket, prefix="a/")] == ["a/c", "a/b/"]
    assert [each.object_name for each in mc.list_objects(bucket, start_after="a/c")] == ["z ü"]
    assert list(mc.remove_objects(bucket, [DeleteObject(name) for name in names[:-1]])) == []
    mc.remove_object(bucket, names[-1])
    assert list(mc.list_objects(bucket)) == []
    refused("NoSuchKey", mc.stat_object, bucket, "a/c")


def test_many_small_files_in_one_archive(mc, bucket):
    from minio.commonconfig import SnowballObject

    small = [SnowballObject(f"s/{number}", data=io.BytesIO(b"x"), length=1) for number in range(3)]
    try:
        mc.upload_snowball_objects(bucket, small)
    except S3Error as refusal:
        assert refusal.code == "NotImplemented", refusal
        return
    # Who does not know the extension stores the archive as the one object that it is.
    assert len(list(mc.list_objects(bucket, recursive=True))) in (1, 3)


def test_tags(mc, bucket):
    tags = Tags.new_object_tags()
    tags["season"] = "wet"
    put(mc, bucket, "k", tags=tags)
    assert mc.get_object_tags(bucket, "k") == {"season": "wet"}
    tags["kind"] = "bird"
    mc.set_object_tags(bucket, "k", tags)
    assert mc.get_object_tags(bucket, "k") == {"season": "wet", "kind": "bird"}
    mc.delete_object_tags(bucket, "k")
    assert mc.get_object_tags(bucket, "k") is None
    own = mc.get_bucket_tags(bucket)
    mine = Tags.new_bucket_tags()
    mine.update(own | {"site": "gate"})
    mc.set_bucket_tags(bucket, mine)
    assert mc.get_bucket_tags(bucket) == own | {"site": "gate"}
    mc.delete_bucket_tags(bucket)
    assert mc.get_bucket_tags(bucket) == own


def test_policies(mc, bucket):
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam:::user/ada"]},
        "Action": actions,
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    refused("NoSuchBucketPolicy", mc.get_bucket_policy, bucket)
    mc.set_bucket_policy(bucket, json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    assert "user/ada" in mc.get_bucket_policy(bucket)
    mc.delete_bucket_policy(bucket)
    refused("NoSuchBucketPolicy", mc.get_bucket_policy, bucket)
    anonymous = json.dumps({"Version": "2012-10-17", "Statement": [allow | {"Principal": "*"}]})
    refused("AccessDenied", mc.set_bucket_policy, bucket, anonymous)


def test_signed_addresses_and_forms(mc, bucket):
    url = mc.presigned_put_object(bucket, "in/é 1", expires=SOON)
    assert requests.put(url, data=b"signed", timeout=20).status_code == 200
    assert requests.get(mc.presigned_get_object(bucket, "in/é 1", expires=SOON), timeout=20).content == b"signed"
    url = mc.get_presigned_url("DELETE", bucket, "in/é 1", expires=SOON)
    assert requests.delete(url, timeout=20).status_code == 204
    from minio.datatypes import PostPolicy

    policy = PostPolicy(bucket, datetime.datetime.now(datetime.timezone.utc) + SOON)
    policy.add_starts_with_condition("key", "form/")
    policy.add_content_length_range_condition(1, 10)
    fields = mc.presigned_post_policy(policy) | {"key": "form/a"}
    assert requests.post(f"{ENDPOINT}/{bucket}", data=fields, files={"file": b"form"}, timeout=20).status_code == 204
    assert read(mc, bucket, "form/a") == b"form"


def test_notifications_are_written_and_read(mc, bucket, service):
    assert mc.get_bucket_notification(bucket).queue_config_list == []
    queue = QueueConfig(
        ["s3:ObjectCreated:*"],
        config_id="1",
        prefix_filter_rule=PrefixFilterRule("in/"),
        queue=f"arn:minio:sqs:us-east-1:{service}:webhook",
    )
    mc.set_bucket_notification(bucket, NotificationConfig(queue_config_list=[queue]))
    [seen] = mc.get_bucket_notification(bucket).queue_config_list
    assert (seen.queue, seen.events, seen.prefix_filter_rule.value) == (queue.queue, queue.events, "in/")
    mc.delete_bucket_notification(bucket)
    assert mc.get_bucket_notification(bucket).queue_config_list == []


def test_a_listener_hears_of_what_comes_and_goes(mc, bucket):
    heard, ready = [], threading.Event()

    def listen():
        events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        with mc.listen_bucket_notification(bucket, prefix="in/", events=events) as stream:
            for event in stream:
                for record in event["Records"]:
                    heard.append((record["eventName"], record["s3"]["object"]["key"]))
                    if record["s3"]["object"]["key"].endswith("last"):
                        return
                ready.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    # Nothing says when the stream stands: touch until the first is heard of.
    for number in range(100):
        put(mc, bucket, "in/first")
        if ready.wait(0.1):
            break
    assert ready.is_set(), "nothing was heard"
    put(mc, bucket, "elsewhere/k")
    put(mc, bucket, "in/a b")
    mc.remove_object(bucket, "in/a b")
    put(mc, bucket, "in/last")
    listener.join(60)
    assert not listener.is_alive(), heard
    names = [event for event in heard if event[1] != "in%2Ffirst"]
    assert [event.split(":")[1] for event, _ in names] == ["ObjectCreated", "ObjectRemoved", "ObjectCreated"], heard
    assert [key.lower() for _, key in names] == ["in%2fa+b", "in%2fa+b", "in%2flast"]


@pytest.mark.parametrize(
    "call",
    [
        lambda mc, bucket: mc.get_bucket_encryption(bucket),
        lambda mc, bucket: mc.get_bucket_lifecycle(bucket),
        lambda mc, bucket: mc.get_bucket_replication(bucket),
        lambda mc, bucket: mc.get_object_lock_config(bucket),
    ],
)
def test_what_is_not_there_is_said_to_be_absent(mc, bucket, call):
    try:
        assert call(mc, bucket) is None
    except S3Error as refusal:
        absent = {
            "NotImplemented",
            "NoSuchLifecycleConfiguration",
            "ServerSideEncryptionConfigurationNotFoundError",
            "ReplicationConfigurationNotFoundError",
            "ObjectLockConfigurationNotFoundError",
        }
        assert refusal.code in absent, refusal
