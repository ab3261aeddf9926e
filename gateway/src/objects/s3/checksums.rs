//! Checksums of uploads in parts: of each part, and of the whole that they become.
//!
//! `COMPOSITE` is the checksum of the parts' checksums, as `ETag`s are; `FULL_OBJECT` that of the content, put together
//! from the parts' without reading a byte.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Sha1, Sha256};

use super::request::{self, CHECKSUM_TYPE};
use crate::objects::ObjectError;
use crate::objects::blobs::CHECKSUMS;
use crate::objects::crc::Crc;
use crate::objects::uploads::Part;

/// Where the wanted algorithm is kept among an upload's metadata.
const ALGORITHM: &str = "x-amz-checksum-algorithm";

const COMPOSITE: &str = "COMPOSITE";
const FULL_OBJECT: &str = "FULL_OBJECT";

/// Remembers in a new upload's metadata what the client wants.
pub(super) fn want(
    metadata: &mut BTreeMap<String, String>,
    algorithm: Option<&str>,
    kind: Option<&str>,
) -> S3Result<()> {
    let Some(algorithm) = algorithm else {
        return Ok(());
    };
    let name = format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase());
    if !CHECKSUMS.contains(&name.as_str()) {
        return Err(request::invalid(format!(
            "the checksum algorithm {algorithm:?} is not known; expected CRC32, CRC32C, CRC64NVME, SHA1 or SHA256"
        )));
    }
    let usual = if algorithm == "CRC64NVME" {
        FULL_OBJECT
    } else {
        COMPOSITE
    };
    let kind = kind.unwrap_or(usual);
    let fits = match kind {
        FULL_OBJECT => Crc::of_header(&name).is_some(),
        COMPOSITE => algorithm != "CRC64NVME",
        _ => false,
    };
    if !fits {
        return Err(request::invalid(format!(
            "the checksum type {kind:?} cannot be had with {algorithm}"
        )));
    }
    metadata.insert(ALGORITHM.to_owned(), name);
    metadata.insert(CHECKSUM_TYPE.to_owned(), kind.to_owned());
    Ok(())
}

/// The header of the checksum that each part of the upload needs.
pub(super) fn wanted(metadata: &BTreeMap<String, String>) -> Option<&'static str> {
    let name = metadata.get(ALGORITHM)?;
    CHECKSUMS.into_iter().find(|known| known == name)
}

/// Compares what the client says of a part with what came.
pub(super) fn check_part(part: &Part, said: &[(&'static str, String)]) -> Result<(), ObjectError> {
    for (name, value) in said {
        if part
            .checksums
            .get(*name)
            .is_some_and(|found| found != value)
        {
            return Err(ObjectError::Part {
                number: part.number,
                reason: format!("has another {name} than the request says"),
            });
        }
    }
    Ok(())
}

/// The metadata of the object that an upload becomes: with the checksum of the whole, which must be the one `said`.
pub(super) fn of_whole(
    mut metadata: BTreeMap<String, String>,
    parts: &[Part],
    said: &[(&'static str, String)],
) -> Result<BTreeMap<String, String>, ObjectError> {
    let Some(name) = wanted(&metadata) else {
        return Ok(metadata);
    };
    metadata.remove(ALGORITHM);
    let is_full = metadata
        .get(CHECKSUM_TYPE)
        .is_some_and(|kind| kind == FULL_OBJECT);
    let found = match Crc::of_header(name) {
        Some(crc) if is_full => full(crc, name, parts),
        _ => composite(name, parts),
    };
    // Parts of uploads that began before checksums were kept have none.
    let Some(found) = found else {
        metadata.remove(CHECKSUM_TYPE);
        return Ok(metadata);
    };
    for (announced, expected) in said.iter().filter(|(announced, _)| *announced == name) {
        // Clients may leave the number of parts out.
        let plain = found.split('-').next().unwrap_or_default();
        if *expected != found && expected != plain {
            return Err(ObjectError::Digest {
                header: announced,
                expected: expected.clone(),
                found,
            });
        }
    }
    metadata.insert(name.to_owned(), found);
    Ok(metadata)
}

fn raw(name: &str, part: &Part) -> Option<Vec<u8>> {
    STANDARD.decode(part.checksums.get(name)?).ok()
}

fn composite(name: &str, parts: &[Part]) -> Option<String> {
    let all = parts
        .iter()
        .map(|part| raw(name, part))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let digest = match name {
        "x-amz-checksum-crc32" => Crc32::checksum(&all).as_ref().to_vec(),
        "x-amz-checksum-crc32c" => Crc32c::checksum(&all).as_ref().to_vec(),
        "x-amz-checksum-sha1" => Sha1::checksum(&all).as_ref().to_vec(),
        "x-amz-checksum-sha256" => Sha256::checksum(&all).as_ref().to_vec(),
        _ => return None,
    };
    Some(format!("{}-{}", STANDARD.encode(digest), parts.len()))
}

fn full(crc: Crc, name: &str, parts: &[Part]) -> Option<String> {
    let mut whole = 0;
    for part in parts {
        whole = crc.joined(whole, crc.read(&raw(name, part)?)?, part.size);
    }
    Some(STANDARD.encode(crc.write(whole)))
}
