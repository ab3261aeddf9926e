//! Files on their way into a run and out of it.
//!
//! A run has one folder: `input/`, `output/` and `tmp/`, writable for any user, and the file `event`. It is made
//! in `staging/`, moved into the folder of the container, and moved out to `outbox/` when the script has ended,
//! each time by a rename. The agent reads what a script left only there, where no container reaches it.

mod content_type;
mod inputs;
mod outputs;

use std::io;
use std::path::Path;

pub(crate) use inputs::{Incoming, StageInError, stage_in};
pub(crate) use outputs::{Collected, Source, collect};

/// Runs file work away from the threads that serve everybody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| io::Error::other(error.to_string()))
}

/// Removes a folder with all that is in it; a failure is only told, since the next start clears what is left.
pub(crate) async fn discard(folder: &Path) {
    let removed = folder.to_owned();
    match blocking(move || std::fs::remove_dir_all(removed))
        .await
        .and_then(|done| done)
    {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "cannot remove the folder of a run");
        }
    }
}
