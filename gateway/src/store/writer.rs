//! The one thread that writes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{error, warn};

use super::StoreError;

/// Closures that one transaction takes at most: bounds the time the first of them waits.
const BATCH: usize = 64;

/// Closures that may wait; when so many do, callers wait before they queue.
const QUEUE: usize = 1024;

/// How long a lazy write waits for company.
pub(super) const LAZY_DELAY: Duration = Duration::from_secs(1);

/// A change and the answer that is due once it is on disk.
///
/// The outer closure runs inside the transaction and says whether its changes stay; the one it returns is called
/// after the commit, with the commit's error if there was one.
pub type Write = Box<dyn FnOnce(&Connection) -> (Verdict, Answer) + Send>;

type Batch = Vec<(Write, Option<OwnedSemaphorePermit>)>;

type Answer = Box<dyn FnOnce(Option<&rusqlite::Error>) + Send>;

/// Whether a change stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Undo,
}

enum Message {
    Eager(Write, OwnedSemaphorePermit),
    Lazy(Write, OwnedSemaphorePermit),
    Close(oneshot::Sender<()>),
}

/// Handle to the writer thread; the thread ends when the last handle is gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    queue: Arc<Mutex<Option<Sender<Message>>>>,
    room: Arc<Semaphore>,
    /// Lazy writes that may wait; what comes beyond is dropped, as a crash would.
    lazy_room: Arc<Semaphore>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Result<Self, StoreError> {
        let (queue, messages) = channel();
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(connection, &messages))
            .map_err(StoreError::Thread)?;
        Ok(Self {
            queue: Arc::new(Mutex::new(Some(queue))),
            room: Arc::new(Semaphore::new(QUEUE)),
            lazy_room: Arc::new(Semaphore::new(QUEUE)),
        })
    }

    pub(super) async fn write<T, E>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else {
            return Err(StoreError::Closed.into());
        };
        let (reply, answer) = oneshot::channel();
        let write: Write = Box::new(move |db| {
            let outcome = change(db);
            let verdict = if outcome.is_ok() {
                Verdict::Keep
            } else {
                Verdict::Undo
            };
            let answer: Answer = Box::new(move |commit_error| {
                let told = match commit_error {
                    Some(error) if outcome.is_ok() => {
                        Err(StoreError::Commit(error.to_string()).into())
                    }
                    _ => outcome,
                };
                drop(reply.send(told)); // Nobody waits any more: the caller was cancelled, the change stays.
            });
            (verdict, answer)
        });
        self.send(Message::Eager(write, permit))?;
        answer.await.unwrap_or_else(|_| {
            let error = if self.is_closed() {
                StoreError::Closed
            } else {
                StoreError::Commit("the change could not be carried out".to_owned())
            };
            Err(error.into())
        })
    }

    fn is_closed(&self) -> bool {
        self.queue.lock().map_or(true, |queue| queue.is_none())
    }

    pub(super) fn write_lazily(
        &self,
        change: impl FnOnce(&Connection) -> Result<(), StoreError> + Send + 'static,
    ) {
        let write: Write = Box::new(move |db| {
            let outcome = change(db);
            if let Err(error) = &outcome {
                warn!(error = %error, "a lazy write failed");
            }
            (
                if outcome.is_ok() {
                    Verdict::Keep
                } else {
                    Verdict::Undo
                },
                Box::new(|_| ()),
            )
        });
        let Ok(permit) = Arc::clone(&self.lazy_room).try_acquire_owned() else {
            warn!(limit = QUEUE, "too many lazy writes wait; one is dropped");
            return;
        };
        if self.send(Message::Lazy(write, permit)).is_err() {
            warn!("a lazy write came after the database was closed");
        }
    }

    pub(super) async fn close(&self) {
        let (reply, done) = oneshot::channel();
        if self.send(Message::Close(reply)).is_ok() {
            drop(self.queue.lock().map(|mut queue| queue.take()));
            drop(done.await);
        }
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        let queue = self.queue.lock().map_err(|_| StoreError::Closed)?;
        queue
            .as_ref()
            .ok_or(StoreError::Closed)?
            .send(message)
            .map_err(|_| StoreError::Closed)
    }
}

