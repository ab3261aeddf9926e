"""What can be set for a bucket or an object beside its content, and what cannot."""

import io
import json
import urllib.request

import pytest
from botocore.exceptions import ClientError
from conftest import ENDPOINT
from helpers import body, refused
from minio.commonconfig import Tags
from test_signatures import fetch


def tags(**pairs):
    return {"TagSet": [{"Key": name, "Value": value} for name, value in pairs.items()]}


def as_pairs(answer):
    return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


def test_objects_have_tags(s3, mc, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging="colour=green&size=a%20b%2Bc")
    at = {"Bucket": bucket, "Key": "k"}
    assert as_pairs(s3.get_object_tagging(**at)) == {"colour": "green", "size": "a b+c"}
    assert s3.get_object(**at)["TagCount"] == 2
    assert s3.head_object(**at)["ResponseMetadata"]["HTTPHeaders"]["x-amz-tagging-count"] == "2"
    s3.put_object_tagging(**at, Tagging=tags(ü="ß/=", empty=""))
    assert as_pairs(s3.get_object_tagging(**at)) == {"ü": "ß/=", "empty": ""}
    assert mc.get_object_tags(bucket, "k") == {"ü": "ß/=", "empty": ""}
    source = {"Bucket": bucket, "Key": "k"}
    s3.copy_object(Bucket=bucket, Key="same", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="meta", CopySource=source, MetadataDirective="REPLACE", Metadata={"m": "1"})
    s3.copy_object(Bucket=bucket, Key="other", CopySource=source, TaggingDirective="REPLACE", Tagging="a=b")
    for key, expected in [("same", {"ü": "ß/=", "empty": ""}), ("meta", {"ü": "ß/=", "empty": ""}), ("other", {"a": "b"})]:
        assert as_pairs(s3.get_object_tagging(Bucket=bucket, Key=key)) == expected, key
    s3.delete_object_tagging(**at)
    assert s3.get_object_tagging(**at)["TagSet"] == []
    assert "TagCount" not in s3.get_object(**at)
    assert body(s3, bucket, "k") == b"x"
    with refused(404, "NoSuchKey"):
        s3.put_object_tagging(Bucket=bucket, Key="none", Tagging=tags(a="b"))


def test_an_upload_in_parts_has_tags(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", Tagging="a=b")["UploadId"]
    etag = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
    s3.complete_multipart_upload(
        Bucket=bucket, Key="k", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    assert as_pairs(s3.get_object_tagging(Bucket=bucket, Key="k")) == {"a": "b"}


def test_tags_have_limits(s3, bucket):
    for header in ["&".join(f"k{n}=v" for n in range(11)), "a=1&a=2", "=v", "k" * 129 + "=v", "k=" + "v" * 257, "k=%FF"]:
        with refused(400, "InvalidTag"):
            s3.put_object(Bucket=bucket, Key="k", Body=b"x", Tagging=header)


def test_buckets_have_tags_and_those_of_the_server_stay(s3, mc, bucket):
    first = as_pairs(s3.get_bucket_tagging(Bucket=bucket))
    assert first["owner"] == "oscar"
    s3.put_bucket_tagging(Bucket=bucket, Tagging=tags(project="trees", **first))
    mine = Tags.new_bucket_tags()
    mine["project"] = "leaves"
    mc.set_bucket_tags(bucket, mine)
    assert as_pairs(s3.get_bucket_tagging(Bucket=bucket)) == {**first, "project": "leaves"}
    s3.delete_bucket_tagging(Bucket=bucket)
    assert as_pairs(s3.get_bucket_tagging(Bucket=bucket)) == first
    with refused(400, "InvalidTag"):
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]})


