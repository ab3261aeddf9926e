//! The single requests.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method};
use rustix::fs::OFlags;
use spillway_model::wire::link::{
    Attempt, Completed, Heartbeat, HeartbeatAnswer, Poll, PollAnswer, ServiceDefinition,
    StagedBlob, VolumeReport, VolumesAnswer, VolumesReport,
};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::{Link, LinkError, SHORT, read_json};

/// A poll may take so much longer than the gateway was asked to hold it back.
const POLL_GRACE: Duration = Duration::from_secs(15);

/// A download that brings nothing for so long is given up.
const STALL: Duration = Duration::from_secs(30);

/// An upload may take a minute, and one second more for each so many bytes.
const UPLOAD_BYTES_PER_SECOND: u64 = 64 * 1024;

/// Piece in which files are read and sent.
const PIECE: usize = 64 * 1024;

impl Link {
    /// Asks for work; answered when there is some, or after [`Poll::wait_ms`].
    pub(crate) async fn poll(&self, poll: &Poll) -> Result<PollAnswer, LinkError> {
        let doing = "asking for work";
        let limit = Duration::from_millis(poll.wait_ms) + POLL_GRACE;
        read_json(
            doing,
            self.send(doing, (Method::POST, "poll"), Some(limit), |it| {
                it.json(poll)
            })
            .await?,
        )
        .await
    }

    pub(crate) async fn heartbeat(
        &self,
        beat: &Heartbeat,
        limit: Duration,
    ) -> Result<HeartbeatAnswer, LinkError> {
        let doing = "sending a heartbeat";
        read_json(
            doing,
            self.send(doing, (Method::POST, "heartbeat"), Some(limit), |it| {
                it.json(beat)
            })
            .await?,
        )
        .await
    }

    /// Says how the volumes of this node are; answered with how they shall be.
    pub(crate) async fn volumes(
        &self,
        volumes: &[VolumeReport],
    ) -> Result<VolumesAnswer, LinkError> {
        let doing = "asking for volumes";
        let report = VolumesReport {
            volumes: volumes.to_vec(),
        };
        read_json(
            doing,
            self.send(doing, (Method::POST, "volumes"), Some(SHORT), |it| {
                it.json(&report)
            })
            .await?,
        )
        .await
    }

    pub(crate) async fn definition(
        &self,
        service: &str,
        revision: u64,
    ) -> Result<ServiceDefinition, LinkError> {
        let doing = "fetching a service's definition";
        let path = format!("services/{service}/{revision}");
        read_json(
            doing,
            self.send(doing, (Method::GET, &path), Some(SHORT), |it| it)
                .await?,
        )
        .await
    }

    /// Streams the input of an attempt into `file`; returns how many bytes came.
    pub(crate) async fn input(
        &self,
        attempt: &Attempt,
        file: &mut tokio::fs::File,
    ) -> Result<u64, LinkError> {
        let doing = "fetching the input";
        let path = of(attempt, "input");
        let silent = |_| LinkError::Silent {
            doing,
            after: STALL,
        };
        let sent = self.send(doing, (Method::GET, &path), None, |it| it);
        let mut response = tokio::time::timeout(STALL, sent).await.map_err(silent)??;
        let mut bytes = 0;
        let disk = |source| LinkError::Disk { doing, source };
        loop {
            let piece = tokio::time::timeout(STALL, response.chunk())
                .await
                .map_err(silent)?;
            let Some(piece) = piece.map_err(|source| LinkError::Away { doing, source })? else {
                break;
            };
            file.write_all(&piece).await.map_err(disk)?;
            bytes += piece.len() as u64;
        }
        file.flush().await.map_err(disk)?;
        Ok(bytes)
    }

    /// Shows what the script has written so far, from byte `offset` of the log on.
    pub(crate) async fn live_log(
        &self,
        attempt: &Attempt,
        offset: usize,
        text: Bytes,
    ) -> Result<(), LinkError> {
        let doing = "showing the log";
        let path = of(attempt, &format!("log?offset={offset}"));
        self.send(doing, (Method::POST, &path), Some(SHORT), |it| {
            it.body(text)
        })
        .await?;
        Ok(())
    }

    /// Uploads one output file.
    pub(crate) async fn blob(
        &self,
        attempt: &Attempt,
        file: &Path,
        size: u64,
    ) -> Result<StagedBlob, LinkError> {
        let doing = "uploading an output";
        let disk = |source| LinkError::Disk { doing, source };
        // Only a regular file of this very size has been accepted; a link put in its place is not followed.
        let mut options = tokio::fs::OpenOptions::new();
        options.read(true).custom_flags(no_follow());
        let file = options.open(file).await.map_err(disk)?;
        let body = Body::wrap_stream(ReaderStream::with_capacity(
            tokio::io::AsyncReadExt::take(file, size),
            PIECE,
        ));
        let limit = Duration::from_secs(60 + size / UPLOAD_BYTES_PER_SECOND);
        let finish = |request: reqwest::RequestBuilder| {
            request
                .header(CONTENT_LENGTH, size)
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(body)
        };
        let staged: StagedBlob = read_json(
            doing,
            self.send(
                doing,
                (Method::POST, &of(attempt, "blobs")),
                Some(limit),
                finish,
            )
            .await?,
        )
        .await?;
        if staged.size == size {
            Ok(staged)
        } else {
            let words = format!("of {size} bytes sent it has {}", staged.size);
            Err(LinkError::Nonsense { doing, words })
        }
    }

    /// Delivers the end of an attempt: the JSON of a `Completion`.
    pub(crate) async fn complete(
        &self,
        attempt: &Attempt,
        completion: Bytes,
    ) -> Result<Completed, LinkError> {
        let doing = "reporting the end of an attempt";
        let limit = Duration::from_secs(60 + completion.len() as u64 / UPLOAD_BYTES_PER_SECOND);
        let finish = |request: reqwest::RequestBuilder| {
            request
                .header(CONTENT_TYPE, "application/json")
                .body(completion)
        };
        read_json(
            doing,
            self.send(
                doing,
                (Method::POST, &of(attempt, "complete")),
                Some(limit),
                finish,
            )
            .await?,
        )
        .await
    }

    /// The same from a file of `size` bytes.
    pub(crate) async fn complete_from(
        &self,
        attempt: &Attempt,
        file: &Path,
        size: u64,
    ) -> Result<Completed, LinkError> {
        let doing = "reporting the end of an attempt";
        let file = tokio::fs::File::open(file)
            .await
            .map_err(|source| LinkError::Disk { doing, source })?;
        let limit = Duration::from_secs(60 + size / UPLOAD_BYTES_PER_SECOND);
        let finish = |request: reqwest::RequestBuilder| {
            request
                .header(CONTENT_LENGTH, size)
                .header(CONTENT_TYPE, "application/json")
                .body(Body::wrap_stream(ReaderStream::with_capacity(file, PIECE)))
        };
        read_json(
            doing,
            self.send(
                doing,
                (Method::POST, &of(attempt, "complete")),
                Some(limit),
                finish,
            )
            .await?,
        )
        .await
    }
}

/// Flags for opening what a script left behind: links are not followed, pipes do not block.
pub(crate) fn no_follow() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Opens what a script left behind, for reading.
pub(crate) fn open_left_behind(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(no_follow())
        .open(path)
}

fn of(attempt: &Attempt, what: &str) -> String {
    format!("jobs/{}/{}/{what}", attempt.job, attempt.attempt)
}
