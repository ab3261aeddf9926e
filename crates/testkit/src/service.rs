//! Service definitions for tests.

use serde_json::{Value, json};

/// A service whose files come from `<name>/in` and go to `<name>/out`, until told otherwise.
#[derive(Debug, Clone)]
pub struct ServiceSpec {
    pub name: String,
    pub(crate) body: Value,
}

impl ServiceSpec {
    /// A service that runs `script` in the cluster's busybox image with 64 MiB and a tenth of a core.
    pub fn new(name: &str, script: &str) -> Self {
        let body = json!({
            "name": name,
            "script": format!("{script}\n"),
            "cpu": "0.1",
            "memory": "64Mi",
            "input": [{ "storage_provider": "minio.default", "path": format!("{name}/in") }],
            "output": [{ "storage_provider": "minio.default", "path": format!("{name}/out") }],
            "edge": { "timeout": "60s", "retries": 0 },
        });
        Self {
            name: name.to_owned(),
            body,
        }
    }

    /// Sets a member; `edge.retries` and the like reach inside.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        let mut place = &mut self.body;
        for part in member.split('.') {
            place = &mut place[part];
        }
        *place = value.into();
        self
    }

    /// The definition, without an image unless one was set.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// Reads from `path` instead.
    #[must_use]
    pub fn from(self, path: &str) -> Self {
        self.with(
            "input",
            json!([{ "storage_provider": "minio", "path": path }]),
        )
    }

    /// Writes to `path` instead.
    #[must_use]
    pub fn to(self, path: &str) -> Self {
        self.with(
            "output",
            json!([{ "storage_provider": "minio", "path": path }]),
        )
    }
}
