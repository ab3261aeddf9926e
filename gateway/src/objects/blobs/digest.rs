//! What a client says about the content it sends, checked while it arrives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;

use crate::objects::ObjectError;

/// Names of the headers (and trailers) that carry checksums.
pub(crate) const CHECKSUMS: [&str; 5] = [
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
];

/// Announced digests of a content: base64, by header name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// `Content-MD5`.
    pub(crate) md5: Option<String>,
    /// Exact number of bytes.
    pub(crate) length: Option<u64>,
    /// Pairs of a name of [`CHECKSUMS`] and its value; `None` when it follows in a trailer.
    pub(crate) checksums: Vec<(&'static str, Option<String>)>,
    /// One of [`CHECKSUMS`] that nobody announced, but that is wanted.
    pub(crate) wanted: Option<&'static str>,
}

/// Digests in the making.
pub(super) struct Digests {
    md5: Md5,
    checksums: ChecksumHasher,
    length: u64,
}

/// Digests of a whole content.
pub(super) struct Found {
    /// Hexadecimal.
    pub(super) md5: String,
    /// Base64, by header name: those that were asked for.
    pub(super) checksums: Vec<(&'static str, String)>,
    pub(super) length: u64,
}

impl Digests {
    pub(super) fn new(expected: &Expected) -> Self {
        let mut checksums = ChecksumHasher::default();
        let announced = expected.checksums.iter().map(|(name, _)| *name);
        for name in announced.chain(expected.wanted) {
            match name {
                "x-amz-checksum-crc32" => checksums.crc32 = Some(Crc32::new()),
                "x-amz-checksum-crc32c" => checksums.crc32c = Some(Crc32c::new()),
                "x-amz-checksum-crc64nvme" => checksums.crc64nvme = Some(Crc64Nvme::new()),
                "x-amz-checksum-sha1" => checksums.sha1 = Some(Sha1::new()),
                _ => checksums.sha256 = Some(Sha256::new()),
            }
        }
        Self {
            md5: Md5::new(),
            checksums,
            length: 0,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
        self.length += bytes.len() as u64;
    }

    pub(super) fn finish(self) -> Found {
        let Checksum {
            checksum_crc32,
            checksum_crc32c,
            checksum_crc64nvme,
            checksum_sha1,
            checksum_sha256,
            ..
        } = self.checksums.finalize();
        let values = [
            checksum_crc32,
            checksum_crc32c,
            checksum_crc64nvme,
            checksum_sha1,
            checksum_sha256,
        ];
        Found {
            md5: hex::encode(self.md5.finalize()),
            checksums: CHECKSUMS
                .into_iter()
                .zip(values)
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            length: self.length,
        }
    }
}

impl Expected {
    /// Refuses a content that is not the announced one. `trailer` looks up what came after the content.
    pub(super) fn check(
        &self,
        found: &Found,
        trailer: impl Fn(&str) -> Option<String>,
    ) -> Result<(), ObjectError> {
        if let Some(expected) = self.length
            && expected != found.length
        {
            return Err(ObjectError::Length {
                expected,
                found: found.length,
            });
        }
        let md5 = || {
            hex::decode(&found.md5)
                .map(|bytes| STANDARD.encode(bytes))
                .unwrap_or_default()
        };
        if let Some(expected) = &self.md5 {
            same("Content-MD5", expected, &md5())?;
        }
        for (name, value) in &found.checksums {
            let announced = self.checksums.iter().find(|(wanted, _)| wanted == name);
            let expected = announced
                .and_then(|(_, value)| value.clone())
                .or_else(|| trailer(name));
            let Some(expected) = expected else {
                if announced.is_none() {
                    continue; // Wanted by us alone.
                }
                return Err(ObjectError::Receive(format!(
                    "the trailer {name} was announced but did not come"
                )));
            };
            same(name, &expected, value)?;
        }
        Ok(())
    }
}

fn same(header: &'static str, expected: &str, found: &str) -> Result<(), ObjectError> {
    if expected.trim() == found {
        return Ok(());
    }
    Err(ObjectError::Digest {
        header,
        expected: expected.to_owned(),
        found: found.to_owned(),
    })
}
