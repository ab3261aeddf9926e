//! A container's control group, read and written without asking the engine: peak memory, kills for want of memory,
//! freezing. Both versions of the kernel's interface.
//!
//! The files are memory of the kernel, not of a disk: reading one takes microseconds and blocks nobody.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where the control files of one container are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cgroup {
    /// One hierarchy per controller; a controller that is off is absent.
    V1 {
        memory: Option<PathBuf>,
        freezer: Option<PathBuf>,
    },
    /// One hierarchy for all.
    V2 { folder: PathBuf },
}

/// Measures one run.
#[derive(Debug)]
pub(crate) struct Meter {
    peak: Option<(File, Reset)>,
    oom_kills: Option<u64>,
}

#[derive(Debug)]
enum Reset {
    /// The kernel counts from the beginning of the run.
    Done,
    /// It cannot: the peak so far.
    Impossible(u64),
}

impl Cgroup {
    /// The group of process `pid`, which must be the one of container `id`: nothing else is ever frozen.
    pub(crate) fn of(pid: i32, id: &str) -> Option<Self> {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        locate(&groups, &mounts, id)
    }

    /// Starts measuring.
    pub(crate) fn meter(&self) -> Meter {
        Meter {
            peak: self.open_peak(),
            oom_kills: self.oom_kills(),
        }
    }

    /// How often the kernel killed a process of this group for want of memory.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        let file = match self {
            Self::V1 { memory, .. } => memory.as_ref()?.join("memory.oom_control"),
            Self::V2 { folder } => folder.join("memory.events"),
        };
        counter(&fs::read_to_string(file).ok()?, "oom_kill")
    }

    /// Stops all processes of the group.
    pub(crate) fn freeze(&self) -> bool {
        self.write_freezer("FROZEN", "1")
    }

    /// Lets them go on. Killing a frozen group has no effect before this, in version 1.
    pub(crate) fn thaw(&self) -> bool {
        self.write_freezer("THAWED", "0")
    }

    fn write_freezer(&self, v1: &str, v2: &str) -> bool {
        match self {
            Self::V1 {
                freezer: Some(folder),
                ..
            } => fs::write(folder.join("freezer.state"), v1).is_ok(),
            Self::V1 { freezer: None, .. } => false,
            Self::V2 { folder } => fs::write(folder.join("cgroup.freeze"), v2).is_ok(),
        }
    }

    /// Opens the peak counter and sets it back, where the kernel allows: version 2 does so per open file, from
    /// Linux 6.12 on.
    fn open_peak(&self) -> Option<(File, Reset)> {
        let (path, zero) = match self {
            Self::V1 { memory, .. } => (memory.as_ref()?.join("memory.max_usage_in_bytes"), "0"),
            Self::V2 { folder } => (folder.join("memory.peak"), "reset"),
        };
        let writable = File::options().read(true).write(true).open(&path);
        if let Ok(mut file) = writable
            && file.write_all(zero.as_bytes()).is_ok()
        {
            return Some((file, Reset::Done));
        }
        let mut file = File::open(path).ok()?;
        let before = read_number(&mut file)?;
        Some((file, Reset::Impossible(before)))
    }
}

impl Meter {
    /// Peak memory since the start in bytes. Absent when the kernel does not tell: there is no counter, or it could
    /// not be set back and this run was not the hungriest so far.
    pub(crate) fn peak_bytes(&mut self) -> Option<u64> {
        let (file, reset) = self.peak.as_mut()?;
        let peak = read_number(file)?;
        match reset {
            Reset::Done => Some(peak),
            Reset::Impossible(before) => (peak > *before).then_some(peak),
        }
    }

    /// Whether the kernel killed something for want of memory since the start.
    pub(crate) fn out_of_memory(&self, cgroup: &Cgroup) -> bool {
        match (self.oom_kills, cgroup.oom_kills()) {
            (Some(before), Some(now)) => now > before,
            _ => false,
        }
    }
}

