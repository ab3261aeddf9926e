import datetime
import hashlib
import io
import os

import pytest
from helpers import body, keys, refused

MIB = 1024 * 1024
SIZES = [0, 1, 16 * 1024, 16 * 1024 + 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB + 7]


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_is_got(s3, mc, bucket, size):
    content = os.urandom(size)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=content)["ETag"]
    assert etag == f'"{hashlib.md5(content).hexdigest()}"'
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == content
    assert (got["ContentLength"], got["ETag"]) == (size, etag)
    mc.put_object(bucket, "m", io.BytesIO(content), size)
    assert mc.get_object(bucket, "m").read() == content
    assert mc.stat_object(bucket, "m").size == size


def test_type_metadata_and_headers_come_back(s3, bucket):
    expires = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
    given = {
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "gl",
        "ContentType": "text/plain; charset=utf-8",
        "Expires": expires,
        "Metadata": {"camera": "north gate", "shot": "7"},
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **given)
    for answer in [s3.head_object(Bucket=bucket, Key="k"), s3.get_object(Bucket=bucket, Key="k")]:
        assert {name: answer[name] for name in given} == given
        assert answer["AcceptRanges"] == "bytes"
        assert abs(answer["LastModified"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds() < 60
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = s3.head_object(Bucket=bucket, Key="k")
    assert (answer["ContentType"], answer["Metadata"]) == ("binary/octet-stream", {})
    got = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="image/png", ResponseContentDisposition="inline")
    assert (got["ContentType"], got["ContentDisposition"]) == ("image/png", "inline")


@pytest.mark.parametrize(
    "key",
    [
        "with blank and ümläut.txt",
        "日本/画像 1.png",
        "../../etc/passwd",
        "..",
        "/leading",
        "//double//slashes//",
        "folder/",
        "a+b&c=d?e#f%20g",
        "~!@$^*()_-={}[]|;:'\",.<>`",
        "emoji-🥕",
        "k" * 296,
        "k" * 1024,
    ],
)
def test_any_key_is_just_a_key(s3, mc, bucket, key):
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert body(s3, bucket, key) == key.encode()
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key.encode())
    assert keys(s3, bucket) == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert body(s3, bucket, "copy") == key.encode()
    assert sorted(entry.object_name for entry in mc.list_objects(bucket, recursive=True)) == sorted([key, "copy"])
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}, {"Key": "copy"}]})
    assert keys(s3, bucket) == []
    for folder, _, files in os.walk(os.environ["S3_SERVER_DATA"]):
        assert "passwd" not in files, folder


def test_keys_that_cannot_be_are_refused_and_nothing_stays(s3, bucket):
    with refused(400, "KeyTooLongError"):
        s3.put_object(Bucket=bucket, Key="k" * 1025, Body=b"x")
    with refused(400, "InvalidArgument"):
        s3.put_object(Bucket=bucket, Key="nul\0byte", Body=b"x")
    assert keys(s3, bucket) == []


def test_a_file_and_a_folder_of_one_name_coexist(s3, bucket):
    for key in ["a", "a/b", "a/"]:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in ["a", "a/b", "a/"]:
        assert body(s3, bucket, key) == key.encode()
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(key)


@pytest.mark.parametrize("size", [1000, 600_000])
def test_ranges(s3, bucket, size):
    content = os.urandom(size)
    s3.put_object(Bucket=bucket, Key="k", Body=content)

    def part(wanted):
        answer = s3.get_object(Bucket=bucket, Key="k", Range=wanted)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        return answer["Body"].read(), answer["ContentRange"]

    assert part("bytes=0-0") == (content[:1], f"bytes 0-0/{size}")
    assert part("bytes=10-99") == (content[10:100], f"bytes 10-99/{size}")
    assert part("bytes=900-") == (content[900:], f"bytes 900-{size - 1}/{size}")
    assert part("bytes=-10") == (content[-10:], f"bytes {size - 10}-{size - 1}/{size}")
    assert part(f"bytes=-{size * 2}") == (content, f"bytes 0-{size - 1}/{size}")
    assert part(f"bytes=5-{size * 2}") == (content[5:], f"bytes 5-{size - 1}/{size}")
    with refused(416, "InvalidRange") as caught:
        s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={size}-")
    headers = caught.value.response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-range"] == f"bytes */{size}"
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    with refused(416, "InvalidRange"):
        s3.get_object(Bucket=bucket, Key="empty", Range="bytes=0-")


