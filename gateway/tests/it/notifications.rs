//! Notification configurations of buckets: what they make services do.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestGateway, send, service};
use crate::s3::signed;

async fn s3(gateway: &TestGateway, method: &Method, path: &str, body: impl Into<String>) -> Answer {
    send(signed(gateway, method, path).body(body.into())).await
}

fn rule(id: &str, service: &str, event: &str, suffix: &str) -> String {
    format!(
        "<QueueConfiguration><Id>{id}</Id><Queue>arn:minio:sqs::{service}:webhook</Queue><Event>{event}</Event>\
         <Filter><S3Key><FilterRule><Name>prefix</Name><Value>in/</Value></FilterRule>\
         <FilterRule><Name>suffix</Name><Value>{suffix}</Value></FilterRule></S3Key></Filter></QueueConfiguration>"
    )
}

#[tokio::test]
async fn a_configuration_adds_and_removes_triggers_with_filters() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway.create(service("watch")).await;
    let at = "/grey?notification=";
    let configuration = s3(&gateway, &Method::GET, at, "").await;
    for expected in [
        "arn:minio:sqs:us-east-1:grey:webhook",
        "<Event>s3:ObjectCreated:*</Event>",
        "<Value>in/</Value>",
    ] {
        assert!(configuration.text.contains(expected), "{configuration:?}");
    }
    // The service's own input stays as long as it is named, as it was shown.
    let own = configuration
        .text
        .split("<QueueConfiguration>")
        .nth(1)
        .unwrap();
    let own = own.split("</QueueConfiguration>").next().unwrap();
    let both = format!(
        "<NotificationConfiguration><QueueConfiguration>{own}</QueueConfiguration>{}</NotificationConfiguration>",
        rule("mine", "watch", "s3:ObjectRemoved:*", ".jpg")
    );
    let put = s3(&gateway, &Method::PUT, at, both).await;
    assert_eq!(put.status, 200, "{put:?}");
    let jobs = |service: &str| {
        gateway.count(&format!(
            "SELECT count(*) FROM jobs WHERE service = '{service}'"
        ))
    };
    for key in ["in/a.jpg", "in/a.txt", "other/a.jpg"] {
        let path = format!("/grey/{key}");
        assert_eq!(s3(&gateway, &Method::PUT, &path, key).await.status, 200);
    }
    assert_eq!((jobs("grey"), jobs("watch")), (2, 0));
    for key in ["in/a.jpg", "in/a.txt", "other/a.jpg", "in/none.jpg"] {
        let path = format!("/grey/{key}");
        assert_eq!(s3(&gateway, &Method::DELETE, &path, "").await.status, 204);
    }
    assert_eq!((jobs("grey"), jobs("watch")), (2, 1));
    // Its input is what the object was, although that is gone: it shares the bytes with the job of the upload.
    let kept = "SELECT blobs.refs FROM jobs JOIN blobs ON blobs.id = jobs.blob WHERE jobs.service = 'watch'";
    assert_eq!(gateway.count(kept), 2);
    let cause = "SELECT count(*) FROM jobs WHERE service = 'watch' AND cause LIKE '%s3:ObjectRemoved:Delete%'";
    assert_eq!(gateway.count(cause), 1);

    // An update of the service leaves what the bucket's owner has configured.
    let mut changed = service("watch");
    changed["memory"] = json!("64Mi");
    assert_eq!(gateway.put("/system/services", changed).await.status, 204);
    let configuration = s3(&gateway, &Method::GET, at, "").await;
    assert!(
        configuration.text.contains("<Id>mine</Id>"),
        "{configuration:?}"
    );
    let none = s3(&gateway, &Method::PUT, at, "<NotificationConfiguration/>").await;
    assert_eq!(none.status, 200, "{none:?}");
    assert_eq!(
        s3(&gateway, &Method::PUT, "/grey/in/b.jpg", "x")
            .await
            .status,
        200
    );
    assert_eq!(jobs("grey"), 2);
}

#[tokio::test]
async fn a_service_that_goes_takes_its_triggers_along() {
    let gateway = TestGateway::start().await;
    gateway.create(service("grey")).await;
    gateway.create(service("watch")).await;
    let configuration = format!(
        "<NotificationConfiguration>{}</NotificationConfiguration>",
        rule("mine", "watch", "s3:ObjectCreated:Put", ".txt")
    );
    let at = "/grey?notification=";
    let put = s3(&gateway, &Method::PUT, at, configuration).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(gateway.delete("/system/services/watch").await.status, 204);
    assert_eq!(
        gateway.count("SELECT count(*) FROM triggers WHERE bucket = 'grey'"),
        0
    );
    let put = s3(&gateway, &Method::PUT, "/grey/in/a.txt", "x").await;
    assert_eq!(put.status, 200);
}
