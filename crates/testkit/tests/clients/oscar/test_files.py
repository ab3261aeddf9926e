"""Files, which the client moves by S3 with the keys that the cluster tells it."""

import boto3
import pytest
from conftest import ENDPOINT, GENERATION, definition, ended, eventually
from oscar_python._providers._minio import Minio


def keys(listing):
    return [entry["Key"] for entry in listing.get("Contents", [])]


def test_a_file_goes_in_and_its_result_comes_out(client, service, tmp_path):
    client.update_service(service, definition(service, "tr a-z A-Z < \"$INPUT_FILE_PATH\" > \"$TMP_OUTPUT_DIR/loud.txt\""))
    storage = client.create_storage_client(service)
    (tmp_path / "quiet.txt").write_text("quiet water")
    storage.upload_file("minio.default", str(tmp_path / "quiet.txt"), f"{service}/in")
    assert "in/quiet.txt" in keys(storage.list_files_from_path("minio.default", f"{service}/in"))
    ended(client, service)
    assert "out/loud.txt" in keys(storage.list_files_from_path("minio.default", f"{service}/out"))
    storage.download_file("minio.default", str(tmp_path), f"{service}/out/loud.txt")
    assert (tmp_path / "loud.txt").read_text() == "QUIET WATER"


def test_no_service_is_needed_for_the_clusters_own_store(client, service, tmp_path):
    storage = client.create_storage_client()
    content = bytes(range(256)) * 65_536
    (tmp_path / "large.bin").write_bytes(content)
    storage.upload_file("minio.default", str(tmp_path / "large.bin"), f"{service}/kept")
    (tmp_path / "back").mkdir()
    storage.download_file("minio.default", str(tmp_path / "back"), f"{service}/kept/large.bin")
    assert (tmp_path / "back/large.bin").read_bytes() == content


def test_the_provider_itself_can_be_asked(client, service, tmp_path):
    provider = Minio(client.get_cluster_config().json()["minio_provider"])
    (tmp_path / "a b.txt").write_text("ü")
    assert provider.upload_file(str(tmp_path / "a b.txt"), f"{service}/x") is True
    assert keys(provider.list_files_from_path(f"{service}/x")) == ["x/a b.txt"]
    (tmp_path / "back").mkdir()
    assert provider.download_file(str(tmp_path / "back"), f"{service}/x/a b.txt") is True
    assert (tmp_path / "back/a b.txt").read_text() == "ü"


@pytest.mark.newer
def test_a_file_may_come_from_an_address(client, service):
    provider = Minio(client.get_cluster_config().json()["minio_provider"])
    assert provider.upload_url(f"{ENDPOINT}/health", f"{service}/fetched/health.txt") is True
    got = provider.client.get_object(Bucket=service, Key="fetched/health.txt")
    assert (got["Body"].read(), got["ContentType"].split(";")[0]) == (b"Ok", "text/plain")
