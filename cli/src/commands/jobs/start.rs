//! `job`: one asynchronous run of a service with an input given by hand.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use futures::stream::{self, Stream, TryStreamExt};
use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;

use crate::commands::{Context, logs, watch};
use crate::screen::progress::Bars;

const EXAMPLES: &str = "\
Examples:
  spillway job grayify --input leaf.png
  spillway job grayify --text 'hello' --wait
  spillway job nightly";

/// Bytes encoded at once: a multiple of three, so that the pieces' base64 can be joined.
const PIECE: usize = 96 * 1024;
/// OSCAR shortens the names of services so that those of jobs stay below 63 characters.
const LONG_NAME: usize = 25;
const SHORTENED: usize = 16;

/// Start a job of a service with an input given here, beside any bucket
///
/// The input reaches the script as the file that `INPUT_FILE_PATH` names. The name of the job is printed.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Start {
    /// Name of the service
    service: String,
    /// File to send, `-` for standard input
    #[arg(long, short = 'i', value_name = "FILE", conflicts_with = "text")]
    input: Option<PathBuf>,
    /// Text to send
    #[arg(long, short = 't', value_name = "TEXT")]
    text: Option<String>,
    /// Wait for the end of the job and print its log
    #[arg(long, short = 'w')]
    wait: bool,
}

pub(super) async fn run(context: &Context<'_>, start: &Start) -> anyhow::Result<()> {
    let client = context.client()?;
    let service = client.service(&start.service).await?;
    let name = job_name(&service.name);
    let bars = Bars::new(context.screen);
    match (&start.input, &start.text) {
        (Some(path), _) if path == Path::new("-") => {
            let body = body(tokio::io::stdin(), &bars, "standard input", None);
            client.start_job(&service, &name, body).await?;
        }
        (Some(path), _) => {
            let file = tokio::fs::File::open(path)
                .await
                .with_context(|| format!("opening {}", path.display()))?;
            let size = file.metadata().await?.len();
            client
                .start_job(
                    &service,
                    &name,
                    body(file, &bars, &path.display().to_string(), Some(size)),
                )
                .await?;
        }
        (None, Some(text)) => {
            client
                .start_job(&service, &name, STANDARD.encode(text).into())
                .await?;
        }
        (None, None) => {
            client
                .start_job(&service, &name, String::new().into())
                .await?;
        }
    }
    // OSCAR itself may choose another name: ask rather than assert.
    let name = if client.find_job(&name).await?.is_some() {
        name
    } else {
        newest_name(&client, &service.name).await?
    };
    if !start.wait {
        return Ok(context.screen.text(&format!("{name}\n"))?);
    }
    let jobs = watch::wait(context, &client, vec![name.clone()]).await?;
    logs::print(context, &client, &name, logs::Timestamps::Hidden).await?;
    watch::all_succeeded(&jobs)?;
    Ok(())
}

async fn newest_name(client: &crate::client::Client, service: &str) -> anyhow::Result<String> {
    let newest = super::newest(client, service).await?;
    newest
        .map(|job| job.name)
        .context("the job was accepted, but the cluster does not list it")
}

fn job_name(service: &str) -> String {
    let shown = if service.len() < LONG_NAME {
        service
    } else {
        service.get(..SHORTENED).unwrap_or(service)
    };
    format!("{shown}-{}", Uuid::new_v4())
}

/// The base64 of a reader as the body of a request, never more than a piece of it in memory.
fn body(
    reader: impl AsyncRead + Send + Unpin + 'static,
    bars: &Bars,
    name: &str,
    size: Option<u64>,
) -> reqwest::Body {
    let bar = bars.transfer(name, size);
    reqwest::Body::wrap_stream(
        encoded(reader).inspect_ok(move |piece| bar.advance(piece.len() as u64 / 4 * 3)),
    )
}

fn encoded(
    reader: impl AsyncRead + Send + Unpin + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold(reader, |mut reader| async move {
        let mut piece = Vec::with_capacity(PIECE);
        while piece.len() < PIECE {
            let rest = (PIECE - piece.len()) as u64;
            if (&mut reader).take(rest).read_buf(&mut piece).await? == 0 {
                break;
            }
        }
        Ok((!piece.is_empty()).then(|| (Bytes::from(STANDARD.encode(&piece)), reader)))
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::{PIECE, STANDARD, encoded, job_name};
    use base64::Engine as _;

    #[tokio::test]
    async fn pieces_joined_are_the_base64_of_the_whole() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
            let content: Vec<u8> = (0..length)
                .map(|i| u8::try_from(i % 251).unwrap())
                .collect();
            let pieces: Vec<_> = encoded(std::io::Cursor::new(content.clone()))
                .try_collect()
                .await
                .unwrap();
            assert_eq!(
                String::from_utf8(pieces.concat()).unwrap(),
                STANDARD.encode(content),
                "for {length}"
            );
        }
    }

    #[test]
    fn jobs_of_services_with_long_names_have_short_ones() {
        assert!(job_name("grayify").starts_with("grayify-"));
        assert!(job_name("a-service-with-a-very-long-name").starts_with("a-service-with-a-"));
        assert!(job_name("a-service-with-a-very-long-name").len() < 63);
    }
}