fn read_number(file: &mut File) -> Option<u64> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The value of `key` in a file of lines `key value`.
fn counter(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// Finds the control folders of container `id`, given `/proc/<pid>/cgroup` and our `/proc/self/mountinfo`.
fn locate(groups: &str, mounts: &str, id: &str) -> Option<Cgroup> {
    let v1 = |controller: &str| {
        let path = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let controllers = fields.next()?;
            controllers
                .split(',')
                .any(|name| name == controller)
                .then(|| fields.next())?
        })?;
        below_mount(mounts, path, id, |kind, options| {
            kind == "cgroup" && options.split(',').any(|o| o == controller)
        })
    };
    let (memory, freezer) = (v1("memory"), v1("freezer"));
    if memory.is_some() || freezer.is_some() {
        return Some(Cgroup::V1 { memory, freezer });
    }
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder = below_mount(mounts, path, id, |kind, _| kind == "cgroup2")?;
    Some(Cgroup::V2 { folder })
}

/// `path` below the mount point of the first file system that `wanted` accepts by type and options.
fn below_mount(
    mounts: &str,
    path: &str,
    id: &str,
    wanted: impl Fn(&str, &str) -> bool,
) -> Option<PathBuf> {
    // The last part of the path names the container: `<id>` or `docker-<id>.scope`.
    if id.is_empty() || !Path::new(path).file_name()?.to_str()?.contains(id) {
        return None;
    }
    mounts.lines().find_map(|line| {
        let (place, file_system) = line.split_once(" - ")?;
        let mut file_system = file_system.split(' ');
        let (kind, _source, options) = (
            file_system.next()?,
            file_system.next()?,
            file_system.next()?,
        );
        if !wanted(kind, options) {
            return None;
        }
        let mut place = place.split(' ').skip(3);
        let (root, mount_point) = (place.next()?, place.next()?);
        let relative = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(mount_point).join(relative))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123abcd";
    const V1_MOUNTS: &str = "\
30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw
35 30 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:14 - cgroup cgroup rw,memory
36 30 0:32 / /sys/fs/cgroup/freezer rw,nosuid shared:15 - cgroup cgroup rw,freezer
";
    const V2_MOUNTS: &str =
        "28 23 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn groups_of_version_1_are_found_by_controller() {
        let groups = "6:freezer:/docker/0123abcd\n4:memory:/docker/0123abcd\n1:cpu,cpuacct:/docker/0123abcd\n0::/\n";
        let memory = Some(PathBuf::from("/sys/fs/cgroup/memory/docker/0123abcd"));
        let freezer = Some(PathBuf::from("/sys/fs/cgroup/freezer/docker/0123abcd"));
        assert_eq!(
            locate(groups, V1_MOUNTS, ID),
            Some(Cgroup::V1 { memory, freezer })
        );
    }

    #[test]
    fn a_memory_controller_that_is_off_leaves_the_freezer() {
        let groups = "6:freezer:/docker/0123abcd\n0::/\n";
        let freezer = Some(PathBuf::from("/sys/fs/cgroup/freezer/docker/0123abcd"));
        assert_eq!(
            locate(groups, V1_MOUNTS, ID),
            Some(Cgroup::V1 {
                memory: None,
                freezer
            })
        );
    }

    #[test]
    fn the_group_of_version_2_is_found_under_the_systemd_driver() {
        let groups = "0::/system.slice/docker-0123abcd.scope\n";
        let folder = PathBuf::from("/sys/fs/cgroup/system.slice/docker-0123abcd.scope");
        assert_eq!(locate(groups, V2_MOUNTS, ID), Some(Cgroup::V2 { folder }));
    }

    #[test]
    fn a_group_that_is_not_the_containers_is_never_taken() {
        assert_eq!(locate("0::/user.slice\n", V2_MOUNTS, ID), None);
        assert_eq!(locate("0::/\n", V2_MOUNTS, ID), None);
        assert_eq!(locate("0::/docker/0123abcd\n", V2_MOUNTS, ""), None);
    }

    #[test]
    fn kills_are_counted_in_both_versions() {
        assert_eq!(
            counter("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"),
            Some(3)
        );
        assert_eq!(
            counter(
                "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n",
                "oom_kill"
            ),
            Some(1)
        );
        assert_eq!(counter("oom_kill_disable 0\n", "oom_kill"), None);
    }
}
