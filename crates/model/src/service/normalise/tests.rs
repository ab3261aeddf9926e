//! One rule a case: a change to a good service, and what is said about it.

use crate::service::{
    Edge, Federation, FileProvider, MqttProvider, Service, StorageIo, Synchronous, Volume,
};

fn good() -> Service {
    Service {
        name: "leaf-thumbs".to_owned(),
        image: "registry.example.org/leaf/thumbs:1.2".to_owned(),
        script: "#!/bin/sh\necho\n".to_owned(),
        ..Service::default()
    }
}

fn io(provider: &str, path: &str) -> StorageIo {
    StorageIo {
        storage_provider: provider.to_owned(),
        path: path.to_owned(),
        ..StorageIo::default()
    }
}

#[test]
fn what_is_left_out_gets_its_default() {
    let mut service = Service {
        log_level: "loud".to_owned(),
        federation: Some(Federation::default()),
        ..good()
    };
    service.normalise().unwrap();
    assert_eq!(
        (service.memory.as_str(), service.cpu.as_str()),
        ("256Mi", "0.2")
    );
    assert_eq!(
        (service.log_level.as_str(), service.visibility.as_str()),
        ("INFO", "private")
    );
    assert_eq!(service.labels["queue"], "root.oscar-queue.leaf-thumbs");
    assert_eq!(service.labels["oscar.grycap/user-service"], "true");
    let federation = service.federation.as_ref().unwrap();
    assert_eq!(
        (federation.topology.as_str(), federation.group_id.as_str()),
        ("none", "leaf-thumbs")
    );
    let before = service.clone();
    service.normalise().unwrap();
    assert_eq!(service, before);
}

#[test]
fn everything_is_brought_into_one_form() {
    let mut service = Service {
        script: "a\r\nb\rc".to_owned(),
        allowed_users: vec![" ana ".to_owned(), "  ".to_owned()],
        log_level: "debug".to_owned(),
        isolation_level: "user".to_owned(),
        vo: "/vo/group one".to_owned(),
        input: vec![
            io("minio", " /in/ "),
            io("MINIO.default", "/leaves/in/"),
            io("mqtt.field", "/site/+/frame"),
        ],
        output: vec![io("webdav.lab", "/out/"), io("rucio.x", "")],
        volume: Some(Volume {
            size: " 1Gi".to_owned(),
            mount_path: "/state ".to_owned(),
            ..Volume::default()
        }),
        ..good()
    };
    service.normalise().unwrap();
    assert_eq!(service.script, "a\nb\nc");
    assert_eq!(service.allowed_users, ["ana"]);
    assert_eq!(
        (service.log_level.as_str(), service.isolation_level.as_str()),
        ("DEBUG", "USER")
    );
    assert_eq!(service.labels["vo"], "vo--group__one");
    let paths: Vec<&str> = service
        .input
        .iter()
        .chain(&service.output)
        .map(|io| io.path.as_str())
        .collect();
    assert_eq!(
        paths,
        ["leaf-thumbs/in", "leaves/in", "/site/+/frame", "out", ""]
    );
    let volume = service.volume.unwrap();
    assert_eq!(
        (volume.name.as_str(), volume.lifecycle_policy.as_str()),
        ("leaf-thumbs", "delete")
    );
}

