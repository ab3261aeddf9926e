//! Writing an object: in one request when it is small, else in parts.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use reqwest::Method;
use reqwest::header::HeaderMap;

use super::{Ask, PART, S3Storage, check_key, content_type};
use crate::content::ByteStream;
use crate::error::{Doing, StorageError};
use crate::{Content, ObjectPath, Progress, xml};

/// Smallest part of a multipart upload. Below it an object goes in one request.
const PART_BYTES: u64 = 8 * 1024 * 1024;
/// S3 takes 10,000 parts; staying below leaves room for a file that grows while it is read.
const MOST_PARTS: u64 = 9_000;
/// Answers are read up to this length, in bytes.
const ANSWER: usize = 64 * 1024;

impl S3Storage {
    pub(super) async fn write(
        &self,
        path: &ObjectPath,
        content: Content,
        progress: Progress<'_>,
    ) -> Result<(), StorageError> {
        check_key(&path.key)?;
        let doing = self.doing("writing", path);
        let headers = content_type(content.media_type.as_deref());
        let mut parts = Parts {
            bytes: content.bytes.fuse(),
            rest: Bytes::new(),
            size: part_bytes(content.size),
        };
        let first = parts.next(doing).await?;
        if first.len() < parts.size {
            let length = first.len() as u64;
            let ask = Ask {
                headers,
                body: first,
                limit: Some(PART),
                ..Ask::new(Method::PUT, path)
            };
            let answer = self.send(doing, ask).await?;
            doing.accepted(answer).await?;
            progress(length);
            return Ok(());
        }
        let upload = self.begin(doing, headers).await?;
        let written = self.finish(doing, &upload, first, parts, progress).await;
        if written.is_err() {
            // Parts that nobody will complete take room at the provider. The first error is the one to tell.
            let query = [("uploadId", upload.as_str())];
            let ask = Ask {
                query: &query,
                ..Ask::new(Method::DELETE, path)
            };
            let _ = self.send(doing, ask).await;
        }
        written
    }

    async fn begin(&self, doing: Doing<'_>, headers: HeaderMap) -> Result<String, StorageError> {
        let ask = Ask {
            query: &[("uploads", "")],
            headers,
            ..Ask::new(Method::POST, doing.path)
        };
        let answer = self.send(doing, ask).await?;
        let answer = doing.accepted(answer).await?;
        let body = xml::body(doing, answer, ANSWER).await?;
        xml::text_of(&body, "UploadId")
            .ok_or_else(|| doing.garbled("the answer to an upload in parts names no UploadId"))
    }

    async fn finish(
        &self,
        doing: Doing<'_>,
        upload: &str,
        first: Bytes,
        mut parts: Parts,
        progress: Progress<'_>,
    ) -> Result<(), StorageError> {
        let mut list = String::from("<CompleteMultipartUpload>");
        let (mut part, mut number) = (first, 1_u32);
        while !part.is_empty() {
            let length = part.len() as u64;
            let text = number.to_string();
            let query = [("partNumber", text.as_str()), ("uploadId", upload)];
            let ask = Ask {
                query: &query,
                body: part,
                limit: Some(PART),
                ..Ask::new(Method::PUT, doing.path)
            };
            let answer = self.send(doing, ask).await?;
            let answer = doing.accepted(answer).await?;
            let etag = answer.headers().get("etag");
            let etag = etag.and_then(|etag| etag.to_str().ok()).unwrap_or_default();
            list.push_str("<Part><PartNumber>");
            list.push_str(&text);
            list.push_str("</PartNumber><ETag>");
            list.push_str(&quick_xml::escape::escape(etag));
            list.push_str("</ETag></Part>");
            progress(length);
            part = parts.next(doing).await?;
            number += 1;
        }
        list.push_str("</CompleteMultipartUpload>");
        let query = [("uploadId", upload)];
        let ask = Ask {
            query: &query,
            body: list.into(),
            // Providers put large objects together before they answer.
            limit: Some(PART),
            ..Ask::new(Method::POST, doing.path)
        };
        let answer = self.send(doing, ask).await?;
        let answer = doing.accepted(answer).await?;
        let body = xml::body(doing, answer, ANSWER).await?;
        // This answer may begin with 200 and still tell an error.
        match xml::text_of(&body, "Code") {
            Some(code) => {
                let message = xml::text_of(&body, "Message").unwrap_or_default();
                Err(doing.garbled(format!("{code}: {message}")))
            }
            None => Ok(()),
        }
    }
}

/// A content cut into parts; at most two of them are in memory.
struct Parts {
    bytes: futures::stream::Fuse<ByteStream>,
    rest: Bytes,
    size: usize,
}

impl Parts {
    /// The next part: full, unless it is the last; empty when there is none.
    async fn next(&mut self, doing: Doing<'_>) -> Result<Bytes, StorageError> {
        let mut part = BytesMut::new();
        loop {
            let wanted = (self.size - part.len()).min(self.rest.len());
            part.extend_from_slice(&self.rest.split_to(wanted));
            if part.len() == self.size {
                return Ok(part.freeze());
            }
            match self.bytes.next().await {
                None => return Ok(part.freeze()),
                Some(Ok(piece)) => self.rest = piece,
                Some(Err(source)) => {
                    return Err(StorageError::Read {
                        path: doing.path.clone(),
                        source,
                    });
                }
            }
        }
    }
}

/// Bytes of one part so that the whole fits into as many parts as S3 allows.
fn part_bytes(size: Option<u64>) -> usize {
    let part = size.unwrap_or(0).div_ceil(MOST_PARTS).max(PART_BYTES);
    usize::try_from(part).unwrap_or(usize::MAX)
}
