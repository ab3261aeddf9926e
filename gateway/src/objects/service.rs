//! The S3 service as something that a listener can serve.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio_util::task::TaskTracker;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tracing::error;

use super::blobs::DEFAULT_RESERVE;
use super::s3::{Access, Server};
use super::{Blobs, Credentials, chunks, unread};
use crate::queue::Queue;
use crate::store::Store;

/// XML that a request may carry: completing an upload of 10,000 parts has 1.5 MB.
const MAX_XML: usize = 4 * 1024 * 1024;

/// How long a browser may remember what CORS allows.
const CORS_AGE: Duration = Duration::from_hours(1);

/// Headers that scripts in a browser may read.
const EXPOSED: [&str; 13] = [
    "accept-ranges",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "last-modified",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-sha256",
    "x-amz-request-id",
    "x-amz-version-id",
];

/// Limits and liberties of the object store.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of a put, or of one part, at most.
    pub max_object: u64,
    /// Bytes of a file in a form upload at most: `s3s` holds such a file in memory while it checks the policy.
    pub max_form: u64,
    /// Bytes that stay free on the disk; hand them to [`Blobs::open_with_reserve`].
    pub reserve: u64,
    /// Origins whose pages may use the store from a browser; `*` for all.
    pub cors_origins: Vec<String>,
    /// Name of the cluster, in the tags of the administrator's buckets.
    pub cluster: String,
    /// In the names of notification targets.
    pub region: String,
    /// Domain below which buckets are hosts of their own (`bucket.domain`), besides the first segment of a path.
    pub domain: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_object: 5 * 1024 * 1024 * 1024,
            max_form: 8 * 1024 * 1024,
            reserve: DEFAULT_RESERVE,
            cors_origins: vec!["*".to_owned()],
            cluster: "oscar".to_owned(),
            region: "us-east-1".to_owned(),
            domain: None,
        }
    }
}

/// What the S3 service works with.
#[derive(Debug, Clone)]
pub struct Objects {
    pub store: Store,
    pub blobs: Blobs,
    pub queue: Queue,
    pub credentials: Credentials,
    pub settings: Settings,
}

/// The S3 service, for a listener of its own. Serve it with
/// `into_make_service_with_connect_info::<SocketAddr>()`, so that events know where an object came from, and with
/// Nagle's algorithm off.
pub fn service(objects: Objects) -> Router {
    let Objects {
        store,
        blobs,
        queue,
        credentials,
        settings,
    } = objects;
    let cors = cors(&settings.cors_origins);
    let mut config = S3Config::default();
    config.xml_max_body_size = MAX_XML;
    config.post_object_max_file_size = settings.max_form;
    let access = Access {
        store: store.clone(),
        credentials: credentials.clone(),
    };
    let server = Server {
        store,
        blobs,
        queue,
        settings,
        publishing: TaskTracker::new(),
    };
    let mut builder = S3ServiceBuilder::new(server);
    builder.set_auth(credentials);
    builder.set_access(access);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let s3 = builder.build();
    let answer = tower::service_fn(move |request: Request| answer(s3.clone(), request));
    Router::new().fallback_service(answer).layer(cors)
}

async fn answer(s3: S3Service, request: Request) -> Result<Response, Infallible> {
    let (request, lender) = unread::lend(chunks::bound(request));
    let answer = tower::ServiceExt::oneshot(s3, request).await;
    let answer = match answer {
        Ok(answer) => answer.map(Body::new),
        Err(failure) => {
            error!(error = ?failure, "a request of S3 could not be answered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    };
    Ok(match lender {
        Some(lender) => lender.finish(answer).await,
        None => answer,
    })
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::try_from(origin).ok()),
        )
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::POST,
            Method::DELETE,
        ])
        // Mirrored, because `*` does not cover `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(
            EXPOSED
                .map(HeaderName::from_static)
                .into_iter()
                .chain([header::LOCATION])
                .collect::<Vec<_>>(),
        )
        .max_age(CORS_AGE)
}
