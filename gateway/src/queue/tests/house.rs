//! A gateway without ports, in a temporary folder.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use rusqlite::params;
use serde::de::DeserializeOwned;
use spillway_model::report::JobReport;
use spillway_model::service::{Edge, Service};
use spillway_model::wire::link::{
    Attempt, Completion, Engine, FailureReason, Heartbeat, HeartbeatAnswer, Join, Joined, Lease,
    Outcome, Output, OutputContent, Poll, PollAnswer, Resources, Spans, Usage,
};
use tower::ServiceExt as _;

use crate::link::{self, Link};
use crate::objects::{self, Blobs, NewObject, ObjectError};
use crate::queue::{Backoff, DirectCall, Queue, QueueSettings};
use crate::report;
use crate::store::{Store, StoreError};

pub(crate) const MIB: u64 = 1024 * 1024;

pub(crate) struct House {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) blobs: Blobs,
    pub(crate) queue: Queue,
    pub(crate) api: Router,
    settings: QueueSettings,
}

pub(crate) struct Agent {
    pub(crate) name: String,
    token: String,
    capacity: Resources,
}

/// Short times, so that tests need not wait.
pub(crate) fn quick() -> QueueSettings {
    QueueSettings {
        lease: Duration::from_millis(300),
        heartbeat: Duration::from_millis(100),
        handover: Duration::from_millis(50),
        backoff: Backoff {
            first: Duration::from_millis(50),
            ceiling: Duration::from_millis(200),
        },
        ..QueueSettings::default()
    }
}

/// Times as in real life: nothing lapses during a test.
pub(crate) fn calm() -> QueueSettings {
    QueueSettings::default()
}

impl House {
    pub(crate) async fn new(settings: QueueSettings) -> Self {
        Self::open(tempfile::tempdir().unwrap(), settings).await
    }

    async fn open(folder: tempfile::TempDir, settings: QueueSettings) -> Self {
        let store = Store::open(&folder.path().join("spillway.db")).unwrap();
        let blobs = Blobs::open(&folder.path().join("blobs"), store.clone())
            .await
            .unwrap();
        let queue = Queue::start(store.clone(), blobs.clone(), settings.clone())
            .await
            .unwrap();
        let link = Link::open(
            queue.clone(),
            crate::volumes::Volumes::new(queue.store().clone(), queue.clone()),
            "let me in",
        )
        .await
        .unwrap();
        let api = link::router(link).merge(report::router(queue.clone()));
        Self {
            folder,
            store,
            blobs,
            queue,
            api,
            settings,
        }
    }

    /// What a power cut leaves: the files as they are now, without what was still to be written.
    pub(crate) async fn crash(self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        copy_all(self.folder.path(), copy.path());
        let settings = self.settings.clone();
        drop(self);
        Self::open(copy, settings).await
    }

