//! Other people's storage servers, on free ports, with their files in a folder that the test can look into.

use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, sleep};

use crate::clients::go_program;
use crate::{PATIENCE, Process, Python};

/// Who may in.
pub const LOGIN: &str = "ana";
pub const PASSWORD: &str = "a password of hers";

/// A server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    process: Option<Process>,
    folder: TempDir,
}

impl Server {
    /// `WsgiDAV`: `WebDAV` on a folder.
    pub async fn webdav() -> Result<Self> {
        let python = Python::with("wsgidav").await?;
        let program = PathBuf::from(python.command("wsgidav")?.as_std().get_program());
        let folder = prepared()?;
        let port = free_port()?;
        let config = serde_json::json!({
            "host": "127.0.0.1", "port": port,
            "provider_mapping": { "/": files_of(&folder).display().to_string() },
            "simple_dc": { "user_mapping": { "*": { LOGIN: { "password": PASSWORD } } } },
            "http_authenticator": { "accept_basic": true, "accept_digest": false, "default_to_digest": false },
            "lock_storage": true, "property_manager": true,
        });
        let path = folder.path().join("wsgidav.json");
        std::fs::write(&path, config.to_string())?;
        let arguments = ["--config", &path.display().to_string(), "--quiet"]
            .map(str::to_owned)
            .to_vec();
        Self::new("wsgidav", program, arguments, port, folder).await
    }

    /// Versity S3 Gateway: S3 on a folder, a bucket for each folder in it. It checks signatures, and knows multipart
    /// uploads but no notifications.
    /// Nothing where the registry or the compiler of this machine does not give it; the reason is printed.
    #[allow(clippy::print_stderr)] // A test that is left out says so.
    pub async fn s3() -> Result<Option<Self>> {
        let program = match go_program("versitygw").await? {
            Ok(program) => program,
            Err(why) => {
                eprintln!("LEFT OUT, for want of the second S3 server: {why}");
                return Ok(None);
            }
        };
        let folder = prepared()?;
        let port = free_port()?;
        let (address, files) = (
            format!("127.0.0.1:{port}"),
            files_of(&folder).display().to_string(),
        );
        let arguments = [
            "--port", &address, "--access", LOGIN, "--secret", PASSWORD, "posix", &files,
        ]
        .map(str::to_owned)
        .to_vec();
        Self::new("versitygw", program, arguments, port, folder)
            .await
            .map(Some)
    }

    async fn new(
        name: &'static str,
        program: PathBuf,
        arguments: Vec<String>,
        port: u16,
        folder: TempDir,
    ) -> Result<Self> {
        let mut server = Self {
            name,
            program,
            arguments,
            port,
            process: None,
            folder,
        };
        server.start().await?;
        Ok(server)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The folder with its files.
    pub fn files(&self) -> PathBuf {
        files_of(&self.folder)
    }

    /// Starts it (again) on the same port with the same files.
    pub async fn start(&mut self) -> Result<()> {
        let process = Process::start(
            self.name,
            &self.program,
            &self.arguments,
            self.folder.path(),
        )?;
        let process = self.process.insert(process);
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            ensure!(
                process.alive() && Instant::now() < deadline,
                "{} does not listen; its log:\n{}",
                self.name,
                process.log_tail(40)
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Takes it away.
    pub async fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("it is not running")?;
        process.kill().await
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        self.process
            .as_ref()
            .map(|process| process.log_tail(60))
            .unwrap_or_default()
    }

    /// Waits for a file of its folder and returns it.
    pub async fn wait_for(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.files().join(name);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match std::fs::read(&path) {
                Ok(content) => return Ok(content),
                Err(error) => ensure!(
                    Instant::now() < deadline,
                    "{name} did not appear: {error}; the server's log:\n{}",
                    self.log()
                ),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn prepared() -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("spillway-test-")
        .tempdir()?;
    std::fs::create_dir(files_of(&folder))?;
    Ok(folder)
}

fn files_of(folder: &TempDir) -> PathBuf {
    folder.path().join("files")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
