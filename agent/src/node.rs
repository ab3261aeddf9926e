//! The machine: what it has, what of it is for containers, and how it fares.

mod usage;

use std::fs;

use spillway_model::quantity::{Cpu, Memory};
use spillway_model::wire::link::{Engine, Resources};

pub(crate) use usage::UsageMeter;

/// Memory that stays with the system, at least.
const RESERVED_BYTES: u64 = 256 * 1024 * 1024;

/// Below so many free bytes on the data disk, the node says that something is wrong.
const LOW_DISK_BYTES: u64 = 512 * 1024 * 1024;

/// The host's name; `node` when the kernel does not tell.
pub(crate) fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() {
        "node".to_owned()
    } else {
        name.trim().to_owned()
    }
}

/// This machine's architecture as Docker says it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        same => same,
    }
}

/// What containers may take together: as given, else all cores, and all memory but the larger of 256 MiB and a tenth.
pub(crate) fn capacity(cpus: Option<Cpu>, memory: Option<Memory>) -> Resources {
    let millicores = cpus.map_or_else(all_millicores, Cpu::millicores);
    let memory_bytes = memory.map_or_else(|| without_reserve(total_memory()), Memory::bytes);
    Resources {
        millicores,
        memory_bytes,
    }
}

/// Words on what is wrong with this node, for whoever looks at the cluster.
pub(crate) fn conditions(
    engine: &Engine,
    ready: bool,
    disk_free_bytes: Option<u64>,
) -> Vec<String> {
    let mut words = Vec::new();
    if !ready {
        words.push("the container engine does not answer".to_owned());
    }
    if !engine.memory_limits {
        words.push(
            "memory limits do not work: the kernel's memory controller is off; add \"cgroup_enable=memory \
             cgroup_memory=1\" to the kernel command line (Raspberry Pi OS: /boot/firmware/cmdline.txt) and restart"
                .to_owned(),
        );
    }
    match disk_free_bytes {
        Some(free) if free < LOW_DISK_BYTES => {
            words.push(format!(
                "only {} MiB are free on the disk of the data folder",
                free / (1024 * 1024)
            ));
        }
        Some(_) => {}
        None => words.push("the free space of the data folder's disk cannot be read".to_owned()),
    }
    words
}

fn all_millicores() -> u64 {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64 * 1000
}

fn total_memory() -> u64 {
    usage::memory(&fs::read_to_string("/proc/meminfo").unwrap_or_default()).0
}

fn without_reserve(total: u64) -> u64 {
    total.saturating_sub(RESERVED_BYTES.max(total / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_keeps_its_share_of_memory() {
        let mib = 1024 * 1024;
        assert_eq!(without_reserve(1000 * mib), 744 * mib);
        assert_eq!(without_reserve(8000 * mib), 7200 * mib);
        assert_eq!(without_reserve(100 * mib), 0);
    }

    #[test]
    fn flags_override_what_the_machine_says() {
        let given = capacity(
            Some(Cpu::from_millicores(1500)),
            Some(Memory::from_bytes(7)),
        );
        assert_eq!(
            given,
            Resources {
                millicores: 1500,
                memory_bytes: 7
            }
        );
        let found = capacity(None, None);
        assert!(
            found.millicores >= 1000 && found.memory_bytes > 0,
            "{found:?}"
        );
    }

    #[test]
    fn conditions_say_what_to_do() {
        let good = Engine {
            memory_limits: true,
            ..Engine::default()
        };
        assert_eq!(
            conditions(&good, true, Some(u64::MAX)),
            Vec::<String>::new()
        );
        let bad = conditions(&Engine::default(), false, Some(1024 * 1024)).join("\n");
        for part in ["does not answer", "cgroup_enable=memory", "only 1 MiB"] {
            assert!(bad.contains(part), "{part:?} is missing in {bad}");
        }
    }
}
