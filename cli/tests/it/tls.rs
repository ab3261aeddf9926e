//! Trust in a gateway's key, as users come by it, keep it and lose it.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use spillway_gateway::config::TlsMode;
use spillway_gateway::{Config, Gateway};

use crate::run::{Ran, User};

const PASSWORD: &str = "correct horse";

async fn gateway(data: &Path) -> Gateway {
    let local = Some(([127, 0, 0, 1], 0).into());
    let config = Config {
        data: Some(data.to_owned()),
        listen: local,
        s3_listen: local,
        password: Some(PASSWORD.into()),
        tls: Some(TlsMode::SelfSigned),
        ..Config::default()
    };
    Gateway::start(config).await.unwrap()
}

fn add(user: &User, url: &str, more: &[&str]) -> Ran {
    let arguments = [
        "config",
        "add",
        "barn",
        url,
        "--user",
        "oscar",
        "--password",
        PASSWORD,
    ];
    user.run(&[&arguments[..], more].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_trusted_only_when_the_user_says_so_and_a_changed_one_is_a_loud_error() {
    let user = User::new();
    let gateway = gateway(&user.path("data")).await;
    let key = gateway.fingerprint().unwrap().borrow().to_string();
    let url = format!("https://{}", gateway.api_address());

    // Nobody can be asked here, so nothing is trusted and nothing kept.
    let refused = add(&user, &url, &[]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains(&key), "{}", refused.stderr);
    assert_eq!(user.run(&["config", "list", "-q"]).stdout, "");
    let direct = user.run(&[
        "--endpoint",
        &url,
        "--user",
        "oscar",
        "--password",
        PASSWORD,
        "status",
    ]);
    assert_eq!(direct.code, 5);
    assert!(direct.stderr.contains("--fingerprint"), "{}", direct.stderr);

    // With the fingerprint both ports can be used.
    let added = add(&user, &url, &["--fingerprint", &key]);
    assert_eq!(added.code, 0, "{}", added.stderr);
    assert!(user.run(&["config", "show"]).stdout.contains(&key));
    let status = user.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    let listed = user.run(&["ls", "nothing"]);
    assert!(listed.stderr.contains("NoSuchBucket"), "{}", listed.stderr);

    // An authority's file does as well, and so does not caring.
    let ca = user.path("data/tls/ca.pem").display().to_string();
    for more in [&["--ca", ca.as_str()][..], &["--no-verify"]] {
        assert_eq!(add(&user, &url, more).code, 0);
        assert_eq!(user.run(&["status"]).code, 0, "{more:?}");
    }

    let other = format!("sha256:{}", "00".repeat(32));
    let added = add(&user, &url, &["--fingerprint", &other]);
    assert_eq!(added.code, 5, "{}", added.stderr);
    let wrong = ["--endpoint", &url, "--fingerprint", &other, "status"];
    let wrong = user.run(&wrong);
    assert_eq!(wrong.code, 5);
    assert!(wrong.stderr.contains("another key"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains(&key) && wrong.stderr.contains(&other));
    let plain = url.replace("https", "http");
    let plain = user.run(&["--endpoint", &plain, "--fingerprint", &key, "status"]);
    assert_eq!(plain.code, 2, "{}", plain.stderr);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_of_registries_are_kept_listed_and_forgotten_without_showing_a_password() {
    let user = User::new();
    let gateway = gateway(&user.path("data")).await;
    let key = gateway.fingerprint().unwrap().borrow().to_string();
    let url = format!("https://{}", gateway.api_address());
    assert_eq!(add(&user, &url, &["--fingerprint", &key]).code, 0);

    let login = [
        "registries",
        "add",
        "work",
        "--server",
        "https://registry.example.org/",
        "--username",
        "ci",
    ];
    let missing = user.run(&login);
    assert_eq!(missing.code, 2);
    assert!(
        missing.stderr.contains("--password-stdin"),
        "{}",
        missing.stderr
    );
    user.write("secret", "zq-password\n");
    let kept = user.run(&[&login[..], &["--password-file", "secret"]].concat());
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    let mut piped = user.command();
    let piped = piped
        .args(login)
        .arg("--password-stdin")
        .stdin(Stdio::piped());
    let mut piped = piped.spawn().unwrap();
    piped
        .stdin
        .take()
        .unwrap()
        .write_all(b"zq-password")
        .unwrap();
    assert!(piped.wait().unwrap().success());

    let listed = user.run(&["registries", "list"]);
    assert!(
        listed.stdout.contains("registry.example.org"),
        "{}",
        listed.stdout
    );
    assert!(!format!("{kept:?}{listed:?}").contains("zq-"));
    assert_eq!(user.run(&["registries", "remove", "work"]).code, 0);
    let again = user.run(&["registries", "remove", "work"]);
    assert_eq!(again.code, 3, "{}", again.stderr);
    gateway.stop().await;
}
