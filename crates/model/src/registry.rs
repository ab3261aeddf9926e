//! Private image registries: their logins, and which image is whose.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Path of the API that keeps logins; `/{name}` behind it is one of them.
pub const PATH: &str = "/spillway/v1/registries";

/// The registry of images whose name begins with no host.
pub const DOCKER_HUB: &str = "docker.io";

/// Longest name of a login.
pub const LONGEST_NAME: usize = 63;

/// A login as it is listed: without password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryReport {
    /// What services call it in `image_pull_secrets`.
    pub name: String,
    /// Host, with its port if it has one.
    pub server: String,
    /// Name of the registry's user.
    pub username: String,
    /// Services that name it.
    pub services: Vec<String>,
}

/// A login as nodes get it.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegistryLogin {
    /// What services call it.
    pub name: String,
    /// As [`server`] writes it.
    pub server: String,
    pub username: String,
    pub password: String,
}

impl fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryLogin")
            .field("name", &self.name)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// The host that an image comes from. As in Docker, what stands before the first slash is a host when it has a dot
/// or a colon or is `localhost`.
pub fn server_of(image: &str) -> &str {
    let Some((first, _)) = image.split_once('/') else {
        return DOCKER_HUB;
    };
    if first == "localhost" || first.contains(['.', ':']) {
        canonical(first)
    } else {
        DOCKER_HUB
    }
}

/// The host in what people write for a registry, with `https://` in front and a path behind or without. None when
/// there is no host in it.
pub fn server(written: &str) -> Option<String> {
    let bare = written.trim();
    let bare = bare.split_once("://").map_or(bare, |(_, rest)| rest);
    let host = bare.split('/').next()?.to_ascii_lowercase();
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
    (!host.is_empty() && host.chars().all(plain)).then(|| canonical(&host).to_owned())
}

/// Whether a login may have this name: lower-case letters, digits, `-` and `.`, as Kubernetes names secrets.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=LONGEST_NAME).contains(&name.len())
        && name.starts_with(plain)
        && name.ends_with(plain)
        && name.chars().all(|c| plain(c) || matches!(c, '-' | '.'))
}

/// Docker Hub has several names.
fn canonical(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => DOCKER_HUB,
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The checks of the tables stand below them.
mod tests {
    use super::*;

    #[test]
    fn an_image_tells_its_registry() {
        check("busybox", "docker.io");
        check("library/busybox:1", "docker.io");
        check(&format!("{DOCKER_HUB}/library/busybox"), "docker.io");
        check(&format!("index.{DOCKER_HUB}/a/b"), "docker.io");
        check("registry.example.org/a/b@sha256:00", "registry.example.org");
        check("localhost/a", "localhost");
        check("127.0.0.1:5000/a:1", "127.0.0.1:5000");
        check("busybox:1.36", "docker.io");

        #[track_caller]
        fn check(image: &str, expected: &str) {
            assert_eq!(server_of(image), expected, "for {image:?}");
        }
    }

    #[test]
    fn a_registry_is_written_in_many_ways() {
        check("registry.example.org", Some("registry.example.org"));
        check(
            "https://Registry.example.org:5000/",
            Some("registry.example.org:5000"),
        );
        check(
            &format!("https://index.{DOCKER_HUB}/v1/"),
            Some("docker.io"),
        );
        check("127.0.0.1:5000", Some("127.0.0.1:5000"));
        check("", None);
        check("https://", None);
        check("a b", None);

        #[track_caller]
        fn check(written: &str, expected: Option<&str>) {
            assert_eq!(server(written).as_deref(), expected, "for {written:?}");
        }
    }

    #[test]
    fn names_of_logins_are_checked() {
        for (name, good) in [
            ("work", true),
            ("work-2.eu", true),
            ("", false),
            ("Work", false),
            ("-work", false),
            ("a/b", false),
        ] {
            assert_eq!(is_name(name), good, "{name:?}");
        }
    }
}
