"""Buckets by the API, and addresses that open one object for a while."""

import uuid

import pytest
import requests
from requests.exceptions import HTTPError

pytestmark = pytest.mark.newer


@pytest.fixture
def bucket(client):
    name = f"py-{uuid.uuid4().hex[:10]}"
    assert client.create_bucket(name).status_code == 201
    yield name
    if any(each["bucket_name"] == name for each in client.list_buckets().json()):
        client.delete_bucket(name)


def test_a_bucket_lives_from_create_to_delete(client, bucket):
    [listed] = [each for each in client.list_buckets().json() if each["bucket_name"] == bucket]
    assert (listed["visibility"], listed["owner"]) == ("private", "oscar")
    assert client.update_bucket(bucket, "restricted", ["ada@example.org"]).status_code == 204
    seen = client.get_bucket(bucket).json()
    assert (seen["visibility"], seen["allowed_users"]) == ("restricted", ["ada@example.org"])
    assert (seen["objects"], seen["is_truncated"], seen["returned_items"]) == ([], False, 0)
    assert client.delete_bucket(bucket).status_code == 204
    for call in [client.get_bucket, client.delete_bucket]:
        with pytest.raises(HTTPError) as refusal:
            call(bucket)
        assert refusal.value.response.status_code == 404


def test_a_bucket_is_made_once(client, bucket):
    with pytest.raises(HTTPError) as refusal:
        client.create_bucket(bucket)
    assert refusal.value.response.status_code in (400, 409)
    assert bucket in refusal.value.response.text


def test_signed_addresses_take_and_give_an_object(client, bucket):
    up = client.presign_bucket(bucket, "in/a b.txt", "upload", expires=60, content_type="text/plain").json()
    assert (up["method"], up["object_key"]) == ("PUT", "in/a b.txt")
    answer = requests.put(up["url"], data=b"by its address", headers=up.get("headers", {}), timeout=20)
    assert answer.status_code == 200, answer.text
    [entry] = client.get_bucket(bucket).json()["objects"]
    assert (entry["object_name"], entry["size_bytes"]) == ("in/a b.txt", 14)
    down = client.presign_bucket(bucket, "in/a b.txt").json()
    assert (down["method"], down["operation"]) == ("GET", "download")
    assert requests.get(down["url"], timeout=20).content == b"by its address"
    assert requests.get(down["url"].replace("a%20b", "other"), timeout=20).status_code == 403
    with pytest.raises(HTTPError) as refusal:
        client.presign_bucket(bucket, "x", "destroy")
    assert refusal.value.response.status_code == 400
