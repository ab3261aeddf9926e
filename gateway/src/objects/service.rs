//! The S3 service as something that a listener can serve.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use s3s::S3Result;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio_util::task::TaskTracker;
use tower::{Layer as _, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};
use tracing::error;
use uuid::Uuid;

use super::blobs::DEFAULT_RESERVE;
use super::s3::{Access, Listen, Server};
use super::{Blobs, Credentials, chunks, cors as bucket_cors, unread};
use crate::queue::Queue;
use crate::store::Store;

/// XML that a request may carry: completing an upload of 10,000 parts has 1.5 MB.
const MAX_XML: usize = 4 * 1024 * 1024;

/// How long a browser may remember what CORS allows.
const CORS_AGE: Duration = Duration::from_hours(1);

/// Headers that scripts in a browser may read.
const EXPOSED: [&str; 18] = [
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
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha1",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-id-2",
    "x-amz-request-id",
    "x-amz-tagging-count",
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
    let (asked, domain) = (store.clone(), settings.domain.clone());
    let mut config = S3Config::default();
    config.xml_max_body_size = MAX_XML;
    config.post_object_max_file_size = settings.max_form;
    let access = Access {
        store: store.clone(),
        credentials: credentials.clone(),
    };
    let listen = Listen {
        access: access.clone(),
        queue: queue.clone(),
        region: settings.region.clone(),
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
    builder.set_route(listen);
    if let Some(domain) = &domain {
        builder.set_host(Domain(domain.clone()));
    }
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let s3 = builder.build();
    let plain = tower::service_fn(move |request: Request| answer(s3.clone(), request));
    let usual = cors.layer(plain.clone());
    let answer = tower::service_fn(move |request: Request| {
        let (plain, usual) = (plain.clone(), usual.clone());
        let (store, domain) = (asked.clone(), domain.clone());
        async move {
            let (uri, headers) = (request.uri().clone(), request.headers().clone());
            match bucket_cors::of_request(&store, domain.as_deref(), &uri, &headers).await {
                None => usual.oneshot(request).await,
                Some(rules) => by_rules(&rules, request, plain).await,
            }
        }
    });
    Router::new()
        .fallback_service(answer)
        .layer(CatchPanicLayer::custom(|_| {
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }))
        .layer(from_fn(numbered))
}

/// The answer to a body that broke off.
fn incomplete() -> Response {
    (
        StatusCode::BAD_REQUEST,
        [(header::CONTENT_TYPE, "application/xml")],
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>IncompleteBody</Code>\
         <Message>the request's body ended before it was complete</Message></Error>",
    )
        .into_response()
}

/// Buckets as hosts below one domain; every other host is ours, too.
struct Domain(String);

impl S3Host for Domain {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let found = VirtualHost::new(host);
        Ok(match bucket_cors::bucket_of_host(host, &self.0) {
            Some(bucket) => found.with_bucket(bucket),
            None => found,
        })
    }
}

/// Answers a page of another origin by the rules of the bucket.
async fn by_rules<S>(
    rules: &[bucket_cors::Rule],
    request: Request,
    service: S,
) -> Result<Response, Infallible>
where
    S: tower::Service<Request, Response = Response, Error = Infallible>,
{
    let headers = request.headers();
    if request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return Ok(bucket_cors::preflight(rules, headers));
    }
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let method = request.method().clone();
    let mut answer = service.oneshot(request).await?;
    bucket_cors::mark(rules, &origin, &method, answer.headers_mut());
    Ok(answer)
}

/// Gives each answer a number that clients name when they complain.
async fn numbered(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let number = Uuid::new_v4();
    let short = format!("{:016X}", number.as_u64_pair().0);
    let headers = answer.headers_mut();
    if let Ok(value) = HeaderValue::try_from(short) {
        headers.insert("x-amz-request-id", value);
    }
    if let Ok(value) = HeaderValue::try_from(number.simple().to_string()) {
        headers.insert("x-amz-id-2", value);
    }
    answer
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
        // `s3s` takes it for a failure of its own.
        Some(lender) if lender.is_broken() && answer.status().is_server_error() => {
            lender.finish(incomplete()).await
        }
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
