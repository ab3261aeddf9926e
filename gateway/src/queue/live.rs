//! Logs of attempts in progress: pieces as the agent sends them, in files that are not synced and go with the
//! attempt. What a crash takes of them comes again with the completion.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use spillway_model::wire::link::Attempt;
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
use tokio::sync::broadcast;
use tracing::warn;

/// Bytes that are kept of a live log; the rest is seen when the attempt has ended.
pub(crate) const LIMIT: u64 = 2 * 1024 * 1024;

/// Changes that a follower may be behind; when it is more, it looks at the file anyway.
const CHANGES: usize = 256;

/// Bytes that a follower gets in one piece.
const PIECE: u64 = 64 * 1024;

/// The folder of live logs, and who wants to know of changes.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    folder: PathBuf,
    changes: broadcast::Sender<String>,
}

impl Live {
    /// Empties the folder. Without it everything works but live logs.
    pub(crate) async fn open(folder: PathBuf) -> Self {
        if let Err(error) = remake(&folder).await {
            warn!(%error, folder = %folder.display(), "no live logs: the folder cannot be made");
        }
        Self {
            folder,
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    /// Adds a piece at `offset`; one that is there already is written again, a gap is not filled.
    pub(crate) async fn append(
        &self,
        attempt: &Attempt,
        offset: u64,
        piece: &Bytes,
    ) -> io::Result<()> {
        let room = LIMIT.saturating_sub(offset).min(piece.len() as u64);
        let piece = piece.slice(..usize::try_from(room).unwrap_or(0));
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path(attempt))
            .await?;
        if piece.is_empty() || file.metadata().await?.len() < offset {
            return Ok(());
        }
        file.seek(SeekFrom::Start(offset)).await?;
        file.write_all(&piece).await?;
        file.flush().await?;
        self.changed(&attempt.job);
        Ok(())
    }

    /// What there is from `offset` on, up to a piece's length.
    pub(crate) async fn read(&self, attempt: &Attempt, offset: u64) -> Vec<u8> {
        let read = async {
            let mut file = fs::File::open(self.path(attempt)).await?;
            file.seek(SeekFrom::Start(offset)).await?;
            let mut bytes = Vec::new();
            file.take(PIECE).read_to_end(&mut bytes).await?;
            io::Result::Ok(bytes)
        };
        read.await.unwrap_or_default() // None yet, or no more.
    }

    /// The attempt is over: its log is in the database.
    pub(crate) async fn end(&self, attempt: &Attempt) {
        match fs::remove_file(self.path(attempt)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(%error, "deleting a live log");
            }
            _ => self.changed(&attempt.job),
        }
    }

    /// Names of jobs, each time something changes in the log of one.
    pub(crate) fn changes(&self) -> broadcast::Receiver<String> {
        self.changes.subscribe()
    }

    fn changed(&self, job: &str) {
        if self.changes.receiver_count() > 0 {
            drop(self.changes.send(job.to_owned())); // The last follower has just gone.
        }
    }

    fn path(&self, attempt: &Attempt) -> PathBuf {
        self.folder
            .join(format!("{}-{}.log", attempt.job, attempt.attempt))
    }
}

async fn remake(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    fs::create_dir_all(folder).await
}
