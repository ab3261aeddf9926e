//! How long a failed job rests before it is tried again.

use std::time::Duration;

use uuid::Uuid;

/// Exponential back-off with a ceiling and ±20 % jitter, so that jobs that failed together do not come back
/// together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The longest.
    pub ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            ceiling: Duration::from_mins(5),
        }
    }
}

impl Backoff {
    /// When the job is ready again after its `failures`-th failure, in milliseconds.
    pub(crate) fn after(self, failures: u32, now_ms: i64) -> i64 {
        let dice = u64::try_from(Uuid::new_v4().as_u128() & 0xffff).unwrap_or(0);
        now_ms.saturating_add(self.delay_ms(failures, dice))
    }

    /// `dice` is 0 to 65,535.
    fn delay_ms(self, failures: u32, dice: u64) -> i64 {
        let doublings = failures.saturating_sub(1).min(30);
        let delay = self.first.saturating_mul(1 << doublings).min(self.ceiling);
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX / 4);
        let jitter = delay.saturating_mul(2) / 5;
        let delay = delay - delay / 5 + jitter * dice / 0x1_0000;
        i64::try_from(delay).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::items_after_statements)] // The cases first.
    #[test]
    fn it_doubles_up_to_a_ceiling_and_is_off_by_a_fifth_at_most() {
        check(1, 800, 1200);
        check(2, 1600, 2400);
        check(4, 6400, 9600);
        check(9, 204_800, 307_200);
        check(10, 240_000, 360_000);
        check(4_000_000_000, 240_000, 360_000);

        #[track_caller]
        fn check(failures: u32, least: i64, most: i64) {
            assert_eq!(Backoff::default().delay_ms(failures, 0), least);
            let longest = Backoff::default().delay_ms(failures, 0xffff);
            assert!(
                longest <= most && longest > most - most / 100,
                "{longest} is not just under {most}"
            );
        }
    }
}
