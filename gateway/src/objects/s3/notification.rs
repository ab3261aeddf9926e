//! Notification configurations: which services hear of changes in a bucket.
//!
//! A service is the target `arn:minio:sqs:<region>:<service>:webhook`. Its inputs are part of the configuration;
//! writing one replaces all of it, as in S3.

use rusqlite::Connection;
use s3s::dto::{
    Event, FilterRule, FilterRuleName, GetBucketNotificationConfigurationInput,
    GetBucketNotificationConfigurationOutput, NotificationConfigurationFilter,
    PutBucketNotificationConfigurationInput, PutBucketNotificationConfigurationOutput,
    QueueConfiguration, S3KeyFilter,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::{Server, access, request};
use crate::auth::access::may_see;
use crate::objects::triggers::{self, Trigger};
use crate::objects::{MAX_KEY, ObjectError, rows};

/// Targets of one bucket at most, as in S3.
const MOST: usize = 100;

/// Events that happen here.
const EVENTS: [&str; 7] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
];

pub(super) async fn get(
    server: &Server,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
    let bucket = request.input.bucket;
    let read = move |db: &Connection| {
        rows::require_bucket(db, &bucket)?;
        triggers::list(db, &bucket)
    };
    let all = server.store.read::<_, ObjectError>(read).await?;
    let region = &server.settings.region;
    let shown = all.into_iter().map(|trigger| shown(trigger, region));
    let queues: Vec<_> = shown.collect();
    Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
        queue_configurations: (!queues.is_empty()).then_some(queues),
        ..GetBucketNotificationConfigurationOutput::default()
    }))
}

fn shown(trigger: Trigger, region: &str) -> QueueConfiguration {
    let rules = [
        (FilterRuleName::PREFIX, trigger.prefix),
        (FilterRuleName::SUFFIX, trigger.suffix),
    ];
    let rules: Vec<_> = rules
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| FilterRule {
            name: Some(FilterRuleName::from_static(name)),
            value: Some(value),
        })
        .collect();
    let key = S3KeyFilter {
        filter_rules: Some(rules),
    };
    QueueConfiguration {
        events: trigger
            .events
            .split(',')
            .map(|event| Event::from(event.to_owned()))
            .collect(),
        filter: key
            .filter_rules
            .as_ref()
            .is_some_and(|rules| !rules.is_empty())
            .then_some(NotificationConfigurationFilter { key: Some(key) }),
        id: Some(if trigger.id.is_empty() {
            format!("input-of-{}", trigger.service)
        } else {
            trigger.id
        }),
        queue_arn: format!("arn:minio:sqs:{region}:{}:webhook", trigger.service),
    }
}

pub(super) async fn put(
    server: &Server,
    request: S3Request<PutBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
    let caller = access::caller(&request)?;
    let bucket = request.input.bucket;
    let wanted = request.input.notification_configuration;
    let others = wanted
        .topic_configurations
        .is_some_and(|all| !all.is_empty())
        || wanted
            .lambda_function_configurations
            .is_some_and(|all| !all.is_empty())
        || wanted.event_bridge_configuration.is_some();
    if others {
        return Err(request::invalid(
            "only QueueConfiguration is known here, with the name of a service: arn:minio:sqs:<region>:<service>:webhook",
        ));
    }
    let queues = wanted.queue_configurations.unwrap_or_default();
    if queues.len() > MOST {
        return Err(request::invalid(format!(
            "{} targets are named; at most {MOST} may be",
            queues.len()
        )));
    }
    let mut all = Vec::new();
    for queue in queues {
        let trigger = trigger(queue)?;
        let entry = server.queue.service(&trigger.service).await;
        let entry = entry.map_err(ObjectError::from)?;
        if !entry.is_some_and(|service| may_see(&caller, &service)) {
            return Err(no_destination(&trigger.service));
        }
        all.push(trigger);
    }
    let replace = move |db: &Connection| {
        rows::require_bucket(db, &bucket)?;
        triggers::replace(db, &bucket, &all)
    };
    server.store.write::<_, ObjectError>(replace).await?;
    Ok(S3Response::new(
        PutBucketNotificationConfigurationOutput::default(),
    ))
}

fn no_destination(name: &str) -> S3Error {
    let text = format!(
        "A specified destination ARN does not exist or is not well-formed: {name:?} is no service that you see; \
         expected arn:minio:sqs:<region>:<service>:webhook"
    );
    S3Error::with_message(S3ErrorCode::InvalidArgument, text)
}

fn trigger(queue: QueueConfiguration) -> S3Result<Trigger> {
    let parts: Vec<&str> = queue.queue_arn.split(':').collect();
    let service = match parts.as_slice() {
        ["arn", "minio", "sqs", _region, service, "webhook"] if !service.is_empty() => *service,
        _ => return Err(no_destination(&queue.queue_arn)),
    };
    let mut events: Vec<&str> = queue.events.iter().map(AsRef::as_ref).collect();
    if let Some(unknown) = events.iter().find(|event| !EVENTS.contains(event)) {
        return Err(request::invalid(format!(
            "the event {unknown:?} does not happen here; known are {}",
            EVENTS.join(", ")
        )));
    }
    if events.is_empty() {
        return Err(request::invalid("Event: name at least one"));
    }
    events.sort_unstable();
    events.dedup();
    let (mut prefix, mut suffix) = (None, None);
    let rules = queue.filter.and_then(|filter| filter.key);
    for rule in rules.and_then(|key| key.filter_rules).unwrap_or_default() {
        let name = rule.name.map(|name| name.as_str().to_ascii_lowercase());
        let value = rule.value.unwrap_or_default();
        let place = match name.as_deref() {
            Some("prefix") => &mut prefix,
            Some("suffix") => &mut suffix,
            _ => {
                return Err(request::invalid(
                    "a filter rule must be called prefix or suffix",
                ));
            }
        };
        if value.len() > MAX_KEY || place.replace(value).is_some() {
            return Err(request::invalid(
                "a filter has one prefix and one suffix at most, of up to 1,024 bytes",
            ));
        }
    }
    Ok(Trigger {
        prefix: prefix.unwrap_or_default(),
        suffix: suffix.unwrap_or_default(),
        events: events.join(","),
        service: service.to_owned(),
        id: queue.id.unwrap_or_default(),
    })
}
