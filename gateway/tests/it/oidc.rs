//! Tokens of a real `OpenID` provider: who gets in with them, and who does not.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::json;
use spillway_gateway::Config;
use spillway_gateway::config::OidcConfig;

use crate::harness::{Answer, TestGateway, send, service};
use crate::provider::{Person, Provider, gateway_of, gateway_with};

async fn info(gateway: &TestGateway, token: &str) -> Answer {
    send(
        gateway
            .anonymous(Method::GET, "/system/info")
            .bearer_auth(token),
    )
    .await
}

async fn job(gateway: &TestGateway, path: &str, token: &str) -> Answer {
    send(gateway.anonymous(Method::POST, path).bearer_auth(token)).await
}

#[tokio::test]
async fn a_user_comes_in_with_a_token_and_gets_keys_of_his_own() {
    let provider = Provider::start().await;
    let mut gateway = gateway_of(&provider).await;
    let secret = {
        let ann = Person::log_in(&gateway, &provider, "ann").await;
        let config = ann.ask("GET", "/system/config", "").await.json();
        assert_eq!(
            config["config"]["oidc_groups"],
            json!(["growers", "pickers"])
        );
        let secret = config["minio_provider"]["secret_key"].clone();
        assert_eq!(secret.as_str().unwrap().len(), 14);
        let status = ann.ask("GET", "/system/status", "").await.json();
        assert_eq!(status["oscar"]["oidc"]["enabled"], true);
        assert_eq!(status["oscar"]["oidc"]["issuers"], json!([provider.issuer]));
        assert_eq!(status["oscar"]["jobs_count"], 0);
        assert_eq!(status["oscar"]["pods"], json!({}));
        assert_eq!(status["minio"]["buckets_count"], 0);
        // What only the administrator may.
        let body = r#"{"allowed_image_repositories":[]}"#;
        let put = ann.ask("PUT", "/system/config", body).await;
        assert_eq!(put.said(), (401, "\"\""));
        assert_eq!(ann.ask("GET", "/spillway/v1/jobs", "").await.status, 403);
        let bob = Person::log_in(&gateway, &provider, "bob").await;
        let other = bob.ask("GET", "/system/config", "").await.json();
        assert_ne!(other["minio_provider"]["secret_key"], secret);
        secret
    };
    assert_eq!(
        provider.count("/me").await,
        2,
        "each owner of a token is asked for once"
    );
    gateway.restart().await;
    let ann = Person::log_in(&gateway, &provider, "ann").await;
    let config = ann.ask("GET", "/system/config", "").await.json();
    assert_eq!(config["minio_provider"]["secret_key"], secret);
    assert_eq!(
        gateway.count(
            "SELECT count(*) FROM users WHERE CAST(secret_key AS TEXT) LIKE '%' || 'ann' || '%'"
        ),
        0
    );
}

