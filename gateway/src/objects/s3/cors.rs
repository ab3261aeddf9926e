//! CORS configurations of buckets: stored here, honoured by `objects::cors`.

use rusqlite::Connection;
use s3s::dto::{
    CORSRule, DeleteBucketCorsInput, DeleteBucketCorsOutput, GetBucketCorsInput,
    GetBucketCorsOutput, PutBucketCorsInput, PutBucketCorsOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::{Server, request};
use crate::objects::cors::{self, METHODS, Rule};
use crate::objects::{ObjectError, rows};

/// Rules of one bucket at most, as in S3.
const MOST: usize = 100;

/// Bytes of all of them together.
const LARGEST: usize = 64 * 1024;

pub(super) async fn get(
    server: &Server,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let bucket = request.input.bucket;
    let read = move |db: &Connection| {
        rows::require_bucket(db, &bucket)?;
        cors::rules(db, &bucket)
    };
    let Some(rules) = server.store.read::<_, ObjectError>(read).await? else {
        let text = "the bucket has no CORS configuration; the gateway's settings hold";
        return Err(S3Error::with_message(
            S3ErrorCode::NoSuchCORSConfiguration,
            text,
        ));
    };
    let shown = |rule: Rule| CORSRule {
        allowed_headers: Some(rule.headers).filter(|all| !all.is_empty()),
        allowed_methods: rule.methods,
        allowed_origins: rule.origins,
        expose_headers: Some(rule.exposed).filter(|all| !all.is_empty()),
        id: rule.id,
        max_age_seconds: rule.max_age,
    };
    Ok(S3Response::new(GetBucketCorsOutput {
        cors_rules: Some(rules.into_iter().map(shown).collect()),
    }))
}

pub(super) async fn put(
    server: &Server,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let bucket = request.input.bucket;
    let sent = request.input.cors_configuration.cors_rules;
    if sent.is_empty() || sent.len() > MOST {
        let text = format!("{} rules are named; expected 1 to {MOST}", sent.len());
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, text));
    }
    let rules = sent.into_iter().map(rule).collect::<S3Result<Vec<_>>>()?;
    let document = serde_json::to_string(&rules).unwrap_or_default();
    if document.len() > LARGEST {
        return Err(request::invalid(format!(
            "the configuration has {} bytes; at most {LARGEST} are allowed",
            document.len()
        )));
    }
    let replace = move |db: &Connection| {
        rows::require_bucket(db, &bucket)?;
        cors::set(db, &bucket, Some(&document))
    };
    server.store.write::<_, ObjectError>(replace).await?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

pub(super) async fn delete(
    server: &Server,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    let bucket = request.input.bucket;
    let delete = move |db: &Connection| {
        rows::require_bucket(db, &bucket)?;
        cors::set(db, &bucket, None)
    };
    server.store.write::<_, ObjectError>(delete).await?;
    Ok(S3Response::new(DeleteBucketCorsOutput::default()))
}

fn rule(sent: CORSRule) -> S3Result<Rule> {
    let rule = Rule {
        id: sent.id,
        origins: sent.allowed_origins,
        methods: sent.allowed_methods,
        headers: sent.allowed_headers.unwrap_or_default(),
        exposed: sent.expose_headers.unwrap_or_default(),
        max_age: sent.max_age_seconds,
    };
    if rule.origins.is_empty() || rule.methods.is_empty() {
        let text = "a rule needs AllowedOrigin and AllowedMethod";
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, text));
    }
    if let Some(method) = rule
        .methods
        .iter()
        .find(|method| !METHODS.contains(&method.as_str()))
    {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            format!(
                "AllowedMethod is {method:?}; expected one of {}",
                METHODS.join(", ")
            ),
        ));
    }
    let wild = |text: &&String| text.matches('*').count() > 1;
    if let Some(text) = rule.origins.iter().chain(&rule.headers).find(wild) {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            format!("{text:?} has more than one *"),
        ));
    }
    Ok(rule)
}
