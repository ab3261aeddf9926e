//! Removes what a test that failed half-way left in the container engine.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Removes all containers with this label, by force, from the engine at this address.
pub(crate) fn remove_containers(engine: &str, label: &str) {
    let listed = Command::new("docker")
        .args(["-H", engine, "ps", "-aq", "--no-trunc"])
        .args(["--filter", &format!("label={label}")])
        .output();
    let listed = listed.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    for id in listed.unwrap_or_default().split_whitespace() {
        thaw(id);
        let _ = Command::new("docker")
            .args(["-H", engine, "rm", "-f", "-v", id])
            .output();
    }
}

/// Idle containers are frozen by their agent, without the engine's knowledge, and the frozen cannot die.
fn thaw(id: &str) {
    let groups = Path::new("/sys/fs/cgroup");
    let places: [(PathBuf, &str); 3] = [
        (
            groups.join(format!("freezer/docker/{id}/freezer.state")),
            "THAWED",
        ),
        (
            groups.join(format!("system.slice/docker-{id}.scope/cgroup.freeze")),
            "0",
        ),
        (groups.join(format!("docker/{id}/cgroup.freeze")), "0"),
    ];
    for (file, word) in places.iter().filter(|(file, _)| file.exists()) {
        let _ = std::fs::write(file, word);
    }
}