#[tokio::test]
#[allow(clippy::too_many_lines)] // One token after another.
async fn only_what_the_issuer_has_signed_for_us_opens_anything() {
    let provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    gateway.create(service("grey")).await;
    let now = jiff::Timestamp::now().as_second();
    let part = |json: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let claims =
        json!({ "iss": provider.issuer, "sub": "ann", "aud": "spillway", "exp": now + 600 });
    let unsigned = format!(
        "{}.{}.",
        part(json!({ "alg": "none" })),
        part(claims.clone())
    );
    let good = provider.token("ann").await;
    let signature = good.rsplit('.').next().unwrap();
    let moved = format!(
        "{}.{}.{signature}",
        good.split('.').next().unwrap(),
        part(claims)
    );
    let elsewhere = provider
        .sign(json!({ "claims": { "iss": "https://other.example" } }))
        .await;
    let unlisted = "'https://other.example' is not listed as an authorized issuer";
    let unknown = "Error getting oidc manager for issuer 'https://other.example'";
    let not_a_jwt =
        "the bearer token is not a JWT; send an access token of one of the accepted issuers";
    let no_vo = "this user isn't enrrolled on the vo: ";
    gateway
        .create(json!({ "name": "open", "image": "i", "script": "s", "visibility": "public" }))
        .await;

    // The token; what /system says; what /job says of a service that nobody but the administrator sees.
    let table = [
        (good.clone(), (200, None), (404, "")),
        (
            provider.sign(json!({ "by": "foreign" })).await,
            (401, Some("")),
            (401, ""),
        ),
        (
            provider
                .sign(json!({ "header": { "kid": "unknown" } }))
                .await,
            (401, Some("")),
            (401, ""),
        ),
        (unsigned, (401, Some("")), (401, "")),
        (moved, (401, Some("")), (401, "")),
        (
            provider
                .sign(json!({ "claims": { "exp": now - 3600 } }))
                .await,
            (401, Some("")),
            (401, ""),
        ),
        (
            provider
                .sign(json!({ "claims": { "nbf": now + 3600 } }))
                .await,
            (401, Some("")),
            (401, ""),
        ),
        (
            provider.token_for("ann", "urn:elsewhere").await,
            (401, Some("")),
            (401, ""),
        ),
        (
            provider
                .sign(json!({ "claims": { "sub": "nobody" } }))
                .await,
            (401, Some("")),
            (401, ""),
        ),
        (provider.token("out").await, (401, Some("")), (404, "")),
        (elsewhere, (401, Some(unlisted)), (400, unknown)),
        (
            "garbage".to_owned(),
            (400, Some(not_a_jwt)),
            (401, not_a_jwt),
        ),
    ];
    for (number, (token, (status, text), said)) in table.iter().enumerate() {
        let answer = info(&gateway, token).await;
        assert_eq!(answer.status, *status, "{number}: {answer:?}");
        if let Some(text) = text {
            assert_eq!(answer.text, *text, "{number}");
        }
        assert_eq!(
            job(&gateway, "/job/grey", token).await.said(),
            *said,
            "{number}"
        );
        // The other path says 404 to whoever is not authorised.
        let run = if said.0 == 401 && said.1.is_empty() {
            (404, "")
        } else {
            *said
        };
        assert_eq!(
            job(&gateway, "/run/grey", token).await.said(),
            run,
            "{number}"
        );
    }
    // Somebody of no accepted group, at a service that he would see.
    let out = provider.token("out").await;
    assert_eq!(job(&gateway, "/job/open", &out).await.said(), (401, no_vo));
    assert_eq!(job(&gateway, "/run/open", &out).await.said(), (404, ""));
    assert_eq!(job(&gateway, "/job/open", &good).await.status, 201);
    assert_eq!(
        job(&gateway, "/job/open?owner=somebody", &good)
            .await
            .said(),
        (404, "")
    );
    assert_eq!(
        job(&gateway, "/job/open?owner=cluster_admin", &good)
            .await
            .status,
        201
    );
    assert_eq!(job(&gateway, "/job/none", &good).await.said(), (404, ""));
    assert_eq!(
        gateway.count("SELECT count(*) FROM users"),
        1,
        "only who came in has an account"
    );
    assert_eq!(
        gateway.count("SELECT count(*) FROM jobs WHERE owner = 'ann'"),
        2
    );
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_and_unknown_ones_do_not_make_us_ask_for_ever() {
    let provider = Provider::start().await;
    let gateway = gateway_with(OidcConfig {
        refresh: Some(jiff::SignedDuration::from_millis(1)),
        ..provider.trusted()
    })
    .await;
    let old = provider.token("ann").await;
    assert_eq!(info(&gateway, &old).await.status, 200);
    for algorithm in ["ES256", "PS384", "EdDSA"] {
        provider.rotate(algorithm).await;
        let new = provider.token("bob").await;
        assert_eq!(info(&gateway, &new).await.status, 200, "for {algorithm}");
    }
    let retired = provider.count("/jwks").await;
    assert_eq!(retired, 4, "the first time, and after each rotation");

    let patient = gateway_of(&provider).await;
    for number in 0..5 {
        let token = provider.sign(json!({ "header": { "kid": format!("k{number}") } }));
        assert_eq!(info(&patient, &token.await).await.status, 401);
    }
    assert_eq!(
        provider.count("/jwks").await,
        retired + 1,
        "once a minute at most"
    );
}

#[tokio::test]
async fn what_was_heard_holds_while_the_issuer_is_away() {
    let mut provider = Provider::start().await;
    let gateway = gateway_of(&provider).await;
    let (ann, bob) = (provider.token("ann").await, provider.token("bob").await);
    let forged = provider.sign(json!({ "by": "foreign" })).await;
    assert_eq!(info(&gateway, &ann).await.status, 200);
    provider.stop().await;
    assert_eq!(info(&gateway, &ann).await.status, 200);
    let away = info(&gateway, &bob).await;
    assert_eq!(
        away.status, 503,
        "who bob is, only the issuer can tell: {away:?}"
    );
    assert!(away.text.contains(&provider.issuer), "{away:?}");
    // The keys are known still.
    assert_eq!(info(&gateway, &forged).await.said(), (401, ""));
    assert_eq!(gateway.get("/system/info").await.status, 200);
}

#[tokio::test]
async fn who_has_lost_his_group_is_out_as_soon_as_he_is_looked_up_again() {
    let provider = Provider::start().await;
    let gateway = gateway_with(OidcConfig {
        remember: Some(jiff::SignedDuration::from_nanos(1)),
        ..provider.trusted()
    })
    .await;
    let token = provider.token("ann").await;
    assert_eq!(info(&gateway, &token).await.status, 200);
    provider.set_groups("ann", &["strangers"]).await;
    assert_eq!(info(&gateway, &token).await.said(), (401, ""));
    provider.set_groups("ann", &["strangers", "pickers"]).await;
    assert_eq!(info(&gateway, &token).await.status, 200);
}

#[tokio::test]
async fn an_address_that_tries_tokens_out_is_slowed_down() {
    let provider = Provider::start().await;
    let gateway = TestGateway::start_with(Config {
        password_guesses: Some(3),
        oidc: provider.trusted(),
        ..Config::default()
    })
    .await;
    let now = jiff::Timestamp::now().as_second();
    let expired = provider
        .sign(json!({ "claims": { "exp": now - 3600 } }))
        .await;
    for _ in 0..5 {
        assert_eq!(info(&gateway, &expired).await.status, 401, "no guess");
        assert_eq!(
            info(&gateway, &provider.token("out").await).await.status,
            401
        );
    }
    let forged = provider.sign(json!({ "by": "foreign" })).await;
    assert_eq!(info(&gateway, &forged).await.status, 401);
    assert_eq!(
        job(&gateway, "/job/none", &"0".repeat(64)).await.status,
        401
    );
    assert_eq!(info(&gateway, "garbage").await.status, 400);
    for token in [forged.as_str(), "garbage"] {
        assert_eq!(info(&gateway, token).await.status, 429);
        assert_eq!(job(&gateway, "/job/none", token).await.status, 429);
    }
    assert_eq!(
        job(&gateway, "/job/none", &"0".repeat(64)).await.status,
        429
    );
    // A neighbour with a good token does not have to wait.
    assert_eq!(
        info(&gateway, &provider.token("ann").await).await.status,
        200
    );
}

#[tokio::test]
async fn groups_are_read_in_the_dialect_of_the_issuer() {
    for realm in ["/realms/egi", "/realms/ai4eosc"] {
        let provider = Provider::start_as(realm).await;
        let gateway = gateway_of(&provider).await;
        assert_eq!(
            info(&gateway, &provider.token("ann").await).await.status,
            200,
            "{realm}"
        );
        assert_eq!(
            info(&gateway, &provider.token("out").await).await.said(),
            (401, "")
        );
    }
}

#[tokio::test]
async fn the_same_subject_of_two_issuers_is_not_the_same_person() {
    let (one, two) = (Provider::start().await, Provider::start().await);
    let gateway = gateway_with(OidcConfig {
        issuers: Some(vec![one.issuer.clone(), two.issuer.clone()]),
        ..one.trusted()
    })
    .await;
    assert_eq!(info(&gateway, &one.token("ann").await).await.status, 200);
    let other = info(&gateway, &two.token("ann").await).await;
    assert_eq!(other.status, 401, "{other:?}");
    assert!(other.text.contains("is another person"), "{other:?}");
    assert_eq!(info(&gateway, &two.token("bob").await).await.status, 200);
}

#[tokio::test]
async fn without_oidc_a_token_says_nothing() {
    let provider = Provider::start().await;
    let gateway = TestGateway::start().await;
    let token = provider.token("ann").await;
    let answer = info(&gateway, &token).await;
    assert_eq!(answer.said(), (401, "OIDC is not enabled on this cluster"));
    let text = format!(
        "Error getting oidc manager for issuer '{}'",
        provider.issuer
    );
    let answer = job(&gateway, "/job/none", &token).await;
    assert_eq!(answer.said(), (400, text.as_str()));
}

#[tokio::test]
async fn settings_that_let_nobody_in_are_refused() {
    for (oidc, expected) in [
        (
            OidcConfig {
                enable: Some(true),
                ..OidcConfig::default()
            },
            "oidc.issuers names nobody",
        ),
        (
            OidcConfig {
                enable: Some(true),
                issuers: Some(vec!["https://x".into()]),
                groups: Some(vec![String::new()]),
                ..OidcConfig::default()
            },
            "oidc.groups names no group",
        ),
        (
            OidcConfig {
                issuers: Some(vec!["x".into()]),
                ..OidcConfig::default()
            },
            "expected a URL",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data: Some(folder.path().join("data")),
            oidc,
            ..Config::default()
        };
        let error = spillway_gateway::Gateway::start(config).await.unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
}
