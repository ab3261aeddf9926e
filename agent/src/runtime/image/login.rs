//! Which login a pull uses, and what to do when the registry does not give the image away.

use bollard::auth::DockerCredentials;
use spillway_model::registry::{RegistryLogin, server_of};

/// The first login for the registry that the image comes from.
pub(super) fn of_image<'a>(image: &str, logins: &'a [RegistryLogin]) -> Option<&'a RegistryLogin> {
    let server = server_of(image);
    logins.iter().find(|login| login.server == server)
}

/// As the engine takes it; it keeps nothing of it.
pub(super) fn credentials(login: &RegistryLogin) -> DockerCredentials {
    DockerCredentials {
        username: Some(login.username.clone()),
        password: Some(login.password.clone()),
        serveraddress: Some(login.server.clone()),
        ..DockerCredentials::default()
    }
}

/// What the owner of the service, or of the node, can do about a pull that failed with `message`.
pub(super) fn advice(
    image: &str,
    used: Option<&RegistryLogin>,
    named: &[RegistryLogin],
    message: &str,
) -> Option<String> {
    let server = server_of(image);
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["http response to https client"]) {
        return Some(format!(
            "the registry {server} speaks plain HTTP; name it under insecure-registries in /etc/docker/daemon.json of the node"
        ));
    }
    if says(&["x509", "certificate"]) {
        return Some(format!(
            "the node does not trust the certificate of {server}; put its authority into /etc/docker/certs.d/{server}/ca.crt \
             on the node"
        ));
    }
    if says(&[
        "unauthorized",
        "authentication required",
        "no basic auth",
        "denied",
        "forbidden",
        "401",
    ]) {
        return Some(denied(server, used, named));
    }
    if says(&["not found", "manifest unknown", "no such image"]) {
        return Some(format!(
            "the registry {server} has no such image for this kind of machine; check its name and tag"
        ));
    }
    let away = [
        "no such host",
        "dial tcp",
        "timeout",
        "timed out",
        "deadline",
        "refused",
        "unreachable",
        "has arrived",
        "eof",
    ];
    says(&away).then(|| {
        format!("the node cannot reach the registry {server}; check the name in front of the image, and the node's network")
    })
}

fn denied(server: &str, used: Option<&RegistryLogin>, named: &[RegistryLogin]) -> String {
    match (used, named) {
        (Some(login), _) => format!(
            "the registry {server} does not accept the login {:?} for this image; `spillway registries add {}` replaces it",
            login.name, login.name
        ),
        (None, []) => format!(
            "the registry {server} wants a login, or has no such image; keep a login with `spillway registries add NAME \
             --server {server}`, and name it in the service's image_pull_secrets"
        ),
        (None, named) => {
            let named: Vec<String> = named
                .iter()
                .map(|login| format!("{:?} is for {}", login.name, login.server))
                .collect();
            format!(
                "the registry {server} wants a login, and none of the service's image_pull_secrets is for it: {}",
                named.join(", ")
            )
        }
    }
}

#[cfg(test)]
#[allow(clippy::items_after_statements)] // The check of a table stands below it.
mod tests {
    use super::*;

    fn login(name: &str, server: &str) -> RegistryLogin {
        RegistryLogin {
            name: name.to_owned(),
            server: server.to_owned(),
            username: "ann".to_owned(),
            password: "swordfish".to_owned(),
        }
    }

    #[test]
    fn the_login_is_that_of_the_image_s_registry() {
        let logins = [login("work", "r.example:5000"), login("hub", "docker.io")];
        let name = |image| of_image(image, &logins).map(|login| login.name.as_str());
        assert_eq!(name("r.example:5000/a/b:1"), Some("work"));
        assert_eq!(name("busybox"), Some("hub"));
        assert_eq!(name("r.example/a"), None);
        let hub = credentials(&logins[1]);
        assert_eq!(hub.serveraddress.as_deref(), Some("docker.io"));
        assert_eq!(hub.password.as_deref(), Some("swordfish"));
    }

    #[test]
    fn a_failed_pull_says_what_to_do() {
        let (work, other) = (login("work", "r.example"), login("other", "o.example"));
        check(&[], "no basic auth credentials", "keep a login");
        check(
            &[work],
            "unauthorized: authentication required",
            "replaces it",
        );
        check(
            &[other],
            "pull access denied for a",
            "\"other\" is for o.example",
        );
        check(
            &[],
            "manifest for a:1 not found: manifest unknown",
            "check its name and tag",
        );
        check(
            &[],
            "dial tcp: lookup r.example: no such host",
            "cannot reach the registry r.example",
        );
        check(&[], "nothing has arrived for 180 s", "cannot reach");
        check(
            &[],
            "http: server gave HTTP response to HTTPS client",
            "insecure-registries",
        );
        check(
            &[],
            "x509: certificate signed by unknown authority",
            "certs.d/r.example/ca.crt",
        );
        assert_eq!(advice("r.example/a", None, &[], "out of cheese"), None);

        #[track_caller]
        fn check(named: &[RegistryLogin], message: &str, expected: &str) {
            let used = of_image("r.example/a", named);
            let said = advice("r.example/a", used, named, message).unwrap();
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("swordfish"));
        }
    }
}
