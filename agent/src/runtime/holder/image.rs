//! The image of the holders: made on the spot from the supervisor, removed once a newer supervisor has replaced it.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{CreateImageOptionsBuilder, ListImagesOptionsBuilder};
use futures::StreamExt;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::runtime::core::Core;
use crate::runtime::engine::EngineError;
use crate::runtime::folders::Folders;
use crate::runtime::labels;

/// The import of one small file ends within this time.
const IMPORT: Duration = Duration::from_mins(1);

/// Image of the holders: nothing but the supervisor.
pub(crate) fn image_name(folders: &Folders) -> String {
    format!("spillway-holder:{}", folders.supervisor_digest)
}

/// Makes the image, from a tar of one file.
pub(crate) async fn import_image(core: &Core) -> Result<(), EngineError> {
    let (engine, folders) = (&core.engine, &core.folders);
    let doing = "importing the holder image";
    let failed = |error: std::io::Error| EngineError::Away {
        doing,
        message: error.to_string(),
    };
    let archive = folders
        .supervisor()
        .and_then(|binary| archive(&binary))
        .map_err(failed)?;
    let options = CreateImageOptionsBuilder::new()
        .from_src("-")
        .repo("spillway-holder")
        .tag(&folders.supervisor_digest)
        .changes(vec![
            "ENTRYPOINT [\"/supervisor\"]".into(),
            format!("LABEL {}={}", labels::AGENT, core.settings.identity),
        ])
        .build();
    let body = bollard::body_full(archive.into());
    let mut steps = std::pin::pin!(
        engine
            .docker()
            .create_image(Some(options), Some(body), None)
    );
    loop {
        match timeout(IMPORT, steps.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(_))) => (),
            Ok(Some(Err(error))) => return Err(EngineError::new(doing, &error)),
            Err(_) => {
                return Err(EngineError::Away {
                    doing,
                    message: "no answer".into(),
                });
            }
        }
    }
}

fn archive(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::with_capacity(binary.len() + 4096));
    let mut header = tar::Header::new_gnu();
    header.set_size(binary.len() as u64);
    header.set_mode(0o755);
    header.set_cksum();
    archive.append_data(&mut header, "supervisor", binary)?;
    archive.into_inner()
}

/// Removes the images that this agent made of former supervisors. One that still serves somebody stays: the engine
/// refuses, and the next start tries again.
pub(crate) async fn remove_old_images(core: &Core) {
    let docker = core.engine.docker();
    let label = format!("{}={}", labels::AGENT, core.settings.identity);
    let filters = HashMap::from([("label", vec![label.as_str()])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let listing = docker.list_images(Some(options));
    let images = match core.engine.call("listing our images", listing).await {
        Ok(images) => images,
        Err(error) => return debug!(%error, "cannot look for old images"),
    };
    let current = image_name(&core.folders);
    for image in images {
        if image.repo_tags.contains(&current) {
            continue;
        }
        let none = None::<bollard::query_parameters::RemoveImageOptions>;
        let removal = docker.remove_image(&image.id, none, None);
        match core.engine.call("removing an old image", removal).await {
            Ok(_) => info!(image = image.id, "removed the image of a former supervisor"),
            Err(error) => debug!(%error, image = image.id, "an old image stays"),
        }
    }
}
