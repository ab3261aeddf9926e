//! Bucket policies: a view of a bucket's visibility, never a second truth beside it.
//!
//! Reading one shows what the visibility allows. Writing one sets the visibility, if the policy says what a
//! visibility can say; whatever else it says (anonymous access, denials, single actions) is refused in words.
//! Deleting it makes the bucket private.

use rusqlite::Connection;
use s3s::dto::{
    DeleteBucketPolicyInput, DeleteBucketPolicyOutput, GetBucketPolicyInput, GetBucketPolicyOutput,
    GetBucketPolicyStatusInput, GetBucketPolicyStatusOutput, PolicyStatus, PutBucketPolicyInput,
    PutBucketPolicyOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use serde_json::{Value, json};

use super::Server;
use crate::objects::{Bucket, ObjectError, buckets};

/// Bytes of a policy at most, as in S3.
const LARGEST: usize = 20 * 1024;

/// Prefix of a user's name.
const USER: &str = "arn:aws:iam:::user/";

/// What everybody may do who may see a bucket.
const ACTIONS: [&str; 4] = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:ListBucket",
];

/// What a policy says, in our words.
#[derive(Debug, PartialEq, Eq)]
enum Sharing {
    Private,
    Restricted(Vec<String>),
    Public,
}

/// The policy that says what the bucket's visibility allows.
fn view(bucket: &Bucket) -> Option<Value> {
    let arn = format!("arn:aws:s3:::{}", bucket.name);
    let statement = match bucket.visibility.as_str() {
        "restricted" if !bucket.allowed_users.is_empty() => {
            let users: Vec<_> = bucket
                .allowed_users
                .iter()
                .map(|user| format!("{USER}{user}"))
                .collect();
            json!({ "Sid": "Restricted", "Effect": "Allow", "Principal": { "AWS": users },
                "Action": ACTIONS, "Resource": [arn, format!("{arn}/*")] })
        }
        // Everybody who has signed in; anonymous callers are nobody.
        "public" => {
            json!({ "Sid": "Public", "Effect": "Allow", "Principal": { "AWS": ["*"] },
            "Action": ACTIONS, "Resource": [arn, format!("{arn}/*")],
            "Condition": { "StringNotEquals": { "aws:PrincipalType": "Anonymous" } } })
        }
        _ => return None,
    };
    Some(json!({ "Version": "2012-10-17", "Statement": [statement] }))
}

/// Reads a policy for this bucket.
fn read(text: &str, bucket: &str) -> S3Result<Sharing> {
    let malformed = |text: String| S3Error::with_message(S3ErrorCode::MalformedPolicy, text);
    if text.len() > LARGEST {
        return Err(malformed(format!(
            "the policy has {} bytes; at most {LARGEST} are allowed",
            text.len()
        )));
    }
    let policy: Value = serde_json::from_str(text)
        .map_err(|error| malformed(format!("the policy is no JSON: {error}")))?;
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return Err(malformed("Statement: it is missing".to_owned())),
    };
    let mut users = Vec::new();
    for statement in statements {
        match one(statement, bucket, &malformed)? {
            Sharing::Public => return Ok(Sharing::Public),
            Sharing::Restricted(more) => users.extend(more),
            Sharing::Private => (),
        }
    }
    users.sort();
    users.dedup();
    Ok(if users.is_empty() {
        Sharing::Private
    } else {
        Sharing::Restricted(users)
    })
}

fn one(
    statement: &Value,
    bucket: &str,
    malformed: &impl Fn(String) -> S3Error,
) -> S3Result<Sharing> {
    let beyond = |what: &str| {
        let text = format!(
            "{what} cannot be expressed here: a bucket is private, restricted to users who read and write, or public \
             to all who have signed in; set that with PUT /system/buckets"
        );
        S3Error::with_message(S3ErrorCode::NotImplemented, text)
    };
    if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
        return Err(beyond("a statement that does not allow something"));
    }
    let texts = |name: &str| {
        texts(statement.get(name))
            .ok_or_else(|| malformed(format!("{name}: it must be text or a list of texts")))
    };
    let principals = match statement.get("Principal") {
        Some(Value::Object(kinds)) if kinds.len() == 1 => self::texts(kinds.get("AWS")),
        other => self::texts(other),
    };
    let principals = principals.ok_or_else(|| {
        malformed("Principal: it must be \"*\" or name users under AWS".to_owned())
    })?;
    let arn = format!("arn:aws:s3:::{bucket}");
    let within = |resource: &String| {
        resource
            .strip_prefix(&arn)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let resources = texts("Resource")?;
    if !resources.iter().all(within) {
        return Err(malformed(format!(
            "Resource: a policy of this bucket names {arn} and what is in it"
        )));
    }
    let actions = texts("Action")?;
    let known = json!({ "StringNotEquals": { "aws:PrincipalType": "Anonymous" } });
    let condition = statement.get("Condition");
    if principals.iter().any(|principal| principal == "*") && condition != Some(&known) {
        let text = "nobody reads or writes here without a key: set the visibility to public with PUT /system/buckets \
                    to let everybody in who has one, or give out presigned URLs";
        return Err(S3Error::with_message(S3ErrorCode::AccessDenied, text));
    }
    if condition.is_some_and(|condition| *condition != known) {
        return Err(beyond("a condition"));
    }
    if !resources.contains(&format!("{arn}/*")) {
        return Err(beyond("a part of a bucket"));
    }
    let gives = |wanted: &&str| {
        actions
            .iter()
            .any(|action| action == "s3:*" || action == wanted)
    };
    if !ACTIONS.iter().all(gives) {
        return Err(beyond("fewer rights than reading, writing and listing"));
    }
    if principals.iter().any(|principal| principal == "*") {
        return Ok(Sharing::Public);
    }
    let user = |principal: &String| {
        let name = principal
            .rsplit_once(":user/")
            .map_or(principal.as_str(), |(_, name)| name);
        name.to_owned()
    };
    Ok(Sharing::Restricted(principals.iter().map(user).collect()))
}

fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(all) => all
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

pub(super) async fn get(
    server: &Server,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let name = request.input.bucket;
    let bucket = server
        .store
        .read(move |db| buckets::require(db, &name))
        .await?;
    let Some(policy) = view(&bucket) else {
        let text = "the bucket has no policy: it is private";
        return Err(S3Error::with_message(S3ErrorCode::NoSuchBucketPolicy, text));
    };
    Ok(S3Response::new(GetBucketPolicyOutput {
        policy: Some(policy.to_string()),
    }))
}

/// Nothing here is open to the anonymous.
pub(super) async fn status(
    server: &Server,
    request: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
    let name = request.input.bucket;
    server
        .store
        .read(move |db| buckets::require(db, &name))
        .await?;
    Ok(S3Response::new(GetBucketPolicyStatusOutput {
        policy_status: Some(PolicyStatus {
            is_public: Some(false),
        }),
    }))
}

pub(super) async fn put(
    server: &Server,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let sharing = read(&request.input.policy, &request.input.bucket)?;
    set(server, request.input.bucket, sharing).await?;
    Ok(S3Response::new(PutBucketPolicyOutput::default()))
}

pub(super) async fn delete(
    server: &Server,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
    set(server, request.input.bucket, Sharing::Private).await?;
    Ok(S3Response::new(DeleteBucketPolicyOutput::default()))
}

async fn set(server: &Server, name: String, sharing: Sharing) -> Result<(), ObjectError> {
    let change = move |db: &Connection| {
        let mut bucket = buckets::require(db, &name)?;
        let (visibility, users) = match sharing {
            Sharing::Private => ("private", Vec::new()),
            Sharing::Restricted(users) => ("restricted", users),
            Sharing::Public => ("public", Vec::new()),
        };
        visibility.clone_into(&mut bucket.visibility);
        bucket.allowed_users = users;
        buckets::update(db, &bucket)
    };
    server.store.write(change).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(visibility: &str) -> Bucket {
        Bucket {
            name: "b".to_owned(),
            visibility: visibility.to_owned(),
            allowed_users: vec!["ann".to_owned(), "bob".to_owned()],
            ..Bucket::default()
        }
    }

    #[test]
    fn what_is_shown_can_be_written_back() {
        let of = |visibility| read(&view(&bucket(visibility)).unwrap().to_string(), "b").unwrap();
        assert_eq!(
            of("restricted"),
            Sharing::Restricted(vec!["ann".to_owned(), "bob".to_owned()])
        );
        assert_eq!(of("public"), Sharing::Public);
        assert_eq!(view(&bucket("private")), None);
    }

    #[test]
    fn what_no_visibility_can_say_is_refused() {
        let statement = |text: &str| {
            let rest = r#""Effect":"Allow","Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"]"#;
            format!(r#"{{"Statement":[{{{}}}]}}"#, text.replace("REST", rest))
        };
        for (text, code) in [
            ("{", "MalformedPolicy"),
            ("{}", "MalformedPolicy"),
            (&*"x".repeat(LARGEST + 1), "MalformedPolicy"),
            (&*statement("REST"), "MalformedPolicy"),
            (&*statement(r#""Principal":"*",REST"#), "AccessDenied"),
            (
                &*statement(r#""Principal":{"AWS":["*"]},REST"#),
                "AccessDenied",
            ),
            (
                &*statement(r#""Principal":{"AWS":"ann"},REST,"Condition":{}"#),
                "NotImplemented",
            ),
            (
                &*statement(r#""Principal":{"AWS":"ann"},REST"#).replace("s3:*", "s3:GetObject"),
                "NotImplemented",
            ),
            (
                &*statement(r#""Principal":{"AWS":"ann"},REST"#).replace("Allow", "Deny"),
                "NotImplemented",
            ),
            (
                &*statement(r#""Principal":{"AWS":"ann"},REST"#).replace(":::b", ":::c"),
                "MalformedPolicy",
            ),
        ] {
            let error = read(text, "b").unwrap_err();
            assert_eq!(error.code().as_str(), code, "{text}");
        }
        let fine = statement(r#""Principal":{"AWS":"arn:aws:iam::1:user/ann"},REST"#);
        assert_eq!(
            read(&fine, "b").unwrap(),
            Sharing::Restricted(vec!["ann".to_owned()])
        );
    }
}
