import uuid

import minio
import pytest
from helpers import keys, refused


def test_buckets_are_created_listed_and_deleted(s3, mc):
    name = f"made-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-iot-1"})
    s3.head_bucket(Bucket=name)
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert mc.bucket_exists(name)
    assert name in [bucket.name for bucket in mc.list_buckets()]
    with refused(409, "BucketAlreadyOwnedByYou"):
        s3.create_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)
    assert not mc.bucket_exists(name)
    with refused(404, "404"):
        s3.head_bucket(Bucket=name)
    with refused(404, "NoSuchBucket"):
        s3.delete_bucket(Bucket=name)


def test_a_bucket_with_objects_is_not_deleted(s3, bucket):
    s3.put_object(Bucket=bucket, Key="precious", Body=b"x")
    with refused(409, "BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)
    assert keys(s3, bucket) == ["precious"]
    s3.delete_object(Bucket=bucket, Key="precious")
    s3.delete_bucket(Bucket=bucket)


def test_a_bucket_goes_with_its_unfinished_uploads(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x" * 100_000)
    s3.delete_bucket(Bucket=bucket)
    with refused(404, "NoSuchBucket"):
        s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)


@pytest.mark.parametrize("name", ["Upper", "a_b", "ab", "10.0.0.1", "a..b", "-abc"])
def test_names_that_s3_forbids_are_refused(mc, s3, name):
    with pytest.raises((minio.error.S3Error, ValueError)):
        mc.make_bucket(name)
    assert name not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]


def test_location_and_versioning_have_their_plain_answers(s3, mc, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert mc.get_bucket_versioning(bucket).status in (None, "Off")
    with refused(404, "NoSuchBucket"):
        s3.get_bucket_versioning(Bucket="there-is-none")


def test_what_is_not_built_says_so(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    for call in [
        lambda: s3.create_bucket(Bucket="locked-bucket", ObjectLockEnabledForBucket=True),
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="AES256"),
        lambda: s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": [{"ID": "x", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]},
        ),
        lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
        lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32),
    ]:
        with refused(501, "NotImplemented"):
            call()


def test_a_missing_bucket_is_not_a_missing_key(s3, bucket):
    with refused(404, "NoSuchBucket"):
        s3.get_object(Bucket="there-is-none", Key="k")
    with refused(404, "NoSuchKey"):
        s3.get_object(Bucket=bucket, Key="k")
    with refused(404, "NoSuchBucket"):
        s3.put_object(Bucket="there-is-none", Key="k", Body=b"x")
    with refused(404, "NoSuchBucket"):
        s3.put_object(Bucket="there-is-none", Key="k", Body=b"x" * 100_000)
    with refused(404, "NoSuchBucket"):
        s3.list_objects_v2(Bucket="there-is-none")
    with refused(404, "NoSuchBucket"):
        s3.delete_object(Bucket="there-is-none", Key="k")
