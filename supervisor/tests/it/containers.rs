//! In real containers, with images that have a shell and nothing else, or not even that.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::agent::{Agent, dial, emulated, eventually, folder, script_in};

/// Everything that these tests make carries this label.
const LABEL: &str = "io.spillway.test=supervisor";

/// The static binary, built as it is for real; none where containers are not to be had.
fn static_supervisor() -> Option<&'static Path> {
    static PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let docker = Command::new("docker")
            .arg("version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if emulated() || !docker.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no Docker engine for this processor here");
            return None;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let built = Command::new(root.join("scripts/build-supervisor"))
            .output()
            .unwrap();
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
        let said = String::from_utf8(built.stdout).unwrap();
        Some(root.join(said.split(':').next().unwrap()))
    });
    path.as_deref()
}

fn docker(arguments: &[&str]) -> Output {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// An image that is gone after its test.
struct Image(String);

impl Image {
    /// Of everything in a folder.
    fn of(folder: &Path, name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!(
            "spillway-test-supervisor-{name}:{}-{number}",
            std::process::id()
        );
        let mut tar = Command::new("tar")
            .arg("-C")
            .arg(folder)
            .args(["-c", "."])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let import = Command::new("docker")
            .args([
                "import",
                "--change",
                &format!("LABEL {LABEL}"),
                "--change",
                "ENV HELLO=image",
                "-",
                &name,
            ])
            .stdin(tar.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(
            tar.wait().unwrap().success() && import.status.success(),
            "{import:?}"
        );
        Self(name)
    }

    /// A shell, the libraries it needs, and nothing else: not even `ls`.
    fn of_a_shell() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copy = |from: &str| {
            let to = folder.path().join(from.trim_start_matches('/'));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(from, to).unwrap();
        };
        copy("/bin/sh");
        let libraries = Command::new("ldd").arg("/bin/sh").output().unwrap();
        for word in String::from_utf8(libraries.stdout)
            .unwrap()
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            copy(word);
        }
        Self::of(folder.path(), "shell")
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rmi", "--force", &self.0])
            .output();
    }
}

/// A running container that is gone after its test.
struct Container {
    id: String,
    folder: tempfile::TempDir,
}

impl Container {
    fn run(image: &Image, options: &[&str], arguments: &[&str]) -> Option<Self> {
        let supervisor = static_supervisor()?;
        let folder = folder();
        let binary = format!("{}:/oscar/bin/supervisor:ro", supervisor.display());
        let shared = format!("{}:/spillway", folder.path().display());
        let mut command = vec![
            "run",
            "--detach",
            "--network",
            "none",
            "--log-driver",
            "none",
            "--label",
            LABEL,
        ];
        command.extend([
            "--volume",
            &binary,
            "--volume",
            &shared,
            "--entrypoint",
            "/oscar/bin/supervisor",
        ]);
        command.extend(options);
        command.push(&image.0);
        command.extend(arguments);
        let id = String::from_utf8(docker(&command).stdout)
            .unwrap()
            .trim()
            .to_owned();
        Some(Self { id, folder })
    }

    fn connect(&self) -> Agent {
        let mut agent = dial(&self.folder.path().join("supervisor.sock"));
        agent.hello();
        agent
    }

    /// What a script says, with its errors.
    fn output(&self, agent: &mut Agent, text: &str) -> String {
        let mut invocation = script_in(self.folder.path(), text);
        let name = Path::new(&invocation.script)
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        invocation.script = format!("/spillway/{name}");
        let outcome = agent.run(&invocation);
        match &outcome.exited.error {
            Some(error) => format!("error: {error}"),
            None => format!(
                "{}{}{}",
                outcome.stdout(),
                outcome.stderr(),
                end(&outcome.exited)
            ),
        }
    }

