import base64
import os
import time
import urllib.error
import urllib.request
import zlib

import pytest
from conftest import ACCESS_KEY, ENDPOINT, client
from helpers import body, keys, refused
from sigv4 import Request, unsigned_chunks


def fetch(url, method="GET", data=None, headers=None):
    """Status and body, as somebody without any S3 client gets them."""
    request = urllib.request.Request(url, method=method, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def crc32(content):
    return base64.b64encode(zlib.crc32(content).to_bytes(4, "big")).decode()


def test_strangers_are_told_apart(bucket):
    with refused(403, "SignatureDoesNotMatch"):
        client(secret_key="wrong").list_objects_v2(Bucket=bucket)
    with refused(403, "InvalidAccessKeyId"):
        client(access_key="nobody").list_objects_v2(Bucket=bucket)
    status, text = fetch(f"{ENDPOINT}/{bucket}")
    assert status == 403 and b"AccessDenied" in text
    status, text = fetch(f"{ENDPOINT}/{bucket}/k", "PUT", b"x")
    assert status == 403 and b"AccessDenied" in text


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_links_work_until_they_expire(bucket, version):
    s3 = client(signature_version=version)
    at = {"Bucket": bucket, "Key": "a b/ü+.txt"}
    put = s3.generate_presigned_url("put_object", Params={**at, "ContentType": "text/x"}, ExpiresIn=60)
    assert fetch(put, "PUT", b"by link", {"Content-Type": "text/x"})[0] == 200
    get = s3.generate_presigned_url("get_object", Params=at, ExpiresIn=60)
    assert fetch(get) == (200, b"by link")
    status, text = fetch(get.replace("a%20b", "c%20d"))
    assert status == 403 and b"SignatureDoesNotMatch" in text
    short = s3.generate_presigned_url("get_object", Params=at, ExpiresIn=1)
    time.sleep(2.5)
    status, text = fetch(short)
    assert status == 403 and b"AccessDenied" in text and b"xpired" in text
    wrong = client(secret_key="wrong", signature_version=version).generate_presigned_url("get_object", Params=at)
    assert fetch(wrong)[0] == 403


def test_a_presigned_v2_link_signs_the_content_type(s3, bucket):
    put = client(signature_version="s3").generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=60)
    status, text = fetch(put, "PUT", b"x", {"Content-Type": "text/plain"})
    assert status == 403 and b"SignatureDoesNotMatch" in text
    assert keys(s3, bucket) == []


@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_chunks_are_signed_one_by_one(s3, bucket, size):
    content = os.urandom(size)
    chunks = [content[at : at + 65_536] for at in range(0, size, 65_536)]
    headers = {"x-amz-decoded-content-length": str(size), "content-encoding": "aws-chunked"}
    request = Request(f"/{bucket}/k", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", headers)
    assert request.send(request.signed_chunks(chunks))[0] == 200
    assert body(s3, bucket, "k") == content
    assert "ContentEncoding" not in s3.head_object(Bucket=bucket, Key="k")
    if size:
        sent = bytearray(request.signed_chunks(chunks))
        at = sent.find(b"\r\n") + 2
        sent[at] ^= 1
        status, text = Request(f"/{bucket}/bad", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", headers).send(bytes(sent))
        assert status == 403 and "SignatureDoesNotMatch" in text
        assert keys(s3, bucket) == ["k"]


def test_a_whole_body_in_one_chunk_is_cut_if_unsigned_and_refused_if_signed(s3, bucket):
    content = os.urandom(17 * 1024 * 1024)
    headers = {"x-amz-decoded-content-length": str(len(content))}
    unsigned = Request(
        f"/{bucket}/k", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", headers | {"x-amz-trailer": "x-amz-checksum-crc32"}
    )
    assert unsigned.send(unsigned_chunks([content], {"x-amz-checksum-crc32": crc32(content)}))[0] == 200
    assert body(s3, bucket, "k") == content
    signed = Request(f"/{bucket}/refused", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", headers)
    # No more than the beginning: a client that sends all of it may find the connection closed before it listens.
    status, text = signed.send(signed.signed_chunks([content])[:100_000])
    assert status == 400 and "InvalidRequest" in text and "smaller chunks" in text
    assert keys(s3, bucket) == ["k"]


@pytest.mark.parametrize("size", [5, 200_000])
@pytest.mark.parametrize("signed", [True, False])
def test_trailing_checksums(s3, bucket, size, signed):
    content = os.urandom(size)
    chunks = [content[at : at + 65_536] for at in range(0, size, 65_536)]
    mode = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" if signed else "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    headers = {"x-amz-decoded-content-length": str(size), "x-amz-trailer": "x-amz-checksum-crc32"}

    def put(key, trailers):
        request = Request(f"/{bucket}/{key}", mode, headers)
        return request.send(request.signed_chunks(chunks, trailers) if signed else unsigned_chunks(chunks, trailers))

    assert put("good", {"x-amz-checksum-crc32": crc32(content)})[0] == 200
    assert body(s3, bucket, "good") == content
    assert s3.head_object(Bucket=bucket, Key="good", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(content)
    status, text = put("bad", {"x-amz-checksum-crc32": crc32(b"other")})
    assert status == 400 and "BadDigest" in text
    status, text = put("none", {})
    assert status == 400
    assert keys(s3, bucket) == ["good"]


def test_a_stream_that_ends_early_is_no_object(s3, bucket):
    content = b"x" * 100_000
    headers = {"x-amz-decoded-content-length": "200000", "x-amz-trailer": "x-amz-checksum-crc32"}
    request = Request(f"/{bucket}/k", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", headers)
    status, text = request.send(unsigned_chunks([content], {"x-amz-checksum-crc32": crc32(content)}))
    assert status == 400 and "IncompleteBody" in text
    assert keys(s3, bucket) == []


def test_boto3_streams_with_its_default_trailers(bucket):
    # Over plain HTTP, boto3 uses a trailer only when the payload is not signed.
    s3 = client(request_checksum_calculation="when_supported", s3={"payload_signing_enabled": False})
    content = os.urandom(3_000_000)
    answer = s3.put_object(Bucket=bucket, Key="k", Body=content)
    assert answer["ChecksumCRC32"] == crc32(content)
    assert body(s3, bucket, "k") == content


def test_the_access_key_is_no_secret_but_the_signature_counts(bucket):
    request = Request(f"/{bucket}/k", "UNSIGNED-PAYLOAD", {}, secret="wrong", access_key=ACCESS_KEY)
    status, text = request.send(b"x")
    assert status == 403 and "SignatureDoesNotMatch" in text
