//! Who gets in.

use reqwest::Method;
use spillway_gateway::Config;

use crate::harness::{PASSWORD, TestGateway, send, service};

#[tokio::test]
async fn health_needs_no_password_and_says_two_letters() {
    let gateway = TestGateway::start().await;
    let answer = send(gateway.anonymous(Method::GET, "/health")).await;
    assert_eq!(answer.said(), (200, "Ok"));
    assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    assert_eq!(
        send(gateway.anonymous(Method::POST, "/health"))
            .await
            .said(),
        (404, "404 page not found")
    );
}

#[tokio::test]
async fn the_system_wants_the_administrator() {
    let gateway = TestGateway::start().await;
    let path = "/system/info";
    for request in [
        gateway.anonymous(Method::GET, path),
        gateway
            .anonymous(Method::GET, path)
            .basic_auth("oscar", Some("wrong")),
        gateway
            .anonymous(Method::GET, path)
            .basic_auth("Oscar", Some(PASSWORD)),
        gateway
            .anonymous(Method::GET, path)
            .header("authorization", "Basic nonsense"),
    ] {
        let answer = send(request).await;
        assert_eq!(answer.said(), (401, ""));
        assert_eq!(
            answer.headers["www-authenticate"],
            "Basic realm=\"Authorization Required\""
        );
    }
    let answer = send(gateway.anonymous(Method::GET, path).bearer_auth("a.b.c")).await;
    assert_eq!(answer.said(), (401, "OIDC is not enabled on this cluster"));
    assert_eq!(gateway.get(path).await.status, 200);
}

#[tokio::test]
async fn every_path_of_the_system_is_guarded() {
    let gateway = TestGateway::start().await;
    for path in [
        "/system/config",
        "/system/services",
        "/system/services/x",
        "/system/services/x/deployment",
        "/system/logs",
        "/system/logs/x",
        "/system/logs/x/y",
        "/system/status",
        "/system/buckets",
        "/system/buckets/b",
        "/system/volumes",
        "/system/quotas/user",
        "/system/metrics",
        "/system/metrics/breakdown",
        "/system/metrics/x",
        "/system/federation/x",
        "/spillway/v1/jobs",
    ] {
        assert_eq!(
            send(gateway.anonymous(Method::GET, path)).await.status,
            401,
            "for {path}"
        );
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found_with_or_without_a_password() {
    let gateway = TestGateway::start().await;
    for path in ["/", "/nothing", "/system", "/system/nothing"] {
        let answer = send(gateway.anonymous(Method::GET, path)).await;
        assert_eq!(answer.said(), (404, "404 page not found"), "for {path}");
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    }
    assert_eq!(
        send(gateway.request(Method::PATCH, "/system/services"))
            .await
            .said(),
        (404, "404 page not found")
    );
}

#[tokio::test]
async fn both_spellings_of_a_path_are_served() {
    let gateway = TestGateway::start().await;
    for path in [
        "/system/config/",
        "//system//config",
        "/system/services/",
        "/system/status/",
    ] {
        assert_eq!(gateway.get(path).await.status, 200, "for {path}");
    }
}

#[tokio::test]
async fn a_service_is_called_with_its_token_or_the_administrators_password() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway.create(service("other")).await;
    let token = async |name: &'static str| {
        gateway
            .get(&format!("/system/services/{name}"))
            .await
            .json()["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (own, foreign) = (token("grey").await, token("other").await);
    let call = |path: &'static str| gateway.anonymous(Method::POST, path).body("aGVsbG8=");

    let answer = send(call("/job/grey").bearer_auth(&own)).await;
    assert_eq!(answer.said(), (201, ""));
    assert!(
        answer.headers["x-spillway-job"]
            .to_str()
            .unwrap()
            .starts_with("grey-")
    );
    assert_eq!(
        send(call("/job/grey/").header("authorization", format!("bearer {own}")))
            .await
            .said(),
        (201, "")
    );
    assert_eq!(
        send(call("/job/grey").basic_auth("oscar", Some(PASSWORD)))
            .await
            .said(),
        (201, "")
    );

    assert_eq!(send(call("/job/grey")).await.said(), (401, ""));
    assert_eq!(
        send(call("/job/grey").bearer_auth(&foreign)).await.said(),
        (401, "")
    );
    assert_eq!(
        send(call("/job/none").bearer_auth(&own)).await.said(),
        (401, "")
    );
    assert_eq!(
        send(call("/job/grey").basic_auth("oscar", Some("wrong")))
            .await
            .said(),
        (401, "")
    );
    assert_eq!(
        send(call("/job/none").basic_auth("oscar", Some(PASSWORD)))
            .await
            .said(),
        (404, "")
    );
    let answer = send(call("/job/grey").bearer_auth("a.b.c")).await;
    assert_eq!(answer.said(), (401, "OIDC is not enabled on this cluster"));
    // A service token opens nothing but its service.
    assert_eq!(
        send(
            gateway
                .anonymous(Method::GET, "/system/info")
                .bearer_auth(&own)
        )
        .await
        .status,
        401
    );
}

#[tokio::test]
async fn synchronous_calls_say_that_they_are_not_there() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    assert_eq!(
        send(gateway.anonymous(Method::POST, "/run/grey"))
            .await
            .said(),
        (401, "")
    );
    let text = "synchronous calls are not available in this version; call /job/grey instead";
    assert_eq!(gateway.post("/run/grey", "x").await.said(), (501, text));
}

#[tokio::test]
async fn guessing_is_slowed_down_but_never_locks_this_machine_out() {
    let gateway = TestGateway::start_with(Config {
        password_guesses: Some(2),
        ..Config::default()
    })
    .await;
    let guess = || {
        gateway
            .anonymous(Method::GET, "/system/info")
            .basic_auth("oscar", Some("guess"))
    };
    assert_eq!(send(guess()).await.status, 401);
    assert_eq!(send(guess()).await.status, 401);
    assert_eq!(send(guess()).await.status, 429);
    assert_eq!(gateway.get("/system/info").await.status, 200);
}
