//! Tokens made by hand with an Ed25519 key of our own.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;

use super::*;
use crate::auth::oidc::signature;

const ISSUER: &str = "https://issuer.example";

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        signature::install();
        let seed = crate::auth::random::<32>().unwrap();
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).unwrap())
    }

    fn public(&self, more: &Value) -> Value {
        let mut key =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(self.0.public_key()) });
        for (name, value) in more.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn keys(&self) -> Vec<Key> {
        vec![Key::read(&self.public(&json!({ "kid": "one", "use": "sig" }))).unwrap()]
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = BASE64.encode(self.0.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "kid": "one" })
}

/// Good claims, some of them replaced; null takes one away.
fn claims(other: &Value) -> Value {
    let now = Timestamp::now().as_second();
    let mut claims = json!({ "iss": ISSUER, "sub": "ann", "aud": ["spillway"], "exp": now + 600 });
    for (name, value) in other.as_object().unwrap() {
        claims[name] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    claims
}

#[test]
fn a_good_token_is_its_subjects_for_as_long_as_it_says() {
    let signer = Signer::new();
    let token = signer.sign(&header(), &claims(&json!({})));
    let verified = verify(&token, &signer.keys(), ISSUER, &["spillway".to_owned()]).unwrap();
    assert_eq!(verified.subject, "ann");
    assert!((590..=600).contains(&verified.lasts.as_secs()));
    let peeked = Unverified {
        issuer: ISSUER.to_owned(),
        key: Some("one".to_owned()),
    };
    assert_eq!(peek(&token), Some(peeked));
}

#[test]
fn what_is_signed_but_does_not_hold_is_refused_and_no_guess() {
    let signer = Signer::new();
    let now = Timestamp::now().as_second();
    for other in [
        json!({ "exp": now - 60 }),
        json!({ "exp": null }),
        json!({ "exp": "soon" }),
        json!({ "nbf": now + 3600 }),
        json!({ "aud": "somebody else" }),
        json!({ "aud": null }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
    ] {
        let token = signer.sign(&header(), &claims(&other));
        let verdict = verify(&token, &signer.keys(), ISSUER, &["spillway".to_owned()]);
        assert!(
            matches!(verdict, Err(TokenError::Refused(_))),
            "{other}: {verdict:?}"
        );
        assert!(!verdict.unwrap_err().is_guess());
    }
    let other = signer.sign(&header(), &claims(&json!({ "aud": "somebody else" })));
    assert!(
        verify(&other, &signer.keys(), ISSUER, &[]).is_ok(),
        "no audience is asked for"
    );
}

#[test]
fn what_the_issuer_did_not_sign_is_forged() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let good = claims(&json!({}));
    let whole = signer.sign(&header(), &good);
    let parts: Vec<_> = whole.split('.').collect();
    let root = BASE64.encode(claims(&json!({ "sub": "root" })).to_string());
    let none = BASE64.encode(r#"{"alg":"none","kid":"one"}"#);
    for token in [
        stranger.sign(&header(), &good),
        signer.sign(&json!({ "alg": "EdDSA", "kid": "two" }), &good),
        signer.sign(&json!({ "alg": "HS256", "kid": "one" }), &good),
        signer.sign(&json!({ "alg": "RS256", "kid": "one" }), &good),
        signer.sign(
            &json!({ "alg": "EdDSA", "kid": "one", "crit": ["b64"], "b64": false }),
            &good,
        ),
        format!("{}.{root}.{}", parts[0], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{root}.{}", parts[2]),
        signer.sign(
            &header(),
            &claims(&json!({ "iss": "https://other.example" })),
        ),
    ] {
        let verdict = verify(&token, &signer.keys(), ISSUER, &[]);
        assert!(
            matches!(verdict, Err(TokenError::Forged(_))),
            "{token}: {verdict:?}"
        );
    }
}

#[test]
fn a_token_that_names_no_key_is_checked_with_those_that_fit() {
    let (signer, other) = (Signer::new(), Signer::new());
    let keys: Vec<_> = other.keys().into_iter().chain(signer.keys()).collect();
    let token = signer.sign(&json!({ "alg": "EdDSA" }), &claims(&json!({})));
    assert_eq!(verify(&token, &keys, ISSUER, &[]).unwrap().subject, "ann");
}

#[test]
fn keys_that_sign_nothing_are_passed_over() {
    let signer = Signer::new();
    assert!(Key::read(&signer.public(&json!({}))).is_some());
    assert!(Key::read(&signer.public(&json!({ "alg": "EdDSA" }))).is_some());
    for key in [
        signer.public(&json!({ "use": "enc" })),
        signer.public(&json!({ "alg": "HS256" })),
        signer.public(&json!({ "alg": "ECDH-ES" })),
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "one" }),
        json!({ "kty": "new", "kid": "one" }),
        json!("text"),
    ] {
        assert!(Key::read(&key).is_none(), "{key}");
    }
}

#[test]
fn what_is_no_jwt_is_told_apart() {
    let claims = BASE64.encode(r#"{"iss":"x"}"#);
    for text in [
        "",
        "a.b.c",
        "..",
        &claims,
        &format!("x.{claims}"),
        &format!("x.{claims}.y.z"),
        &format!("x.{}.y", BASE64.encode("{}")),
    ] {
        assert_eq!(peek(text), None, "for {text:?}");
    }
    let large = format!(
        "x.{}.y",
        BASE64.encode(format!(r#"{{"iss":"{}"}}"#, "x".repeat(LONGEST)))
    );
    assert_eq!(peek(&large), None);
    assert!(peek(&format!("x.{claims}.y")).is_some());
}
