//! Places in the built-in store that a service reads from or writes to.

use std::collections::BTreeSet;

use spillway_model::service::{Service, StorageIo};

/// A folder of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) bucket: String,
    /// Without slashes around it; empty for the whole bucket.
    pub(crate) folder: String,
}

impl Place {
    /// The place a path names, bucket first.
    pub(crate) fn of_path(path: &str) -> Self {
        let (bucket, folder) = path
            .trim_matches('/')
            .split_once('/')
            .unwrap_or((path.trim_matches('/'), ""));
        Self {
            bucket: bucket.to_owned(),
            folder: folder.trim_matches('/').to_owned(),
        }
    }

    /// What the keys of the place begin with.
    pub(crate) fn prefix(&self) -> String {
        if self.folder.is_empty() {
            String::new()
        } else {
            format!("{}/", self.folder)
        }
    }
}

/// Where uploads start jobs.
pub(super) fn inputs(service: &Service) -> BTreeSet<Place> {
    built_in(service, &service.input)
}

/// Where results go.
pub(super) fn outputs(service: &Service) -> BTreeSet<Place> {
    built_in(service, &service.output)
}

/// Inputs and outputs.
pub(super) fn all(service: &Service) -> BTreeSet<Place> {
    let mut places = inputs(service);
    places.extend(outputs(service));
    places
}

/// Buckets of inputs and outputs.
pub(super) fn buckets(service: &Service) -> BTreeSet<String> {
    all(service).into_iter().map(|place| place.bucket).collect()
}

/// Buckets that the service needs to exist, the mounted one included.
pub(super) fn used_buckets(service: &Service) -> BTreeSet<String> {
    let mut used = buckets(service);
    used.extend(
        built_in(service, std::slice::from_ref(&service.mount))
            .into_iter()
            .map(|place| place.bucket),
    );
    used
}

fn built_in(service: &Service, entries: &[StorageIo]) -> BTreeSet<Place> {
    entries
        .iter()
        .filter(|entry| service.is_built_in(entry))
        .map(|entry| Place::of_path(&entry.path))
        .collect()
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_is_the_bucket_and_the_rest_the_folder() {
        check("b/in", "b", "in/");
        check("/b/in/deep/", "b", "in/deep/");
        check("b", "b", "");
        check("b/", "b", "");

        #[track_caller]
        fn check(path: &str, bucket: &str, prefix: &str) {
            let place = Place::of_path(path);
            assert_eq!(
                (place.bucket.as_str(), place.prefix().as_str()),
                (bucket, prefix),
                "for {path:?}"
            );
        }
    }
}
