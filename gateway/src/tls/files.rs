//! The user's own certificate and key, read again when the files change.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tracing::warn;

/// The two files.
#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// As they were when they were last read, successfully or not.
    seen: Option<[State; 2]>,
}

/// Tells one version of a file from another: place, size, time in seconds and nanoseconds.
type State = (u64, u64, i64, i64);

impl Files {
    pub(super) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self {
            certificate,
            key,
            seen: None,
        }
    }

    /// What is in the files, when they are not as they were. A pair of which one file has been replaced and the
    /// other has not does not match, and is looked at again when the other changes.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<CertifiedKey>> {
        let state = [state(&self.certificate)?, state(&self.key)?];
        if self.seen == Some(state) {
            return Ok(None);
        }
        self.seen = Some(state);
        warn_of_readers(&self.key);
        read(&self.certificate, &self.key).map(Some)
    }
}

fn read(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let reading = |what: &str, path: &Path| format!("reading the {what} in {}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| reading("certificate (tls_cert)", certificate))?;
    anyhow::ensure!(
        !chain.is_empty(),
        "{} has no certificate; expected PEM: the server's own certificate first, then those between it and the authority",
        certificate.display()
    );
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| {
        format!(
            "{}; expected PEM, without a password",
            reading("key (tls_key)", key)
        )
    })?;
    CertifiedKey::from_der(chain, private, &super::provider()).with_context(|| {
        format!(
            "the certificate in {} and the key in {} do not belong together, or are of a kind that is not supported",
            certificate.display(),
            key.display()
        )
    })
}

fn state(path: &Path) -> anyhow::Result<State> {
    let file: Metadata =
        std::fs::metadata(path).with_context(|| format!("looking at {}", path.display()))?;
    Ok((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

fn warn_of_readers(key: &Path) {
    if std::fs::metadata(key).is_ok_and(|file| file.mode() & 0o004 != 0) {
        warn!(
            "everybody on this machine can read the private key {}; take the right away with chmod o-r",
            key.display()
        );
    }
}
