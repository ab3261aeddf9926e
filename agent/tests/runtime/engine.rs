//! What the tests share: an image made from a static busybox, a runtime of its own for each test, and a look at
//! what the engine has.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::query_parameters::{CreateImageOptionsBuilder, ListContainersOptionsBuilder};
use futures::StreamExt;
use spillway_agent::runtime::{ClaimError, Member, Output, RunEnd, Runtime, RuntimeSettings};
use spillway_model::service::{Edge, Service};
use spillway_model::wire::link::{Resources, ServiceDefinition};
use spillway_model::wire::supervisor::Invocation;
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc};

pub(crate) const MIB: u64 = 1024 * 1024;

/// Image whose user is root.
pub(crate) static IMAGE: LazyLock<String> = LazyLock::new(|| image("root"));

/// Image whose user is 65534, with a working directory and a variable.
pub(crate) static USER_IMAGE: LazyLock<String> = LazyLock::new(|| image("user"));

/// Names of this process alone: others may run the same tests on the same engine.
fn image(kind: &str) -> String {
    format!("{REPOSITORY}:{}", tag(kind))
}

fn tag(kind: &str) -> String {
    format!("{kind}-{}", std::process::id())
}

const REPOSITORY: &str = "spillway-runtime-test";

/// One test of these at a time: they measure, they kill, and the machine is small.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A node in a test.
pub(crate) struct Node {
    pub(crate) runtime: Runtime,
    pub(crate) docker: Docker,
    pub(crate) settings: RuntimeSettings,
    _data: Arc<TempDir>,
    _alone: tokio::sync::MutexGuard<'static, ()>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut RuntimeSettings)) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let _ = tracing_subscriber::fmt()
            .with_env_filter("spillway_agent=debug")
            .with_test_writer()
            .try_init();
        let socket = "/var/run/docker.sock".to_owned();
        Self::start_on(alone, socket, change).await
    }

    /// The same on an engine of its own, which the test may end.
    pub(crate) async fn start_on_private(engine: &PrivateEngine) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        Self::start_on(alone, engine.socket(), |_| ()).await
    }

    async fn start_on(
        alone: tokio::sync::MutexGuard<'static, ()>,
        socket: String,
        change: impl FnOnce(&mut RuntimeSettings),
    ) -> Self {
        let docker = docker(&socket);
        make_images(&docker).await;
        let data = Arc::new(tempfile::tempdir().unwrap());
        std::fs::write(data.path().join("engine.json"), probe()).unwrap();
        let mut settings = RuntimeSettings {
            docker: format!("unix://{socket}"),
            data: data.path().to_owned(),
            supervisor: supervisor(),
            node: "test-node".into(),
            identity: uuid::Uuid::new_v4().to_string(),
            labels: BTreeMap::from([("spillway.test".to_owned(), "runtime".to_owned())]),
            capacity: Resources {
                millicores: 64_000,
                memory_bytes: 1024 * MIB,
            },
            idle: Duration::from_mins(1),
        };
        change(&mut settings);
        let runtime = Runtime::start(settings.clone()).await.unwrap();
        // The next test need not measure again.
        let _ = std::fs::copy(data.path().join("engine.json"), probe_file());
        Self {
            runtime,
            docker,
            settings,
            _data: data,
            _alone: alone,
        }
    }

    /// Stops, and sees to it that nothing is left.
    pub(crate) async fn stop(self) {
        self.runtime.stop().await;
        assert_eq!(
            self.containers().await,
            Vec::<String>::new(),
            "containers are left"
        );
        for image in [&*IMAGE, &*USER_IMAGE] {
            let none = None::<bollard::query_parameters::RemoveImageOptions>;
            self.docker.remove_image(image, none, None).await.unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(self.settings.data.join("members"))
            .unwrap()
            .flatten()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// Ids of this node's containers in any state, holders aside.
    pub(crate) async fn members(&self) -> Vec<String> {
        self.listed("member").await
    }

    pub(crate) async fn holders(&self) -> Vec<String> {
        self.listed("holder").await
    }

    /// Names of all images of holders.
    pub(crate) async fn holder_images(&self) -> Vec<String> {
        let filters = HashMap::from([("reference", vec!["spillway-holder"])]);
        let options = bollard::query_parameters::ListImagesOptionsBuilder::new().filters(&filters);
        let listed = self.docker.list_images(Some(options.build())).await;
        listed
            .unwrap()
            .into_iter()
            .flat_map(|image| image.repo_tags)
            .collect()
    }

    async fn containers(&self) -> Vec<String> {
        let mut all = self.members().await;
        all.extend(self.holders().await);
        all
    }

    async fn listed(&self, kind: &str) -> Vec<String> {
        let labels = vec![
            format!("spillway.agent={}", self.settings.identity),
            format!("spillway.kind={kind}"),
        ];
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&HashMap::from([("label", labels)]));
        let listed = self
            .docker
            .list_containers(Some(options.build()))
            .await
            .unwrap();
        listed
            .into_iter()
            .filter_map(|container| container.id)
            .collect()
    }

    /// Claims, runs, releases.
    pub(crate) async fn once(&self, service: &Arc<ServiceDefinition>) -> (bool, RunEnd, String) {
        let mut member = self.runtime.claim(service).await.unwrap();
        let warm = member.was_warm();
        let (end, output) = run(&mut member, 20_000).await;
        member.release().await;
        (warm, end.unwrap(), output)
    }
}

/// After a test that failed half-way: no container stays.
impl Drop for Node {
    fn drop(&mut self) {
        let label = format!("spillway.agent={}", self.settings.identity);
        crate::leftovers::remove_containers(&self.settings.docker, &label);
    }
}

