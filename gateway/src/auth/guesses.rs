//! One token bucket per address that sent wrong passwords.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Addresses remembered at most. When so many are guessing at once, the one that guessed longest ago is forgotten.
const ADDRESSES: usize = 4096;

/// How many guesses each address has left.
#[derive(Debug)]
pub(super) struct Guesses {
    burst: f64,
    every: Duration,
    spent: Mutex<HashMap<IpAddr, Spent>>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    guesses: f64,
    at: Instant,
}

impl Guesses {
    /// `burst` guesses at once, and one more `every` so often.
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst: f64::from(burst),
            every,
            spent: Mutex::default(),
        }
    }

    /// Whether the address may guess.
    pub(super) fn left(&self, address: IpAddr) -> bool {
        let Ok(spent) = self.spent.lock() else {
            return true;
        };
        spent
            .get(&address)
            .is_none_or(|spent| self.still_spent(spent) + 1.0 <= self.burst)
    }

    /// Counts a wrong guess.
    pub(super) fn spend(&self, address: IpAddr) {
        let Ok(mut spent) = self.spent.lock() else {
            return;
        };
        if spent.len() >= ADDRESSES && !spent.contains_key(&address) {
            spent.retain(|_, spent| self.still_spent(spent) > 0.0);
            if spent.len() >= ADDRESSES
                && let Some(oldest) = spent
                    .iter()
                    .min_by_key(|(_, spent)| spent.at)
                    .map(|(address, _)| *address)
            {
                spent.remove(&oldest);
            }
        }
        let before = spent
            .get(&address)
            .map_or(0.0, |spent| self.still_spent(spent));
        spent.insert(
            address,
            Spent {
                guesses: (before + 1.0).min(self.burst),
                at: Instant::now(),
            },
        );
    }

    fn still_spent(&self, spent: &Spent) -> f64 {
        (spent.guesses - spent.at.elapsed().as_secs_f64() / self.every.as_secs_f64()).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn guesses_come_back_with_time() {
        let guesses = Guesses::new(2, Duration::from_secs(3));
        let address = IpAddr::from([192, 0, 2, 1]);
        guesses.spend(address);
        guesses.spend(address);
        assert!(!guesses.left(address));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(guesses.left(address));
        guesses.spend(address);
        assert!(!guesses.left(address));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let guesses = Guesses::new(2, Duration::from_secs(3));
        for number in 0..10_000_u32 {
            guesses.spend(IpAddr::from(number.to_be_bytes()));
        }
        assert_eq!(guesses.spent.lock().unwrap().len(), ADDRESSES);
    }
}
