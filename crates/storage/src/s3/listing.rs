//! Listing a bucket, page after page.

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::Method;

use super::{Ask, S3Storage};
use crate::error::StorageError;
use crate::{Depth, Entry, ObjectPath, times, xml};

/// Bytes of one page's answer, at most: 1,000 keys of 1,024 bytes, each encoded, with room around them.
const PAGE: usize = 8 * 1024 * 1024;

#[derive(Default)]
struct Page {
    entries: Vec<Entry>,
    is_encoded: bool,
    next: Option<String>,
}

impl S3Storage {
    /// The entries below `path`, in the order of their keys.
    pub(super) fn pages<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
    ) -> impl Stream<Item = Result<Entry, StorageError>> + 'a {
        self.pages_of(path, depth, 1000).try_filter(move |entry| {
            // The folder itself is no content of the folder.
            let is_itself = entry.path.key == path.key && entry.is_folder();
            std::future::ready(!is_itself)
        })
    }

    /// The first entry, if any: the cheapest way to learn whether a bucket may be listed.
    pub async fn peek(&self, path: &ObjectPath) -> Result<Option<Entry>, StorageError> {
        let mut pages = std::pin::pin!(self.pages_of(path, Depth::All, 1));
        pages.next().await.transpose()
    }

    fn pages_of<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
        keys: u32,
    ) -> impl Stream<Item = Result<Entry, StorageError>> + 'a {
        let first = Some(String::new());
        stream::try_unfold(first, move |token| async move {
            let Some(token) = token else {
                return Ok(None);
            };
            let page = self.page(path, depth, &token, keys).await?;
            let entries = stream::iter(page.entries.into_iter().map(Ok::<_, StorageError>));
            Ok::<_, StorageError>(Some((entries, page.next)))
        })
        .try_flatten()
    }

    async fn page(
        &self,
        path: &ObjectPath,
        depth: Depth,
        token: &str,
        keys: u32,
    ) -> Result<Page, StorageError> {
        let keys = keys.to_string();
        let mut query = Vec::with_capacity(6);
        if !token.is_empty() {
            query.push(("continuation-token", token));
        }
        if depth == Depth::Folder {
            query.push(("delimiter", "/"));
        }
        query.push(("encoding-type", "url"));
        query.push(("list-type", "2"));
        query.push(("max-keys", &keys));
        query.push(("prefix", &path.key));
        let bucket = ObjectPath::new(path.bucket.clone(), "");
        let ask = Ask {
            query: &query,
            ..Ask::new(Method::GET, &bucket)
        };
        let doing = self.doing("listing", path);
        let answer = doing.accepted(self.send(doing, ask).await?).await?;
        let body = xml::body(doing, answer, PAGE).await?;
        read(&path.bucket, &body).map_err(|error| {
            doing.garbled(format!(
                "the answer is no list of objects: {}",
                crate::error::chain(&error)
            ))
        })
    }
}

fn read(bucket: &str, body: &str) -> Result<Page, quick_xml::Error> {
    let mut reader = Reader::from_str(body);
    let mut page = Page::default();
    let mut open: Vec<String> = Vec::new();
    let (mut text, mut is_truncated) = (String::new(), false);
    let mut entry = blank(bucket);
    loop {
        match reader.read_event()? {
            Event::Start(tag) => {
                open.push(String::from_utf8_lossy(tag.local_name().as_ref()).into_owned());
                text.clear();
            }
            Event::Text(piece) => text.push_str(&piece.decode()?),
            Event::GeneralRef(name) => xml::push_reference(&mut text, &name),
            Event::End(_) => {
                let name = open.pop().unwrap_or_default();
                let value = std::mem::take(&mut text);
                match (open.last().map(String::as_str), name.as_str()) {
                    (Some("Contents"), "Key") | (Some("CommonPrefixes"), "Prefix") => {
                        entry.path.key = value;
                    }
                    (Some("Contents"), "Size") => entry.size = value.parse().unwrap_or(0),
                    (Some("Contents"), "ETag") => {
                        entry.etag = Some(value.trim_matches('"').to_owned());
                    }
                    (Some("Contents"), "LastModified") => entry.modified = times::iso(&value),
                    (_, "Contents" | "CommonPrefixes") => {
                        page.entries
                            .push(std::mem::replace(&mut entry, blank(bucket)));
                    }
                    (_, "EncodingType") => page.is_encoded = value == "url",
                    (_, "IsTruncated") => is_truncated = value == "true",
                    (_, "NextContinuationToken") => page.next = Some(value),
                    _ => (),
                }
            }
            Event::Eof => break,
            _ => (),
        }
    }
    if page.is_encoded {
        for entry in &mut page.entries {
            let blanks = entry.path.key.replace('+', " ");
            entry.path.key = percent_decode_str(&blanks).decode_utf8_lossy().into_owned();
        }
    }
    page.next = page.next.filter(|_| is_truncated);
    page.entries
        .sort_by(|one, other| one.path.key.cmp(&other.path.key));
    Ok(page)
}

fn blank(bucket: &str) -> Entry {
    Entry {
        path: ObjectPath::new(bucket, ""),
        size: 0,
        modified: None,
        etag: None,
        content_type: None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_encoded_or_not() {
        let body = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">
            <Name>b</Name><Prefix>in%2F</Prefix><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
            <NextContinuationToken>a&amp;b=</NextContinuationToken>
            <Contents><Key>in/x%2By+z%25.png</Key><LastModified>2026-02-01T10:20:30.400Z</LastModified><ETag>&quot;abc&quot;</ETag><Size>7</Size><Owner><ID>Key</ID></Owner></Contents>
            <CommonPrefixes><Prefix>in/a/</Prefix></CommonPrefixes></ListBucketResult>";
        let page = read("b", body).unwrap();
        assert_eq!(page.next.as_deref(), Some("a&b="));
        let keys: Vec<&str> = page.entries.iter().map(|entry| &*entry.path.key).collect();
        assert_eq!(keys, ["in/a/", "in/x+y z%.png"]);
        assert_eq!(page.entries[1].size, 7);
        assert_eq!(page.entries[1].etag.as_deref(), Some("abc"));
        assert!(page.entries[1].modified.is_some());
        let plain = body.replace("<EncodingType>url</EncodingType>", "");
        assert_eq!(
            read("b", &plain).unwrap().entries[1].path.key,
            "in/x%2By+z%25.png"
        );
        assert!(read("b", "<a><b></a>").is_err());
    }
}
