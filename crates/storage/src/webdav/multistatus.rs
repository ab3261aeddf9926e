//! The answer to `PROPFIND`, read element by element as it arrives.

use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::Event;
use reqwest::Url;
use tokio::io::AsyncBufRead;

use super::bare;
use crate::{Entry, ObjectPath, times, xml};

/// Longest text of one element, in bytes; longer ones are cut.
const TEXT: usize = 16 * 1024;

/// Deepest nesting.
const DEPTH: usize = 64;

pub(super) struct Multistatus<R> {
    reader: Reader<R>,
    buffer: Vec<u8>,
    open: Vec<String>,
    /// Path of the provider's address, in front of every file's.
    root: String,
}

/// What is known of the response that is being read.
#[derive(Default)]
struct Found {
    href: String,
    is_folder: bool,
    size: u64,
    modified: Option<jiff::Timestamp>,
    etag: Option<String>,
    content_type: Option<String>,
}

impl<R: AsyncBufRead + Unpin> Multistatus<R> {
    pub(super) fn new(bytes: R, root: String) -> Self {
        Self {
            reader: Reader::from_reader(bytes),
            buffer: Vec::new(),
            open: Vec::new(),
            root,
        }
    }

    /// The next file or folder.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>, quick_xml::Error> {
        let mut found = Found::default();
        let mut text = String::new();
        loop {
            self.buffer.clear();
            match self.reader.read_event_into_async(&mut self.buffer).await? {
                Event::Start(tag) => {
                    let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                    if name == "response" {
                        found = Found::default();
                    } else if name == "collection" {
                        found.is_folder = true;
                    }
                    text.clear();
                    if self.open.len() >= DEPTH {
                        return Err(quick_xml::Error::Io(std::sync::Arc::new(
                            std::io::Error::other("it is nested too deeply"),
                        )));
                    }
                    self.open.push(name);
                }
                Event::Empty(tag) => {
                    found.is_folder |= tag.local_name().as_ref() == b"collection";
                }
                Event::Text(piece) if text.len() < TEXT => text.push_str(&piece.decode()?),
                Event::CData(piece) if text.len() < TEXT => text.push_str(&piece.decode()?),
                Event::GeneralRef(name) if text.len() < TEXT => {
                    xml::push_reference(&mut text, &name);
                }
                Event::End(_) => {
                    let name = self.open.pop().unwrap_or_default();
                    let value = std::mem::take(&mut text);
                    let value = value.trim();
                    match name.as_str() {
                        "response" => {
                            if let Some(entry) = found.entry(&self.root) {
                                return Ok(Some(entry));
                            }
                            found = Found::default();
                        }
                        "href" if self.open.last().is_some_and(|outer| outer == "response") => {
                            value.clone_into(&mut found.href);
                        }
                        // A property the server does not have comes empty.
                        _ if value.is_empty() => (),
                        "getcontentlength" => found.size = value.parse().unwrap_or(0),
                        "getlastmodified" => found.modified = times::http(value),
                        "getetag" => found.etag = Some(bare(value)).filter(|etag| !etag.is_empty()),
                        "getcontenttype" => found.content_type = Some(value.to_owned()),
                        _ => (),
                    }
                }
                Event::Eof if self.open.is_empty() => return Ok(None),
                Event::Eof => {
                    return Err(quick_xml::Error::Io(std::sync::Arc::new(
                        std::io::ErrorKind::UnexpectedEof.into(),
                    )));
                }
                _ => (),
            }
        }
    }
}

impl Found {
    /// Nothing for what lies outside of the provider's address.
    fn entry(&mut self, root: &str) -> Option<Entry> {
        let path =
            Url::parse(&self.href).map_or_else(|_| self.href.clone(), |url| url.path().to_owned());
        let path = percent_decode_str(&path).decode_utf8().ok()?.into_owned();
        let root = percent_decode_str(root).decode_utf8().ok()?.into_owned();
        let key = path.strip_prefix(&root)?.trim_matches('/').to_owned();
        let key = if self.is_folder {
            format!("{key}/")
        } else {
            key
        };
        let found = std::mem::take(self);
        Some(Entry {
            path: ObjectPath::new("", key),
            size: found.size,
            modified: found.modified,
            etag: found.etag,
            content_type: found.content_type,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn read(text: &str) -> Result<Vec<Entry>, quick_xml::Error> {
        let mut reader = Multistatus::new(text.as_bytes(), "/dav".to_owned());
        let mut all = Vec::new();
        while let Some(entry) = reader.next().await? {
            all.push(entry);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn files_and_folders_are_told_apart_in_every_dialect() {
        let text = r#"<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">
            <D:response><D:href>/dav/in/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response>
            <D:response><D:href>http://host/dav/in/a%20b%26.png</D:href><D:propstat><D:prop>
              <D:resourcetype/><D:getcontentlength>12</D:getcontentlength><D:getetag>W/&quot;7-x&quot;</D:getetag>
              <D:getlastmodified>Wed, 21 Oct 2015 07:28:00 GMT</D:getlastmodified></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
              <D:propstat><D:prop><D:getetag/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>
            <D:response><D:href>/elsewhere</D:href></D:response></D:multistatus>"#;
        let all = read(text).await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].path.key, "in/");
        assert!(all[0].is_folder());
        assert_eq!(all[1].path.key, "in/a b&.png");
        assert_eq!((all[1].size, all[1].etag.as_deref()), (12, Some("W/7-x")));
        assert!(all[1].modified.is_some());
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_short_is_an_error() {
        assert!(read("<a><response><href>/dav/x</href>").await.is_err());
        assert!(read(&"<a>".repeat(100)).await.is_err());
    }
}
