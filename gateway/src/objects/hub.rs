//! Those who listen to buckets (`ListenNotification`), and the news they are told after each commit.
//!
//! Both are bounded: a listener that does not keep up is sent away, and so is one too many.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use crate::queue::CreatedObject;

/// Listeners at the same time.
pub(super) const LISTENERS: usize = 64;

/// News that a listener may be behind before it is sent away.
const BEHIND: usize = 1024;

/// Where news come together.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Nothing once it is closed.
    sender: Mutex<Option<broadcast::Sender<Arc<CreatedObject>>>>,
    places: Arc<Semaphore>,
}

/// One listener's end. Dropping it gives its place back.
#[derive(Debug)]
pub(crate) struct Listener {
    receiver: broadcast::Receiver<Arc<CreatedObject>>,
    _place: OwnedSemaphorePermit,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            sender: Mutex::new(Some(broadcast::channel(BEHIND).0)),
            places: Arc::new(Semaphore::new(LISTENERS)),
        }
    }
}

impl Hub {
    /// A place; none when all are taken or the gateway is stopping.
    pub(super) fn listen(&self) -> Option<Listener> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let receiver = self.lock().as_ref()?.subscribe();
        Some(Listener {
            receiver,
            _place: place,
        })
    }

    /// Tells everybody; nobody waits.
    pub(crate) fn tell(&self, happened: Vec<CreatedObject>) {
        let sender = self.lock();
        let Some(sender) = sender.as_ref().filter(|sender| sender.receiver_count() > 0) else {
            return;
        };
        for event in happened {
            drop(sender.send(Arc::new(event))); // Nobody listens any more.
        }
    }

    /// Lets all listeners go.
    pub(crate) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<broadcast::Sender<Arc<CreatedObject>>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// The next event. Nothing when it is over: the gateway stops, or this listener is too slow.
    pub(super) async fn next(&mut self) -> Option<Arc<CreatedObject>> {
        self.receiver.recv().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(key: &str) -> CreatedObject {
        CreatedObject {
            bucket: "b".to_owned(),
            key: key.to_owned(),
            blob: 1,
            size: 0,
            etag: String::new(),
            content_type: String::new(),
            event: "s3:ObjectCreated:Put",
            principal: String::new(),
            source_ip: String::new(),
            user_agent: String::new(),
            time: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn a_listener_hears_until_it_falls_behind_or_the_hub_closes() {
        let hub = Hub::default();
        let (mut slow, mut quick) = (hub.listen().unwrap(), hub.listen().unwrap());
        for number in 0..=BEHIND {
            hub.tell(vec![event(&number.to_string())]);
            assert_eq!(quick.next().await.unwrap().key, number.to_string());
        }
        assert!(slow.next().await.is_none());
        hub.close();
        assert!(quick.next().await.is_none());
        assert!(hub.listen().is_none());
    }

    #[tokio::test]
    async fn places_are_bounded_and_come_back() {
        let hub = Hub::default();
        let all: Vec<_> = (0..LISTENERS).map(|_| hub.listen().unwrap()).collect();
        assert!(hub.listen().is_none());
        drop(all);
        assert!(hub.listen().is_some());
    }
}
