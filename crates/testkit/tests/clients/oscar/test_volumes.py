"""Managed volumes."""

import uuid

import pytest
from requests.exceptions import HTTPError

pytestmark = pytest.mark.newer


def test_a_volume_lives_from_create_to_delete(client):
    name = f"py-{uuid.uuid4().hex[:10]}"
    created = client.create_volume(name, "64Mi")
    assert (created.status_code, created.json()["name"], created.json()["size"]) == (201, name, "64Mi")
    assert name in [volume["name"] for volume in client.list_volumes().json()]
    seen = client.get_volume(name).json()
    assert (seen["name"], seen["creation_mode"]) == (name, "api")
    with pytest.raises(HTTPError) as refusal:
        client.create_volume(name, "64Mi")
    assert refusal.value.response.status_code == 409
    assert client.delete_volume(name).status_code == 204
    with pytest.raises(HTTPError) as refusal:
        client.get_volume(name)
    assert refusal.value.response.status_code == 404


@pytest.mark.parametrize("name, size", [("Upper", "1Gi"), ("fine", "much"), ("fine", "-1Gi")])
def test_nonsense_is_refused(client, name, size):
    with pytest.raises(HTTPError) as refusal:
        client.create_volume(name, size)
    assert refusal.value.response.status_code == 400
    assert "volume." in refusal.value.response.text
