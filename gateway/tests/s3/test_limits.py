import http.client
import os
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from conftest import ENDPOINT
from helpers import keys, refused
from sigv4 import Request

MIB = 1024 * 1024
HOST = ENDPOINT.removeprefix("http://")
DATA = os.environ["S3_SERVER_DATA"]


def memory(field):
    """Of the server, in bytes."""
    with open(f"/proc/{os.environ['S3_SERVER_PID']}/status") as status:
        return int(next(line for line in status if line.startswith(field)).split()[1]) * 1024


def upload(s3, bucket, key, size):
    """Streams zeros without holding them here either."""
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key})
    connection = http.client.HTTPConnection(HOST, timeout=120)
    connection.putrequest("PUT", url.removeprefix(ENDPOINT))
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    piece = bytes(MIB)
    for _ in range(size // MIB):
        connection.send(piece)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    connection.close()


def download(s3, bucket, key):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    connection = http.client.HTTPConnection(HOST, timeout=120)
    connection.request("GET", url.removeprefix(ENDPOINT))
    answer = connection.getresponse()
    total = 0
    while piece := answer.read(MIB):
        total += len(piece)
    connection.close()
    return total


def blob_files():
    return sum(len(files) for _, _, files in os.walk(f"{DATA}/blobs"))


def test_memory_does_not_grow_with_what_is_sent(s3, bucket):
    with open(f"/proc/{os.environ['S3_SERVER_PID']}/clear_refs", "w") as clear:
        clear.write("5")  # The peak counts from here.
    upload(s3, bucket, "large", 300 * MIB)
    assert download(s3, bucket, "large") == 300 * MIB
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: upload(s3, bucket, f"large-{n}", 48 * MIB), range(8)))
        assert set(pool.map(lambda n: download(s3, bucket, f"large-{n}"), range(8))) == {48 * MIB}
    peak = memory("VmHWM")
    assert peak < 60 * MIB, f"{peak / MIB:.1f} MiB"


def test_files_of_deleted_objects_go(s3, bucket):
    before = blob_files()
    for n in range(20):
        s3.put_object(Bucket=bucket, Key=str(n), Body=os.urandom(50_000))
    for n in range(20):
        s3.put_object(Bucket=bucket, Key=str(n), Body=b"small now")
    for _ in range(100):
        if blob_files() <= before:
            break
        time.sleep(0.1)
    assert blob_files() <= before


def test_what_is_too_large_is_refused_before_it_comes(s3, bucket):
    request = Request(f"/{bucket}/k", "UNSIGNED-PAYLOAD", {"content-length": str(401 * MIB)})
    connection = http.client.HTTPConnection(HOST, timeout=30)
    connection.putrequest("PUT", urllib.parse.quote(f"/{bucket}/k"), skip_host=True)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"EntityTooLarge" in answer.read()) == (400, True)
    assert keys(s3, bucket) == []


def test_user_metadata_is_bounded(s3, bucket):
    with refused(400, "MetadataTooLarge"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata={"big": "x" * 2048})


def test_a_client_that_vanishes_leaves_nothing(s3, bucket):
    before = blob_files()
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    connection = http.client.HTTPConnection(HOST, timeout=30)
    connection.putrequest("PUT", url.removeprefix(ENDPOINT))
    connection.putheader("Content-Length", str(10 * MIB))
    connection.endheaders()
    connection.send(bytes(5 * MIB))
    connection.close()
    for _ in range(100):
        time.sleep(0.1)
        if blob_files() <= before:
            break
    assert blob_files() <= before
    assert keys(s3, bucket) == []
