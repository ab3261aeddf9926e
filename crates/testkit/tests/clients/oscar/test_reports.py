"""What the cluster tells of itself: executions, metrics, quotas, deployments, federations."""

import pytest
from conftest import ended
from requests.exceptions import HTTPError

pytestmark = pytest.mark.newer


def refused(call, *arguments, **named):
    with pytest.raises(HTTPError) as refusal:
        call(*arguments, **named)
    return refusal.value.response


def test_executions_are_in_the_systems_log(client, service):
    client.run_service(service, input="x", async_call=True)
    ended(client, service)
    logs = client.get_system_logs().json()["logs"]
    [line] = [line for line in logs if line["path"] == f"/job/{service}"]
    assert (line["status"], line["method"]) == (201, "POST")
    assert "[GIN-EXECUTIONS-LOGGER]" in line["raw"]
    assert isinstance(client.get_system_logs(timestamps=True).json()["logs"], list)
    try:
        assert isinstance(client.get_system_logs(previous=True).json()["logs"], list)
    except HTTPError as refusal:
        assert refusal.response.status_code == 400, "there was no gateway before this one"


def test_metrics_count_what_was_called(client, service):
    client.run_service(service, input="x", async_call=True)
    ended(client, service)
    summary = client.get_metrics_summary().json()
    assert summary["totals"]["services_count_active"] >= 1
    assert summary["totals"]["requests_count_async"] >= 1
    assert isinstance(summary["sources"], list)
    items = client.get_metrics_breakdown().json()["items"]
    [item] = [item for item in items if item["key"] == service]
    assert item["requests_count_async"] == 1
    assert client.get_metrics_breakdown(group_by="user").json()["group_by"] == "user"
    metrics = {each["metric"]: each["value"] for each in client.get_service_metrics(service).json()["metrics"]}
    assert metrics["requests-async-per-service"] == 1
    assert metrics["requests-sync-per-service"] == 0
    assert "error" in refused(client.get_metrics_breakdown, group_by="colour").json()


def test_quotas_of_a_user_can_be_set(client):
    assert refused(client.get_own_quota).status_code == 401, "the administrator is no user"
    quota = client.get_user_quota("ada@example.org").json()
    assert quota["user_id"] == "ada@example.org"
    assert quota["volumes"]["volumes"]["max"]
    # The client can set nothing but the limits of the queueing add-on, which this cluster does not have.
    answer = refused(client.update_user_quota, "ada@example.org", "2", "2Gi")
    assert answer.status_code == 503 and answer.text


def test_a_deployment_is_visible(client, service):
    status = client.get_deployment_status(service).json()
    assert status["service_name"] == service
    assert status["state"] in ("pending", "ready", "degraded", "failed", "stopped", "unavailable")
    assert status["active_instances"] >= 0
    logs = client.get_deployment_logs(service).json()
    assert (logs["service_name"], isinstance(logs["entries"], list)) == (service, True)


def test_a_federation_has_members(client, service):
    assert client.get_federation(service).json() == {"topology": "none", "members": None}
    member = {"type": "endpoint", "url": "http://127.0.0.1:9/event", "priority": 1}
    for call in [
        lambda: client.add_federation_members(service, [member]),
        lambda: client.update_federation_members(service, [member], [member | {"priority": 2}]),
        lambda: client.remove_federation_members(service, [member]),
    ]:
        try:
            assert set(call().json()) == {"topology", "members"}
        except HTTPError as refusal:
            assert refusal.response.status_code in (400, 500, 501)
            assert refusal.response.text
