//! What time it is: the wall clock, or in tests one that follows tokio's, which can be paused.

use jiff::Timestamp;
use tokio::time::{Duration, Instant};

/// Where times in the database come from.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The machine's clock; it may jump when a node without a battery hears of the real time.
    #[default]
    System,
    /// Starts at a time of day and goes on as tokio's clock does.
    Following { started: Instant, at_ms: i64 },
}

impl Clock {
    /// A clock that obeys `tokio::time::pause`.
    pub fn following() -> Self {
        Self::Following {
            started: Instant::now(),
            at_ms: Timestamp::now().as_millisecond(),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(self) -> i64 {
        match self {
            Self::System => Timestamp::now().as_millisecond(),
            Self::Following { started, at_ms } => at_ms
                .saturating_add(i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// When it will be `at_ms`, as far as can be told now.
    pub fn until(self, at_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(at_ms.saturating_sub(self.now_ms())).unwrap_or(0))
    }
}

/// A time of the database as a timestamp; what lies outside of history becomes its start.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}
