import hashlib
import io
import os

import pytest
from boto3.s3.transfer import TransferConfig
from helpers import body, keys, refused

MIB = 1024 * 1024


def begin(s3, bucket, parts, key="k", **arguments):
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **arguments)["UploadId"]
    done = []
    for number, content in parts.items():
        etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=content)["ETag"]
        assert etag == f'"{hashlib.md5(content).hexdigest()}"'
        done.append({"PartNumber": number, "ETag": etag})
    return {"Bucket": bucket, "Key": key, "UploadId": upload}, done


def combined(parts):
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'


def test_thirteen_mebibytes_in_parts_of_five(s3, bucket):
    content = os.urandom(13 * MIB)
    parts = [content[at : at + 5 * MIB] for at in range(0, len(content), 5 * MIB)]
    upload, done = begin(s3, bucket, dict(enumerate(parts, 1)), ContentType="a/b", Metadata={"m": "1"})
    answer = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    assert answer["ETag"] == combined(parts)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (combined(parts), "a/b", {"m": "1"})
    assert got["Body"].read() == content
    for first, last in [(0, 0), (5 * MIB - 1, 5 * MIB), (4 * MIB, 11 * MIB), (13 * MIB - 3, 13 * MIB - 1)]:
        assert body(s3, bucket, "k", Range=f"bytes={first}-{last}") == content[first : last + 1]
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == len(content)
    with refused(404, "NoSuchUpload"):
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    s3.delete_object(Bucket=bucket, Key="k")
    assert body(s3, bucket, "copy") == content


def test_clients_own_multipart_uploads(s3, mc, bucket, tmp_path):
    content = os.urandom(12 * MIB + 1)
    file = tmp_path / "file"
    file.write_bytes(content)
    s3.upload_file(str(file), bucket, "boto", Config=TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB))
    mc.fput_object(bucket, "minio", str(file), part_size=5 * MIB)
    for key in ["boto", "minio"]:
        assert s3.head_object(Bucket=bucket, Key=key)["ETag"].endswith('-3"')
        target = tmp_path / key
        s3.download_file(bucket, key, str(target))
        assert target.read_bytes() == content
        mc.fget_object(bucket, key, str(target))
        assert target.read_bytes() == content
    mc.put_object(bucket, "stream", io.BytesIO(content), -1, part_size=5 * MIB)
    assert body(s3, bucket, "stream") == content


def test_mistakes_in_completing_are_named(s3, bucket):
    big, small = os.urandom(5 * MIB), b"small"
    upload, done = begin(s3, bucket, {1: big, 2: small, 3: small})

    def complete(parts):
        return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    with refused(400, "EntityTooSmall"):
        complete(done)
    with refused(400, "InvalidPartOrder"):
        complete([done[1], done[0]])
    with refused(400, "InvalidPartOrder"):
        complete([done[0], done[0]])
    with refused(400, "InvalidPart"):
        complete([done[0], {"PartNumber": 9, "ETag": done[1]["ETag"]}])
    with refused(400, "InvalidPart"):
        complete([done[0], {"PartNumber": 2, "ETag": done[0]["ETag"]}])
    with refused(412, "PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"first")
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done[:2]}, IfNoneMatch="*")
    assert body(s3, bucket, "k") == b"first"
    # What is not named in the end is dropped.
    assert complete([done[0], done[2]])["ETag"] == combined([big, small])
    assert body(s3, bucket, "k") == big + small
    with refused(404, "NoSuchUpload"):
        s3.upload_part(**upload, PartNumber=4, Body=b"late")


def test_parts_are_replaced_listed_and_aborted(s3, bucket):
    upload, done = begin(s3, bucket, {3: b"three", 1: b"one", 2: b"two"}, key="listed")
    again = s3.upload_part(**upload, PartNumber=1, Body=b"another one")["ETag"]
    listed = s3.list_parts(**upload)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, 11), (2, 3), (3, 5)]
    assert listed["Parts"][0]["ETag"] == again
    page = s3.list_parts(**upload, MaxParts=2)
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 2)
    rest = s3.list_parts(**upload, PartNumberMarker=2)
    assert ([part["PartNumber"] for part in rest["Parts"]], rest["IsTruncated"]) == ([3], False)
    assert keys(s3, bucket) == []
    s3.abort_multipart_upload(**upload)
    with refused(404, "NoSuchUpload"):
        s3.abort_multipart_upload(**upload)
    with refused(404, "NoSuchUpload"):
        s3.list_parts(**upload)
    with refused(404, "NoSuchUpload"):
        s3.list_parts(**{**upload, "Key": "other"})


def test_unfinished_uploads_are_listed(s3, bucket):
    wanted = ["a/1", "a/2", "b", "c c/ü"]
    ids = {key: s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in wanted}
    second = s3.create_multipart_upload(Bucket=bucket, Key="b")["UploadId"]

    def listed(**arguments):
        answer = s3.list_multipart_uploads(Bucket=bucket, **arguments)
        return [entry["Key"] for entry in answer.get("Uploads", [])], answer

    assert listed()[0] == ["a/1", "a/2", "b", "b", "c c/ü"]
    found, answer = listed(Delimiter="/")
    assert (found, [entry["Prefix"] for entry in answer["CommonPrefixes"]]) == (["b", "b"], ["a/", "c c/"])
    assert listed(Prefix="a/")[0] == ["a/1", "a/2"]
    found, marker = [], {}
    while True:
        keys_of_page, answer = listed(MaxUploads=2, **marker)
        found += keys_of_page
        if not answer["IsTruncated"]:
            break
        marker = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}
    assert found == ["a/1", "a/2", "b", "b", "c c/ü"]
    for key, upload in [*ids.items(), ("b", second)]:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    assert listed()[0] == []


def test_parts_are_copied_from_objects(s3, mc, bucket):
    content = os.urandom(11 * MIB)
    s3.put_object(Bucket=bucket, Key="from", Body=content)
    source = {"Bucket": bucket, "Key": "from"}
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    at = {"Bucket": bucket, "Key": "k", "UploadId": upload}
    done = []
    for number, (first, last) in enumerate([(0, 6 * MIB - 1), (6 * MIB, 11 * MIB - 1)], 1):
        copied = s3.upload_part_copy(**at, PartNumber=number, CopySource=source, CopySourceRange=f"bytes={first}-{last}")
        etag = copied["CopyPartResult"]["ETag"]
        assert etag == f'"{hashlib.md5(content[first : last + 1]).hexdigest()}"'
        done.append({"PartNumber": number, "ETag": etag})
    with refused(416, "InvalidRange"):
        s3.upload_part_copy(**at, PartNumber=3, CopySource=source, CopySourceRange=f"bytes=0-{11 * MIB}")
    done.append({"PartNumber": 4, "ETag": s3.upload_part_copy(**at, PartNumber=4, CopySource=source)["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done})
    assert body(s3, bucket, "k") == content + content


@pytest.mark.parametrize("number", [0, 10_001])
def test_part_numbers_have_bounds(s3, bucket, number):
    upload, _ = begin(s3, bucket, {})
    with refused(400, "InvalidArgument"):
        s3.upload_part(**upload, PartNumber=number, Body=b"x")


def test_wrong_digests_of_parts_are_refused(s3, bucket):
    upload, _ = begin(s3, bucket, {})
    with refused(400, "BadDigest"):
        s3.upload_part(**upload, PartNumber=1, Body=b"x" * 100_000, ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    assert "Parts" not in s3.list_parts(**upload)
