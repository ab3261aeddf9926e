//! Walking folders: one request for each, none of them read as a whole.
//!
//! `Depth: infinity` would be one request for all, but Apache, nginx and dCache refuse it.

use std::collections::VecDeque;
use std::io;

use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode};
use tokio_util::io::StreamReader;

use super::multistatus::Multistatus;
use super::upload::verb;
use super::{REQUEST, WebdavStorage};
use crate::connections::persist;
use crate::error::{Doing, StorageError};
use crate::{Depth, Entry, ObjectPath};

/// Folders that may wait to be walked.
const FOLDERS: usize = 100_000;

/// Only what is looked at: servers compute some properties with some effort.
const PROPERTIES: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/><getcontentlength/><getlastmodified/><getetag/><getcontenttype/></prop></propfind>";

impl WebdavStorage {
    pub(super) async fn propfind(
        &self,
        doing: Doing<'_>,
        key: &str,
        depth: &'static str,
    ) -> Result<Response, StorageError> {
        let mut headers = HeaderMap::new();
        headers.insert("depth", HeaderValue::from_static(depth));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/xml; charset=utf-8"),
        );
        let sent = persist(|| {
            let request = self
                .request(verb(b"PROPFIND"), key)
                .headers(headers.clone())
                .body(PROPERTIES);
            if depth == "0" {
                request.timeout(REQUEST).send()
            } else {
                request.send() // Long lists take long; silence ends them.
            }
        });
        sent.await.map_err(|error| doing.unanswered(error))
    }

    /// The members that an answer tells, as it arrives.
    pub(super) fn members<'a>(
        &'a self,
        doing: Doing<'a>,
        answer: Response,
    ) -> BoxStream<'a, Result<Entry, StorageError>> {
        let root = self.base.path().trim_end_matches('/').to_owned();
        let bytes = answer.bytes_stream().map_err(io::Error::other);
        let reader = Multistatus::new(StreamReader::new(bytes.boxed()), root);
        stream::try_unfold(reader, move |mut reader| async move {
            let next = reader.next().await;
            let next = next.map_err(|error| {
                doing.garbled(format!(
                    "the answer is no list of files: {}",
                    crate::error::chain(&error)
                ))
            })?;
            Ok(next.map(|entry| (entry, reader)))
        })
        .boxed()
    }

    /// The files below a folder; of [`Depth::Folder`] also the folders in it.
    pub(super) fn walk<'a>(
        &'a self,
        path: &'a ObjectPath,
        depth: Depth,
    ) -> impl Stream<Item = Result<Entry, StorageError>> + 'a {
        let todo = VecDeque::from([path.key.trim_matches('/').to_owned()]);
        let doing = self.doing("listing", path);
        let state = Walk {
            storage: self,
            doing,
            todo,
            at: String::new(),
            members: None,
            depth,
        };
        stream::try_unfold(state, |mut walk| async move {
            Ok(walk.next().await?.map(|entry| (entry, walk)))
        })
    }
}

struct Walk<'a> {
    storage: &'a WebdavStorage,
    doing: Doing<'a>,
    todo: VecDeque<String>,
    /// The folder that is being read.
    at: String,
    members: Option<BoxStream<'a, Result<Entry, StorageError>>>,
    depth: Depth,
}

impl Walk<'_> {
    async fn next(&mut self) -> Result<Option<Entry>, StorageError> {
        loop {
            let Some(members) = &mut self.members else {
                let Some(folder) = self.todo.pop_front() else {
                    return Ok(None);
                };
                self.open(folder).await?;
                continue;
            };
            let Some(found) = members.next().await.transpose()? else {
                self.members = None;
                continue;
            };
            let key = found.path.key.trim_end_matches('/');
            // Whatever a server says, nothing outside of the folder that was asked for.
            let is_inside = self.at.is_empty()
                || key
                    .strip_prefix(&self.at)
                    .is_some_and(|rest| rest.starts_with('/'));
            if key == self.at || !is_inside || key.is_empty() {
                continue;
            }
            if found.is_folder() && self.depth == Depth::All {
                if self.todo.len() >= FOLDERS {
                    let words = format!("more than {FOLDERS} folders lie side by side");
                    return Err(self.doing.garbled(words));
                }
                self.todo.push_back(key.to_owned());
            } else {
                return Ok(Some(found));
            }
        }
    }

    async fn open(&mut self, folder: String) -> Result<(), StorageError> {
        let key = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let answer = self.storage.propfind(self.doing, &key, "1").await?;
        if answer.status() == StatusCode::NOT_FOUND
            && folder != self.doing.path.key.trim_matches('/')
        {
            return Ok(()); // Deleted since its parent was read.
        }
        let answer = self.doing.accepted(answer).await?;
        self.members = Some(self.storage.members(self.doing, answer));
        self.at = folder;
        Ok(())
    }
}
