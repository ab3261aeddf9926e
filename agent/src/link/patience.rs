//! Retries: how long to wait in between, and how loudly.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::LinkError;

/// Grows from a tenth of a second, doubling, with a fifth of jitter either way.
#[derive(Debug)]
pub(crate) struct Patience {
    tries: u32,
    longest: Duration,
}

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);

impl Patience {
    /// Waits at most `longest` at a time.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { tries: 0, longest }
    }

    /// Failures so far.
    pub(crate) fn tries(&self) -> u32 {
        self.tries
    }

    /// After a success.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }

    /// How long to wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = FIRST
            .saturating_mul(1 << self.tries.min(16))
            .min(self.longest);
        self.tries = self.tries.saturating_add(1);
        wait.mul_f64(0.8 + 0.4 * fraction())
    }
}

/// A random number from 0 up to 1: agents that lost one gateway do not return to it in step.
fn fraction() -> f64 {
    let [a, b, ..] = uuid::Uuid::new_v4().into_bytes();
    f64::from(u16::from_le_bytes([a, b])) / 65_536.0
}

/// Repeats a request for as long as its failures may pass. Nothing when `end` came first.
pub(crate) async fn persist<T, F: Future<Output = Result<T, LinkError>>>(
    end: &CancellationToken,
    request: impl Fn() -> F,
) -> Option<Result<T, LinkError>> {
    let mut patience = Patience::new(Duration::from_secs(10));
    loop {
        let error = tokio::select! {
            biased;
            () = end.cancelled() => return None,
            answer = request() => match answer {
                Err(error) if error.passes() => error,
                done => {
                    if patience.tries() > 0 {
                        tracing::info!(tries = patience.tries(), "the gateway answers again");
                    }
                    return Some(done);
                }
            },
        };
        if patience.tries() == 0 {
            tracing::warn!(
                error = causes(&error),
                "will be tried again until it succeeds"
            );
        }
        tokio::select! {
            () = end.cancelled() => return None,
            () = tokio::time::sleep(patience.next()) => {}
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_a_success() {
        let mut patience = Patience::new(Duration::from_secs(1));
        let around = |wait: Duration, millis: u64| {
            let expected = Duration::from_millis(millis);
            assert!(
                wait >= expected.mul_f64(0.79) && wait <= expected.mul_f64(1.21),
                "{wait:?} is not around {expected:?}"
            );
        };
        for millis in [100, 200, 400, 800, 1000, 1000] {
            around(patience.next(), millis);
        }
        patience.reset();
        around(patience.next(), 100);
    }
}