#[test]
fn what_breaks_a_rule_is_refused_with_field_value_and_what_was_expected() {
    check(
        |s| s.name.clear(),
        "name: it is missing; every service needs one",
    );
    check(
        |s| s.image.clear(),
        "image: it is missing; every service needs one",
    );
    check(
        |s| s.script = "\n".to_owned(),
        "script: it is missing; every service needs one",
    );
    check(
        |s| s.name = "Leaf".to_owned(),
        "name: \"Leaf\" contains 'L'; use lower-case letters, digits and hyphens",
    );
    check(
        |s| s.name = "leaf-".to_owned(),
        "name: \"leaf-\" must begin and end with a letter or a digit",
    );
    check(
        |s| s.name = "l".repeat(40),
        &format!(
            "name: \"{}\" has 40 characters; at most 39 are possible",
            "l".repeat(40)
        ),
    );
    check(
        |s| s.image = "a b".to_owned(),
        "image: \"a b\" is no image reference: it contains a blank",
    );
    check(
        |s| s.cpu = "0".to_owned(),
        "cpu: \"0\" is nothing; expected more than 0",
    );
    check(
        |s| s.memory = "512m".to_owned(),
        "memory: \"512m\" is less than the 6Mi that every container needs; did you mean \"512Mi\"?",
    );
    check(
        |s| s.total_cpu = "x".to_owned(),
        "total_cpu: \"x\" is no number of cores; expected cores, such as \"0.5\" or \"500m\"",
    );
    check(
        |s| s.visibility = "hidden".to_owned(),
        "visibility: \"hidden\" is not known; expected private, restricted or public",
    );
    check(
        |s| s.isolation_level = "all".to_owned(),
        "isolation_level: \"ALL\" is not known; expected SERVICE or USER",
    );
    check(
        |s| {
            s.synchronous = Synchronous {
                min_scale: 3,
                max_scale: 2,
            }
        },
        "synchronous.min_scale: 3 is more than max_scale, which is 2",
    );
    check(
        |s| {
            s.labels.insert("a".to_owned(), "ä".to_owned());
        },
        "labels.a: \"ä\" is no value of a label; use at most 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends",
    );
    check(
        |s| {
            s.environment
                .variables
                .insert("A=B".to_owned(), String::new());
        },
        "environment.variables.A=B: \"A=B\" is no name of a variable, or its value holds a zero byte",
    );
}

#[test]
fn paths_and_providers_are_checked() {
    check(
        |s| s.input = vec![io("minio", "//")],
        "input[0].path: input path cannot be empty",
    );
    check(
        |s| s.output = vec![io("minio", " ")],
        "output[0].path: output path cannot be empty",
    );
    check(
        |s| s.input = vec![io("mino.default", "a/b")],
        "input[0].storage_provider: \"mino\" is no type of storage provider; did you mean \"minio\"?",
    );
    check(
        |s| s.input = vec![io("", "a/b")],
        "input[0].storage_provider: it is missing; expected a storage provider such as minio.default",
    );
    check(
        |s| s.input = vec![io("minio", "a/../b")],
        "input[0].path: \"a/../b\" contains \"..\"; write the path out",
    );
    check(
        |s| s.input = vec![io("minio", "a//b")],
        "input[0].path: \"a//b\" has two slashes in a row",
    );
    check(
        |s| s.input = vec![io("minio", "Bucket/in")],
        "input[0].path: \"Bucket\" is no name of a bucket; use at most 63 lower-case letters, digits, \"-\" and \".\", with a letter or digit at both ends",
    );
    check(
        |s| s.output = vec![io("mqtt.f", "a/+")],
        "output[0].path: \"a/+\" has a wildcard; results are published to one topic",
    );
    check(
        |s| s.input = vec![io("mqtt.f", "a/#/b")],
        "input[0].path: \"a/#/b\" is no topic filter: \"+\" stands for one whole level, \"#\" only at the end for all below",
    );
    check(
        |s| s.mount = io("rucio.x", "a"),
        "mount.storage_provider: \"rucio\" cannot be mounted; expected minio, s3 or webdav",
    );
    check(
        |s| {
            s.mount = StorageIo {
                options: "--x;y".to_owned(),
                ..io("minio", "a/b")
            }
        },
        "mount.options: mount options contain invalid characters",
    );
    check(
        |s| {
            s.storage_providers.mqtt.insert(
                "f".to_owned(),
                MqttProvider {
                    broker: "broker.local".to_owned(),
                    ..MqttProvider::default()
                },
            );
        },
        "storage_providers.mqtt.f.broker: \"broker.local\" is no address of a broker; expected mqtt://host:1883 or mqtts://host:8883",
    );
    check(
        |s| {
            s.storage_providers.file.insert(
                "c".to_owned(),
                FileProvider {
                    root: "spool".to_owned(),
                },
            );
        },
        "storage_providers.file.c.root: \"spool\" is no folder; expected an absolute path such as \"/var/spool/camera\"",
    );
}