    fn state(&self, field: &str) -> String {
        let output = docker(&[
            "inspect",
            "--format",
            &format!("{{{{.State.{field}}}}}"),
            &self.id,
        ]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rm", "--force", "--volumes", &self.id])
            .output();
    }
}

/// How a script ended, when not with 0.
fn end(exited: &spillway_model::wire::supervisor::Exited) -> String {
    match (exited.code, exited.signal) {
        (Some(0), _) => String::new(),
        (Some(code), _) => format!("exit {code}"),
        (_, signal) => format!("signal {}", signal.unwrap_or(0)),
    }
}

#[test]
fn any_user_is_served_in_an_image_of_a_shell_with_nothing_allowed() {
    if static_supervisor().is_none() {
        return;
    }
    let image = Image::of_a_shell();
    let locked = ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    for more in [
        &["--user", "65534:65534", "--read-only"][..],
        &["--user", "1000"],
        &["--read-only"],
        &[],
    ] {
        let container = Container::run(&image, &[&locked[..], more].concat(), &[]).unwrap();
        let mut agent = container.connect();
        assert_eq!(
            container.output(&mut agent, "echo $HELLO; exit 5"),
            "image\nexit 5",
            "with {more:?}"
        );
        let score =
            "read x < /proc/self/oom_score_adj; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done
            read x < /proc/self/oom_score_adj; echo $x";
        assert_eq!(
            container.output(&mut agent, score),
            "1000\n",
            "with {more:?}"
        );
        if more.contains(&"--user") {
            let spy = "{ read x < /proc/1/environ; } 2>/dev/null && echo seen; { echo > /proc/1/mem; } 2>/dev/null && echo open; true";
            assert_eq!(container.output(&mut agent, spy), "", "with {more:?}");
        }
    }
}

#[test]
fn scratch_folders_of_a_container_are_clean_for_the_next_invocation() {
    if static_supervisor().is_none() {
        return;
    }
    let image = Image::of_a_shell();
    let container = Container::run(&image, &["--tmpfs", "/tmp", "--user", "1000"], &[]).unwrap();
    let mut agent = container.connect();
    let look = "echo /tmp/* /dev/shm/*";
    assert_eq!(
        container.output(
            &mut agent,
            "echo > /tmp/secret; echo > /dev/shm/secret; echo /tmp/*"
        ),
        "/tmp/secret\n"
    );
    assert_eq!(container.output(&mut agent, look), "/tmp/* /dev/shm/*\n");
}

#[test]
fn when_memory_runs_out_the_script_dies_and_the_container_lives() {
    if static_supervisor().is_none() {
        return;
    }
    let image = Image::of_a_shell();
    let container =
        Container::run(&image, &["--memory", "32m", "--memory-swap", "32m"], &[]).unwrap();
    let mut agent = container.connect();
    for _ in 0..2 {
        assert_eq!(
            container.output(&mut agent, "x=0123456789abcdef; while :; do x=$x$x; done"),
            "signal 9"
        );
        assert_eq!(container.output(&mut agent, "echo alive"), "alive\n");
    }
}

#[test]
fn an_image_without_a_shell_is_an_error_in_words() {
    if static_supervisor().is_none() {
        return;
    }
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(empty.path().join("nothing"), "").unwrap();
    let image = Image::of(empty.path(), "empty");
    let container = Container::run(&image, &["--read-only"], &[]).unwrap();
    let said = container.output(&mut container.connect(), "echo hello");
    assert!(
        said.starts_with("error: this image has no /bin/sh"),
        "{said}"
    );
}

#[test]
fn an_image_of_the_supervisor_alone_holds_and_probes() {
    let Some(supervisor) = static_supervisor() else {
        return;
    };
    let alone = tempfile::tempdir().unwrap();
    std::fs::copy(supervisor, alone.path().join("supervisor")).unwrap();
    let image = Image::of(alone.path(), "alone");
    let probe = Container::run(
        &image,
        &["--read-only", "--user", "65534", "--cap-drop", "ALL"],
        &["true"],
    )
    .unwrap();
    eventually("the probe ends", || probe.state("Status") == "exited");
    assert_eq!(probe.state("ExitCode"), "0");

    let holder = Container::run(
        &image,
        &["--read-only", "--user", "65534", "--cap-drop", "ALL"],
        &["hold"],
    )
    .unwrap();
    assert_eq!(holder.state("Status"), "running");
    // Without its handling of SIGTERM process 1 would be killed after these 30 s, with 137.
    docker(&["stop", "--time", "30", &holder.id]);
    assert_eq!(
        (
            holder.state("Status").as_str(),
            holder.state("ExitCode").as_str()
        ),
        ("exited", "0")
    );
}

#[test]
fn a_stopped_container_ends_at_once_and_well() {
    if static_supervisor().is_none() {
        return;
    }
    let image = Image::of_a_shell();
    let container = Container::run(&image, &[], &[]).unwrap();
    let mut agent = container.connect();
    let mut endless = script_in(container.folder.path(), "trap '' TERM; while :; do :; done");
    endless.script = endless
        .script
        .replace(container.folder.path().to_str().unwrap(), "/spillway");
    agent.begin(&endless);
    docker(&["stop", "--time", "30", &container.id]);
    assert_eq!(container.state("ExitCode"), "0");
    assert_eq!(agent.frame(), None);
}
