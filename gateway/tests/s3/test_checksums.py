import base64
import hashlib
import os
import zlib

import pytest
from conftest import client
from helpers import body, keys, refused

SIZES = [100, 300_000]


def crc32(content):
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("size", SIZES)
def test_wrong_digests_are_refused_and_nothing_stays(s3, bucket, size):
    content = os.urandom(size)
    wrong_md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    wrong_sha = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    for claim in [
        {"ContentMD5": wrong_md5},
        {"ChecksumCRC32": crc32(b"other")},
        {"ChecksumSHA256": wrong_sha},
        {"ChecksumSHA1": base64.b64encode(hashlib.sha1(b"other").digest()).decode()},
    ]:
        with refused(400, "BadDigest"):
            s3.put_object(Bucket=bucket, Key="k", Body=content, **claim)
    assert keys(s3, bucket) == []
    s3.put_object(Bucket=bucket, Key="k", Body=b"good")
    with refused(400, "BadDigest"):
        s3.put_object(Bucket=bucket, Key="k", Body=content, ContentMD5=wrong_md5)
    assert body(s3, bucket, "k") == b"good"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_right_digests_are_kept_and_given_back(bucket, algorithm):
    s3 = client(request_checksum_calculation="when_required", response_checksum_validation="when_required")
    content = os.urandom(50_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=content, ChecksumAlgorithm=algorithm)
    name = f"Checksum{algorithm}"
    assert put[name]
    assert s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[name] == put[name]
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got[name], got["Body"].read()) == (put[name], content)
    assert name not in s3.head_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=content, ContentMD5=base64.b64encode(hashlib.md5(content).digest()).decode())
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert body(s3, bucket, "copy") == content


MIB = 1024 * 1024


def plain():
    return client(request_checksum_calculation="when_required", response_checksum_validation="when_required")


@pytest.mark.parametrize("kind", ["FULL_OBJECT", "COMPOSITE"])
def test_parts_make_the_checksum_of_the_whole(bucket, kind):
    s3 = plain()
    parts = [os.urandom(5 * MIB), os.urandom(5 * MIB), os.urandom(1000)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32", ChecksumType=kind)
    at = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    done = []
    for number, content in enumerate(parts, 1):
        # The last one comes without any: it is computed here.
        claim = {} if number == 3 else {"ChecksumCRC32": crc32(content)}
        answer = s3.upload_part(**at, PartNumber=number, Body=content, **claim)
        done.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": crc32(content)})
    assert [part["ChecksumCRC32"] for part in s3.list_parts(**at)["Parts"]] == [crc32(part) for part in parts]
    wrong = [{**done[0], "ChecksumCRC32": crc32(b"other")}, *done[1:]]
    with refused(400, "InvalidPart"):
        s3.complete_multipart_upload(**at, MultipartUpload={"Parts": wrong})
    with refused(400, "BadDigest"):
        s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done}, ChecksumCRC32=crc32(b"other"))
    whole = crc32(b"".join(parts))
    if kind == "COMPOSITE":
        whole = crc32(b"".join(base64.b64decode(crc32(part)) for part in parts)) + "-3"
    answer = s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done}, ChecksumCRC32=whole)
    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (whole, kind)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC32"], head["ChecksumType"]) == (whole, kind)
    found = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"])
    assert found["Checksum"] == {"ChecksumCRC32": whole, "ChecksumType": kind}
    assert (found["ObjectParts"]["TotalPartsCount"], found["ObjectSize"]) == (3, 10 * MIB + 1000)


def test_a_checksum_that_cannot_be_is_refused_at_the_start(bucket):
    for algorithm, kind in [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")]:
        with refused(400, "InvalidArgument"):
            plain().create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)


def test_boto3s_own_uploads_carry_their_checksums(bucket, tmp_path):
    s3 = client(request_checksum_calculation="when_supported")
    file = tmp_path / "file"
    file.write_bytes(os.urandom(17 * MIB))
    s3.upload_file(str(file), bucket, "k")
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-3"') and head["ChecksumCRC32"]
    s3.download_file(bucket, "k", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
