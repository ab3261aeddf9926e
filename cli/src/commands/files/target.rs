//! What `SERVICE|BUCKET/KEY` means.

use spillway_model::service::{Service, StorageIo};
use spillway_storage::ObjectPath;

use crate::client::Client;
use crate::exit::CommandError;

/// Where files go to or come from.
#[derive(Debug)]
pub(super) struct Target {
    /// With a service, its folder, ending in `/`.
    pub(super) path: ObjectPath,
    pub(super) service: Option<Service>,
}

/// Which folder of a service is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Input,
    Output,
}

/// A text with a slash is bucket and key; one without is a service, whose first folder of that end is meant.
pub(super) async fn resolve(client: &Client, text: &str, end: End) -> anyhow::Result<Target> {
    if text.contains('/') {
        return Ok(Target {
            path: ObjectPath::parse(text),
            service: None,
        });
    }
    let Some(service) = client.find_service(text).await? else {
        return Err(CommandError::NotFound(format!(
            "there is no service {text:?}; list them with `spillway services`, or name a bucket and a key: {text}/KEY"
        ))
        .into());
    };
    let (ends, word) = match end {
        End::Input => (&service.input, "input"),
        End::Output => (&service.output, "output"),
    };
    let Some(folder) = ends.iter().find(|end| is_built_in(end)) else {
        return Err(CommandError::Usage(format!(
            "the service {text:?} has no {word} in the cluster's own store; name a bucket and a key instead"
        ))
        .into());
    };
    Ok(Target {
        path: folder_path(&service.name, folder),
        service: Some(service),
    })
}

/// Whether the cluster's own store is meant.
pub(super) fn is_built_in(end: &StorageIo) -> bool {
    matches!(
        end.storage_provider.as_str(),
        "" | "minio" | "minio.default"
    )
}

/// The folder of one end of a service; as for OSCAR, a path without a slash is a folder in the service's bucket.
pub(super) fn folder_path(service: &str, end: &StorageIo) -> ObjectPath {
    let path = end.path.trim().trim_matches('/');
    let mut path = if path.contains('/') {
        ObjectPath::parse(path)
    } else {
        ObjectPath::new(service, path)
    };
    path.key.push('/');
    path
}

#[cfg(test)]
mod tests {
    use super::{ObjectPath, StorageIo, folder_path};

    #[test]
    fn a_service_s_path_without_a_slash_is_a_folder_of_its_own_bucket() {
        let end = |path: &str| StorageIo {
            path: path.into(),
            ..StorageIo::default()
        };
        assert_eq!(
            folder_path("ocr", &end("in")),
            ObjectPath::new("ocr", "in/")
        );
        assert_eq!(
            folder_path("ocr", &end("/scans/in/deep/")),
            ObjectPath::new("scans", "in/deep/")
        );
    }
}