#[test]
fn volumes_and_the_edge_block_are_checked() {
    let volume = |name: &str, size: &str, path: &str| {
        Some(Volume {
            name: name.to_owned(),
            size: size.to_owned(),
            mount_path: path.to_owned(),
            ..Volume::default()
        })
    };
    check(
        |s| s.volume = volume("", "", "/x"),
        "volume.name is required when volume.size is not set",
    );
    check(
        |s| s.volume = volume("v", "", ""),
        "volume.mount_path is required",
    );
    check(
        |s| s.volume = volume("v", "", "x"),
        "volume.mount_path: \"x\" is no absolute path",
    );
    check(
        |s| s.volume = volume("v", "0", "/x"),
        "volume.size: \"0\" is nothing; expected more than 0",
    );
    check(
        |s| s.volume = volume("v", "", "/oscar/bin/x"),
        "volume.mount_path: \"/oscar/bin/x\" is taken: /oscar/bin belongs to the platform",
    );

    let edge = |change: &dyn Fn(&mut Edge)| {
        let mut edge = Edge::default();
        change(&mut edge);
        Some(edge)
    };
    let text = |text: &str| Some(text.to_owned());
    check(
        |s| s.edge = edge(&|e| e.timeout = text("5")),
        "edge.timeout: \"5\" has no unit; write \"5s\" for seconds, or use ms, m, h",
    );
    check(
        |s| s.edge = edge(&|e| e.deadline = text("0s")),
        "edge.deadline: it is nothing; expected more than 0s",
    );
    check(
        |s| s.edge = edge(&|e| e.retries = Some(101)),
        "edge.retries: 101 are too many; at most 100 are possible",
    );
    check(
        |s| s.edge = edge(&|e| e.offload = text("yes")),
        "edge.offload: \"yes\" is not known; expected auto, never or always",
    );
    check(
        |s| s.edge = edge(&|e| e.network = text("host")),
        "edge.network: \"host\" is not known; expected default or none",
    );
    check(
        |s| s.edge = edge(&|e| e.after = text("move:../x")),
        "edge.after: \"move:../x\" is not known; expected keep, delete or move:<folder>",
    );
    check(
        |s| s.edge = edge(&|e| e.devices = vec!["video0".to_owned()]),
        "edge.devices[0]: \"video0\" is no device; expected a path such as \"/dev/video0\"",
    );
}

#[test]
fn the_answer_of_the_api_is_introduced_except_where_the_reference_does_not() {
    let mut service = Service {
        name: "Leaf".to_owned(),
        input: vec![io("minio", "/")],
        ..good()
    };
    let answers: Vec<String> = service
        .normalise_all()
        .iter()
        .map(super::SpecError::answer)
        .collect();
    assert_eq!(
        answers,
        [
            "The service specification is not valid: name: \"Leaf\" contains 'L'; use lower-case letters, digits and hyphens",
            "input path cannot be empty",
        ]
    );
}

#[test]
fn what_is_exposed_is_checked() {
    check(
        |s| s.expose.auth_type = "none".to_owned(),
        "expose.auth_type: \"none\" is not known; expected basic or forward",
    );
    check(
        |s| s.expose.probe_mode = "x".to_owned(),
        "expose.probe_mode: \"x\" is not known; expected legacy or direct",
    );
    check(
        |s| s.expose.node_port = vec![30080],
        "expose.nodePort: it has 1 and api_port has 0; expected as many, 0 to have one chosen",
    );
}

#[test]
fn enclaves_and_model_servers_are_refused() {
    let service = Service {
        enable_sgx: true,
        ..good()
    };
    assert!(service.check_supported().is_err());
    let service = Service {
        kserve: Some(serde_json::json!({})),
        ..good()
    };
    assert!(service.check_supported().is_err());
    assert!(good().check_supported().is_ok());
}

#[track_caller]
fn check(change: impl FnOnce(&mut Service), expected: &str) {
    let mut service = good();
    change(&mut service);
    assert_eq!(
        service.normalise().map_err(|error| error.to_string()),
        Err(expected.to_owned())
    );
}
