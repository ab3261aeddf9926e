//! OSCAR's command-line client: the program itself where its registry gives it, and, everywhere, a stand-in that makes
//! the same requests with Go's own HTTP library and reads the answers into the same types.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use spillway_testkit::Cluster;
use spillway_testkit::clients::{go_program, outcome, said};
use tempfile::TempDir;
use tokio::process::Command;

/// The client gives up a request after twenty seconds itself.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test]
async fn answers_fit_the_types_of_both_generations() -> Result<()> {
    let shapes = go_program("shapes").await?.map_err(anyhow::Error::msg)?;
    let cluster = Cluster::start().await?;
    for generation in ["1", "2"] {
        let mut command = Command::new(&shapes);
        command.args([generation, &format!("shape-{generation}"), cluster.image()]);
        command.env("SPILLWAY_API", &cluster.api);
        command.env("SPILLWAY_USER", &cluster.user);
        command.env("SPILLWAY_PASSWORD", &cluster.password);
        let text = said(command).await?;
        ensure!(text.ends_with("all of it worked\n"), "{text}");
    }
    cluster.finish().await
}

#[tokio::test]
async fn every_command_of_the_1_9_generation_works() -> Result<()> {
    every_command("oscar-cli-1").await
}

#[tokio::test]
async fn every_command_of_the_2_generation_works() -> Result<()> {
    every_command("oscar-cli-2").await
}

/// The commands as the client's own manual names them; aliases where the generations have different names.
async fn every_command(name: &str) -> Result<()> {
    let program = match go_program(name).await? {
        Ok(program) => program,
        Err(why) => {
            // Past the test harness, which shows nothing of tests that pass.
            writeln!(
                std::io::stderr(),
                "SKIPPED: {name} cannot be installed on this machine; {}",
                why.trim_end()
            )?;
            return Ok(());
        }
    };
    let cluster = Cluster::start().await?;
    let user = User::new(program, &cluster)?;
    ensure!(!user.ok(&["version"]).await?.is_empty());
    user.clusters(&cluster).await?;
    user.services().await?;
    user.files(&cluster).await?;
    user.jobs(&cluster).await?;
    user.buckets().await?;
    user.ok(&["service", "rm", "cow"]).await?;
    user.refused(&["service", "get", "cow"], "not found")
        .await?;
    user.ok(&["cluster", "rm", "edge"]).await?;
    cluster.finish().await
}

/// Somebody with the client, a folder with an FDL file and a configuration of their own.
struct User {
    program: PathBuf,
    folder: TempDir,
}

impl User {
    fn new(program: PathBuf, cluster: &Cluster) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let definition = format!(
            "functions:\n  oscar:\n  - edge:\n      name: cow\n      image: {}\n      cpu: '0.1'\n      memory: 64Mi\n      \
             log_level: CRITICAL\n      script: cow.sh\n      input:\n      - storage_provider: minio.default\n        \
             path: cow/in\n      output:\n      - storage_provider: minio.default\n        path: cow/out\n",
            cluster.image()
        );
        fs::write(folder.path().join("cow.yaml"), definition)?;
        fs::write(
            folder.path().join("cow.sh"),
            "#!/bin/sh\necho \"moo $(cat \"$INPUT_FILE_PATH\")\" | tee \"$TMP_OUTPUT_DIR/said.txt\"\n",
        )?;
        Ok(Self { program, folder })
    }

    async fn clusters(&self, cluster: &Cluster) -> Result<()> {
        let add = ["cluster", "add", "edge", &cluster.api];
        self.ok(&[&add[..], &[&cluster.user, &cluster.password]].concat())
            .await?;
        ensure!(self.ok(&["cluster", "list"]).await?.contains("edge"));
        self.ok(&["cluster", "default", "--set", "edge"]).await?;
        let info = self.ok(&["cluster", "info"]).await?;
        ensure!(info.contains("v4."), "{info}");
        Ok(())
    }

    async fn services(&self) -> Result<()> {
        for _ in ["create", "update"] {
            self.ok(&["apply", "cow.yaml"]).await?;
        }
        let list = self.ok(&["service", "list"]).await?;
        ensure!(list.contains("cow"), "{list}");
        let shown = self.ok(&["service", "get", "cow"]).await?;
        ensure!(shown.contains("memory: 64Mi"), "{shown}");
        Ok(())
    }

    async fn files(&self, cluster: &Cluster) -> Result<()> {
        fs::write(self.folder.path().join("hay.txt"), "hay")?;
        let put = ["service", "put-file", "cow", "minio.default", "hay.txt"];
        self.ok(&[&put[..], &["cow/in/hay.txt"]].concat()).await?;
        cluster.wait_for_jobs("cow", 1).await?;
        let list = ["service", "list-files", "cow", "minio.default", "cow/out"];
        let listed = self.ok(&list).await?;
        ensure!(listed.contains("said.txt"), "{listed}");
        let get = ["service", "get-file", "cow", "minio.default"];
        self.ok(&[&get[..], &["cow/out/said.txt", "got.txt"]].concat())
            .await?;
        ensure!(fs::read_to_string(self.folder.path().join("got.txt"))? == "moo hay\n");
        Ok(())
    }

    async fn jobs(&self, cluster: &Cluster) -> Result<()> {
        self.ok(&["service", "job", "cow", "--text-input", "grass"])
            .await?;
        let jobs = cluster.wait_for_jobs("cow", 2).await?;
        let listed = self.ok(&["service", "logs", "list", "cow"]).await?;
        ensure!(
            jobs.iter().all(|job| listed.contains(&job.name)),
            "{listed}"
        );
        let latest = self
            .ok(&["service", "logs", "get", "cow", "--latest"])
            .await?;
        ensure!(latest.contains("moo "), "{latest}");
        let stamped = ["service", "logs", "get", "-t", "cow", &jobs[1].name];
        ensure!(self.ok(&stamped).await?.contains("moo hay"));
        self.ok(&["service", "logs", "rm", "cow", &jobs[1].name])
            .await?;
        self.ok(&["service", "logs", "rm", "cow", "--succeeded"])
            .await?;
        self.ok(&["service", "logs", "rm", "cow", "--all"]).await?;
        ensure!(cluster.jobs("cow").await?.is_empty());
        // Synchronous calls are not there yet.
        let run = ["service", "run", "cow", "--text-input", "x"];
        self.refused(&run, "/job/").await
    }

    async fn buckets(&self) -> Result<()> {
        let list = self.ok(&["bucket", "list"]).await?;
        ensure!(list.contains("cow"), "{list}");
        let shown = self.ok(&["bucket", "get", "cow"]).await?;
        ensure!(shown.contains("out/said.txt"), "{shown}");
        Ok(())
    }

    async fn ok(&self, arguments: &[&str]) -> Result<String> {
        let (good, said) = self.run(arguments).await?;
        ensure!(good, "oscar-cli {arguments:?} failed:\n{said}");
        Ok(said)
    }

    async fn refused(&self, arguments: &[&str], why: &str) -> Result<()> {
        let (good, said) = self.run(arguments).await?;
        ensure!(
            !good && said.contains(why),
            "oscar-cli {arguments:?}: {said}"
        );
        Ok(())
    }

    async fn run(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config");
        command.arg(Path::new(self.folder.path()).join("config.yaml"));
        command
            .current_dir(&self.folder)
            .env_remove("AWS_CA_BUNDLE");
        let output = outcome(command, PATIENCE).await?;
        let said = [output.stdout, output.stderr].concat();
        Ok((
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    }
}
