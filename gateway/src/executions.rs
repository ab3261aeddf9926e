//! The last calls of services: one line each, in the reference's form. A ring in memory, and a small file in the
//! data folder so that those of the former process can still be read. The file is written in batches and never
//! synced: it is worth less than the flash it would wear out.

mod line;

use std::collections::VecDeque;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

pub(crate) use line::Execution;

/// Lines that are kept, and their bytes together.
const LINES: usize = 2000;
const BYTES: usize = 512 * 1024;

/// How often new lines are written to the file.
const EVERY: Duration = Duration::from_secs(30);

/// When the file has so many bytes, it is written anew with the lines that are kept.
const FILE_BYTES: u64 = 1024 * 1024;

/// Folder in the data folder, and the files in it.
const FOLDER: &str = "executions";
const CURRENT: &str = "current.log";
const PREVIOUS: &str = "previous.log";

/// Clonable handle to the lines.
#[derive(Debug, Clone)]
pub(crate) struct Executions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    lines: Mutex<Lines>,
    /// One writer at a time.
    file: Mutex<()>,
}

#[derive(Debug, Default)]
struct Lines {
    ring: VecDeque<String>,
    bytes: usize,
    /// How many of the newest are not in the file.
    unwritten: usize,
}

impl Executions {
    /// What the former process wrote becomes the previous log. Nothing here keeps a gateway from starting.
    pub(crate) fn open(data: &Path) -> Self {
        let folder = data.join(FOLDER);
        let moved = fs::create_dir_all(&folder)
            .and_then(|()| fs::rename(folder.join(CURRENT), folder.join(PREVIOUS)));
        if let Err(error) = moved
            && error.kind() != std::io::ErrorKind::NotFound
        {
            warn!(%error, "the log of executions of the former process cannot be kept");
        }
        Self(Arc::new(Shared {
            folder,
            lines: Mutex::default(),
            file: Mutex::default(),
        }))
    }

    /// Adds a line.
    pub(crate) fn record(&self, line: String) {
        self.lines().push(line);
    }

    /// Those of this process, oldest first.
    pub(crate) fn current(&self) -> Vec<Execution> {
        let lines = self.lines();
        lines
            .ring
            .iter()
            .filter_map(|line| Execution::parse(line))
            .collect()
    }

    /// Those of the process before; nothing when there was none or it had no calls.
    pub(crate) async fn previous(&self) -> std::io::Result<Option<Vec<Execution>>> {
        let path = self.0.folder.join(PREVIOUS);
        let read = tokio::task::spawn_blocking(move || fs::read(path));
        let text = match read.await.map_err(std::io::Error::other)? {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let skipped = text.lines().count().saturating_sub(LINES);
        Ok(Some(
            text.lines()
                .skip(skipped)
                .filter_map(Execution::parse)
                .collect(),
        ))
    }

    /// Writes new lines out now and then, until told to stop; then [`Executions::flush`] writes the last.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut due = interval(EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = due.tick() => self.flush().await,
            }
        }
    }

    /// Writes what is not in the file yet.
    pub(crate) async fn flush(&self) {
        if self.lines().unwritten == 0 {
            return;
        }
        let this = self.clone();
        match tokio::task::spawn_blocking(move || this.write()).await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => warn!(%error, "the log of executions cannot be written"),
            Err(error) => warn!(%error, "the log of executions cannot be written"),
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let _turn = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.0.folder.join(CURRENT);
        let size = fs::metadata(&path).map_or(0, |file| file.len());
        let (text, anew) = self.lines().take(size);
        if anew {
            let fresh = path.with_extension("new");
            fs::write(&fresh, text)?;
            return fs::rename(fresh, path);
        }
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?;
        file.write_all(text.as_bytes())
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + 1;
        self.ring.push_back(line);
        self.unwritten += 1;
        while self.ring.len() > LINES || self.bytes > BYTES {
            let Some(oldest) = self.ring.pop_front() else {
                break;
            };
            self.bytes -= oldest.len() + 1;
        }
        self.unwritten = self.unwritten.min(self.ring.len());
    }

    /// What to write behind a file of `size` bytes, or instead of it.
    fn take(&mut self, size: u64) -> (String, bool) {
        let new = std::mem::take(&mut self.unwritten);
        let skipped = self.ring.len() - new;
        let bytes: usize = self
            .ring
            .iter()
            .skip(skipped)
            .map(|line| line.len() + 1)
            .sum();
        let anew = size + bytes as u64 > FILE_BYTES;
        let mut text = String::with_capacity(self.bytes);
        for line in self.ring.iter().skip(if anew { 0 } else { skipped }) {
            text.push_str(line);
            text.push('\n');
        }
        (text, anew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> String {
        format!(
            "[GIN-EXECUTIONS-LOGGER] 2026-02-01T10:20:31.5Z | 201 | {:>13} | 10.0.0.1 | POST    /job/grey-{number} | nil",
            "12.3ms"
        )
    }

    #[tokio::test]
    async fn a_later_process_reads_what_this_one_wrote_and_the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let executions = Executions::open(folder.path());
        assert!(executions.previous().await.unwrap().is_none());
        for number in 0..40_000 {
            executions.record(line(number));
            if number % 1000 == 0 {
                executions.flush().await;
            }
        }
        executions.flush().await;
        let file = folder.path().join(FOLDER).join(CURRENT);
        assert!(fs::metadata(&file).unwrap().len() <= FILE_BYTES);
        let current = executions.current();
        assert_eq!(current.len(), LINES);
        assert_eq!(current.last().unwrap().path, "/job/grey-39999");

        let later = Executions::open(folder.path());
        assert!(later.current().is_empty());
        let previous = later.previous().await.unwrap().unwrap();
        assert_eq!(previous.len(), LINES);
        assert_eq!(previous.last(), current.last());
    }
}
