//! What a definition may ask for but this version cannot do. Saying so beats pretending.

use spillway_model::service::{Service, StorageIo};

/// A sentence on the first thing that is not there, if any.
pub(super) fn reason(service: &Service) -> Option<String> {
    let entries = |direction: &'static str, entries: &[StorageIo]| {
        let is_of_sensors = |entry: &&StorageIo| matches!(entry.provider().0, "mqtt" | "file");
        entries.iter().find(is_of_sensors).map(|entry| {
            format!(
                "{direction} provider {:?} (path {:?}) is not available in this version; use minio.default",
                entry.storage_provider, entry.path
            )
        })
    };
    entries("input", &service.input)
        .or_else(|| entries("output", &service.output))
        .or_else(|| feature(service))
}

fn feature(service: &Service) -> Option<String> {
    let not = |what: String| {
        Some(format!(
            "{what} is not available in this version; leave it out"
        ))
    };
    if let Some(port) = service.expose.api_port.iter().find(|port| **port != 0) {
        return not(format!("expose.api_port {port}: exposing a service"));
    }
    if !service.mount.storage_provider.is_empty() {
        return not(format!(
            "mount of {:?} (path {:?}): a mount",
            service.mount.storage_provider, service.mount.path
        ));
    }
    if service.kserve.is_some() {
        return not("kserve: serving a model".to_owned());
    }
    if service.enable_sgx {
        return not("enable_sgx: true: an enclave".to_owned());
    }
    if service.enable_gpu {
        return Some(
            "enable_gpu: true: no node of this cluster offers a GPU to services; set it to false"
                .to_owned(),
        );
    }
    None
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named() {
        let io = |provider: &str, path: &str| {
            vec![StorageIo {
                storage_provider: provider.into(),
                path: path.into(),
                ..StorageIo::default()
            }]
        };
        check(&Service::default(), None);
        check(
            &Service {
                input: io("minio", "a/b"),
                output: io("minio.default", "a/c"),
                ..Service::default()
            },
            None,
        );
        check(
            &Service {
                input: io("mqtt.field", "site/+/frame"),
                ..Service::default()
            },
            Some(
                "input provider \"mqtt.field\" (path \"site/+/frame\") is not available in this version; use minio.default",
            ),
        );
        check(
            &Service {
                output: io("s3.cloud", "b/out"),
                ..Service::default()
            },
            None,
        );
        let mut exposed = Service::default();
        exposed.expose.api_port = vec![8080];
        check(
            &exposed,
            Some(
                "expose.api_port 8080: exposing a service is not available in this version; leave it out",
            ),
        );
        check(
            &Service {
                enable_gpu: true,
                ..Service::default()
            },
            Some(
                "enable_gpu: true: no node of this cluster offers a GPU to services; set it to false",
            ),
        );

        #[track_caller]
        fn check(service: &Service, expected: Option<&str>) {
            assert_eq!(reason(service).as_deref(), expected);
        }
    }
}
