//! What a client says of a bucket.

use axum::body::Body;
use serde::Deserialize;

use crate::api::body::{self, MAX_JSON};
use crate::api::problem::Problem;

/// Users that one bucket is shared with at most; whoever has more makes it public.
const MOST_USERS: usize = 1000;

/// What a client sends.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = BucketInput))]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) bucket_name: String,
    /// Absent: private for a new bucket, unchanged for an old one.
    pub(super) visibility: Option<String>,
    pub(super) allowed_users: Option<Vec<String>>,
}

/// Reads and checks a body.
pub(super) async fn read(body: Body) -> Result<Wanted, Problem> {
    let invalid =
        |reason: String| Problem::bad(format!("The Bucket specification is not valid: {reason}"));
    let mut wanted: Wanted = body::lenient(&body::read(body, MAX_JSON).await?).map_err(invalid)?;
    if wanted.bucket_name.trim_matches(['/', ' ']).is_empty() {
        return Err(invalid(
            "bucket_name: it is missing; name the bucket".to_owned(),
        ));
    }
    wanted.visibility = wanted
        .visibility
        .filter(|visibility| !visibility.is_empty());
    if let Some(visibility) = &wanted.visibility
        && !matches!(visibility.as_str(), "private" | "restricted" | "public")
    {
        return Err(invalid(format!(
            "visibility: {visibility:?} is not known; expected private, restricted or public"
        )));
    }
    if let Some(users) = &mut wanted.allowed_users {
        for user in users.iter_mut() {
            *user = user.trim().to_owned();
        }
        users.retain(|user| !user.is_empty());
        if users.len() > MOST_USERS {
            return Err(invalid(format!(
                "allowed_users: {} are named; at most {MOST_USERS} may be",
                users.len()
            )));
        }
    }
    Ok(wanted)
}
