//! Whether we speak TLS, and with which certificate.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Deserialize;

use super::Config;

/// `--tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Plain HTTP
    Off,
    /// A certificate made at the first start; clients pin its key
    SelfSigned,
}

/// What holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSettings {
    Off,
    SelfSigned {
        /// More names and addresses for the certificate.
        names: Vec<String>,
    },
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
}

impl TlsSettings {
    /// What clients are told about the object store at `url`: whether they can verify its certificate. Those that
    /// are not ours know nothing of our own authority.
    pub(crate) fn is_verifiable(&self, url: &str) -> bool {
        url.starts_with("https://") && !matches!(self, Self::SelfSigned { .. })
    }

    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let names = config.tls_name.clone().unwrap_or_default();
        let tls = match (&config.tls_cert, &config.tls_key, config.tls) {
            (Some(certificate), Some(key), None) => Self::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            (Some(_), None, _) => {
                anyhow::bail!("tls_cert is set, but tls_key is not; name the file with its key")
            }
            (None, Some(_), _) => anyhow::bail!(
                "tls_key is set, but tls_cert is not; name the file with its certificate"
            ),
            (Some(_), Some(_), Some(_)) => anyhow::bail!(
                "tls and tls_cert contradict each other; with files of your own leave tls out"
            ),
            (None, None, Some(TlsMode::SelfSigned)) => Self::SelfSigned {
                names: names.clone(),
            },
            (None, None, Some(TlsMode::Off) | None) => Self::Off,
        };
        anyhow::ensure!(
            names.is_empty() || matches!(tls, Self::SelfSigned { .. }),
            "tls_name is only for certificates of our own making; set tls to self-signed, or leave it out"
        );
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            anyhow::bail!(
                "tls_name has {name:?}; expected names of hosts or addresses, without https:// and port"
            );
        }
        Ok(tls)
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
    name.parse::<std::net::IpAddr>().is_ok() || (!name.is_empty() && name.chars().all(plain))
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let file = |name: &str| Some(PathBuf::from(name));
        let config = |tls, cert: &Option<PathBuf>, key: &Option<PathBuf>, names: &[&str]| Config {
            tls,
            tls_cert: cert.clone(),
            tls_key: key.clone(),
            tls_name: (!names.is_empty()).then(|| names.iter().map(|&it| it.to_owned()).collect()),
            ..Config::default()
        };
        let (cert, key) = (file("c"), file("k"));
        check(&config(None, &None, &None, &[]), "");
        check(&config(Some(TlsMode::Off), &None, &None, &[]), "");
        check(
            &config(
                Some(TlsMode::SelfSigned),
                &None,
                &None,
                &["gw.local", "fd00::1"],
            ),
            "",
        );
        check(&config(None, &cert, &key, &[]), "");
        check(&config(None, &cert, &None, &[]), "tls_key is not");
        check(&config(None, &None, &key, &[]), "tls_cert is not");
        check(
            &config(Some(TlsMode::SelfSigned), &cert, &key, &[]),
            "contradict",
        );
        check(&config(Some(TlsMode::Off), &cert, &key, &[]), "contradict");
        check(&config(None, &None, &None, &["a"]), "tls_name is only");
        check(
            &config(Some(TlsMode::SelfSigned), &None, &None, &["https://a"]),
            "tls_name has",
        );

        #[track_caller]
        fn check(config: &Config, expected: &str) {
            match TlsSettings::new(config) {
                Ok(_) => assert_eq!(expected, ""),
                Err(error) => {
                    let text = error.to_string();
                    assert!(!expected.is_empty() && text.contains(expected), "{text}");
                }
            }
        }
    }
}
