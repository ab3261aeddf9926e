"""The life of objects with boto3."""

import hashlib
import io
import os

import pytest
import requests
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

MIB = 1024 * 1024


def body(s3, bucket, key, **arguments):
    return s3.get_object(Bucket=bucket, Key=key, **arguments)["Body"].read()


def test_an_object_lives_with_all_that_is_said_of_it(s3, bucket):
    put = s3.put_object(
        Bucket=bucket,
        Key="in/ñandú 1.txt",
        Body=b"0123456789",
        ContentType="text/plain",
        Metadata={"camera": "gate"},
        Tagging="season=wet&kind=bird",
    )
    assert put["ETag"] == f'"{hashlib.md5(b"0123456789").hexdigest()}"'
    head = s3.head_object(Bucket=bucket, Key="in/ñandú 1.txt")
    assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (10, "text/plain", {"camera": "gate"})
    assert body(s3, bucket, "in/ñandú 1.txt", Range="bytes=2-4") == b"234"
    assert body(s3, bucket, "in/ñandú 1.txt", Range="bytes=-3") == b"789"
    with pytest.raises(ClientError) as refusal:
        body(s3, bucket, "in/ñandú 1.txt", Range="bytes=10-")
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 416
    s3.delete_object(Bucket=bucket, Key="in/ñandú 1.txt")
    with pytest.raises(s3.exceptions.NoSuchKey):
        body(s3, bucket, "in/ñandú 1.txt")


def tags(s3, bucket, key):
    return {tag["Key"]: tag["Value"] for tag in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}


def test_tags_come_and_go(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="season=wet&kind=bird")
    assert tags(s3, bucket, "k") == {"season": "wet", "kind": "bird"}
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a b", "Value": "ü+/="}]})
    assert tags(s3, bucket, "k") == {"a b": "ü+/="}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert tags(s3, bucket, "copy") == {"a b": "ü+/="}
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert tags(s3, bucket, "k") == {}


def test_a_copy_takes_or_replaces_what_is_said(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b", Body=b"x", ContentType="image/png", Metadata={"n": "1"})
    source = {"Bucket": bucket, "Key": "a b"}
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    s3.copy_object(
        Bucket=bucket, Key="new", CopySource=source, MetadataDirective="REPLACE", ContentType="image/jpeg", Metadata={}
    )
    same, new = s3.head_object(Bucket=bucket, Key="same"), s3.head_object(Bucket=bucket, Key="new")
    assert (same["ContentType"], same["Metadata"]) == ("image/png", {"n": "1"})
    assert (new["ContentType"], new["Metadata"]) == ("image/jpeg", {})


@pytest.mark.parametrize("threads", [1, 4])
def test_sixty_four_mebibytes_in_parts(s3, bucket, threads):
    content = os.urandom(MIB) * 64
    transfer = TransferConfig(multipart_chunksize=8 * MIB, max_concurrency=threads, use_threads=threads > 1)
    s3.upload_fileobj(io.BytesIO(content), bucket, "large", Config=transfer, ExtraArgs={"Metadata": {"n": "1"}})
    head = s3.head_object(Bucket=bucket, Key="large")
    assert (head["ContentLength"], head["ETag"][-3:], head["Metadata"]) == (64 * MIB, '-8"', {"n": "1"})
    back = io.BytesIO()
    s3.download_fileobj(bucket, "large", back, Config=transfer)
    assert hashlib.sha256(back.getbuffer()).digest() == hashlib.sha256(content).digest()
    middle = body(s3, bucket, "large", Range=f"bytes={8 * MIB - 5}-{8 * MIB + 4}")
    assert middle == content[8 * MIB - 5 : 8 * MIB + 5]


def test_parts_that_are_given_up_leave_nothing(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="never", UploadId=upload, PartNumber=1, Body=b"x")
    assert [each["UploadId"] for each in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload]
    s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_signed_addresses_and_forms(s3, bucket):
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "in/é 1"}, ExpiresIn=60)
    assert requests.put(put, data=b"signed", timeout=20).status_code == 200
    get = s3.generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "in/é 1", "ResponseContentType": "text/html"}, ExpiresIn=60
    )
    got = requests.get(get, timeout=20)
    assert (got.content, got.headers["Content-Type"]) == (b"signed", "text/html")
    assert requests.put(get, data=b"no", timeout=20).status_code == 403
    conditions = [["content-length-range", 1, 10], ["starts-with", "$key", "form/"]]
    form = s3.generate_presigned_post(bucket, "form/a.txt", Conditions=conditions, ExpiresIn=60)
    sent = requests.post(form["url"], data=form["fields"], files={"file": ("other", b"by form")}, timeout=20)
    assert sent.status_code == 204, sent.text
    assert body(s3, bucket, "form/a.txt") == b"by form"
    large = requests.post(form["url"], data=form["fields"], files={"file": ("b.txt", b"x" * 11)}, timeout=20)
    assert large.status_code == 400 and b"EntityTooLarge" in large.content


def test_more_than_a_thousand_keys_are_listed_and_deleted(s3, bucket):
    names = [f"{folder}/ключ {number:04}" for folder in ("a", "b") for number in range(560)]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"")
    first = s3.list_objects_v2(Bucket=bucket)
    assert (first["KeyCount"], first["IsTruncated"]) == (1000, True)
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 300})
        assert [entry["Key"] for page in pages for entry in page["Contents"]] == names
    folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [each["Prefix"] for each in folders["CommonPrefixes"]] == ["a/", "b/"]
    rest = s3.list_objects_v2(Bucket=bucket, Prefix="b/", StartAfter=names[-3])
    assert [entry["Key"] for entry in rest["Contents"]] == names[-2:]
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names[:1000]]})
    assert len(deleted["Deleted"]) == 1000 and "Errors" not in deleted
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == len(names) - 1000
