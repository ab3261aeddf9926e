//! TLS on both ports, with real handshakes.

use std::error::Error;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use reqwest::{Certificate, Client, Version};
use serde_json::{Value, json};
use spillway_gateway::Config;
use spillway_gateway::config::TlsMode;
use spillway_trust::{Fingerprint, Trust, another_key, is_untrusted, probe};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{PASSWORD, TestGateway};

fn self_signed() -> Config {
    Config {
        tls: Some(TlsMode::SelfSigned),
        ..Config::default()
    }
}

fn client(trust: &Trust) -> Client {
    let builder = Client::builder().timeout(Duration::from_secs(30));
    trust.apply(builder).unwrap().build().unwrap()
}

fn urls(gateway: &TestGateway) -> [String; 2] {
    let gateway = gateway.gateway();
    [gateway.api_address(), gateway.s3_address()].map(|address| format!("https://{address}/health"))
}

fn shown(gateway: &TestGateway) -> Fingerprint {
    *gateway.gateway().fingerprint().unwrap().borrow()
}

/// Fails before any request is sent, and says why.
async fn refused(client: &Client, url: &str) -> reqwest::Error {
    client.get(url).send().await.unwrap_err()
}

#[tokio::test]
async fn clients_trust_our_own_certificate_by_its_key_or_by_our_authority_and_nobody_else_does() {
    let gateway = TestGateway::start_with(self_signed()).await;
    let ca = gateway.data().join("tls/ca.pem");
    let key = shown(&gateway);
    for trust in [
        Trust::Key(key),
        Trust::Authority(ca.clone()),
        Trust::Anybody,
        Trust::Current(gateway.gateway().fingerprint().unwrap()),
    ] {
        let [api, s3] = urls(&gateway);
        let answer = client(&trust).get(&api).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "Ok", "{trust:?}");
        let answer = client(&trust).get(&s3).send().await.unwrap();
        assert_eq!(answer.status(), 403, "the object store answers: {trust:?}");
    }
    let another = Fingerprint::of_key(b"another");
    for url in urls(&gateway) {
        let error = refused(&client(&Trust::Key(another)), &url).await;
        let why = another_key(&error).expect("it says which key it saw");
        assert_eq!((why.expected, why.found), (another, key));
        let error = refused(&client(&Trust::System), &url).await;
        assert!(is_untrusted(&error) && another_key(&error).is_none());
    }
    let address = gateway.gateway().api_address();
    assert_eq!(probe("127.0.0.1", address.port()).await.unwrap(), key);

    let config =
        client(&Trust::Key(key)).get(urls(&gateway)[0].replace("/health", "/system/config"));
    let config = config
        .basic_auth("oscar", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    let config: Value = config.json().await.unwrap();
    let store = &config["minio_provider"];
    let s3 = format!("https://{}", gateway.gateway().s3_address());
    assert_eq!(store["endpoint"], json!(s3));
    assert_eq!(
        store["verify"],
        json!(false),
        "clients that are not ours could not"
    );
    let addresses = std::fs::read(gateway.data().join("addresses.json")).unwrap();
    let addresses: Value = serde_json::from_slice(&addresses).unwrap();
    assert_eq!(addresses["fingerprint"], json!(key.to_string()));
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let gateway = TestGateway::start_with(self_signed()).await;
    let ca = std::fs::read(gateway.data().join("tls/ca.pem")).unwrap();
    let ca = Certificate::from_pem(&ca).unwrap();
    let builder = || Client::builder().tls_certs_only([ca.clone()]);
    for (client, version) in [
        (builder(), Version::HTTP_2),
        (builder().http1_only(), Version::HTTP_11),
    ] {
        let client = client.build().unwrap();
        let [api, s3] = urls(&gateway);
        let name = api.replace("127.0.0.1", "localhost");
        for url in [api, s3, name] {
            let answer = client.get(url).send().await.unwrap();
            assert_eq!(answer.version(), version);
        }
        let large = "x".repeat(3_000_000);
        let url = urls(&gateway)[0].replace("/health", "/system/services");
        let request = client.post(url).basic_auth("oscar", Some(PASSWORD));
        let answer = request.body(large).send().await.unwrap();
        assert_eq!(answer.status(), 400, "a large body arrives, and is no JSON");
    }
}

#[tokio::test]
async fn a_restart_keeps_the_key_and_copies_of_the_authority_stay_good() {
    let mut gateway = TestGateway::start_with(self_signed()).await;
    let copy = gateway.data().join("copy.pem");
    std::fs::copy(gateway.data().join("tls/ca.pem"), &copy).unwrap();
    let key = shown(&gateway);
    gateway.restart().await;
    assert_eq!(shown(&gateway), key);
    let client = client(&Trust::Authority(copy.clone()));
    let answer = client.get(&urls(&gateway)[0]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    python_verifies(&gateway, &copy).await;
}

/// OpenSSL is the pickiest about chains; this is what `requests` and `boto3` do with `verify=<file>`.
async fn python_verifies(gateway: &TestGateway, ca: &Path) {
    let program = "import ssl, sys, urllib.request as u\n\
                   c = ssl.create_default_context(cafile=sys.argv[1])\n\
                   c.verify_flags |= ssl.VERIFY_X509_STRICT\n\
                   print(u.urlopen(sys.argv[2], context=c).read().decode())\n\
                   try:\n    u.urlopen(sys.argv[2])\n\
                   except Exception as e:\n    print('CERTIFICATE_VERIFY_FAILED' in str(e))";
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(ca)
        .arg(&urls(gateway)[0])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, "Ok\nTrue\n", "{output:?}");
}