fn run(db: Connection, messages: &Receiver<Message>) {
    let mut intake = Intake::default();
    loop {
        let (batch, closing) = intake.next(messages);
        if !batch.is_empty() {
            commit(&db, batch);
        }
        if let Some(reply) = closing {
            if let Err(error) = db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
                warn!(error = %error, "the write-ahead log could not be folded in; it will be at the next start");
            }
            drop(db);
            let _ = reply.send(()); // Whoever closed us may have gone.
            return;
        }
    }
}

/// What has arrived and is not in a transaction yet.
#[derive(Default)]
struct Intake {
    lazy: Batch,
    /// When the oldest lazy write is committed without company.
    lazy_due: Option<Instant>,
}

impl Intake {
    /// Waits for something to do and takes all that is there: while a commit flushes, the next ones gather, so the
    /// slower the disk, the more of them share a flush. An empty batch means that only the order to close came, which
    /// may be there beside a batch, too.
    fn next(&mut self, messages: &Receiver<Message>) -> (Batch, Option<oneshot::Sender<()>>) {
        let mut eager = Batch::new();
        let mut closing = None;
        while eager.len() < BATCH && closing.is_none() {
            // With something at hand nothing more is waited for.
            let due = if eager.is_empty() {
                self.lazy_due
            } else {
                Some(Instant::now())
            };
            let arrived = match due {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => messages.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match arrived {
                Ok(Message::Eager(write, permit)) => eager.push((write, Some(permit))),
                Ok(Message::Lazy(write, permit)) => {
                    self.lazy_due
                        .get_or_insert_with(|| Instant::now() + LAZY_DELAY);
                    self.lazy.push((write, Some(permit)));
                }
                Ok(Message::Close(reply)) => closing = Some(reply),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => closing = Some(oneshot::channel().0),
            }
        }
        self.lazy_due = None;
        // Lazy writes were asked for before whatever is eager now.
        let mut batch = std::mem::take(&mut self.lazy);
        batch.append(&mut eager);
        (batch, closing)
    }
}

/// Carries out all of them; in one transaction, unless the database breaks that off.
fn commit(db: &Connection, batch: Batch) {
    let mut rest = batch.into_iter();
    while rest.len() > 0 {
        transact(db, &mut rest);
    }
}

/// One transaction with as many of the writes as it takes, and their answers.
fn transact(db: &Connection, rest: &mut <Batch as IntoIterator>::IntoIter) {
    if let Err(error) = db.execute_batch("BEGIN IMMEDIATE") {
        error!(error = %error, writes = rest.len(), "a transaction could not begin");
        rest.for_each(drop); // Outside a transaction each would stay, whatever is answered.
        return;
    }
    let mut answers = Vec::with_capacity(rest.len());
    let mut broken = None;
    for (write, permit) in rest.by_ref() {
        let (answer, ended) = carry_out(db, write);
        answers.push((answer, permit));
        if let Err(error) = ended {
            broken = Some(error);
            break;
        }
    }
    let committed = match broken {
        None => db.execute_batch("COMMIT"),
        Some(error) => Err(error),
    };
    if let Err(error) = &committed {
        error!(error = %error, "a commit failed; its writes are undone");
        if !db.is_autocommit() {
            drop(db.execute_batch("ROLLBACK"));
        }
    }
    for (answer, permit) in answers {
        if let Some(answer) = answer {
            answer(committed.as_ref().err());
        }
        drop(permit);
    }
}

/// One write inside the transaction. An error means that the transaction is of no more use: what ran before in it
/// is undone or must be, and what ran after would be committed on its own.
fn carry_out(db: &Connection, write: Write) -> (Option<Answer>, rusqlite::Result<()>) {
    if let Err(error) = db.execute_batch("SAVEPOINT change") {
        return (None, Err(error));
    }
    // A write that panics is undone, and its caller hears that nobody answers; the thread has others to serve.
    let carried_out = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| write(db)));
    let (verdict, answer) = match carried_out {
        Ok((verdict, answer)) => (verdict, Some(answer)),
        Err(_) => (Verdict::Undo, None),
    };
    // For want of space, among others, `SQLite` undoes not the statement but the whole transaction.
    let ended = if db.is_autocommit() {
        Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK),
            Some("another write of the same transaction broke it off".to_owned()),
        ))
    } else {
        db.execute_batch(match verdict {
            Verdict::Keep => "RELEASE change",
            Verdict::Undo => "ROLLBACK TO change; RELEASE change",
        })
    };
    (answer, ended)
}
