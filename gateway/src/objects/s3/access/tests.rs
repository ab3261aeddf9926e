use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use jiff::Timestamp;
use tower::ServiceExt as _;

use super::*;
use crate::auth::Users;
use crate::objects::{Blobs, Objects, Settings, Signing, service};
use crate::queue::{Queue, QueueSettings};
use crate::vault::Vault;

const ISSUER: &str = "https://issuer.example";

/// An object store that knows the administrator, ann, bob and eve.
pub(in crate::objects) struct World {
    _folder: tempfile::TempDir,
    router: Router,
    users: Users,
    pub(in crate::objects) store: Store,
}

impl World {
    pub(in crate::objects) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs"), store.clone())
            .await
            .unwrap();
        let queue = Queue::start(store.clone(), blobs.clone(), QueueSettings::default())
            .await
            .unwrap();
        let vault = Arc::new(Vault::open_folder(folder.path()).unwrap());
        let users = Users::new(store.clone(), vault);
        for uid in ["ann", "bob", "eve"] {
            users.first_seen(uid, uid, ISSUER, &[]).await.unwrap();
        }
        let router = service(Objects {
            store: store.clone(),
            blobs,
            queue,
            credentials: Credentials::new("root", "root-secret").with_users(users.clone()),
            settings: Settings::default(),
        });
        Self {
            _folder: folder,
            router,
            users,
            store,
        }
    }

    async fn bucket(&self, name: &str, owner: &str, visibility: &str) {
        let bucket = Bucket {
            name: name.to_owned(),
            owner: owner.to_owned(),
            visibility: visibility.to_owned(),
            allowed_users: vec!["bob".to_owned()],
            tags: BTreeMap::new(),
        };
        let create = move |db: &Connection| buckets::create(db, &bucket);
        self.store.write(create).await.unwrap();
    }

    /// Status and body of a request that `who` has signed; headers with `x-amz-` are signed too.
    pub(in crate::objects) async fn ask(
        &self,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let secret_key = match who {
            "root" => "root-secret".to_owned(),
            who => {
                let known = self.users.secret_key(who).await.unwrap();
                known.unwrap_or_else(|| "guessed".to_owned())
            }
        };
        let signing = Signing {
            access_key: who,
            secret_key: &secret_key,
            region: "anywhere",
            base: "http://store",
            now: Timestamp::now(),
            expires_s: 60,
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let signed = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let url = signing.url(method, path, query, &signed);
        let mut request = Request::builder()
            .method(method)
            .uri(url.strip_prefix("http://store").unwrap())
            .header("host", "store")
            .header("content-length", body.len());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn status(&self, who: &str, method: &str, path: &str) -> u16 {
        self.ask(who, method, path, &[], "").await.0
    }
}

#[test]
fn what_nobody_thought_of_is_the_administrators() {
    for operation in [
        "PutBucketLogging",
        "CreateSession",
        "SelectObjectContent",
        "",
    ] {
        assert_eq!(needs(operation), Needs::Administrator, "{operation}");
    }
}

#[tokio::test]
async fn each_user_does_what_the_visibility_of_a_bucket_allows() {
    let world = World::new().await;
    // Bucket and visibility; then who may use it: root, ann (its owner), bob (listed), eve.
    let table = [
        ("private", [true, true, false, false]),
        ("restricted", [true, true, true, false]),
        ("public", [true, true, true, true]),
    ];
    for (visibility, may) in table {
        let bucket = format!("of-ann-{visibility}");
        world.bucket(&bucket, "ann", visibility).await;
        for (who, may) in ["root", "ann", "bob", "eve"].into_iter().zip(may) {
            let key = format!("/{bucket}/{who}.txt");
            let uses = [
                ("HEAD", format!("/{bucket}"), 200),
                ("GET", format!("/{bucket}?list-type=2"), 200),
                ("GET", format!("/{bucket}?location"), 200),
                ("PUT", key.clone(), 200),
                ("GET", key.clone(), 200),
                ("HEAD", key.clone(), 200),
                ("GET", format!("/{bucket}?uploads"), 200),
                ("POST", format!("{key}?uploads"), 200),
                ("DELETE", key.clone(), 204),
            ];
            for (method, path, status) in uses {
                let expected = if may { status } else { 403 };
                let got = world.status(who, method, &path).await;
                assert_eq!(got, expected, "{who}: {method} {path}");
            }
            let (status, names) = world.ask(who, "GET", "/", &[], "").await;
            assert_eq!(
                (status, names.contains(&bucket)),
                (200, may),
                "{who}: {names}"
            );
        }
        // The bucket itself is its owner's.
        for who in ["bob", "eve"] {
            let path = format!("/{bucket}");
            assert_eq!(world.status(who, "DELETE", &path).await, 403, "{who}");
        }
    }
}

#[tokio::test]
async fn a_copy_needs_rights_at_both_ends() {
    let world = World::new().await;
    world.bucket("of-ann", "ann", "private").await;
    world.bucket("of-eve", "eve", "private").await;
    world.bucket("shared", "", "public").await;
    assert_eq!(world.ask("ann", "PUT", "/of-ann/k", &[], "x").await.0, 200);
    let from = [("x-amz-copy-source", "/of-ann/k")];
    for (who, to, expected) in [
        ("ann", "/shared/k", 200),
        ("ann", "/of-ann/copy", 200),
        ("ann", "/of-eve/k", 403),
        ("eve", "/of-eve/k", 403),
        ("eve", "/shared/stolen", 403),
        ("root", "/of-eve/given", 200),
    ] {
        let (status, text) = world.ask(who, "PUT", to, &from, "").await;
        assert_eq!(status, expected, "{who} to {to}: {text}");
    }
    let (_, begun) = world
        .ask("eve", "POST", "/of-eve/big?uploads", &[], "")
        .await;
    let id = begun.split("UploadId>").nth(1).unwrap();
    let id = id.split('<').next().unwrap();
    let part = format!("/of-eve/big?partNumber=1&uploadId={id}");
    assert_eq!(world.ask("eve", "PUT", &part, &from, "").await.0, 403);
    assert_eq!(world.ask("eve", "PUT", &part, &[], "x").await.0, 200);
    assert_eq!(world.ask("ann", "PUT", &part, &[], "x").await.0, 403);
}

#[tokio::test]
async fn a_name_without_rights_is_answered_alike_whether_it_exists_or_not() {
    let world = World::new().await;
    world.bucket("hidden", "ann", "private").await;
    for path in ["hidden", "missing"] {
        let (status, text) = world.ask("eve", "GET", &format!("/{path}"), &[], "").await;
        assert_eq!(status, 403, "{text}");
        assert!(text.contains("AccessDenied"), "{text}");
        assert_eq!(
            world.status("eve", "DELETE", &format!("/{path}")).await,
            403
        );
    }
    assert_eq!(world.status("root", "GET", "/missing").await, 404);
}

#[tokio::test]
async fn strangers_and_wrong_secrets_are_told_apart() {
    let world = World::new().await;
    let (status, text) = world.ask("mallory", "GET", "/", &[], "").await;
    assert!(
        status == 403 && text.contains("InvalidAccessKeyId"),
        "{text}"
    );
    let request = Request::get("/some-bucket").body(Body::empty()).unwrap();
    let answer = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
}

#[tokio::test]
async fn whoever_makes_a_bucket_owns_it() {
    let world = World::new().await;
    assert_eq!(world.status("ann", "PUT", "/of-ann").await, 200);
    let find = |db: &Connection| buckets::get(db, "of-ann");
    let bucket = world.store.read(find).await.unwrap().unwrap();
    assert_eq!(
        (bucket.owner.as_str(), bucket.visibility.as_str()),
        ("ann", "private")
    );
    assert_eq!(bucket.tags["owner"], "ann");
    let (status, text) = world.ask("ann", "PUT", "/of-ann", &[], "").await;
    assert!(
        status == 409 && text.contains("BucketAlreadyOwnedByYou"),
        "{text}"
    );
    let (status, text) = world.ask("bob", "PUT", "/of-ann", &[], "").await;
    assert!(
        status == 409 && text.contains("BucketAlreadyExists"),
        "{text}"
    );
    assert_eq!(world.status("bob", "DELETE", "/of-ann").await, 403);
    assert_eq!(world.status("ann", "DELETE", "/of-ann").await, 204);
}

#[tokio::test]
async fn quotas_bound_buckets_and_what_they_hold() {
    let world = World::new().await;
    let quotas = "INSERT INTO quotas (uid, buckets, bucket_bytes) VALUES ('ann', 2, 10)";
    let set = move |db: &Connection| db.execute(quotas, []).map_err(ObjectError::from);
    world.store.write(set).await.unwrap();
    assert_eq!(world.status("ann", "PUT", "/first").await, 200);
    assert_eq!(world.status("ann", "PUT", "/second").await, 200);
    let (status, text) = world.ask("ann", "PUT", "/third", &[], "").await;
    let expected =
        "MinIO bucket quota exceeded for user ann: limit 2, current 2, requested new buckets 1";
    assert!(status == 403 && text.contains(expected), "{text}");
    assert!(text.contains("<Code>QuotaExceeded</Code>"), "{text}");
    assert_eq!(world.status("bob", "PUT", "/third").await, 200);

    let put = async |path: &str, body: &str| world.ask("ann", "PUT", path, &[], body).await;
    assert_eq!(put("/first/a", "12345678").await.0, 200);
    let (status, text) = put("/first/b", "123").await;
    assert!(status == 403 && text.contains("QuotaExceeded"), "{text}");
    assert_eq!(put("/first/b", "12").await.0, 200);
    assert_eq!(
        put("/first/a", "1234567").await.0,
        200,
        "a smaller one instead"
    );
    assert_eq!(
        put("/second/a", "1234567890").await.0,
        200,
        "each bucket has its own"
    );
    let from = [("x-amz-copy-source", "/second/a")];
    assert_eq!(world.ask("ann", "PUT", "/first/c", &from, "").await.0, 403);
    assert_eq!(
        world
            .ask("root", "PUT", "/first/c", &[], "1234567890")
            .await
            .0,
        403
    );
    // Parts count while they wait.
    let (_, begun) = world
        .ask("ann", "POST", "/first/big?uploads", &[], "")
        .await;
    let id = begun
        .split("UploadId>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    let part = |number: u8| format!("/first/big?partNumber={number}&uploadId={id}");
    assert_eq!(put(&part(1), "1").await.0, 200);
    assert_eq!(put(&part(2), "1").await.0, 403);
    assert_eq!(world.status("ann", "DELETE", "/first/a").await, 204);
    assert_eq!(put(&part(2), "1").await.0, 200);
}

#[tokio::test]
async fn what_a_bucket_holds_is_counted_whatever_happens_to_it() {
    let world = World::new().await;
    world.bucket("counted", "", "private").await;
    let ask = async |method: &str, path: &str, body: &str| {
        let (status, text) = world.ask("root", method, path, &[], body).await;
        assert!(status < 300, "{method} {path}: {text}");
    };
    let expect = async |objects: u64, bytes: u64| {
        let counted = |db: &Connection| {
            let walked =
                "SELECT count(*), coalesce(sum(size), 0) FROM objects WHERE bucket = 'counted'";
            let walked: (i64, i64) =
                db.query_row(walked, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok::<_, ObjectError>((buckets::usage(db, "counted")?, walked))
        };
        let (usage, walked) = world.store.read(counted).await.unwrap();
        assert_eq!((usage.objects, usage.bytes), (objects, bytes));
        let walked = (walked.0.cast_unsigned(), walked.1.cast_unsigned());
        assert_eq!(walked, (objects, bytes));
    };
    ask("PUT", "/counted/a", "12345").await;
    ask("PUT", "/counted/b", "1").await;
    expect(2, 6).await;
    ask("PUT", "/counted/a", "123").await;
    expect(2, 4).await;
    let from = [("x-amz-copy-source", "/counted/a")];
    let copied = world.ask("root", "PUT", "/counted/c", &from, "").await;
    assert_eq!(copied.0, 200);
    expect(3, 7).await;
    ask("DELETE", "/counted/b", "").await;
    ask("DELETE", "/counted/b", "").await;
    expect(2, 6).await;
    let both = "<Delete><Object><Key>a</Key></Object><Object><Key>c</Key></Object></Delete>";
    ask("POST", "/counted?delete", both).await;
    expect(0, 0).await;
}
