//! Reading credentials of storage providers and clusters.

use std::collections::BTreeMap;

use crate::service::{
    Cluster, FileProvider, MinioProvider, MqttProvider, OnedataProvider, RucioProvider, S3Provider,
    StorageProviders, WebdavProvider,
};
use crate::written::{Notes, Written};

/// Type, then id, then credentials.
pub(crate) fn storage_providers(
    notes: &mut Notes,
    value: &Written,
    path: &str,
) -> StorageProviders {
    let mut it = notes.members(value, path);
    let providers = StorageProviders {
        s3: it.map("s3", s3),
        minio: it.map("minio", minio),
        onedata: it.map("onedata", onedata),
        webdav: it.map("webdav", webdav),
        rucio: it.map("rucio", rucio),
        mqtt: it.map("mqtt", mqtt),
        file: it.map("file", file),
    };
    it.finish();
    providers
}

/// Id, then address and credentials.
pub(crate) fn clusters(
    notes: &mut Notes,
    value: &Written,
    path: &str,
) -> BTreeMap<String, Cluster> {
    notes.entries(value, path, |notes, value, path| {
        let mut it = notes.members(value, path);
        let cluster = Cluster {
            endpoint: it.text("endpoint"),
            auth_user: it.text("auth_user"),
            auth_password: it.text("auth_password"),
            ssl_verify: it.flag("ssl_verify"),
        };
        // Members of the clients' own configuration, which examples copy along.
        it.ignore(&[
            "memory",
            "log_level",
            "oidc_account_name",
            "oidc_refresh_token",
        ]);
        it.finish();
        cluster
    })
}

fn s3(notes: &mut Notes, value: &Written, path: &str) -> S3Provider {
    let mut it = notes.members(value, path);
    let provider = S3Provider {
        access_key: it.text("access_key"),
        secret_key: it.text("secret_key"),
        region: it.text("region"),
    };
    it.finish();
    provider
}

fn minio(notes: &mut Notes, value: &Written, path: &str) -> MinioProvider {
    let mut it = notes.members(value, path);
    let provider = MinioProvider {
        endpoint: it.text("endpoint"),
        // Certificates are verified unless somebody says not to.
        verify: it.optional_flag("verify").unwrap_or(true),
        access_key: it.text("access_key"),
        secret_key: it.text("secret_key"),
        region: it.text("region"),
    };
    it.finish();
    provider
}

fn onedata(notes: &mut Notes, value: &Written, path: &str) -> OnedataProvider {
    let mut it = notes.members(value, path);
    let provider = OnedataProvider {
        oneprovider_host: it.text("oneprovider_host"),
        token: it.text("token"),
        space: it.text("space"),
    };
    it.finish();
    provider
}

fn webdav(notes: &mut Notes, value: &Written, path: &str) -> WebdavProvider {
    let mut it = notes.members(value, path);
    let provider = WebdavProvider {
        hostname: it.text("hostname"),
        login: it.text("login"),
        password: it.text("password"),
    };
    it.finish();
    provider
}

fn rucio(notes: &mut Notes, value: &Written, path: &str) -> RucioProvider {
    let mut it = notes.members(value, path);
    let provider = RucioProvider {
        host: it.text("host"),
        account: it.text("account"),
        rse: it.text("rse"),
        refresh_token: it.text("refresh_token"),
        auth_host: it.text("auth_host"),
        oidc_audience: it.text("oidc_audience"),
        token_endpoint: it.text("token_endpoint"),
    };
    it.ignore(&["access_token", "client_id", "client_secret", "scopes"]);
    it.finish();
    provider
}

fn mqtt(notes: &mut Notes, value: &Written, path: &str) -> MqttProvider {
    let mut it = notes.members(value, path);
    let provider = MqttProvider {
        broker: it.text("broker"),
        username: it.text("username"),
        password: it.text("password"),
    };
    it.finish();
    provider
}

fn file(notes: &mut Notes, value: &Written, path: &str) -> FileProvider {
    let mut it = notes.members(value, path);
    let provider = FileProvider {
        root: it.text("root"),
    };
    it.finish();
    provider
}
