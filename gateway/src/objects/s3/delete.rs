//! `DeleteObject` and `DeleteObjects`.

use s3s::dto::{
    self, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::Server;
use super::get::refuse_versions;
use super::request;
use crate::objects::Effects;
use crate::objects::conditions::Conditions;
use crate::objects::rows;
use crate::queue::Queue;

/// Keys that one request deletes at most.
const DELETES: usize = 1000;

pub(super) async fn one(
    server: &Server,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let actor = request::actor(&request);
    let DeleteObjectInput {
        bucket,
        key,
        if_match,
        version_id,
        ..
    } = request.input;
    refuse_versions(version_id.as_deref())?;
    let conditions = Conditions {
        if_match: request::tag(if_match),
        ..Conditions::default()
    };
    let delete = move |db: &rusqlite::Connection, queue: &Queue| {
        rows::require_bucket(db, &bucket)?;
        if !conditions.is_empty() {
            conditions.check(rows::find(db, &bucket, &key)?.as_ref(), &bucket, &key)?;
        }
        let effects = rows::delete(db, queue, &bucket, &key, &actor)?;
        Ok(((), None, effects))
    };
    server.publish(delete).await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) async fn many(
    server: &Server,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let actor = request::actor(&request);
    let DeleteObjectsInput { bucket, delete, .. } = request.input;
    let named = delete.objects.len();
    if named == 0 || named > DELETES {
        let text = format!("{named} keys are named; one request deletes 1 to {DELETES}");
        return Err(S3Error::with_message(S3ErrorCode::MalformedXML, text));
    }
    let (mut keys, mut errors) = (Vec::new(), Vec::new());
    for object in delete.objects {
        match refuse_versions(object.version_id.as_deref()) {
            Ok(()) => keys.push(object.key),
            Err(error) => errors.push(dto::Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(object.key),
                message: error.message().map(str::to_owned),
                version_id: object.version_id,
            }),
        }
    }
    let named = keys.clone();
    let delete_all = move |db: &rusqlite::Connection, queue: &Queue| {
        rows::require_bucket(db, &bucket)?;
        let mut effects = Effects::default();
        for key in &named {
            effects.add(rows::delete(db, queue, &bucket, key, &actor)?);
        }
        Ok(((), None, effects))
    };
    server.publish(delete_all).await?;
    let mut output = DeleteObjectsOutput {
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    };
    if delete.quiet != Some(true) {
        let deleted = |key| DeletedObject {
            key: Some(key),
            ..DeletedObject::default()
        };
        output.deleted = Some(keys.into_iter().map(deleted).collect());
    }
    Ok(S3Response::new(output))
}
