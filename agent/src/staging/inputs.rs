//! The way in: the event and the input file.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use spillway_model::wire::link::{Attempt, InputFile};
use tokio_util::sync::CancellationToken;

use super::blocking;
use crate::link::{Link, LinkError, persist};

/// Free space that an input must leave on the data disk, in bytes.
const RESERVE: u64 = 64 * 1024 * 1024;

/// Why there is no input.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageInError {
    /// The attempt ended while its input was on the way.
    #[error("the attempt ended")]
    Ended,
    /// The attempt is not this node's any more.
    #[error("the attempt is no longer this node's")]
    Gone,
    /// The input's doing.
    #[error("{0}")]
    Input(String),
    /// The node's doing.
    #[error("{0}")]
    Node(String),
}

/// What is to be staged in for one run.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) attempt: &'a Attempt,
    pub(crate) event: &'a str,
    pub(crate) input: Option<&'a InputFile>,
}

/// Makes the folder of a run ready. `free` tells the free bytes of its disk.
pub(crate) async fn stage_in(
    link: &Link,
    incoming: Incoming<'_>,
    folder: &Path,
    free: impl FnOnce() -> io::Result<u64>,
    end: &CancellationToken,
) -> Result<u64, StageInError> {
    let Incoming {
        attempt,
        event,
        input,
    } = incoming;
    let inline = match input {
        Some(input) => check(input)?,
        None => None,
    };
    let arrived = inline.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
    let (made, event) = (folder.to_owned(), event.to_owned());
    blocking(move || make(&made, &event, inline))
        .await
        .and_then(|done| done)
        .map_err(|error| {
            StageInError::Node(format!("The folder of the run could not be made: {error}."))
        })?;
    match input {
        Some(input) if input.inline.is_none() => {
            let free = free().unwrap_or(u64::MAX);
            if free < input.size.saturating_add(RESERVE) {
                let size = input.size;
                let words = format!(
                    "The input has {size} bytes, and only {free} are free on the node's data disk."
                );
                return Err(StageInError::Node(words));
            }
            fetch(link, attempt, input, folder, end).await
        }
        _ => Ok(arrived),
    }
}

/// The inline content, decoded; an error when the input does not make sense.
fn check(input: &InputFile) -> Result<Option<(String, Vec<u8>)>, StageInError> {
    let name = &input.name;
    if name.is_empty()
        || name.len() > 255
        || name.contains(['/', '\0'])
        || name == "."
        || name == ".."
    {
        return Err(StageInError::Input(format!(
            "The input's name {name:?} is no name for a file: 1 to 255 bytes without \"/\" are needed."
        )));
    }
    let Some(inline) = &input.inline else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(inline).map_err(|error| {
        StageInError::Input(format!(
            "The input arrived damaged: it is not base64 ({error})."
        ))
    })?;
    Ok(Some((name.clone(), bytes)))
}

fn make(folder: &Path, event: &str, inline: Option<(String, Vec<u8>)>) -> io::Result<()> {
    // The run's own folder is world-searchable too: images run as any user.
    fs::create_dir(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    for name in ["input", "output", "tmp"] {
        let path = folder.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o777))?;
    }
    let file = folder.join("event");
    fs::write(&file, event)?;
    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    if let Some((name, bytes)) = inline {
        let file = folder.join("input").join(name);
        fs::write(&file, bytes)?;
        fs::set_permissions(&file, Permissions::from_mode(0o666))?;
    }
    Ok(())
}

async fn fetch(
    link: &Link,
    attempt: &Attempt,
    input: &InputFile,
    folder: &Path,
    end: &CancellationToken,
) -> Result<u64, StageInError> {
    let path = folder.join("input").join(&input.name);
    let path = path.as_path();
    let download = || async move {
        let disk = |source| LinkError::Disk {
            doing: "writing the input",
            source,
        };
        let mut file = tokio::fs::File::create(path).await.map_err(disk)?;
        file.set_max_buf_size(64 * 1024);
        file.set_permissions(Permissions::from_mode(0o666))
            .await
            .map_err(disk)?;
        link.input(attempt, &mut file).await
    };
    match persist(end, download).await {
        None => Err(StageInError::Ended),
        Some(Ok(bytes)) if bytes == input.size => Ok(bytes),
        Some(Ok(bytes)) => {
            let size = input.size;
            Err(StageInError::Node(format!(
                "The input arrived damaged: {bytes} bytes instead of {size}."
            )))
        }
        Some(Err(LinkError::Gone { .. })) => Err(StageInError::Gone),
        Some(Err(error @ LinkError::Disk { .. })) => Err(StageInError::Node(format!("{error}."))),
        Some(Err(error)) => Err(StageInError::Input(format!(
            "The input could not be fetched: {error}."
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The helper of a table of cases comes last.
mod tests {
    use super::*;

    fn named(name: &str, inline: Option<&str>) -> InputFile {
        InputFile {
            name: name.to_owned(),
            size: 2,
            inline: inline.map(str::to_owned),
        }
    }

    #[test]
    fn folders_are_open_to_every_user_and_the_input_is_writable() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("1");
        make(&folder, "{}", Some(("a b.txt".to_owned(), b"hi".to_vec()))).unwrap();
        let mode = |name: &str| {
            fs::metadata(folder.join(name))
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!([mode("input"), mode("output"), mode("tmp")], [0o777; 3]);
        assert_eq!((mode("input/a b.txt"), mode("event")), (0o666, 0o644));
        assert_eq!(fs::read(folder.join("input/a b.txt")).unwrap(), b"hi");
        assert_eq!(fs::read(folder.join("event")).unwrap(), b"{}");
    }

    #[test]
    fn names_that_leave_the_folder_are_refused() {
        check_name("photo.jpg", true);
        check_name("..photo", true);
        check_name("..", false);
        check_name("../../etc/passwd", false);
        check_name("", false);
        check_name("a\0b", false);
        check_name(&"x".repeat(256), false);

        #[track_caller]
        fn check_name(name: &str, good: bool) {
            assert_eq!(check(&named(name, None)).is_ok(), good, "for {name:?}");
        }
    }

    #[test]
    fn damaged_inline_content_is_the_inputs_doing() {
        assert!(
            matches!(check(&named("a", Some("!"))), Err(StageInError::Input(words)) if words.contains("base64"))
        );
        assert_eq!(check(&named("a", Some("aGk="))).unwrap().unwrap().1, b"hi");
    }
}
