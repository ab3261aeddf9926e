//! Frames between the agent and the supervisor of one container, over a Unix stream socket.
//!
//! A frame is a little-endian `u32` length `n`, one kind byte, and `n - 1` bytes of payload. Control frames
//! carry JSON; output frames carry the script's bytes as they are. The supervisor serves one connection and one
//! invocation at a time; when the connection closes during an invocation, the invocation is killed.

use serde::{Deserialize, Serialize};

/// Version of this protocol; the supervisor says it in [`Hello`], and the agent replaces a container whose
/// supervisor speaks another one.
pub const PROTOCOL: u32 = 1;

/// The largest frame either side accepts, in bytes: an environment of a few hundred KiB fits, nonsense does not.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

/// Largest piece of script output in one frame, in bytes.
pub const MAX_OUTPUT: usize = 64 * 1024;

/// First byte of a frame's body: what the rest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Supervisor to agent: JSON [`Hello`], the first frame of every connection.
    Hello = 1,
    /// Agent to supervisor: JSON [`Invocation`].
    Run = 2,
    /// Agent to supervisor: empty; kill the running invocation, if any. It still ends with [`Kind::Exited`].
    Kill = 3,
    /// Supervisor to agent: JSON [`Started`], right after the script's process exists.
    Started = 4,
    /// Supervisor to agent: raw bytes the script wrote to its standard output.
    Stdout = 5,
    /// Supervisor to agent: raw bytes the script wrote to its standard error.
    Stderr = 6,
    /// Supervisor to agent: JSON [`Exited`]; the container is clean and ready for the next invocation.
    Exited = 7,
}

impl Kind {
    /// The kind a byte stands for, if any.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Hello,
            Self::Run,
            Self::Kill,
            Self::Started,
            Self::Stdout,
            Self::Stderr,
            Self::Exited,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the supervisor.
    pub protocol: u32,
    /// Version of the supervisor's binary.
    pub version: String,
    /// Invocations this container has served so far.
    pub served: u64,
}

/// One run of the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// Chosen by the agent, echoed in [`Started`] and [`Exited`].
    pub id: String,
    /// Path, in the container, of the script that `/bin/sh` runs.
    pub script: String,
    /// Path, in the container, of the file that becomes standard input; `/dev/null` when absent.
    pub stdin: Option<String>,
    /// Variables added to (and overriding) the container's own environment.
    pub environment: Vec<(String, String)>,
    /// Milliseconds after which the invocation is killed; 0 means never.
    pub timeout_ms: u64,
    /// Bytes of output that are passed on; what follows is dropped, except for a tail sent at the end.
    pub log_limit: u64,
}

/// The script's process exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// [`Invocation::id`].
    pub id: String,
}

/// The invocation is over, all its processes are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// [`Invocation::id`].
    pub id: String,
    /// Exit code of the script, when it exited by itself.
    pub code: Option<i32>,
    /// Signal that ended the script, when one did.
    pub signal: Option<i32>,
    /// Why there was no run at all (script missing, no shell …), in words for the user.
    pub error: Option<String>,
    /// The deadline passed and the supervisor killed the script.
    pub timed_out: bool,
    /// The agent asked for the end with [`Kind::Kill`].
    pub killed: bool,
    /// Wall time of the script in microseconds.
    pub wall_us: u64,
    /// CPU time in user mode of the script and the children it waited for, in microseconds.
    pub user_us: u64,
    /// CPU time in kernel mode of the same, in microseconds.
    pub system_us: u64,
    /// Largest resident size of one process among the same, in bytes (`wait4(2)`).
    pub max_rss_bytes: u64,
    /// Bytes of output that were dropped because of [`Invocation::log_limit`].
    pub dropped_bytes: u64,
    /// Processes the script left behind, which were killed.
    pub left_behind: u32,
}
