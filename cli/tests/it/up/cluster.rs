//! `spillway up` in a folder of its own, with an image made from busybox.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::run::User;

/// Longest wait for the command to start or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running cluster and its only user.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) user: User,
    pub(super) image: String,
    label: String,
    up: Child,
}

impl Cluster {
    pub(super) fn start() -> Self {
        let user = User::new();
        let label = format!(
            "spillway-test=cli-{}",
            user.home.path().file_name().unwrap().display()
        );
        let mut up = user
            .command()
            .args([
                "up",
                "--output",
                "json",
                "--listen",
                "127.0.0.1:0",
                "--s3-listen",
                "127.0.0.1:0",
            ])
            .arg("--data")
            .arg(user.path("data"))
            .arg("--supervisor")
            .arg(supervisor())
            .args(["--container-label", &label])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut summary = String::new();
        BufReader::new(up.stdout.take().unwrap())
            .read_line(&mut summary)
            .unwrap();
        assert!(summary.contains("\"configured\":true"), "{summary:?}");
        Self {
            user,
            image: image().to_owned(),
            label,
            up,
        }
    }

    /// Stops it the orderly way; nothing may be left.
    pub(super) fn stop(mut self) {
        let pid = self.up.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.up.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(0));
        assert_eq!(containers(&self.label), "", "containers are left");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Only after a failed test is there anything to end.
        let _ = self.up.kill();
        let _ = self.up.wait();
        for id in containers(&self.label).lines() {
            let _ = Command::new("docker").args(["rm", "-f", id]).output();
        }
    }
}

fn containers(label: &str) -> String {
    let listed = Command::new("docker")
        .args(["ps", "-aq", "--filter", &format!("label={label}")])
        .output()
        .unwrap();
    String::from_utf8(listed.stdout).unwrap()
}

fn supervisor() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let status = Command::new(root.join("scripts/build-supervisor"))
                .current_dir(root)
                .status();
            assert!(status.unwrap().success(), "scripts/build-supervisor failed");
            let target = std::env::var_os("CARGO_TARGET_DIR")
                .map_or_else(|| root.join("target"), PathBuf::from);
            target.join("supervisor/spillway-supervisor")
        })
        .clone()
}

/// An image with nothing but busybox; it stays for the next run.
fn image() -> &'static str {
    static MADE: OnceLock<()> = OnceLock::new();
    const NAME: &str = "spillway-cli-test:busybox";
    MADE.get_or_init(|| {
        let script = "set -e; root=$(mktemp -d); trap 'rm -rf \"$root\"' EXIT; mkdir \"$root/bin\" \"$root/tmp\"; \
                      cp /bin/busybox \"$root/bin/\"; for name in sh tr basename cat; do ln -s busybox \"$root/bin/$name\"; done; \
                      tar -C \"$root\" -c . | docker import --change 'LABEL spillway-test=cli' - \"$0\"";
        let made = Command::new("/bin/sh").args(["-c", script, NAME]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    });
    NAME
}