def test_a_policy_is_a_view_of_the_visibility(s3, mc, bucket):
    with refused(404, "NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=bucket)
    arn = f"arn:aws:s3:::{bucket}"
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam:::user/ann", "arn:aws:iam:::user/bob"]},
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    shown = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    assert json.loads(shown)["Statement"][0]["Principal"] == statement["Principal"]
    mc.set_bucket_policy(bucket, shown)
    assert json.loads(mc.get_bucket_policy(bucket)) == json.loads(shown)
    anonymous = {**statement, "Principal": "*", "Action": ["s3:GetObject"], "Resource": [f"{arn}/*"]}
    with refused(403, "AccessDenied") as caught:
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [anonymous]}))
    assert "/system/buckets" in caught.value.response["Error"]["Message"]
    with refused(400, "MalformedPolicy"):
        s3.put_bucket_policy(Bucket=bucket, Policy="{")
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    s3.delete_bucket_policy(Bucket=bucket)
    with refused(404, "NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=bucket)


def test_access_control_lists_say_that_the_owner_has_everything(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="private")
    at = {"Bucket": bucket, "Key": "k"}
    for acl in [s3.get_bucket_acl(Bucket=bucket), s3.get_object_acl(**at)]:
        (grant,) = acl["Grants"]
        assert (grant["Permission"], grant["Grantee"]["ID"]) == ("FULL_CONTROL", acl["Owner"]["ID"])
    s3.put_bucket_acl(Bucket=bucket, ACL="private")
    s3.put_object_acl(**at, ACL="bucket-owner-full-control")
    same = s3.get_object_acl(**at)
    s3.put_object_acl(**at, AccessControlPolicy={"Grants": same["Grants"], "Owner": same["Owner"]})
    for call in [
        lambda: s3.put_bucket_acl(Bucket=bucket, ACL="public-read"),
        lambda: s3.put_object_acl(**at, ACL="public-read"),
        lambda: s3.put_object_acl(**at, GrantRead="uri=http://acs.amazonaws.com/groups/global/AllUsers"),
        lambda: s3.put_object(Bucket=bucket, Key="p", Body=b"x", ACL="public-read"),
        lambda: s3.create_bucket(Bucket=f"{bucket}-p"[:63].rstrip("-"), ACL="public-read"),
        lambda: s3.create_multipart_upload(Bucket=bucket, Key="p", ACL="public-read-write"),
        lambda: s3.copy_object(Bucket=bucket, Key="p", CopySource=at, ACL="authenticated-read"),
    ]:
        with refused(400, "AccessControlListNotSupported"):
            call()


def test_what_nobody_has_set_is_answered_as_clients_expect(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    at = {"Bucket": bucket}
    for code, call in {
        "NoSuchLifecycleConfiguration": lambda: s3.get_bucket_lifecycle_configuration(**at),
        "ServerSideEncryptionConfigurationNotFoundError": lambda: s3.get_bucket_encryption(**at),
        "ReplicationConfigurationNotFoundError": lambda: s3.get_bucket_replication(**at),
        "NoSuchWebsiteConfiguration": lambda: s3.get_bucket_website(**at),
        "ObjectLockConfigurationNotFoundError": lambda: s3.get_object_lock_configuration(**at),
        "NoSuchObjectLockConfiguration": lambda: s3.get_object_retention(**at, Key="k"),
        "NoSuchCORSConfiguration": lambda: s3.get_bucket_cors(**at),
    }.items():
        with refused(404, code):
            call()
    with refused(404, "NoSuchObjectLockConfiguration"):
        s3.get_object_legal_hold(**at, Key="k")
    for call in [s3.delete_bucket_lifecycle, s3.delete_bucket_encryption, s3.delete_bucket_website, s3.delete_bucket_cors]:
        call(**at)
    assert "LoggingEnabled" not in s3.get_bucket_logging(**at)
    assert s3.get_bucket_request_payment(**at)["Payer"] == "BucketOwner"
    assert all(s3.get_public_access_block(**at)["PublicAccessBlockConfiguration"].values())
    rules = s3.get_bucket_ownership_controls(**at)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    s3.put_bucket_versioning(**at, VersioningConfiguration={"Status": "Suspended"})
    answer = s3.get_bucket_notification_configuration(**at)
    assert "QueueConfigurations" not in answer
    s3.put_object(**at, Key="k", Body=b"x", StorageClass="STANDARD")
    with refused(400, "InvalidStorageClass"):
        s3.put_object(**at, Key="k", Body=b"x", StorageClass="GLACIER")
    with refused(400, "InvalidRequest"):
        s3.put_object(**at, Key="k", Body=b"x", ObjectLockLegalHoldStatus="ON")


def test_objects_have_one_version_called_null(s3, mc, bucket):
    for key in ["a", "b/1", "b/2", "c"]:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    versions = [version for page in pages for version in page["Versions"]]
    assert [(v["Key"], v["VersionId"], v["IsLatest"]) for v in versions] == [(k, "null", True) for k in ["a", "b/1", "b/2", "c"]]
    folded = s3.list_object_versions(Bucket=bucket, Delimiter="/")
    assert [v["Key"] for v in folded["Versions"]] == ["a", "c"]
    assert folded["CommonPrefixes"] == [{"Prefix": "b/"}]
    assert [o.object_name for o in mc.list_objects(bucket, include_version=True, recursive=True)] == ["a", "b/1", "b/2", "c"]
    assert s3.get_object(Bucket=bucket, Key="a", VersionId="null")["Body"].read() == b"a"
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a", "VersionId": "null"}, {"Key": "c", "VersionId": "x1"}]})
    assert [gone["Key"] for gone in answer["Deleted"]] == ["a"]
    assert [(error["Key"], error["Code"]) for error in answer["Errors"]] == [("c", "NoSuchVersion")]
    with refused(404, "NoSuchVersion"):
        s3.delete_object(Bucket=bucket, Key="c", VersionId="x1")


def test_each_answer_has_a_number(s3, bucket):
    seen = set()
    for _ in range(2):
        headers = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
        seen.add((headers["x-amz-request-id"], headers["x-amz-id-2"]))
    assert len(seen) == 2
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="none")
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]