    /// A service that reads `<name>/in` and needs one core and 64 MiB; `change` it to taste.
    pub(crate) async fn service(&self, name: &str, change: impl FnOnce(&mut Service)) {
        let mut service = Service {
            name: name.to_owned(),
            cpu: "1".to_owned(),
            memory: "64Mi".to_owned(),
            owner: "oscar".to_owned(),
            edge: Some(Edge::default()),
            ..Service::default()
        };
        change(&mut service);
        let definition = serde_json::to_string(&service).unwrap();
        let name = name.to_owned();
        self.store
            .write(move |db| {
                db.execute(
                    "INSERT INTO services (name, revision, definition, created_ms, updated_ms)
                     VALUES (?1, 1, sealed('service/' || ?1, ?2), 0, 0)",
                    params![name, definition],
                )?;
                db.execute(
                    "INSERT INTO triggers (bucket, prefix, service) VALUES (?1, 'in/', ?1)",
                    params![name],
                )?;
                drop(objects::buckets::create(
                    db,
                    &objects::Bucket {
                        name,
                        owner: "oscar".to_owned(),
                        visibility: "private".to_owned(),
                        ..objects::Bucket::default()
                    },
                ));
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
        self.queue.services_changed();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// Uploads an object; returns the names of its jobs.
    pub(crate) async fn put(&self, bucket: &str, key: &str, content: &str) -> Vec<String> {
        self.try_put(bucket, key, content).await.unwrap()
    }

    pub(crate) async fn try_put(
        &self,
        bucket: &str,
        key: &str,
        content: &str,
    ) -> Result<Vec<String>, ObjectError> {
        let blob = self
            .blobs
            .receive_bytes(content.as_bytes().to_vec())
            .await
            .unwrap();
        let object = NewObject {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            etag: blob.md5.clone(),
            content_type: "text/plain".to_owned(),
            metadata: std::collections::BTreeMap::new(),
            event: "s3:ObjectCreated:Put",
            principal: "ana".to_owned(),
            source_ip: "192.0.2.9".to_owned(),
            user_agent: "test".to_owned(),
        };
        let queue = self.queue.clone();
        let (blob, jobs) = self
            .store
            .write(move |db| {
                blob.insert(db)?;
                let jobs = objects::put_object(db, &queue, &object, blob.id)?.jobs;
                Ok::<_, ObjectError>((blob, jobs))
            })
            .await?;
        blob.keep();
        let names = jobs.iter().map(|job| job.name.clone()).collect();
        self.queue.announce(jobs);
        Ok(names)
    }

    pub(crate) async fn call(&self, service: &str, body: &str) -> String {
        let call = DirectCall {
            service: service.to_owned(),
            name: None,
            body: body.as_bytes().to_vec(),
            caller: String::new(),
        };
        self.queue.call(call).await.unwrap().name
    }

    pub(crate) async fn agent(&self, name: &str, cores: u64) -> Agent {
        self.join(name, cores, &[], Vec::new()).await
    }

    pub(crate) async fn join(
        &self,
        name: &str,
        cores: u64,
        labels: &[(&str, &str)],
        running: Vec<Attempt>,
    ) -> Agent {
        let capacity = Resources {
            millicores: cores * 1000,
            memory_bytes: 1024 * MIB,
        };
        let about = Join {
            node: name.to_owned(),
            architecture: "arm64".to_owned(),
            version: "0".to_owned(),
            capacity,
            labels: labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            engine: Engine::default(),
            running,
        };
        let (status, body) = self
            .send(
                Method::POST,
                "/agent/v1/join",
                "let me in",
                serde_json::to_vec(&about).unwrap(),
            )
            .await;
        assert_eq!(status, StatusCode::OK);
        let joined: Joined = serde_json::from_slice(&body).unwrap();
        Agent {
            name: name.to_owned(),
            token: joined.token,
            capacity,
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Vec<u8>,
    ) -> (StatusCode, Bytes) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = self.api.clone().oneshot(request).await.unwrap();
        let status = response.status();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    }

    pub(crate) async fn job(&self, name: &str) -> JobReport {
        self.queue
            .get(name)
            .await
            .unwrap()
            .unwrap_or_else(|| panic!("there is no job {name}"))
    }

    /// The content of an object, if it is there.
    pub(crate) async fn object(&self, bucket: &str, key: &str) -> Option<String> {
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        let found = self
            .store
            .read(move |db| objects::find_object(db, &bucket, &key))
            .await
            .unwrap()?;
        Some(String::from_utf8(self.blobs.read_all(found.blob, MIB).await.unwrap()).unwrap())
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        self.store
            .read(move |db| Ok::<_, StoreError>(db.query_row(sql, [], |row| row.get(0))?))
            .await
            .unwrap()
    }
}

impl Agent {
    async fn ask<T: DeserializeOwned>(
        &self,
        house: &House,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, StatusCode> {
        let (status, body) = house
            .send(
                Method::POST,
                &format!("/agent/v1/{path}"),
                &self.token,
                body,
            )
            .await;
        if status != StatusCode::OK {
            return Err(status);
        }
        Ok(serde_json::from_slice(&body).unwrap())
    }

    pub(crate) async fn poll(&self, house: &House, max_leases: u32, wait_ms: u64) -> PollAnswer {
        let poll = Poll {
            capacity: self.capacity,
            max_leases,
            wait_ms,
            wanted_version: u64::MAX,
            ..Poll::default()
        };
        let mut all = PollAnswer::default();
        // The first answer may bring nothing but news of services.
        for turn in 0..2 {
            let version = all.wanted.as_ref().map_or(0, |wanted| wanted.version);
            let poll = Poll {
                wanted_version: version,
                ..poll.clone()
            };
            let answer: PollAnswer = self
                .ask(house, "poll", serde_json::to_vec(&poll).unwrap())
                .await
                .unwrap();
            all.leases.extend(answer.leases);
            all.cancelled.extend(answer.cancelled);
            all.wanted = answer.wanted.or(all.wanted);
            if !all.leases.is_empty() || !all.cancelled.is_empty() || turn == 1 {
                return all;
            }
        }
        all
    }

    /// One lease, which must be there within a second.
    pub(crate) async fn lease(&self, house: &House) -> Lease {
        self.leases(house, 1)
            .await
            .pop()
            .unwrap_or_else(|| panic!("{} was granted nothing", self.name))
    }

    pub(crate) async fn leases(&self, house: &House, max: u32) -> Vec<Lease> {
        for _ in 0..20 {
            let leases = self.poll(house, max, 200).await.leases;
            if !leases.is_empty() {
                return leases;
            }
        }
        Vec::new()
    }

    pub(crate) async fn heartbeat(&self, house: &House, running: &[Attempt]) -> Vec<Attempt> {
        let heartbeat = Heartbeat {
            running: running.to_vec(),
            ..Heartbeat::default()
        };
        let answer: HeartbeatAnswer = self
            .ask(house, "heartbeat", serde_json::to_vec(&heartbeat).unwrap())
            .await
            .unwrap();
        answer.lost
    }

    pub(crate) async fn succeed(
        &self,
        house: &House,
        attempt: &Attempt,
        outputs: Vec<Output>,
    ) -> StatusCode {
        self.complete(house, attempt, Outcome::Succeeded, outputs)
            .await
    }

    pub(crate) async fn fail(&self, house: &House, attempt: &Attempt) -> StatusCode {
        let outcome = Outcome::Failed {
            reason: FailureReason::ExitCode,
            message: "exit code 3".to_owned(),
        };
        self.complete(house, attempt, outcome, Vec::new()).await
    }

    pub(crate) async fn interrupt(&self, house: &House, attempt: &Attempt) -> StatusCode {
        let outcome = Outcome::Interrupted {
            message: "the engine is away".to_owned(),
        };
        self.complete(house, attempt, outcome, Vec::new()).await
    }

    pub(crate) async fn complete(
        &self,
        house: &House,
        attempt: &Attempt,
        outcome: Outcome,
        outputs: Vec<Output>,
    ) -> StatusCode {
        let completion = Completion {
            outcome,
            started_at: Some(Timestamp::now()),
            finished_at: Timestamp::now(),
            usage: Usage::default(),
            spans: Spans::default(),
            log: format!("2026-01-01T00:00:00Z attempt {}\n", attempt.attempt),
            outputs,
        };
        let path = format!("jobs/{}/{}/complete", attempt.job, attempt.attempt);
        let answer: Result<serde_json::Value, _> = self
            .ask(house, &path, serde_json::to_vec(&completion).unwrap())
            .await;
        answer.map_or_else(|status| status, |_| StatusCode::OK)
    }
}

pub(crate) fn output(bucket: &str, key: &str, content: &str) -> Output {
    use base64::Engine as _;
    Output {
        provider: String::new(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        content_type: "text/plain".to_owned(),
        content: OutputContent::Inline(base64::engine::general_purpose::STANDARD.encode(content)),
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else if !entry.file_name().to_string_lossy().ends_with("-shm") {
            // A file that is being removed while we look is gone after the power cut, too.
            drop(std::fs::copy(entry.path(), target));
        }
    }
}
