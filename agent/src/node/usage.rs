//! Measured load, read from `/proc` when a heartbeat is due and at no other time.

use std::fs;

use spillway_model::wire::link::Resources;

/// Remembers the CPU counters of the last look, so that each look tells the mean since then.
#[derive(Debug, Default)]
pub(crate) struct UsageMeter {
    last: Option<CpuTicks>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CpuTicks {
    busy: u64,
    total: u64,
    cores: u64,
}

impl UsageMeter {
    /// Mean CPU since the last call (since boot at the first), and memory in use now.
    pub(crate) fn read(&mut self) -> Resources {
        let (total, available) = memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default());
        let millicores = match ticks(&fs::read_to_string("/proc/stat").unwrap_or_default()) {
            Some(now) => {
                let before = self.last.replace(now);
                millicores(before, now)
            }
            None => 0,
        };
        Resources {
            millicores,
            memory_bytes: total.saturating_sub(available),
        }
    }
}

fn millicores(before: Option<CpuTicks>, now: CpuTicks) -> u64 {
    let before = before.unwrap_or(CpuTicks {
        busy: 0,
        total: 0,
        cores: now.cores,
    });
    let elapsed = now.total.saturating_sub(before.total);
    let busy = now.busy.saturating_sub(before.busy);
    (busy * now.cores * 1000).checked_div(elapsed).unwrap_or(0)
}

/// Counters of all cores together, from the text of `/proc/stat`.
fn ticks(stat: &str) -> Option<CpuTicks> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?;
    // user nice system idle iowait irq softirq steal; what follows is contained in user and nice.
    let numbers: Vec<u64> = all
        .split_whitespace()
        .take(8)
        .filter_map(|word| word.parse().ok())
        .collect();
    let total: u64 = numbers.iter().sum();
    let idle = numbers.get(3)? + numbers.get(4).copied().unwrap_or(0);
    let cores = stat
        .lines()
        .filter(|line| line.starts_with("cpu"))
        .count()
        .saturating_sub(1)
        .max(1);
    Some(CpuTicks {
        busy: total.saturating_sub(idle),
        total,
        cores: cores as u64,
    })
}

/// Total and available bytes, from the text of `/proc/meminfo`.
pub(super) fn memory(meminfo: &str) -> (u64, u64) {
    let field = |name: &str| {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_default();
        let kib: u64 = line
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or(0);
        kib * 1024
    };
    (field("MemTotal:"), field("MemAvailable:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_the_mean_between_two_looks() {
        let first = ticks("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1\ncpu1 1\nintr 5\n").unwrap();
        let second = ticks("cpu  150 0 150 750 150 0 0 0 0 0\ncpu0 1\ncpu1 1\nintr 5\n").unwrap();
        assert_eq!(millicores(Some(first), second), 1000, "half of two cores");
        assert_eq!(millicores(Some(second), second), 0, "no time has passed");
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n";
        assert_eq!(memory(text), (1_024_000, 409_600));
        assert_eq!(memory(""), (0, 0));
    }

    #[test]
    fn this_machine_can_be_measured() {
        let mut meter = UsageMeter::default();
        assert!(meter.read().memory_bytes > 0);
    }
}
