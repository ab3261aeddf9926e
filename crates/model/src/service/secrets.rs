//! Keeping what is secret out of what is shown.

use super::{Service, StringMap};

/// What stands in for a key that is not shown.
pub const HIDDEN: &str = "hidden";

impl Service {
    /// Takes the values of the secrets out; their names stay, with empty values.
    pub fn take_secrets(&mut self) -> StringMap {
        let secrets = self.environment.secrets.clone();
        self.blank_secrets();
        secrets
    }

    /// Empties the values of the secrets; their names stay.
    pub fn blank_secrets(&mut self) {
        self.environment
            .secrets
            .values_mut()
            .for_each(String::clear);
    }

    /// Replaces all credentials of storage providers and clusters, for readers who do not own the service.
    pub fn mask_credentials(&mut self) {
        let mask = |text: &mut String| {
            if !text.is_empty() {
                HIDDEN.clone_into(text);
            }
        };
        let providers = &mut self.storage_providers;
        for it in providers.s3.values_mut() {
            [&mut it.access_key, &mut it.secret_key]
                .into_iter()
                .for_each(mask);
        }
        for it in providers.minio.values_mut() {
            [&mut it.access_key, &mut it.secret_key]
                .into_iter()
                .for_each(mask);
        }
        providers
            .onedata
            .values_mut()
            .for_each(|it| mask(&mut it.token));
        for it in providers.webdav.values_mut() {
            [&mut it.login, &mut it.password].into_iter().for_each(mask);
        }
        providers
            .rucio
            .values_mut()
            .for_each(|it| mask(&mut it.refresh_token));
        for it in providers.mqtt.values_mut() {
            [&mut it.username, &mut it.password]
                .into_iter()
                .for_each(mask);
        }
        let members = self
            .federation
            .iter_mut()
            .flat_map(|federation| &mut federation.members);
        members
            .flat_map(|member| member.headers.values_mut())
            .for_each(mask);
        for it in self.clusters.values_mut() {
            [&mut it.auth_user, &mut it.auth_password]
                .into_iter()
                .for_each(mask);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::service::{MinioProvider, Service};

    #[test]
    fn secrets_leave_their_names_behind() {
        let mut service = Service::default();
        service
            .environment
            .secrets
            .insert("KEY".to_owned(), "s3cr3t".to_owned());
        let secrets = service.take_secrets();
        assert_eq!(secrets["KEY"], "s3cr3t");
        assert_eq!(service.environment.secrets["KEY"], "");
    }

    #[test]
    fn masked_credentials_tell_only_that_there_are_some() {
        let mut service = Service::default();
        let provider = MinioProvider {
            endpoint: "https://x".to_owned(),
            secret_key: "s".to_owned(),
            ..MinioProvider::default()
        };
        service
            .storage_providers
            .minio
            .insert("far".to_owned(), provider);
        service.mask_credentials();
        let provider = &service.storage_providers.minio["far"];
        assert_eq!(
            (
                provider.endpoint.as_str(),
                provider.access_key.as_str(),
                provider.secret_key.as_str()
            ),
            ("https://x", "", "hidden")
        );
    }
}
