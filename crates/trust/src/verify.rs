//! Verifiers that look at the key and at nothing else.

use std::error::Error as StdError;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use tokio::sync::watch;

use crate::Fingerprint;

/// A server shows a key that is not the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server shows another key than the one that is trusted: {found}, expected {expected}. Either the gateway got a \
     new key (its log and its addresses.json tell the fingerprint), or somebody sits in between"
)]
pub struct AnotherKey {
    pub expected: Fingerprint,
    pub found: Fingerprint,
}

/// Accepts certificates by their key. Whoever shows one must prove, as always, that the private key is his.
#[derive(Debug)]
pub(crate) struct Verifier {
    wanted: Wanted,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Wanted {
    Key(Fingerprint),
    Current(watch::Receiver<Fingerprint>),
    Any,
}

impl Verifier {
    pub(crate) fn key(key: Fingerprint) -> Self {
        Self::new(Wanted::Key(key))
    }

    pub(crate) fn current(key: watch::Receiver<Fingerprint>) -> Self {
        Self::new(Wanted::Current(key))
    }

    pub(crate) fn anybody() -> Self {
        Self::new(Wanted::Any)
    }

    fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            algorithms: crate::client::provider().signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let expected = match &self.wanted {
            Wanted::Key(key) => *key,
            Wanted::Current(key) => *key.borrow(),
            Wanted::Any => return Ok(ServerCertVerified::assertion()),
        };
        let found = Fingerprint::of_certificate(end_entity)?;
        if found == expected {
            return Ok(ServerCertVerified::assertion());
        }
        let another = Arc::new(AnotherKey { expected, found });
        Err(CertificateError::Other(OtherError(another)).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a request failed because the server showed another key than the pinned one.
pub fn another_key(error: &(dyn StdError + 'static)) -> Option<AnotherKey> {
    match tls_error(error)? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => {
            why.downcast_ref::<AnotherKey>().copied()
        }
        _ => None,
    }
}

/// Whether a request failed because nobody vouches for the server's certificate.
pub fn is_untrusted(error: &(dyn StdError + 'static)) -> bool {
    matches!(tls_error(error), Some(Error::InvalidCertificate(_)))
}

/// What TLS said, somewhere down the chain of causes.
fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next: Option<&'a (dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<Error>() {
            return Some(found);
        }
        // An error of input and output hides what it wraps: its source is the source of that.
        next = match error.downcast_ref::<std::io::Error>() {
            Some(wrapping) => wrapping
                .get_ref()
                .map(|inner| -> &(dyn StdError + 'static) { inner }),
            None => error.source(),
        };
    }
    None
}
