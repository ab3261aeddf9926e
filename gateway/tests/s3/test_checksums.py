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
