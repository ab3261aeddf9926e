//! What a change of objects leads to once it is committed: jobs to announce, and news for those who listen.

use crate::queue::{CreatedObject, Queue, QueuedJob};

/// Comes out of a transaction; nothing of it counts before the commit.
#[derive(Debug, Default)]
pub struct Effects {
    pub jobs: Vec<QueuedJob>,
    pub happened: Vec<CreatedObject>,
}

/// Who changes objects, as events name him.
#[derive(Debug, Clone, Default)]
pub(crate) struct Actor {
    /// Access key.
    pub(crate) principal: String,
    pub(crate) source_ip: String,
    pub(crate) user_agent: String,
}

impl Effects {
    pub(crate) fn add(&mut self, other: Self) {
        self.jobs.extend(other.jobs);
        self.happened.extend(other.happened);
    }

    /// After the commit.
    pub(crate) fn announce(self, queue: &Queue) {
        if !self.jobs.is_empty() {
            queue.announce(self.jobs);
        }
        queue.hub().tell(self.happened);
    }
}

/// Whether one of the patterns (commas between them; `s3:ObjectCreated:*`, `s3:ObjectRemoved:Delete`) means the event.
pub(crate) fn listens(patterns: &str, event: &str) -> bool {
    patterns
        .split(',')
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => event.starts_with(start),
            None => event == pattern,
        })
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_the_events_they_begin_with() {
        let put = "s3:ObjectCreated:Put";
        check("s3:ObjectCreated:*", put, true);
        check("s3:ObjectRemoved:*", put, false);
        check("s3:ObjectRemoved:*,s3:ObjectCreated:Put", put, true);
        check("s3:ObjectCreated:Copy", put, false);
        check("s3:*", put, true);
        check("", put, false);

        #[track_caller]
        fn check(patterns: &str, event: &str, expected: bool) {
            assert_eq!(listens(patterns, event), expected, "{patterns} {event}");
        }
    }
}
