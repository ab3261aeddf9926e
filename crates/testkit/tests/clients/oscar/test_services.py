"""Services from definitions and from files."""

import pytest
import yaml
from conftest import definition
from requests.exceptions import HTTPError


def refused(status, call, *arguments):
    with pytest.raises(HTTPError) as refusal:
        call(*arguments)
    assert refusal.value.response.status_code == status, refusal.value.response.text
    return refusal.value.response.text


def test_a_service_lives_from_create_to_remove(client, name):
    assert client.create_service(definition(name)).status_code == 201
    seen = client.get_service(name).json()
    assert (seen["name"], seen["memory"], seen["cpu"]) == (name, "64Mi", "0.1")
    assert len(seen["token"]) == 64
    assert seen["labels"]["owner_name"] == "oscar"
    assert name in [service["name"] for service in client.list_services().json()]

    changed = definition(name, memory="96Mi", environment={"Variables": {"MODE": "fast"}})
    assert client.update_service(name, changed).status_code == 204
    now = client.get_service(name).json()
    assert (now["memory"], now["environment"]["variables"]) == ("96Mi", {"MODE": "fast"})
    assert now["token"] == seen["token"]

    assert client.update_service(name, now).status_code == 204, "what was read can be written back"
    assert client.get_service(name).json() == now

    assert client.remove_service(name).status_code == 204
    assert name not in [service["name"] for service in client.list_services().json()]
    refused(404, client.get_service, name)
    refused(404, client.remove_service, name)


def test_the_client_knows_what_is_there_and_what_is_not(client, service):
    with pytest.raises(ValueError, match="already present"):
        client.create_service(definition(service))
    with pytest.raises(ValueError, match="not present"):
        client.update_service("nobody", definition("nobody"))


def test_the_servers_own_words_come_through(client, name):
    text = refused(400, client.create_service, definition(name, memory="lots"))
    assert "memory" in text and "lots" in text
    text = refused(400, client.create_service, definition("x" * 40))
    assert "39" in text


def fdl(folder, name, **members):
    service = definition(name, **members) | {"script": "script.sh"}
    (folder / "script.sh").write_text("#!/bin/sh\necho from a file\n")
    path = folder / "service.yaml"
    path.write_text(yaml.safe_dump({"functions": {"oscar": [{"edge": service}]}}))
    return str(path)


def test_a_file_describes_a_service(client, name, tmp_path):
    assert client.create_service(fdl(tmp_path, name, cpu=0.2)).status_code == 201
    seen = client.get_service(name).json()
    assert (seen["cpu"], seen["script"]) == ("0.2", "#!/bin/sh\necho from a file\n")
    assert client.update_service(name, fdl(tmp_path, name, memory="80Mi")).status_code == 204
    assert client.get_service(name).json()["memory"] == "80Mi"
