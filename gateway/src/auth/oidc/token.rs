//! Reading and verifying one token.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous, decode, decode_header};
use serde_json::Value;

use super::TokenError;
use super::signature::ALGORITHMS;

/// Longest token, in bytes. Headers of a request are bounded, too, but this is ours to say.
const LONGEST: usize = 16 * 1024;

/// Seconds by which clocks may differ.
const LEEWAY: u64 = 30;

/// What a token says before anything of it is believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unverified {
    pub(super) issuer: String,
    /// Id of the key it was signed with, by its own word.
    pub(super) key: Option<String>,
}

/// A token that its issuer has signed and that holds now.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) subject: String,
    pub(super) claims: Value,
    pub(super) lasts: Duration,
}

/// One public key of an issuer.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// The only algorithm it is for, if its issuer says so.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

impl Key {
    /// Reads a member of a key set; nothing if it is none we can check signatures with.
    pub(super) fn read(member: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(member.clone()).ok()?;
        if matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_))
            || matches!(&jwk.common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature)
        {
            return None;
        }
        let algorithm = match jwk.common.key_algorithm {
            None => None,
            Some(named) => Some(
                Algorithm::try_from(named)
                    .ok()
                    .filter(|it| ALGORITHMS.contains(it))?,
            ),
        };
        Some(Self {
            id: jwk.common.key_id.clone(),
            algorithm,
            decoding: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }

    fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        id.is_none_or(|id| self.id.as_deref() == Some(id))
            && self.algorithm.is_none_or(|only| only == algorithm)
            && self.decoding.family() == algorithm.family()
    }
}

/// Who a token says has made it; nothing if it is no JWT.
pub(super) fn peek(token: &str) -> Option<Unverified> {
    if token.len() > LONGEST || token.split('.').count() != 3 {
        return None;
    }
    let claims: Value = dangerous::insecure_decode_claims(token).ok()?;
    Some(Unverified {
        issuer: claims.get("iss")?.as_str()?.to_owned(),
        key: decode_header(token).ok().and_then(|header| header.kid),
    })
}

/// Checks signature, issuer, times and, if there is a list of them, audience.
pub(super) fn verify(
    token: &str,
    keys: &[Key],
    issuer: &str,
    audience: &[String],
) -> Result<Verified, TokenError> {
    let forged = |why: &str| TokenError::Forged(why.to_owned());
    // An algorithm that is none ("none" included) ends here.
    let header =
        decode_header(token).map_err(|_| forged("its header names no algorithm we know"))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(forged("its algorithm is not accepted"));
    }
    if header.crit.is_some() {
        return Err(forged("it has critical header fields")); // RFC 7515, 4.1.11: we understand none.
    }
    let mut checks = Validation::new(header.alg);
    checks.leeway = LEEWAY;
    checks.validate_nbf = true;
    checks.set_issuer(&[issuer]);
    checks.validate_aud = !audience.is_empty();
    checks.set_required_spec_claims(&["exp", "iss", "sub"]);
    if !audience.is_empty() {
        checks.set_audience(audience);
        checks.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
    }
    let mut verdict = forged("its issuer has no such key");
    for key in keys
        .iter()
        .filter(|key| key.fits(header.kid.as_deref(), header.alg))
    {
        match decode::<Value>(token, &key.decoding, &checks) {
            Ok(verified) => return read(verified.claims),
            Err(error) => {
                verdict = match error.kind() {
                    ErrorKind::ExpiredSignature
                    | ErrorKind::ImmatureSignature
                    | ErrorKind::InvalidAudience
                    | ErrorKind::MissingRequiredClaim(_)
                    | ErrorKind::InvalidClaimFormat(_) => TokenError::Refused(error.to_string()),
                    _ => forged("the signature is wrong"),
                };
            }
        }
        if matches!(verdict, TokenError::Refused(_)) {
            break;
        }
    }
    Err(verdict)
}

fn read(claims: Value) -> Result<Verified, TokenError> {
    let expires = claims
        .get("exp")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    #[allow(clippy::cast_precision_loss)] // Seconds since 1970 fit.
    let left = expires - Timestamp::now().as_second() as f64;
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .filter(|subject| !subject.is_empty());
    let Some(subject) = subject else {
        return Err(TokenError::Refused("its subject is empty".to_owned()));
    };
    Ok(Verified {
        subject: subject.to_owned(),
        lasts: Duration::try_from_secs_f64(left).unwrap_or_default(),
        claims,
    })
}

#[cfg(test)]
mod tests;