/// A certificate for 127.0.0.1 in `cert.pem` and its key in `key.pem`, valid until the end of `year`.
fn write_certificate(folder: &Path, key: &KeyPair, year: i32) {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(year, 12, 31);
    let certificate = params.self_signed(key).unwrap();
    // The certificate last: a pair that does not match is not used.
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
}

#[tokio::test]
async fn certificates_of_the_users_own_are_read_again_when_they_change() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    write_certificate(folder.path(), &old, 2001);
    let certificate = folder.path().join("cert.pem");
    let gateway = TestGateway::start_with(Config {
        tls_cert: Some(certificate.clone()),
        tls_key: Some(folder.path().join("key.pem")),
        ..Config::default()
    })
    .await;
    let [url, _] = urls(&gateway);
    let pinned = client(&Trust::Key(shown(&gateway)));
    let authority = || client(&Trust::Authority(certificate.clone()));

    // It has expired: whoever verifies refuses it, whoever knows the key does not care.
    let error = refused(&authority(), &url).await;
    assert!(chain(&error).contains("expired"), "{}", chain(&error));
    assert_eq!(pinned.get(&url).send().await.unwrap().status(), 200);

    // Renewed with the same key.
    let mut fingerprint = gateway.gateway().fingerprint().unwrap();
    fingerprint.mark_unchanged();
    write_certificate(folder.path(), &old, 2090);
    wait(&mut fingerprint).await;
    assert_eq!(authority().get(&url).send().await.unwrap().status(), 200);
    assert_eq!(pinned.get(&url).send().await.unwrap().status(), 200);

    // Nonsense in the file changes nothing; another key does, and who pinned the old one is told.
    std::fs::write(&certificate, "nonsense").unwrap();
    let anybody = client(&Trust::Anybody);
    assert_eq!(anybody.get(&url).send().await.unwrap().status(), 200);
    write_certificate(folder.path(), &new, 2090);
    wait(&mut fingerprint).await;
    // A new client, for the old one still has a connection, which keeps its certificate.
    let before = Fingerprint::of_key(&rcgen_key(&old));
    let error = refused(&client(&Trust::Key(before)), &url).await;
    assert_eq!(another_key(&error).unwrap().expected, before);
    assert_eq!(authority().get(&url).send().await.unwrap().status(), 200);
}

fn rcgen_key(key: &KeyPair) -> Vec<u8> {
    use rcgen::PublicKeyData as _;
    key.subject_public_key_info()
}

async fn wait(fingerprint: &mut tokio::sync::watch::Receiver<Fingerprint>) {
    let changed = tokio::time::timeout(Duration::from_mins(1), fingerprint.changed());
    changed.await.expect("the files are read again").unwrap();
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[tokio::test]
async fn a_request_without_tls_is_told_so() {
    let gateway = TestGateway::start_with(self_signed()).await;
    for url in urls(&gateway) {
        let plain = url.replace("https://", "http://");
        let answer = Client::new().get(plain).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        assert!(answer.text().await.unwrap().contains("https://"));
    }
}

#[tokio::test]
async fn a_stalled_handshake_gives_its_place_up() {
    let gateway = TestGateway::start_with(Config {
        connections: Some(1),
        ..self_signed()
    })
    .await;
    let address = gateway.gateway().api_address();
    // One says nothing at all, the other begins a record that it never ends.
    let mut silent = TcpStream::connect(address).await.unwrap();
    let client = client(&Trust::Key(shown(&gateway)));
    let answer = client.get(&urls(&gateway)[0]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut byte = [0];
    assert_eq!(
        silent.read(&mut byte).await.unwrap_or(0),
        0,
        "it was hung up on"
    );
    drop(client);
    let mut begun = TcpStream::connect(address).await.unwrap();
    begun.write_all(&[0x16, 3, 1, 1, 0]).await.unwrap();
    let read = tokio::time::timeout(Duration::from_mins(1), begun.read(&mut byte)).await;
    assert_eq!(read.unwrap().unwrap_or(0), 0, "it was hung up on");
}

#[tokio::test]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
async fn files_that_cannot_be_used_are_named_at_the_start() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), &KeyPair::generate().unwrap(), 2090);
    let other = KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(folder.path().join("other.pem"), other).unwrap();
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    check(
        folder.path(),
        "cert.pem",
        "other.pem",
        "do not belong together",
    )
    .await;
    check(
        folder.path(),
        "empty.pem",
        "key.pem",
        "empty.pem has no certificate",
    )
    .await;
    check(
        folder.path(),
        "cert.pem",
        "empty.pem",
        "empty.pem; expected PEM",
    )
    .await;
    check(folder.path(), "missing.pem", "key.pem", "missing.pem").await;

    async fn check(folder: &Path, certificate: &str, key: &str, expected: &str) {
        let local = Some(([127, 0, 0, 1], 0).into());
        let config = Config {
            data: Some(folder.join("data")),
            listen: local,
            s3_listen: local,
            tls_cert: Some(folder.join(certificate)),
            tls_key: Some(folder.join(key)),
            ..Config::default()
        };
        let error = spillway_gateway::Gateway::start(config).await.unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains(expected), "{text}");
    }
}
