"""Calls of services, and what is left of them."""

import json

import pytest
from conftest import GENERATION, definition, ended
from requests.exceptions import HTTPError


def test_a_job_takes_text_and_leaves_a_log(client, service):
    assert client.run_service(service, input="how many drops", async_call=True).status_code == 201
    jobs = ended(client, service)
    [(job, record)] = jobs.items()
    assert job.startswith(f"{service}-")
    assert record["status"] == "Succeeded"
    assert record["creation_time"] <= record["start_time"] <= record["finish_time"]
    assert "how many drops" in client.get_job_logs(service, job).text
    assert client.remove_job(service, job).status_code == 204
    with pytest.raises(HTTPError) as refusal:
        client.get_job_logs(service, job)
    assert refusal.value.response.status_code == 404


def test_a_job_takes_a_file(client, service, tmp_path):
    content = bytes(range(256)) * 40
    (tmp_path / "in.bin").write_bytes(content)
    shows = definition(service, "wc -c < \"$INPUT_FILE_PATH\"; od -An -tx1 -N4 \"$INPUT_FILE_PATH\"")
    client.update_service(service, shows)
    assert client.run_service(service, input=str(tmp_path / "in.bin"), async_call=True).status_code == 201
    [job] = ended(client, service)
    log = client.get_job_logs(service, job).text
    assert str(len(content)) in log and "00 01 02 03" in log


def test_a_job_takes_a_form(client, service):
    assert client.run_service(service, input={"depth": "3"}, async_call=True).status_code == 201
    [(job, record)] = ended(client, service).items()
    assert record["status"] == "Succeeded"
    assert "depth=3" in client.get_job_logs(service, job).text


def test_a_job_takes_nothing(client, service):
    if GENERATION < 2:
        with pytest.raises(UnboundLocalError):  # A fault of the client: it sends nothing when there is nothing to send.
            client.run_service(service, async_call=True)
        return
    assert client.run_service(service, async_call=True).status_code == 201
    [record] = ended(client, service).values()
    assert record["status"] == "Succeeded"


def test_what_succeeded_is_removed_and_what_failed_stays(client, service):
    client.update_service(service, definition(service, "grep good \"$INPUT_FILE_PATH\"", edge={"retries": 0}))
    client.run_service(service, input="good", async_call=True)
    client.run_service(service, input="bad", async_call=True)
    assert sorted(job["status"] for job in ended(client, service, 2).values()) == ["Failed", "Succeeded"]
    assert client.remove_all_jobs(service).status_code == 204
    assert [job["status"] for job in ended(client, service).values()] == ["Failed"]


def test_many_jobs_come_in_pages(client, service):
    client.update_service(service, definition(service, "true", cpu="0.05", memory="32Mi"))
    for number in range(73):
        client.run_service(service, input=str(number), async_call=True)
    first = json.loads(client.list_jobs(service).text)
    assert len(first["jobs"]) == 70 and first["remaining_jobs"] == 3
    second = json.loads(client.list_jobs(service, page=first["next_page"]).text)
    assert len(second["jobs"]) == 3 and "next_page" not in second
    assert not set(first["jobs"]) & set(second["jobs"])


def test_a_token_is_enough_for_a_call(client, anonymous, service):
    token = client.get_service(service).json()["token"]
    assert anonymous.run_service(service, input="with a token", token=token, async_call=True).status_code == 201
    [job] = ended(client, service)
    assert "with a token" in client.get_job_logs(service, job).text
    wrong = token[::-1]
    with pytest.raises(HTTPError) as refusal:
        anonymous.run_service(service, input="x", token=wrong, async_call=True)
    assert refusal.value.response.status_code == 401


def test_synchronous_calls_are_answered_clearly(client, anonymous, service, tmp_path):
    """`/run` is not there yet: each way to call says so."""
    token = client.get_service(service).json()["token"]
    for caller, named in [(client, {}), (anonymous, {"token": token})]:
        with pytest.raises(HTTPError) as refusal:
            caller.run_service(service, input="x", output=str(tmp_path / "out.txt"), timeout=20, **named)
        assert refusal.value.response.status_code == 501
        assert "/job/" in refusal.value.response.text
