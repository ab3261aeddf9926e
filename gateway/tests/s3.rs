//! The S3 protocol, spoken by real clients: `boto3`, `minio` and the `aws` command against a real listener.
//!
//! The tests themselves are Python, in `tests/s3/`; this one starts the object store on a free port, makes their
//! virtual environment below `target/` (once), and runs them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::serve::ListenerExt;
use spillway_gateway::objects::{self, Blobs, Credentials, Objects, Settings};
use spillway_gateway::queue::{Queue, QueueSettings};
use spillway_gateway::store::Store;

const ACCESS_KEY: &str = "spillway";
const SECRET_KEY: &str = "correct horse/battery+staple";

#[test]
fn real_clients_find_the_s3_they_know() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let address = runtime.block_on(serve(folder.path()));
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3");
    let python = environment(&tests.join("requirements.txt"));
    let mut pytest = Command::new(python);
    pytest.args([
        "-m",
        "pytest",
        "-q",
        "--maxfail=10",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "--durations=5",
    ]);
    if let Ok(only) = std::env::var("S3_TESTS") {
        pytest.args(["-k", &only]);
    }
    let output = pytest
        .arg(&tests)
        .env("S3_ENDPOINT", format!("http://{address}"))
        .env("S3_ACCESS_KEY", ACCESS_KEY)
        .env("S3_SECRET_KEY", SECRET_KEY)
        .env("S3_SERVER_PID", std::process::id().to_string())
        .env("S3_SERVER_DATA", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("the virtual environment has a python that runs");
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{text}");
    assert!(
        output.status.success(),
        "clients of S3 were not served as they expect:\n{text}"
    );
}

/// Starts the store; it lives as long as the runtime.
async fn serve(folder: &Path) -> SocketAddr {
    let store = Store::open(&folder.join("spillway.db")).unwrap();
    let settings = Settings {
        max_object: 400 * 1024 * 1024,
        ..Settings::default()
    };
    let blobs = Blobs::open_with_reserve(&folder.join("blobs"), store.clone(), settings.reserve)
        .await
        .unwrap();
    let queue = Queue::start(store.clone(), blobs.clone(), QueueSettings::default())
        .await
        .unwrap();
    let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY);
    let service = objects::service(Objects {
        store,
        blobs,
        queue,
        credentials,
        settings,
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let service = service.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

/// The python of a virtual environment that has what `requirements` says. Made once, and again when that changes.
fn environment(requirements: &Path) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3-clients");
    let (python, stamp) = (folder.join("bin/python"), folder.join("made-of"));
    let wanted = std::fs::read_to_string(requirements).unwrap();
    if std::fs::read_to_string(&stamp).is_ok_and(|made_of| made_of == wanted) {
        return python;
    }
    run(
        "python3",
        &["-m", "venv", "--clear", folder.to_str().unwrap()],
    );
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    run(
        python.to_str().unwrap(),
        &[&install[..], &[requirements.to_str().unwrap()]].concat(),
    );
    std::fs::write(&stamp, wanted).unwrap();
    python
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let why = match output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "the S3 clients for this test could not be installed: `{program} {}` said:\n{why}\n\
         It needs python3 with venv (Debian: python3-venv) and a package index that pip can reach.",
        arguments.join(" ")
    );
}