def test_conditions_on_reading(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    hour = datetime.timedelta(hours=1)
    then = s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    at = {"Bucket": bucket, "Key": "k"}
    for read in [s3.get_object, s3.head_object]:
        head = read == s3.head_object
        read(**at, IfMatch=etag)
        read(**at, IfNoneMatch='"other"')
        read(**at, IfModifiedSince=then - hour)
        read(**at, IfUnmodifiedSince=then)
        with refused(304, "304"):
            read(**at, IfNoneMatch=etag)
        with refused(304, "304"):
            read(**at, IfModifiedSince=then)
        with refused(412, "412" if head else "PreconditionFailed"):
            read(**at, IfMatch='"other"')
        with refused(412, "412" if head else "PreconditionFailed"):
            read(**at, IfUnmodifiedSince=then - hour)


def test_conditions_on_writing(s3, bucket):
    at = {"Bucket": bucket, "Key": "k"}
    with refused(404, "NoSuchKey"):
        s3.put_object(**at, Body=b"0", IfMatch='"x"')
    etag = s3.put_object(**at, Body=b"1", IfNoneMatch="*")["ETag"]
    for content in [b"2", b"2" * 100_000]:
        with refused(412, "PreconditionFailed"):
            s3.put_object(**at, Body=content, IfNoneMatch="*")
        with refused(412, "PreconditionFailed"):
            s3.put_object(**at, Body=content, IfMatch='"other"')
    assert body(s3, **{"bucket": bucket, "key": "k"}) == b"1"
    s3.put_object(**at, Body=b"3", IfMatch=etag)
    assert body(s3, bucket, "k") == b"3"


def test_deleting_is_idempotent(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for _ in range(2):
        answer = s3.delete_object(Bucket=bucket, Key="k")
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert keys(s3, bucket) == []


def test_a_thousand_keys_are_deleted_at_once(s3, mc, bucket):
    from concurrent.futures import ThreadPoolExecutor

    names = [f"folder {n % 7}/{n}" for n in range(1000)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: s3.put_object(Bucket=bucket, Key=name, Body=b"x"), names))
    assert len(keys(s3, bucket)) == 1000
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in names]})
    assert len(answer["Deleted"]) == 1000 and "Errors" not in answer
    assert keys(s3, bucket) == []
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "gone"}], "Quiet": True})
    assert "Deleted" not in quiet
    with refused(400, "MalformedXML"):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})


def test_copies_share_bytes_but_not_fate(s3, bucket):
    content = os.urandom(100_000)
    source = {"Bucket": bucket, "Key": "from"}
    s3.put_object(**source, Body=content, ContentType="a/b", Metadata={"one": "1"})
    answer = s3.copy_object(Bucket=bucket, Key="to", CopySource=source)
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    s3.copy_object(
        Bucket=bucket, Key="new", CopySource=source, MetadataDirective="REPLACE", Metadata={"two": "2"}, ContentType="c/d"
    )
    s3.delete_object(**source)
    kept, replaced = s3.get_object(Bucket=bucket, Key="to"), s3.get_object(Bucket=bucket, Key="new")
    assert (kept["Body"].read(), kept["ContentType"], kept["Metadata"]) == (content, "a/b", {"one": "1"})
    assert (replaced["Body"].read(), replaced["ContentType"], replaced["Metadata"]) == (content, "c/d", {"two": "2"})
    itself = {"Bucket": bucket, "Key": "to"}
    with refused(400, "InvalidRequest"):
        s3.copy_object(**itself, CopySource=itself)
    s3.copy_object(**itself, CopySource=itself, MetadataDirective="REPLACE", Metadata={"three": "3"})
    assert body(s3, bucket, "to") == content
    with refused(404, "NoSuchKey"):
        s3.copy_object(Bucket=bucket, Key="x", CopySource=source)
    with refused(404, "NoSuchBucket"):
        s3.copy_object(Bucket=bucket, Key="x", CopySource={"Bucket": "there-is-none", "Key": "k"})
    with refused(412, "PreconditionFailed"):
        s3.copy_object(Bucket=bucket, Key="x", CopySource=itself, CopySourceIfMatch='"other"')


def test_an_overwritten_object_is_read_to_its_end(s3, bucket):
    first = os.urandom(4 * MIB)
    s3.put_object(Bucket=bucket, Key="k", Body=first)
    reading = s3.get_object(Bucket=bucket, Key="k")["Body"]
    head = reading.read(1000)
    s3.put_object(Bucket=bucket, Key="k", Body=b"second")
    assert head + reading.read() == first
    assert body(s3, bucket, "k") == b"second"
