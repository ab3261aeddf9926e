use serde_json::{Value, json};

use super::change::Refused;
use super::*;
use crate::store::Store;

fn read(body: Value) -> Result<Change, Refused> {
    let Value::Object(body) = body else {
        panic!("no object");
    };
    Change::read(body)
}

#[tokio::test]
async fn a_users_own_quotas_take_the_place_of_the_usual_ones_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("db")).unwrap();
    let body = json!({ "volumes": { "Disk": "1Gi", "volumes": 2 }, "minio": { "buckets": "3", "storage_per_bucket": "" } });
    let set = read(body).unwrap();
    store
        .write(move |db| {
            settle(
                db,
                &Quotas {
                    bucket_bytes: 10,
                    ..Quotas::default()
                },
            )?;
            change(db, "ann", set)
        })
        .await
        .unwrap();
    let (ann, bob, administrator) = store
        .read(|db| Ok::<_, StoreError>((of(db, "ann")?, of(db, "bob")?, of(db, "")?)))
        .await
        .unwrap();
    let usual = Quotas {
        bucket_bytes: 10,
        ..Quotas::default()
    };
    assert_eq!(
        ann,
        Quotas {
            buckets: 3,
            volumes: 2,
            volumes_disk: 1 << 30,
            ..usual
        }
    );
    assert_eq!((bob, administrator), (usual, Quotas::NONE));
}

#[test]
fn a_body_that_sets_nothing_or_nonsense_is_refused() {
    assert_eq!(read(json!({})), Err(Refused::Nothing));
    assert_eq!(read(json!({ "gpu": "1" })), Err(Refused::Nothing));
    assert_eq!(
        read(json!({ "volumes": null, "minio": null })),
        Err(Refused::Nothing)
    );
    for name in ["cpu", "Memory", "ephemeral_storage", "ephemeral-storage"] {
        assert_eq!(
            read(json!({ name: "1", "volumes": {} })),
            Err(Refused::NeedsKueue),
            "for {name}"
        );
    }
    let text = |body| read(body).unwrap_err().to_string();
    assert_eq!(
        text(json!({ "minio": { "buckets": "many" } })),
        "minio.buckets: \"many\" is no number; expected a whole number such as \"5\", or \"0\" for no limit"
    );
    assert_eq!(
        text(json!({ "volumes": { "disk": "5Gib" } })),
        "volumes.disk: \"Gib\" is no unit; use Ki, Mi, Gi, Ti (powers of 1024) or k, M, G, T (powers of 1000)"
    );
    assert_eq!(text(json!({ "volumes": 3 })), "volumes: expected an object");
    assert_eq!(
        text(json!({ "volumes": { "disk": [] } })),
        "volumes.disk: expected a string"
    );
}
