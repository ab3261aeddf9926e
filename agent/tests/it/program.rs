//! The program itself, as a process of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use spillway_model::wire::link::{InputFile, Outcome};

use crate::gateway::JOIN_TOKEN;
use crate::node::{Node, supervisor};

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_says_its_version() {
    let said = Command::new(env!("CARGO_BIN_EXE_spillway-agent"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(said.stdout).unwrap(),
        format!("spillway-agent {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_300_mb_passes_with_little_memory_and_a_signal_ends_the_program() {
    // The node's own agent makes way for the program.
    let mut node = Node::start().await;
    node.stop().await;
    let program = Command::new(env!("CARGO_BIN_EXE_spillway-agent"))
        .args([
            "--gateway",
            &format!("http://{}", node.gateway.address),
            "--node",
            "program",
        ])
        .args(["--container-label", "spillway.test=agent"])
        .args(["--container-label", &node.label(), "--stop-grace", "1s"])
        .arg("--data")
        .arg(node.data.path())
        .arg("--supervisor")
        .arg(supervisor())
        .env("SPILLWAY_JOIN_TOKEN", JOIN_TOKEN)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut program = Process(program);
    let size = 300 * 1024 * 1024;
    let definition = node.service("cp $INPUT_FILE_PATH $TMP_OUTPUT_DIR/copy", |_| {});
    let attempt = node.grant(&definition, |lease| {
        lease.input = Some(InputFile {
            name: "big.bin".to_owned(),
            size,
            inline: None,
        });
        node.gateway
            .know()
            .input_sizes
            .insert(lease.attempt.clone(), size);
    });
    let end = node.gateway.completion(&attempt).await;
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.log);
    assert_eq!(node.gateway.know().blobs, [size]);

    let status = std::fs::read_to_string(format!("/proc/{}/status", program.0.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 60 * 1024, "peak of {peak} KiB resident");

    let pid = Pid::from_raw(i32::try_from(program.0.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    for _ in 0..500 {
        if let Some(status) = program.0.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the program does not end");
}
