//! Listing a bucket page by page, with keys below a delimiter folded into common prefixes.
//!
//! A page costs one seek for each common prefix in it and one step for each object, however many keys lie below
//! those prefixes.

use rusqlite::Connection;

use super::rows::{self, Object};
use super::{ObjectError, keys};

/// Which part of a bucket to list.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub bucket: String,
    /// Only keys that start with this.
    pub prefix: String,
    /// Keys that contain this behind the prefix are folded; empty for none.
    pub delimiter: String,
    /// Only what comes after this key or common prefix.
    pub after: String,
    /// Objects and common prefixes at most.
    pub limit: usize,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<Object>,
    pub prefixes: Vec<String>,
    /// [`Listing::after`] of the next page; `None` on the last.
    pub next: Option<String>,
}

/// Lists objects without delimiter: the first `limit` after `after` whose keys start with `prefix`.
pub fn list_page(
    db: &Connection,
    bucket: &str,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Page, ObjectError> {
    Listing {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        after: after.to_owned(),
        limit,
        ..Listing::default()
    }
    .page(db)
}

impl Listing {
    /// Inside a read: the page. [`ObjectError::NoSuchBucket`] when there is no such bucket.
    pub fn page(&self, db: &Connection) -> Result<Page, ObjectError> {
        rows::require_bucket(db, &self.bucket)?;
        let mut page = Page::default();
        if self.limit == 0 {
            return Ok(page);
        }
        let until = keys::after_prefix(&self.prefix);
        let Some((mut from, mut inclusive)) = self.start() else {
            return Ok(page);
        };
        let mut last = String::new();
        loop {
            let mut folded = None;
            rows::scan(
                db,
                &self.bucket,
                &from,
                inclusive,
                until.as_deref(),
                |object| {
                    if page.objects.len() + page.prefixes.len() == self.limit {
                        page.next = Some(std::mem::take(&mut last));
                        return false;
                    }
                    if let Some(common) = self.fold(&object.key) {
                        folded = Some(common.to_owned());
                        return false;
                    }
                    last.clone_from(&object.key);
                    page.objects.push(object);
                    true
                },
            )?;
            let Some(common) = folded else {
                return Ok(page);
            };
            let beyond = keys::after_prefix(&common);
            last.clone_from(&common);
            page.prefixes.push(common);
            let Some(beyond) = beyond else {
                return Ok(page);
            };
            (from, inclusive) = (beyond, true);
        }
    }

    /// Where to begin: a key, and whether it is included. `None` when nothing can follow.
    fn start(&self) -> Option<(String, bool)> {
        // After a common prefix comes what is not below it.
        if self.after.starts_with(&self.prefix) && self.fold(&self.after) == Some(&self.after) {
            return keys::after_prefix(&self.after).map(|beyond| (beyond, true));
        }
        if self.after < self.prefix {
            return Some((self.prefix.clone(), true));
        }
        // With neither prefix nor `after` the first key of all is wanted, and no key is empty.
        Some((self.after.clone(), false))
    }

    /// The common prefix that a key is folded into.
    fn fold<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let rest = key.get(self.prefix.len()..)?;
        let end = rest.find(&self.delimiter)? + self.prefix.len() + self.delimiter.len();
        key.get(..end)
    }
}

#[cfg(test)]
mod tests;
