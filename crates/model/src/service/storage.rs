//! What inputs and outputs say: provider, bucket, folder, filter.

use super::{Service, StorageIo, StorageProviders};

/// Types of storage provider, in the order of the documentation.
pub const PROVIDER_TYPES: [&str; 7] = ["minio", "s3", "onedata", "webdav", "rucio", "mqtt", "file"];

/// Id of a provider that is named by its type alone.
pub const DEFAULT_PROVIDER: &str = "default";

impl StorageIo {
    /// Type and id of the provider: `minio`, `MinIO.default` and `minio.default` are all `("minio", "default")`.
    /// A type nobody knows is returned as written.
    pub fn provider(&self) -> (&str, &str) {
        split_provider(&self.storage_provider)
    }

    /// Whether this is the built-in store.
    pub fn is_built_in(&self) -> bool {
        self.provider() == ("minio", DEFAULT_PROVIDER)
    }

    /// Bucket and folder of a normalised path of `minio` or `s3`: `a/b/c` is `("a", "b/c")`.
    pub fn bucket_and_folder(&self) -> (&str, &str) {
        self.path.split_once('/').unwrap_or((&self.path, ""))
    }

    /// Whether an output takes a file of this name, relative to the output folder. Both filters must agree; an
    /// empty filter agrees with everything.
    pub fn accepts(&self, relative_name: &str) -> bool {
        let any = |filter: &[String], agrees: &dyn Fn(&str) -> bool| {
            filter.is_empty() || filter.iter().any(|text| agrees(text))
        };
        any(&self.prefix, &|prefix| relative_name.starts_with(prefix))
            && any(&self.suffix, &|suffix| relative_name.ends_with(suffix))
    }
}

/// Splits `<type>.<id>` at the first dot; the type is known in any case, a missing id is `default`.
pub fn split_provider(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (kind, id) = text.split_once('.').unwrap_or((text, DEFAULT_PROVIDER));
    let kind = PROVIDER_TYPES
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(kind))
        .unwrap_or(kind);
    (kind, if id.is_empty() { DEFAULT_PROVIDER } else { id })
}

impl StorageProviders {
    /// Whether nothing is defined.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `kind.id` is defined here.
    pub fn defines(&self, kind: &str, id: &str) -> bool {
        match kind {
            "minio" => self.minio.contains_key(id),
            "s3" => self.s3.contains_key(id),
            "onedata" => self.onedata.contains_key(id),
            "webdav" => self.webdav.contains_key(id),
            "rucio" => self.rucio.contains_key(id),
            "mqtt" => self.mqtt.contains_key(id),
            "file" => self.file.contains_key(id),
            _ => false,
        }
    }
}

impl Service {
    /// Whether an input or output of this (stored) service is the built-in store: by its name, or because its address is
    /// that of the built-in store.
    pub fn is_built_in(&self, io: &StorageIo) -> bool {
        let (kind, id) = io.provider();
        self.is_own_provider(kind, id)
    }

    /// The same for a provider by type and id.
    pub fn is_own_provider(&self, kind: &str, id: &str) -> bool {
        if kind != "minio" {
            return false;
        }
        let address = |id: &str| {
            let provider = self.storage_providers.minio.get(id)?;
            Some(provider.endpoint.trim().trim_end_matches('/'))
        };
        id == DEFAULT_PROVIDER
            || address(id)
                .is_some_and(|one| !one.is_empty() && address(DEFAULT_PROVIDER) == Some(one))
    }

    /// Outputs of a normalised service that lie inside one of its inputs, so that its results start it again: paths of
    /// the two members.
    pub fn self_triggers(&self) -> Vec<(String, String)> {
        let inside = |output: &StorageIo, input: &StorageIo| {
            let below = |rest: &str| rest.is_empty() || rest.starts_with('/');
            !input.path.is_empty()
                && output.provider() == input.provider()
                && ["minio", "s3", "file"].contains(&output.provider().0)
                && output.path.strip_prefix(&input.path).is_some_and(below)
        };
        let mut found = Vec::new();
        for (out_at, output) in self.output.iter().enumerate() {
            for (in_at, input) in self.input.iter().enumerate() {
                if inside(output, input) {
                    found.push((
                        format!("output[{out_at}].path"),
                        format!("input[{in_at}].path"),
                    ));
                }
            }
        }
        found
    }

    /// Inputs, outputs and mount that name a provider which is defined nowhere: the path of the member and
    /// `<type>.<id>`. The built-in store needs no definition.
    pub fn undefined_providers(&self) -> Vec<(String, String)> {
        let inputs = self
            .input
            .iter()
            .enumerate()
            .map(|(at, io)| (format!("input[{at}]"), io));
        let outputs = self
            .output
            .iter()
            .enumerate()
            .map(|(at, io)| (format!("output[{at}]"), io));
        let mount = Some(("mount".to_owned(), &self.mount))
            .filter(|(_, io)| !io.storage_provider.is_empty());
        inputs
            .chain(outputs)
            .chain(mount)
            .filter(|(_, io)| {
                let (kind, id) = io.provider();
                PROVIDER_TYPES.contains(&kind)
                    && !io.is_built_in()
                    && !self.storage_providers.defines(kind, id)
            })
            .map(|(field, io)| {
                let (kind, id) = io.provider();
                (format!("{field}.storage_provider"), format!("{kind}.{id}"))
            })
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // Cases first, what checks them below.
mod tests {
    use super::StorageIo;

    #[test]
    fn a_provider_is_a_type_in_any_case_and_an_id_that_may_be_missing() {
        check("minio", ("minio", "default"));
        check("MinIO.default", ("minio", "default"));
        check("minio.a.b", ("minio", "a.b"));
        check("s3.", ("s3", "default"));
        check("ftp.x", ("ftp", "x"));

        #[track_caller]
        fn check(text: &str, expected: (&str, &str)) {
            let io = StorageIo {
                storage_provider: text.to_owned(),
                ..StorageIo::default()
            };
            assert_eq!(io.provider(), expected, "for {text:?}");
        }
    }

    #[test]
    fn an_output_takes_what_both_filters_agree_with() {
        let text = |texts: &[&str]| {
            texts
                .iter()
                .map(|&text| text.to_owned())
                .collect::<Vec<_>>()
        };
        let io = StorageIo {
            prefix: text(&["day/", "alert"]),
            suffix: text(&[".png", ".json"]),
            ..StorageIo::default()
        };
        assert!(io.accepts("day/1.png"));
        assert!(io.accepts("alert.json"));
        assert!(!io.accepts("day/1.txt"));
        assert!(!io.accepts("night/1.png"));
        assert!(StorageIo::default().accepts("anything"));
    }

    #[test]
    fn the_first_segment_of_a_path_is_the_bucket() {
        let io = |path: &str| StorageIo {
            path: path.to_owned(),
            ..StorageIo::default()
        };
        assert_eq!(io("a/b/c").bucket_and_folder(), ("a", "b/c"));
        assert_eq!(io("a").bucket_and_folder(), ("a", ""));
    }
}
