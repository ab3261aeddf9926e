//! Jobs and their logs over the API. The rows that agents would write are written by hand here.

use reqwest::Method;
use serde_json::json;
use spillway_gateway::Config;

use crate::harness::{TestGateway, send, service};

const UNKNOWN: &str = "/system/logs/none";

#[tokio::test]
async fn an_accepted_job_is_listed_at_once() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    assert_eq!(
        gateway.get("/system/logs/grey").await.said(),
        (200, r#"{"jobs":{}}"#)
    );
    let accepted = gateway.post("/job/grey", "aGVsbG8=").await;
    let name = accepted.headers["x-spillway-job"]
        .to_str()
        .unwrap()
        .to_owned();
    let answer = gateway.get("/system/logs/grey").await;
    let created = answer.json()["jobs"][&name]["creation_time"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(created.len() == 20 && created.ends_with('Z'), "{created}");
    let expected =
        format!(r#"{{"jobs":{{"{name}":{{"status":"Pending","creation_time":"{created}"}}}}}}"#);
    assert_eq!(answer.said(), (200, expected.as_str()));
    assert_eq!(
        gateway
            .get(&format!("/system/logs/grey/{name}"))
            .await
            .said(),
        (404, "")
    );
}

#[tokio::test]
async fn a_delegated_job_keeps_its_name() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let request = gateway
        .request(Method::POST, "/job/grey")
        .header("X-Delegated-Job-ID", "grey-from-afar");
    let answer = send(request).await;
    assert_eq!(answer.said(), (201, ""));
    assert_eq!(answer.headers["x-spillway-job"], "grey-from-afar");
    assert_eq!(
        gateway.get("/system/logs/grey").await.json()["jobs"]["grey-from-afar"]["status"],
        "Pending"
    );
}

#[tokio::test]
async fn times_and_logs_of_a_finished_job_are_shown() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let name = gateway.post("/job/grey", "x").await.headers["x-spillway-job"]
        .to_str()
        .unwrap()
        .to_owned();
    finish(&gateway, &name, "succeeded");
    gateway.execute(&format!(
        "INSERT INTO logs (job, attempt, bytes, text) SELECT id, 1, 0, '2026-02-01T10:20:34.5Z first\n2026-02-01T10:20:35Z second <&>\n' FROM jobs WHERE name = '{name}'"
    ));
    let expected = format!(
        r#"{{"jobs":{{"{name}":{{"status":"Succeeded","creation_time":"2026-02-01T10:20:31Z","start_time":"2026-02-01T10:20:34Z","finish_time":"2026-02-01T10:20:36Z"}}}}}}"#
    );
    assert_eq!(
        gateway.get("/system/logs/grey").await.said(),
        (200, expected.as_str())
    );
    let path = format!("/system/logs/grey/{name}");
    let answer = gateway.get(&path).await;
    assert_eq!(answer.said(), (200, "first\nsecond <&>\n"));
    assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    let timed = "2026-02-01T10:20:34.5Z first\n2026-02-01T10:20:35Z second <&>\n";
    assert_eq!(
        gateway.get(&format!("{path}?timestamps=true")).await.said(),
        (200, timed)
    );
    assert_eq!(
        gateway.get(&format!("{path}?timestamps=maybe")).await.text,
        "first\nsecond <&>\n"
    );
}

#[tokio::test]
async fn a_job_that_never_ran_says_why_in_its_log() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    let name = gateway.post("/job/grey", "x").await.headers["x-spillway-job"]
        .to_str()
        .unwrap()
        .to_owned();
    finish(&gateway, &name, "dead");
    gateway.execute("UPDATE jobs SET message = 'the image is not there', started_ms = NULL");
    assert_eq!(
        gateway
            .get(&format!("/system/logs/grey/{name}"))
            .await
            .said(),
        (200, "the image is not there")
    );
    let job = gateway.get("/system/logs/grey").await.json()["jobs"][&name].clone();
    assert_eq!(
        job,
        json!({ "status": "Failed", "creation_time": "2026-02-01T10:20:31Z", "finish_time": "2026-02-01T10:20:36Z" })
    );
}

