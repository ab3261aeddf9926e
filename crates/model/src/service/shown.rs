//! `Debug` of whatever holds secrets: what gets into a log by mistake tells none of them.

use std::fmt;

use super::{
    Cluster, Environment, MinioProvider, MqttProvider, OnedataProvider, Replica, RucioProvider,
    S3Provider, Service, WebdavProvider,
};

impl fmt::Debug for Service {
    /// As JSON, for it has forty members; without script, token and the values of secrets and credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.clone();
        shown.script.clear();
        shown.token.clear();
        shown.blank_secrets();
        shown.mask_credentials();
        let json = serde_json::to_string(&shown).map_err(|_| fmt::Error)?;
        write!(f, "Service {json}")
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables)
            .field("secrets", &self.secrets.keys())
            .finish()
    }
}

/// `Debug` with these members alone.
macro_rules! show_only {
    ($($name:ident { $($member:ident),+ })+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($member), &self.$member))+
                    .finish_non_exhaustive()
            }
        }
    )+};
}

show_only! {
    S3Provider { region }
    MinioProvider { endpoint, verify, region }
    OnedataProvider { oneprovider_host, space }
    WebdavProvider { hostname }
    RucioProvider { host, account, rse, auth_host }
    MqttProvider { broker }
    Cluster { endpoint, ssl_verify }
    Replica { kind, cluster_id, service_name, url, ssl_verify, priority }
}

#[cfg(test)]
mod tests {
    use crate::service::{Cluster, MinioProvider, Service};

    #[test]
    fn what_is_printed_by_mistake_tells_no_secret() {
        let mut service = Service {
            name: "plants".to_owned(),
            token: "swordfish-token".to_owned(),
            ..Service::default()
        };
        let word = || "swordfish".to_owned();
        service.environment.secrets.insert("KEY".to_owned(), word());
        let far = MinioProvider {
            endpoint: "https://far".to_owned(),
            access_key: word(),
            secret_key: word(),
            ..MinioProvider::default()
        };
        service
            .storage_providers
            .minio
            .insert("far".to_owned(), far);
        let cloud = Cluster {
            auth_password: word(),
            ..Cluster::default()
        };
        service.clusters.insert("cloud".to_owned(), cloud);
        let printed = format!(
            "{service:?} {:#?} {:?} {:?}",
            service.environment, service.storage_providers, service.clusters
        );
        assert!(!printed.contains("swordfish"), "{printed}");
        assert!(printed.contains("plants") && printed.contains("https://far"));
        assert!(printed.contains("KEY"));
    }
}
