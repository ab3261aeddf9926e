//! Requests whose answers are shown as they come: volumes, quotas, metrics, federations, logs of the cluster.

use reqwest::Method;
use serde_json::Value;

use super::error::ClientError;
use super::http::{Client, PLAIN, segment};

/// A path of the API, each of `parts` one segment of it.
pub(crate) fn path(parts: &[&str]) -> String {
    parts.iter().fold("/system".to_owned(), |path, part| {
        path + "/" + &segment(part)
    })
}

impl Client {
    /// `GET` with a query; `what` names the matter for the error.
    pub(crate) async fn value(
        &self,
        what: &str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Value, ClientError> {
        self.json(what, self.request(Method::GET, path).query(query))
            .await
    }

    /// The same, where the answer is text.
    pub(crate) async fn plain(
        &self,
        what: &str,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<String, ClientError> {
        let request = self.request(Method::GET, path).query(query);
        text(self.send(what, request, Some(PLAIN)).await?).await
    }

    /// A request with a JSON body; the answer as text, empty where there is none.
    pub(crate) async fn exchange(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<String, ClientError> {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        text(self.send(what, request, Some(PLAIN)).await?).await
    }
}

async fn text(answer: reqwest::Response) -> Result<String, ClientError> {
    let url = answer.url().clone();
    let text = answer.text().await;
    text.map_err(|error| super::http::failed(&url, Some(PLAIN), error))
}
