//! What was seen of a folder, in memory: two numbers a file, so that a hundred thousand files take a few megabytes and a
//! look into a folder where nothing has changed does not touch the database.
//!
//! The numbers are keyed hashes of name and version. That both of another file's agree does not happen.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// Files of one folder that are remembered; what is beyond is left alone.
pub(super) const MOST: usize = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Known {
    keys: RandomState,
    files: HashMap<u64, File>,
    round: u32,
}

#[derive(Debug, Clone, Copy)]
struct File {
    version: u64,
    /// When it was last seen.
    round: u32,
}

impl Known {
    /// A new look into the folder.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Whether this version was seen before; if so, it is there in this look, too.
    pub(super) fn has(&mut self, key: &str, version: &str) -> bool {
        let round = self.round;
        let version = self.keys.hash_one(version);
        match self.files.get_mut(&self.keys.hash_one(key)) {
            Some(file) => {
                file.round = round;
                file.version == version
            }
            None => false,
        }
    }

    pub(super) fn see(&mut self, key: &str, version: &str) {
        let file = File {
            version: self.keys.hash_one(version),
            round: self.round,
        };
        self.files.insert(self.keys.hash_one(key), file);
    }

    /// Whether some were not there in this look.
    pub(super) fn misses(&self) -> bool {
        self.files.values().any(|file| file.round != self.round)
    }

    /// Whether this one was not.
    pub(super) fn is_missed(&self, key: &str) -> bool {
        self.files
            .get(&self.keys.hash_one(key))
            .is_none_or(|file| file.round != self.round)
    }

    /// Forgets those that were not there.
    pub(super) fn forget_missed(&mut self) {
        let round = self.round;
        self.files.retain(|_, file| file.round == round);
        self.files.shrink_to(self.files.len() * 2);
    }

    pub(super) fn is_full(&self) -> bool {
        self.files.len() >= MOST
    }

    pub(super) fn clear(&mut self) {
        self.files.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_version_and_missed_when_it_is_gone() {
        let mut known = Known::default();
        known.begin();
        assert!(!known.has("a", "1"));
        known.see("a", "1");
        known.see("b", "1");
        assert!(known.has("a", "1") && !known.has("a", "2"));
        known.begin();
        assert!(known.has("a", "1"));
        assert!(known.misses() && known.is_missed("b") && !known.is_missed("a"));
        known.forget_missed();
        assert!(!known.misses() && !known.has("b", "1"));
    }
}
