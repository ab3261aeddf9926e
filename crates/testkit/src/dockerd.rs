//! A Docker daemon of our own: tests may kill and restart it without harm to the machine's.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bollard::{API_DEFAULT_VERSION, Docker};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{Engine, PATIENCE, Process};

/// A private `dockerd` with its own containerd, images and bridge. Needs root.
#[derive(Debug)]
pub struct PrivateDockerd {
    process: Process,
    bridge: String,
    folder: TempDir,
}

impl PrivateDockerd {
    /// Starts one and waits until it answers.
    pub async fn start() -> Result<Self> {
        // Not below /tmp, which may be a tmpfs; short, because socket paths are limited to 108 bytes.
        let folder = tempfile::Builder::new()
            .prefix("sw-")
            .tempdir_in("/var/lib")
            .context("this test needs root")?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        // A free port number serves as a number that no other test has at this moment.
        let number = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let bridge = format!("swt{number}");
        let address = format!("10.213.{}.1/24", number % 250);
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["addr", "add", &address, "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        let process = daemon(&folder, &bridge)?;
        let mut this = Self {
            process,
            bridge,
            folder,
        };
        this.wait().await?;
        Ok(this)
    }

    /// Address for `--docker`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("d.sock")
    }

    /// Connects to it.
    pub async fn engine(&self) -> Result<Engine> {
        let timeout = 30;
        let docker = Docker::connect_with_unix(&self.address(), timeout, API_DEFAULT_VERSION)?
            .negotiate_version()
            .await?;
        Ok(Engine::from_client(docker))
    }

    /// Stops the daemon as a service manager does, which stops its containers, too, and starts it again.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.stop().await?;
        self.process = daemon(&self.folder, &self.bridge)?;
        self.wait().await
    }

    /// Stops it for good.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.stop().await
    }

    async fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(engine) = self.engine().await
                && engine.docker().ping().await.is_ok()
            {
                return Ok(());
            }
            ensure!(
                self.process.alive(),
                "dockerd has ended; its log:\n{}",
                self.process.log_tail(20)
            );
            ensure!(
                Instant::now() < deadline,
                "dockerd does not answer; its log:\n{}",
                self.process.log_tail(20)
            );
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for PrivateDockerd {
    fn drop(&mut self) {
        if let Ok(pid) = self.process.pid().and_then(|pid| Ok(i32::try_from(pid)?)) {
            let pid = nix::unistd::Pid::from_raw(pid);
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            for _ in 0..100 {
                if !self.process.alive() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        let _ = ip(&["link", "del", &self.bridge]);
        // What containers had mounted is unmounted by now; anything that is not keeps only its folder.
        let _ = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!(
                "grep -o '{0}[^ ]*' /proc/mounts | sort -ru | xargs -r umount -l",
                self.folder.path().display()
            ))
            .output();
    }
}

fn daemon(folder: &TempDir, bridge: &str) -> Result<Process> {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let arguments = [
        format!("--host=unix://{}", path("d.sock")),
        format!("--data-root={}", path("data")),
        format!("--exec-root={}", path("exec")),
        format!("--pidfile={}", path("pid")),
        format!("--bridge={bridge}"),
        "--iptables=false".to_owned(),
        "--ip-masq=false".to_owned(),
    ];
    Process::start(
        "dockerd",
        std::path::Path::new("/usr/sbin/dockerd"),
        &arguments,
        folder.path(),
    )
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = std::process::Command::new("ip")
        .args(arguments)
        .output()
        .context("running ip (package iproute2)")?;
    ensure!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
