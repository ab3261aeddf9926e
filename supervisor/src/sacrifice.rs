//! Whom the kernel kills when the container's memory runs out: the script, and not process 1, whose end is the
//! container's.
//!
//! A child inherits the value of its parent, so ours is raised while the script is started. To write the script's
//! own file afterwards would not always be allowed: until its new program is set up it belongs to root, as everything
//! of ours does that may not be looked at.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;

/// The kernel's word for "this one first".
const FIRST: &[u8] = b"1000";

/// Our own `oom_score_adj`, and what it was.
#[derive(Debug)]
pub(crate) struct Sacrifice {
    file: File,
    usual: Vec<u8>,
}

impl Sacrifice {
    /// None where `/proc` is hidden; then the kernel chooses by size, and that mostly is the script as well.
    pub(crate) fn prepare() -> Option<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/self/oom_score_adj")
            .ok()?;
        let mut usual = Vec::new();
        file.read_to_end(&mut usual).ok()?;
        Some(Self { file, usual })
    }

    /// Children that are started from now on go first.
    pub(crate) fn raise(&self) {
        // To raise is always allowed, and a failure would change who dies and nothing else.
        let _ = self.file.write_at(FIRST, 0);
    }

    /// Back to what it was, which is never below what we may set.
    pub(crate) fn restore(&self) {
        let _ = self.file.write_at(&self.usual, 0);
    }
}
