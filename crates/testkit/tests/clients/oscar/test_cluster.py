"""The cluster as a whole, and who may ask."""

import json

import pytest
from conftest import ENDPOINT, GENERATION, KINDS, PASSWORD, USER, called, options, public
from oscar_python.client import Client
from requests.exceptions import HTTPError


def test_info_tells_what_runs(client):
    info = client.get_cluster_info().json()
    major, minor, _ = info["version"].removeprefix("v").split(".")
    assert (int(major), int(minor)) >= (4, 1)
    assert info["architecture"] in ("amd64", "arm64", "arm")
    assert set(info) >= {"git_commit", "kubernetes_version"}


def test_config_tells_where_the_object_store_is(client):
    config = client.get_cluster_config().json()
    assert isinstance(config["config"]["oidc_groups"], list)
    assert config["config"]["name"] == "oscar"
    store = config["minio_provider"]
    assert set(store) == {"endpoint", "verify", "access_key", "secret_key", "region"}
    assert store["endpoint"].startswith("http") and store["region"]


def test_status_has_numbers(client):
    status = client.get_cluster_status().json()
    assert status["cluster"]["nodes_count"] == 1
    assert status["cluster"]["metrics"]["cpu"]["total_free_cores"] >= 0
    assert status["cluster"]["nodes"][0]["memory"]["capacity_bytes"] > 0
    assert status["oscar"]["ready"] is True
    assert isinstance(status["oscar"]["oidc"]["issuers"], list)


@pytest.mark.newer
def test_health_needs_nothing_but_an_answer(client):
    assert client.health_check().text == "Ok"


@pytest.mark.newer
def test_options_may_come_from_a_file(tmp_path):
    from oscar_python._utils import load_config

    cluster = {"endpoint": ENDPOINT, "user": USER, "password": PASSWORD, "ssl": False}
    (tmp_path / "config.json").write_text(json.dumps({"clusters": {"default": cluster}}))
    assert Client(load_config(tmp_path / "config.json")).get_cluster_info().status_code == 200


def test_a_wrong_password_is_refused():
    client = Client(options(password=PASSWORD + "x"))
    with pytest.raises(HTTPError) as refusal:
        client.list_services()
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_every_public_method_was_called(request):
    """Runs last: a method that a new version brings fails this test until it has one of its own."""
    if request.config.option.keyword:
        pytest.skip("only some tests run")
    methods = {f"{kind.__name__}.{name}" for kind in KINDS for name in public(kind)}
    assert len(methods) > (40 if GENERATION == 2 else 20)
    assert methods - called == set()
