//! Exit codes and what users read when something is wrong.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use insta::assert_snapshot;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::run::{Ran, User};

/// Runs the command against a small server that answers like a gateway in trouble.
fn against(router: Router, arguments: &[&str]) -> Ran {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let user = User::new();
    let output = user
        .command()
        .args(arguments)
        .env("SPILLWAY_ENDPOINT", &endpoint)
        .env("SPILLWAY_USER", "oscar")
        .env("SPILLWAY_PASSWORD", "secret")
        .output()
        .unwrap();
    server.abort();
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .unwrap()
            .replace(&endpoint, "ENDPOINT")
    };
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn a_gateway_that_is_not_there_is_named() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let ran = User::new().run(&[
        "services",
        "--endpoint",
        &endpoint,
        "--user",
        "a",
        "--password",
        "b",
    ]);
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr
            .contains(&format!("cannot connect to {endpoint}/system/services")),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("is the gateway running"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("Connection refused"), "{}", ran.stderr);
}

#[test]
fn wrong_credentials_have_their_exit_code() {
    let router = Router::new().route(
        "/system/services",
        get(|| async { StatusCode::UNAUTHORIZED }),
    );
    assert_snapshot!(against(router, &["services"]).all());
}

#[test]
fn a_service_that_is_not_there_has_its_exit_code() {
    assert_snapshot!(against(Router::new(), &["get", "nothing"]).all());
}

#[test]
fn a_refusal_is_told_in_the_cluster_s_words() {
    let text = "The service specification is not valid: cpu: \"many\" is no number";
    let router = Router::new().route(
        "/system/services",
        get(move || async move { (StatusCode::BAD_REQUEST, text) }),
    );
    assert_snapshot!(against(router, &["services"]).all());
}

#[test]
fn an_answer_that_is_no_gateway_s_is_told_as_such() {
    let router = Router::new().route("/system/services", get(|| async { "<html>hello</html>" }));
    let ran = against(router, &["services"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .contains("is it a Spillway gateway or an OSCAR cluster?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn lists_are_empty_in_words_for_people_and_in_json_for_programs() {
    let router = || Router::new().route("/system/services", get(|| async { "[]" }));
    assert_snapshot!(against(router(), &["services"]).all());
    assert_eq!(
        against(router(), &["services", "-o", "json"]).stdout,
        "[]\n"
    );
    assert_eq!(against(router(), &["services", "-q"]).stdout, "");
}

#[test]
fn an_endpoint_that_is_no_url_is_a_mistake_of_the_command_line() {
    assert_snapshot!(
        User::new()
            .run(&["services", "--endpoint", "192.168.1.10:8080"])
            .all()
    );
}

#[test]
fn deleting_many_dead_letters_without_a_terminal_needs_a_yes() {
    assert_snapshot!(against(Router::new(), &["dead-letters", "purge", "--all"]).all());
}
