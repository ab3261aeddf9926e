//! Our own certificate, for a gateway that no public authority can vouch for.
//!
//! Two keys lie in `tls/` of the data folder, readable by us alone: the gateway's, whose fingerprint clients pin,
//! and that of a small authority which signs certificates for the first. Only the keys are kept; the certificates
//! are made anew at each start, at two thirds of their time, and when this machine gets another name or address.
//! `tls/ca.pem` is the authority's, for clients that take a file; a copy of it stays good, because name and key of
//! the authority stay.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::{Timestamp, ToSpan as _, Unit, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use super::Names;

/// How long our certificate is good, in days. Apple's clients refuse more than 398.
const DAYS: i64 = 365;

/// How long the authority's is good, in days.
const AUTHORITY_DAYS: i64 = 3650;

/// Both are good from here on: a machine without a clock lives in the past until somebody tells it the time.
const GOOD_FROM: (i32, u8, u8) = (2020, 1, 1);

/// The two keys, and what the certificate in use says.
#[derive(Debug)]
pub(super) struct Authority {
    folder: PathBuf,
    key: KeyPair,
    signer: KeyPair,
    names: Names,
    issued: Option<Issued>,
}

#[derive(Debug)]
struct Issued {
    at: Timestamp,
    names: BTreeSet<String>,
}

impl Authority {
    /// Takes the keys of the folder; makes them at the first start.
    pub(super) fn open(folder: &Path, names: Names) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("making {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            key: key(&folder.join("key.pem"))?,
            signer: key(&folder.join("ca.key"))?,
            names,
            issued: None,
        })
    }

    /// A new certificate, if the last one is old or does not name this machine any more.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<CertifiedKey>> {
        let (now, names) = (Timestamp::now(), self.names.now());
        if self
            .issued
            .as_ref()
            .is_some_and(|it| it.is_good(now, &names))
        {
            return Ok(None);
        }
        let certified = self.issue(now, &names).context("making a certificate")?;
        self.issued = Some(Issued { at: now, names });
        Ok(Some(certified))
    }

    fn issue(&self, now: Timestamp, names: &BTreeSet<String>) -> anyhow::Result<CertifiedKey> {
        let mut authority = params(
            Vec::new(),
            "Spillway authority of this gateway",
            now,
            AUTHORITY_DAYS,
        )?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = authority.self_signed(&self.signer)?;

        let mut ours = params(
            names.iter().cloned().collect(),
            "Spillway gateway",
            now,
            DAYS,
        )?;
        ours.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        ours.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        ours.use_authority_key_identifier_extension = true;
        let ours = ours.signed_by(&self.key, &Issuer::from_params(&authority, &self.signer))?;

        write(&self.folder.join("ca.pem"), root.pem().as_bytes(), 0o644)?;
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let chain = vec![ours.der().clone(), root.der().clone()];
        Ok(CertifiedKey::from_der(chain, private, &super::provider())?)
    }
}

impl Issued {
    /// Also when the clock was set back to before it was made.
    fn is_good(&self, now: Timestamp, names: &BTreeSet<String>) -> bool {
        let age = now
            .since((Unit::Hour, self.at))
            .map_or(0, |age| i64::from(age.get_hours()));
        now >= self.at && age < DAYS * 24 * 2 / 3 && self.names == *names
    }
}

fn params(
    names: Vec<String>,
    title: &str,
    now: Timestamp,
    days: i64,
) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, title);
    let end = now.to_zoned(TimeZone::UTC).checked_add(days.days())?;
    params.not_before = date_time_ymd(GOOD_FROM.0, GOOD_FROM.1, GOOD_FROM.2);
    params.not_after = date_time_ymd(
        i32::from(end.year()),
        u8::try_from(end.month())?,
        u8::try_from(end.day())?,
    );
    Ok(params)
}

/// A key of an elliptic curve (P-256), which all clients know.
fn key(path: &Path) -> anyhow::Result<KeyPair> {
    match fs::read_to_string(path) {
        Ok(pem) => KeyPair::from_pem(&pem).with_context(|| {
            format!(
                "{} is damaged; bring it back from a backup, or remove it: clients have to trust the new key then",
                path.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = KeyPair::generate().context("making a key")?;
            write(path, key.serialize_pem().as_bytes(), 0o600)?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Whole or not at all.
fn write(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let temporary = path.with_extension("new");
        let _ = fs::remove_file(&temporary); // A crash may have left it; its mode would be kept.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    written().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use spillway_trust::Fingerprint;

    use super::*;

    #[test]
    fn the_key_stays_when_the_certificate_is_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Authority::open(folder.path(), Names::default()).unwrap();
        let shown = first.next().unwrap().unwrap();
        assert!(first.next().unwrap().is_none(), "it is good for months");
        let issued = first.issued.as_mut().unwrap();
        issued.at -= (24 * 250).hours();
        let renewed = first.next().unwrap().expect("it is old");

        let mut again = Authority::open(folder.path(), Names::new(["b".to_owned()])).unwrap();
        let restarted = again.next().unwrap().unwrap();
        let of = |shown: &CertifiedKey| Fingerprint::of_certificate(&shown.cert[0]).unwrap();
        assert_eq!(of(&shown), of(&renewed));
        assert_eq!(of(&shown), of(&restarted));
        assert_ne!(shown.cert[0], restarted.cert[0]);
        for (file, mode) in [("key.pem", 0o600), ("ca.key", 0o600), ("ca.pem", 0o644)] {
            let found = fs::metadata(folder.path().join(file))
                .unwrap()
                .permissions();
            assert_eq!(found.mode() & 0o777, mode, "{file}");
        }
    }

    #[test]
    fn a_damaged_key_is_reported_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.pem"), "x").unwrap();
        let error = Authority::open(folder.path(), Names::default()).unwrap_err();
        assert!(error.to_string().contains("is damaged"), "{error:#}");
        assert_eq!(fs::read(folder.path().join("key.pem")).unwrap(), b"x");
    }
}
