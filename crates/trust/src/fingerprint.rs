//! The name of a key.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

/// What a fingerprint begins with.
const PREFIX: &str = "sha256:";

/// SHA-256 of a public key as certificates hold it (`SubjectPublicKeyInfo`, RFC 5280), written `sha256:` and 64
/// hexadecimal digits. `openssl x509 -pubkey -noout | openssl pkey -pubin -outform der | sha256sum` tells it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// A text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no fingerprint; expected sha256: and 64 hexadecimal digits, as the gateway prints it at its start"
)]
pub struct NoFingerprint(String);

impl Fingerprint {
    /// Of a public key.
    pub fn of_key(public_key_info: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, public_key_info).as_ref());
        Self(bytes)
    }

    /// Of the key in a certificate.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        Ok(Self::of_key(&parsed.subject_public_key_info()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    /// Capitals and colons between the digits are fine; so is a missing prefix.
    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let lower = text.trim().to_ascii_lowercase();
        let digits = lower.strip_prefix(PREFIX).unwrap_or(&lower);
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits.replace(':', ""), &mut bytes)
            .map_err(|_| NoFingerprint(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_people_write_them() {
        let plain = "00ff".repeat(16);
        check(&format!("sha256:{plain}"), true);
        check(&plain, true);
        check(&format!(" SHA256:{} ", plain.to_uppercase()), true);
        check(&["00", "FF"].repeat(16).join(":"), true);
        check("sha256:00ff", false);
        check(&format!("sha512:{plain}"), false);
        check("", false);

        #[track_caller]
        fn check(text: &str, good: bool) {
            let read = text.parse::<Fingerprint>();
            assert_eq!(read.is_ok(), good, "for {text:?}");
            if let Ok(read) = read {
                assert_eq!(read.to_string(), format!("sha256:{}", "00ff".repeat(16)));
            }
        }
    }
}
