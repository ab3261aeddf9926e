//! A client of the public interfaces: OSCAR's API, our reports, S3.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::TryStreamExt;
use reqwest::{Method, StatusCode};
use spillway_model::report::{self, JobPage, JobReport, JobState};
use spillway_storage::{Content, Depth, ObjectPath, S3Settings, S3Storage, Storage};
use spillway_trust::Trust;
use tokio::time::{Instant, sleep};

use crate::{PATIENCE, ServiceSpec};

/// The administrator of a test cluster.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    pub api: String,
    pub s3_url: String,
    pub user: String,
    pub password: String,
    /// Used when a service names none.
    pub image: String,
    s3: std::sync::Arc<S3Storage>,
}

impl Client {
    pub(crate) fn new(
        api: String,
        s3_url: String,
        user: &str,
        password: &str,
        image: &str,
        trust: &Trust,
    ) -> Result<Self> {
        crate::install_crypto();
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .tcp_nodelay(true);
        let settings = S3Settings {
            endpoint: s3_url.clone(),
            region: "us-east-1".to_owned(),
            access_key: user.to_owned(),
            secret_key: password.to_owned(),
            verify: true,
        };
        let s3 = trust.apply(reqwest::Client::builder())?.build()?;
        let s3 = S3Storage::with_client(settings, s3)?;
        let http = trust.apply(http)?.build()?;
        Ok(Self {
            http,
            api,
            s3_url,
            user: user.to_owned(),
            password: password.to_owned(),
            image: image.to_owned(),
            s3: std::sync::Arc::new(s3),
        })
    }

    /// Any request of the API, as the administrator.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Result<(StatusCode, String)> {
        let request = self
            .http
            .request(method, format!("{}{path}", self.api))
            .body(body);
        let answer = request
            .basic_auth(&self.user, Some(&self.password))
            .send()
            .await?;
        let status = answer.status();
        Ok((status, answer.text().await?))
    }

    /// `GET`, which must succeed.
    pub async fn get_text(&self, path: &str) -> Result<String> {
        let (status, text) = self.request(Method::GET, path, "").await?;
        ensure!(status.is_success(), "GET {path}: {status} {text}");
        Ok(text)
    }

    /// Creates the service, or updates it when it is there.
    pub async fn apply(&self, service: &ServiceSpec) -> Result<()> {
        let mut body = service.body.clone();
        if body["image"].is_null() {
            body["image"] = self.image.clone().into();
        }
        let (found, _) = self
            .request(
                Method::GET,
                &format!("/system/services/{}", service.name),
                "",
            )
            .await?;
        let method = if found == StatusCode::OK {
            Method::PUT
        } else {
            Method::POST
        };
        let (status, text) = self
            .request(method, "/system/services", body.to_string())
            .await?;
        ensure!(
            status.is_success(),
            "applying {}: {status} {text}",
            service.name
        );
        Ok(())
    }

    /// Deletes a service.
    pub async fn delete_service(&self, name: &str) -> Result<()> {
        let (status, text) = self
            .request(Method::DELETE, &format!("/system/services/{name}"), "")
            .await?;
        ensure!(status.is_success(), "deleting {name}: {status} {text}");
        Ok(())
    }

    /// Uploads to `bucket/key`.
    pub async fn put(&self, path: &str, content: impl Into<bytes::Bytes>) -> Result<()> {
        Ok(self
            .s3
            .put(
                &ObjectPath::parse(path),
                Content::from_bytes(content),
                &|_| (),
            )
            .await?)
    }

    /// Uploads a stream.
    pub async fn put_content(&self, path: &str, content: Content) -> Result<()> {
        Ok(self
            .s3
            .put(&ObjectPath::parse(path), content, &|_| ())
            .await?)
    }

    /// The object's bytes, if it is there.
    pub async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = ObjectPath::parse(path);
        if self.s3.head(&path).await?.is_none() {
            return Ok(None);
        }
        let pieces: Vec<bytes::Bytes> = self.s3.get(&path).await?.bytes.try_collect().await?;
        Ok(Some(pieces.concat()))
    }

    /// The object store.
    pub fn s3(&self) -> &S3Storage {
        &self.s3
    }

    /// Keys below `bucket/prefix`, folder markers left out.
    pub async fn list(&self, path: &str) -> Result<Vec<String>> {
        let entries: Vec<_> = self
            .s3
            .list(&ObjectPath::parse(path), Depth::All)
            .try_collect()
            .await?;
        Ok(entries
            .into_iter()
            .filter(|entry| !entry.is_folder())
            .map(|entry| entry.path.key)
            .collect())
    }

    /// Waits for an object and returns it as text.
    pub async fn wait_for(&self, path: &str) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(content) = self.get(path).await? {
                return Ok(String::from_utf8_lossy(&content).into_owned());
            }
            if Instant::now() > deadline {
                let bucket = path.split('/').next().unwrap_or_default();
                bail!(
                    "{path} did not appear; there are {:?}; jobs: {:#?}",
                    self.list(bucket).await,
                    self.jobs("").await?
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// All jobs of a service (of all services for an empty name), newest first.
    pub async fn jobs(&self, service: &str) -> Result<Vec<JobReport>> {
        let mut jobs = Vec::new();
        let mut before = String::new();
        loop {
            let path = format!(
                "{}/jobs?service={service}&before={before}&limit=500",
                report::PREFIX
            );
            let page: JobPage =
                serde_json::from_str(&self.get_text(&path).await?).context("a page of jobs")?;
            jobs.extend(page.jobs);
            match page.next {
                Some(next) => before = next,
                None => return Ok(jobs),
            }
        }
    }

    /// Waits until the service has at least `count` jobs and all have ended; newest first.
    pub async fn wait_for_jobs(&self, service: &str, count: usize) -> Result<Vec<JobReport>> {
        self.wait_for_jobs_within(service, count, PATIENCE).await
    }

    /// The same with a patience of its own.
    pub async fn wait_for_jobs_within(
        &self,
        service: &str,
        count: usize,
        patience: Duration,
    ) -> Result<Vec<JobReport>> {
        let deadline = Instant::now() + patience;
        loop {
            let jobs = self.jobs(service).await?;
            let ended = |job: &JobReport| matches!(job.state, JobState::Succeeded | JobState::Dead);
            if jobs.len() >= count && jobs.iter().all(ended) {
                return Ok(jobs);
            }
            if Instant::now() > deadline {
                let open: Vec<_> = jobs.iter().filter(|job| !ended(job)).collect();
                bail!(
                    "{} of {count} jobs, {} not ended: {open:#?}",
                    jobs.len(),
                    open.len()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The log of a job, as OSCAR's API gives it.
    pub async fn log(&self, service: &str, job: &str) -> Result<String> {
        self.get_text(&format!("/system/logs/{service}/{job}"))
            .await
    }
}