fn docker(socket: &str) -> Docker {
    Docker::connect_with_unix(socket, 60, bollard::API_DEFAULT_VERSION).unwrap()
}

/// An engine without networks that belongs to one test.
pub(crate) struct PrivateEngine {
    folder: TempDir,
    daemon: Option<std::process::Child>,
}

impl PrivateEngine {
    pub(crate) async fn start() -> Self {
        let mut engine = Self {
            folder: tempfile::tempdir().unwrap(),
            daemon: None,
        };
        engine.begin().await;
        engine
    }

    pub(crate) fn socket(&self) -> String {
        self.folder.path().join("engine.sock").display().to_string()
    }

    pub(crate) async fn begin(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        let log = std::fs::File::create(at("log")).unwrap();
        let daemon = Command::new("unshare")
            // A network namespace of its own: an engine deletes or rebuilds the bridge `docker0` of the one it is in.
            .args(["--net", "--", "dockerd"])
            .args([
                "--bridge",
                "none",
                "--iptables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ])
            .arg("--host")
            .arg(format!("unix://{}", self.socket()))
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        let socket = self.socket();
        until("the private engine is up", || async {
            let docker = Docker::connect_with_unix(&socket, 5, bollard::API_DEFAULT_VERSION);
            match docker {
                Ok(docker) => docker.ping().await.is_ok(),
                Err(_) => false,
            }
        })
        .await;
    }

    /// Ends it, and with it its containers.
    pub(crate) fn end(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let pid = rustix::process::Pid::from_child(&daemon);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            daemon.wait().unwrap();
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        self.end();
    }
}

/// A service of this name that runs this script in 32 MiB.
pub(crate) fn service(
    name: &str,
    script: &str,
    change: impl FnOnce(&mut Service),
) -> Arc<ServiceDefinition> {
    let mut service = Service {
        name: name.into(),
        image: IMAGE.clone(),
        cpu: "1".into(),
        memory: "32Mi".into(),
        script: script.into(),
        token: "00".into(),
        edge: Some(Edge::default()),
        ..Service::default()
    };
    change(&mut service);
    Arc::new(ServiceDefinition {
        revision: 1,
        service,
        secrets: BTreeMap::new(),
        registries: Vec::new(),
        volume: None,
    })
}

/// Runs the service's script in a run folder, as staging does; how it ended and all it wrote.
pub(crate) async fn run(
    member: &mut Member,
    timeout_ms: u64,
) -> (Result<RunEnd, ClaimError>, String) {
    let folder = member.folder().join("run-1");
    for folder in [folder.clone(), folder.join("tmp"), folder.join("output")] {
        std::fs::create_dir(&folder).unwrap();
        open_to_all(&folder);
    }
    let invocation = Invocation {
        id: "1".into(),
        script: "/oscar/config/script.sh".into(),
        stdin: None,
        environment: vec![
            ("TMPDIR".into(), member.inside("run-1/tmp")),
            ("TMP_OUTPUT_DIR".into(), member.inside("run-1/output")),
        ],
        timeout_ms,
        log_limit: MIB,
    };
    let (sender, mut receiver) = mpsc::channel::<Output>(4);
    let reader = tokio::spawn(async move {
        let mut text = Vec::new();
        while let Some(piece) = receiver.recv().await {
            text.extend_from_slice(&piece.bytes);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let end = member.run(&invocation, sender).await;
    std::fs::remove_dir_all(folder).unwrap();
    (end, reader.await.unwrap())
}

fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
}

/// Waits until `holds`, or fails.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "waited in vain: {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The static supervisor, built once per test run.
fn supervisor() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            let target = root.join("target");
            let status = Command::new(root.join("scripts/build-supervisor"))
                .env("CARGO_TARGET_DIR", &target)
                .status();
            assert!(status.unwrap().success(), "scripts/build-supervisor failed");
            target
                .join("supervisor/spillway-supervisor")
                .canonicalize()
                .unwrap()
        })
        .clone()
}

fn probe_file() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine.json")
}

fn probe() -> Vec<u8> {
    std::fs::read(probe_file()).unwrap_or_default()
}

/// Imports the test images, unless they are there.
async fn make_images(docker: &Docker) {
    let changes: [(&str, &[&str]); 2] = [
        ("root", &["ENV FROM_IMAGE=yes"]),
        (
            "user",
            &["ENV FROM_IMAGE=yes", "USER 65534:65534", "WORKDIR /home"],
        ),
    ];
    for (kind, changes) in changes {
        if docker.inspect_image(&image(kind)).await.is_ok() {
            continue;
        }
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(REPOSITORY)
            .tag(&tag(kind))
            .changes(changes.iter().map(|change| (*change).to_owned()).collect())
            .build();
        let body = bollard::body_full(busybox().into());
        docker
            .create_image(Some(options), Some(body), None)
            .for_each(|step| async { drop(step.unwrap()) })
            .await;
    }
}

/// A root file system of one static binary and its names.
fn busybox() -> Vec<u8> {
    let binary = std::fs::read("/bin/busybox").expect("install the Debian package busybox-static");
    let mut archive = tar::Builder::new(Vec::new());
    for folder in ["bin", "home", "tmp"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o1777);
        archive.append_data(&mut header, folder, &[][..]).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_size(binary.len() as u64);
    header.set_mode(0o755);
    archive
        .append_data(&mut header, "bin/busybox", &binary[..])
        .unwrap();
    for name in [
        "sh", "cat", "echo", "id", "sleep", "touch", "dd", "tail", "true", "ls", "env", "kill",
        "head",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive
            .append_link(&mut header, format!("bin/{name}"), "busybox")
            .unwrap();
    }
    archive.into_inner().unwrap()
}
