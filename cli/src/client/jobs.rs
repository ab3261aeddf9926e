//! Jobs, their logs, dead letters and nodes: Spillway's own API.

use futures::stream::{BoxStream, StreamExt};
use reqwest::Method;
use serde::Serialize;
use spillway_model::report::{JobPage, JobReport, NodeReport, PREFIX, Touched};
use spillway_model::service::Service;

use super::error::ClientError;
use super::http::{Client, PLAIN, failed, segment};

/// Which jobs to list.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct JobFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// `queued`, `leased`, `succeeded` or `dead`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<&'static str>,
    /// At most so many.
    pub(crate) limit: u32,
    /// Only those older than this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<String>,
}

impl Client {
    /// Jobs, newest first.
    pub(crate) async fn jobs(&self, filter: &JobFilter) -> Result<JobPage, ClientError> {
        self.json(
            "jobs",
            self.request(Method::GET, &format!("{PREFIX}/jobs"))
                .query(filter),
        )
        .await
    }

    /// One job.
    pub(crate) async fn job(&self, name: &str) -> Result<JobReport, ClientError> {
        let path = format!("{PREFIX}/jobs/{}", segment(name));
        self.json(
            &format!("the job {name:?}"),
            self.request(Method::GET, &path),
        )
        .await
    }

    /// One job, if it exists.
    pub(crate) async fn find_job(&self, name: &str) -> Result<Option<JobReport>, ClientError> {
        match self.job(name).await {
            Ok(job) => Ok(Some(job)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The log of a job, piece by piece; with `follow` it ends with the job.
    pub(crate) async fn job_log(
        &self,
        name: &str,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<bytes::Bytes, ClientError>>, ClientError> {
        let path = format!("{PREFIX}/jobs/{}/log", segment(name));
        let request = self
            .request(Method::GET, &path)
            .query(&[("follow", follow)]);
        let limit = if follow { None } else { Some(PLAIN) };
        let answer = self
            .send(&format!("the log of {name:?}"), request, limit)
            .await?;
        let url = answer.url().clone();
        Ok(answer
            .bytes_stream()
            .map(move |piece| piece.map_err(|error| failed(&url, limit, error)))
            .boxed())
    }

    /// Starts a job named `name` with `body` as its event. The service's token authorises it, as OSCAR asks for.
    pub(crate) async fn start_job(
        &self,
        service: &Service,
        name: &str,
        body: reqwest::Body,
    ) -> Result<(), ClientError> {
        let path = format!("/job/{}", segment(&service.name));
        let request = if service.token.is_empty() {
            self.request(Method::POST, &path)
        } else {
            self.bare_request(Method::POST, &path)
                .bearer_auth(&service.token)
        };
        let request = request.header("X-Delegated-Job-ID", name).body(body);
        // The body may be large and the uplink thin: the server's own limits end what hangs.
        self.send(
            &format!("starting a job of {:?}", service.name),
            request,
            None,
        )
        .await
        .map(drop)
    }

    /// Jobs that were given up, newest first.
    pub(crate) async fn dead_letters(&self, filter: &JobFilter) -> Result<JobPage, ClientError> {
        self.json(
            "dead letters",
            self.request(Method::GET, &format!("{PREFIX}/dead-letters"))
                .query(filter),
        )
        .await
    }

    /// Puts one dead letter back into the queue.
    pub(crate) async fn retry_dead_letter(&self, name: &str) -> Result<Touched, ClientError> {
        let path = format!("{PREFIX}/dead-letters/{}/retry", segment(name));
        self.json(
            &format!("the dead letter {name:?}"),
            self.request(Method::POST, &path),
        )
        .await
    }

    /// Puts all dead letters, or those of one service, back into the queue.
    pub(crate) async fn retry_dead_letters(
        &self,
        service: Option<&str>,
    ) -> Result<Touched, ClientError> {
        let request = self.request(Method::POST, &format!("{PREFIX}/dead-letters/retry"));
        self.json("dead letters", request.query(&[("service", service)]))
            .await
    }

    /// Deletes one dead letter for good.
    pub(crate) async fn purge_dead_letter(&self, name: &str) -> Result<Touched, ClientError> {
        let path = format!("{PREFIX}/dead-letters/{}", segment(name));
        self.json(
            &format!("the dead letter {name:?}"),
            self.request(Method::DELETE, &path),
        )
        .await
    }

    /// Deletes all dead letters, or those of one service, for good.
    pub(crate) async fn purge_dead_letters(
        &self,
        service: Option<&str>,
    ) -> Result<Touched, ClientError> {
        let request = self.request(Method::DELETE, &format!("{PREFIX}/dead-letters"));
        self.json("dead letters", request.query(&[("service", service)]))
            .await
    }

    /// The nodes of the cluster.
    pub(crate) async fn nodes(&self) -> Result<Vec<NodeReport>, ClientError> {
        self.get_json("nodes", &format!("{PREFIX}/nodes")).await
    }
}
