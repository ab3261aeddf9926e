//! `addresses.json`: where this gateway listens, for whoever started it with port 0.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;
use spillway_trust::Fingerprint;
use tracing::warn;

const FILE: &str = "addresses.json";

#[derive(Serialize)]
struct Addresses {
    api: SocketAddr,
    s3: SocketAddr,
    /// Of the key that both show.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// Writes the file, whole or not at all: readers poll for it.
pub(super) async fn write(
    data: &Path,
    api: SocketAddr,
    s3: SocketAddr,
    fingerprint: Option<Fingerprint>,
) -> anyhow::Result<()> {
    let addresses = Addresses {
        api,
        s3,
        fingerprint: fingerprint.map(|it| it.to_string()),
    };
    let temporary = data.join("addresses.json.new");
    tokio::fs::write(&temporary, serde_json::to_vec(&addresses)?).await?;
    tokio::fs::rename(&temporary, data.join(FILE)).await?;
    Ok(())
}

/// Removes it: nobody listens any more.
pub(super) async fn remove(data: &Path) {
    match tokio::fs::remove_file(data.join(FILE)).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            warn!(%error, "removing {FILE}");
        }
        _ => {}
    }
}