def test_conditions_name_several_etags(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    assert body(s3, bucket, "k", IfMatch=f'"0123", {etag}') == b"x"
    with refused(412, "PreconditionFailed"):
        s3.get_object(Bucket=bucket, Key="k", IfMatch='"0123", "4567"')
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=f'"0123", {etag}')
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 304


def cors_of(url, method, **headers):
    request = urllib.request.Request(url, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}


def test_the_cors_rules_of_a_bucket_hold_instead_of_the_usual_ones(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    rule = {
        "ID": "pages",
        "AllowedOrigins": ["https://*.example.org"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["x-amz-*", "authorization"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 77,
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]
    url = f"{ENDPOINT}/{bucket}/k"
    asks = {"Origin": "https://a.example.org", "Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "X-Amz-Date"}
    status, headers = cors_of(url, "OPTIONS", **asks)
    assert status == 200
    assert headers["access-control-allow-origin"] == "https://a.example.org"
    assert (headers["access-control-allow-headers"], headers["access-control-max-age"]) == ("x-amz-date", "77")
    for change in [{"Origin": "https://evil.org"}, {"Access_Control_Request_Method": "DELETE"}, {"Access_Control_Request_Headers": "x-other"}]:
        status, headers = cors_of(url, "OPTIONS", **{**asks, **change})
        assert status == 403 and "access-control-allow-origin" not in headers, change
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    status, headers = cors_of(link, "GET", Origin="https://b.example.org")
    assert (status, headers["access-control-allow-origin"]) == (200, "https://b.example.org")
    assert headers["access-control-expose-headers"] == "ETag"
    status, headers = cors_of(link, "GET", Origin="https://evil.org")
    assert status == 200 and "access-control-allow-origin" not in headers
    for wrong in [{"AllowedMethods": ["PATCH"]}, {"AllowedOrigins": ["*.*"]}]:
        with refused(400, "InvalidRequest"):
            s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [{**rule, **wrong}]})
    s3.delete_bucket_cors(Bucket=bucket)
    assert cors_of(url, "OPTIONS", **{**asks, "Origin": "https://evil.org"})[1]["access-control-allow-origin"] == "*"


def test_headers_of_an_answer_can_be_asked_for(s3, bucket):
    s3.put_object(Bucket=bucket, Key="folder/", Body=b"")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", CacheControl="no-store")
    wanted = {"ResponseContentType": "text/x", "ResponseContentDisposition": 'attachment; filename="a b"', "ResponseCacheControl": "max-age=1"}
    got = s3.get_object(Bucket=bucket, Key="k", **wanted)
    assert (got["ContentType"], got["ContentDisposition"], got["CacheControl"]) == tuple(wanted.values())
    assert s3.head_object(Bucket=bucket, Key="folder/")["ContentLength"] == 0
    assert fetch(f"{ENDPOINT}/{bucket}/k")[0] == 403


def test_minio_puts_tagged_objects(mc, bucket):
    mine = Tags.new_object_tags()
    mine["a"] = "b c"
    mc.put_object(bucket, "k", io.BytesIO(b"x"), 1, tags=mine)
    assert mc.get_object_tags(bucket, "k") == {"a": "b c"}
