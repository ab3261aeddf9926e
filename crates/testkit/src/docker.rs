//! The real Docker Engine, and images that need no registry.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
};
use bytes::Bytes;
use futures::StreamExt;

/// Label on everything that tests create; its value is the id of the cluster it belongs to.
pub(crate) const LABEL: &str = "spillway.test";

/// The Docker Engine of this machine.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
}

/// An image that is removed by [`TestImage::remove`].
#[derive(Debug, Clone)]
pub struct TestImage {
    pub reference: String,
    engine: Engine,
}

impl Engine {
    /// Connects; the error says what to start.
    pub async fn connect() -> Result<Self> {
        let docker = Docker::connect_with_local_defaults()
            .context("connecting to Docker")?
            .negotiate_version()
            .await
            .context("no Docker Engine answers; `scripts/setup engine` starts one")?;
        Ok(Self { docker })
    }

    /// Any engine.
    pub fn from_client(docker: Docker) -> Self {
        Self { docker }
    }

    /// The API client.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// An image with nothing but Debian's static busybox: a shell and the usual commands.
    pub async fn busybox(&self, reference: &str) -> Result<TestImage> {
        let busybox = std::fs::read("/bin/busybox")
            .context("/bin/busybox; `scripts/setup test` installs it")?;
        self.image(reference, &busybox, &[]).await
    }

    /// As [`Engine::busybox`], with Dockerfile instructions such as `USER 65534` applied.
    pub async fn image(
        &self,
        reference: &str,
        busybox: &[u8],
        changes: &[&str],
    ) -> Result<TestImage> {
        let mut tar = tar::Builder::new(Vec::new());
        append(&mut tar, "bin/busybox", busybox, 0o755)?;
        for folder in [
            "tmp/", "etc/", "proc/", "sys/", "dev/", "var/", "var/tmp/", "root/",
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            header.set_mode(if folder.contains("tmp") {
                0o1777
            } else {
                0o755
            });
            tar.append_data(&mut header, folder, std::io::empty())?;
        }
        append(
            &mut tar,
            "etc/passwd",
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
            0o644,
        )?;
        for command in COMMANDS {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            tar.append_link(&mut header, format!("bin/{command}"), "busybox")?;
        }
        let content = Bytes::from(tar.into_inner()?);
        let (repository, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
        let mut changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        changes.push("ENV PATH=/bin".to_owned());
        changes.push(format!("LABEL {LABEL}=image"));
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .changes(changes)
            .build();
        let mut progress =
            self.docker
                .create_image(Some(options), Some(bollard::body_full(content)), None);
        while let Some(step) = progress.next().await {
            step.context("importing the image")?;
        }
        Ok(TestImage {
            reference: reference.to_owned(),
            engine: self.clone(),
        })
    }

    /// All containers, running or not, with this label.
    pub async fn containers(&self, label: &str, value: &str) -> Result<Vec<ContainerSummary>> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        Ok(self.docker.list_containers(Some(options)).await?)
    }

    /// Names of all volumes with this label.
    pub async fn volumes(&self, label: &str, value: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{label}={value}")])]);
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let found = self.docker.list_volumes(Some(options)).await?;
        let volumes = found.volumes.unwrap_or_default().into_iter();
        Ok(volumes.map(|volume| volume.name).collect())
    }

    /// Removes them, by force.
    pub async fn remove_containers(&self, label: &str, value: &str) -> Result<()> {
        for container in self.containers(label, value).await? {
            if let Some(id) = container.id {
                let options = RemoveContainerOptionsBuilder::default()
                    .force(true)
                    .v(true)
                    .build();
                // Somebody else may be removing it at this moment.
                drop(self.docker.remove_container(&id, Some(options)).await);
            }
        }
        Ok(())
    }
}

impl TestImage {
    /// Removes the image.
    pub async fn remove(&self) {
        let options = RemoveImageOptionsBuilder::default().force(true).build();
        drop(
            self.engine
                .docker
                .remove_image(&self.reference, Some(options), None)
                .await,
        );
    }
}

const COMMANDS: &[&str] = &[
    "sh",
    "cat",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "ls",
    "echo",
    "printf",
    "sleep",
    "date",
    "basename",
    "dirname",
    "wc",
    "sort",
    "md5sum",
    "sha256sum",
    "head",
    "tail",
    "tr",
    "sed",
    "grep",
    "awk",
    "dd",
    "yes",
    "seq",
    "true",
    "false",
    "test",
    "[",
    "env",
    "id",
    "ps",
    "kill",
    "setsid",
    "nohup",
    "touch",
    "stat",
    "find",
    "od",
    "cut",
    "rev",
    "tee",
    "wget",
    "nc",
    "ip",
];

fn append(
    tar: &mut tar::Builder<Vec<u8>>,
    path: impl AsRef<Path>,
    content: &[u8],
    mode: u32,
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    tar.append_data(&mut header, path, content)?;
    Ok(())
}