#[tokio::test]
async fn jobs_come_in_pages_newest_first() {
    let gateway = TestGateway::start_with(Config {
        listing_limit: Some(2),
        ..Config::default()
    })
    .await;
    gateway.create(service("grey")).await;
    let mut accepted = Vec::new();
    for _ in 0..5 {
        accepted.push(
            gateway.post("/job/grey", "x").await.headers["x-spillway-job"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    let (mut listed, mut remaining, mut page) = (Vec::new(), Vec::new(), String::new());
    loop {
        let answer = gateway
            .get(&format!("/system/logs/grey?page={page}"))
            .await
            .json();
        let mut names: Vec<_> = answer["jobs"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        names
            .sort_by_key(|name| std::cmp::Reverse(accepted.iter().position(|other| other == name)));
        listed.extend(names);
        remaining.push(
            answer
                .get("remaining_jobs")
                .and_then(serde_json::Value::as_u64),
        );
        match answer.get("next_page") {
            Some(next) => next.as_str().unwrap().clone_into(&mut page),
            None => break,
        }
    }
    accepted.reverse();
    assert_eq!(listed, accepted);
    assert_eq!(remaining, [Some(3), Some(1), None]);
    assert_eq!(
        gateway.get("/system/logs/grey?page=x%20y").await.status,
        400
    );
}

#[tokio::test]
async fn jobs_are_deleted_one_by_one_when_done_or_all() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway.create(service("other")).await;
    let mut names = Vec::new();
    for _ in 0..4 {
        names.push(
            gateway.post("/job/grey", "x").await.headers["x-spillway-job"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    let left = || gateway.count("SELECT count(*) FROM jobs");
    assert_eq!(
        gateway
            .delete(&format!("/system/logs/other/{}", names[0]))
            .await
            .said(),
        (404, "")
    );
    assert_eq!(
        gateway.delete("/system/logs/grey/nothing").await.said(),
        (404, "")
    );
    assert_eq!(
        gateway
            .delete(&format!("/system/logs/grey/{}", names[0]))
            .await
            .said(),
        (204, "")
    );
    assert_eq!(left(), 3);
    finish(&gateway, &names[1], "succeeded");
    assert_eq!(
        gateway.delete("/system/logs/grey?all=no").await.said(),
        (204, "")
    );
    assert_eq!(left(), 2);
    assert_eq!(
        gateway.delete("/system/logs/grey?all=true").await.said(),
        (204, "")
    );
    assert_eq!(left(), 0);
}

#[tokio::test]
async fn jobs_of_an_unknown_service_are_not_found() {
    let gateway = TestGateway::start().await;
    assert_eq!(gateway.get(UNKNOWN).await.said(), (404, ""));
    assert_eq!(gateway.delete(UNKNOWN).await.said(), (404, ""));
    assert_eq!(
        gateway.get(&format!("{UNKNOWN}/job")).await.said(),
        (404, "")
    );
    let text = "You do not have permission to access this service";
    assert_eq!(
        gateway.delete(&format!("{UNKNOWN}/job")).await.said(),
        (403, text)
    );
}

#[tokio::test]
async fn a_job_body_has_a_limit() {
    let gateway = TestGateway::start_with(Config {
        job_body_limit: Some(8),
        ..Config::default()
    })
    .await;
    gateway.create(service("grey")).await;
    assert_eq!(
        gateway.post("/job/grey", "12345678").await.said(),
        (201, "")
    );
    let text = "the request body is larger than 8 bytes, which is the limit";
    assert_eq!(
        gateway.post("/job/grey", "123456789").await.said(),
        (413, text)
    );
    assert_eq!(gateway.count("SELECT count(*) FROM jobs"), 1);
}

fn finish(gateway: &TestGateway, name: &str, state: &str) {
    gateway.execute(&format!(
        "UPDATE jobs SET state = '{state}', created_ms = 1769941231999, started_ms = 1769941234500, finished_ms = 1769941236001 WHERE name = '{name}'"
    ));
}
