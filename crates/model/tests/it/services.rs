//! Services of every kind, for properties.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use spillway_model::service::{
    Cluster, Edge, Environment, Expose, Federation, FileProvider, MinioProvider, MqttProvider,
    Replica, Service, StorageIo, StorageProviders, Synchronous, Volume,
};

/// Any text a container could be given, with a liking for what YAML takes for something else.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[^\\x00]{0,12}",
        1 => "[ -~]{0,20}",
        1 => "(\n|\t| |a|: |- |#|\"|'|\\\\|%|@|&|\\*|\\||>){1,8}",
        1 => prop::sample::select(vec![
            "no", "yes", "on", "~", "null", "true", "1.10", "0644", "1e3", ".inf", "<<", "=", "- a", "a: b", "{}", "[]",
            "2026-03-01", "0x1F", "1_000", " lead", "trail ", "# no comment", "line\nline\n", "\n\n", "!tag", "\u{feff}",
            "a\r\nb", "\u{85}", "\u{2028}x",
        ]).prop_map(str::to_owned),
    ]
}

fn word() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,8}[a-z0-9])?"
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[A-Za-z_.<~][A-Za-z0-9_.]{0,6}", any_text(), 0..4)
}

fn entries() -> impl Strategy<Value = Vec<StorageIo>> {
    let filter = || vec("[.a-z0-9]{1,5}", 0..3);
    let entry =
        (word(), word(), filter(), filter()).prop_map(|(bucket, folder, prefix, suffix)| {
            StorageIo {
                storage_provider: "minio.default".to_owned(),
                path: format!("{bucket}x/{folder}"),
                suffix,
                prefix,
                options: String::new(),
            }
        });
    vec(entry, 0..3)
}

fn providers() -> impl Strategy<Value = StorageProviders> {
    let minio =
        (any_text(), any::<bool>(), any_text()).prop_map(|(endpoint, verify, secret_key)| {
            MinioProvider {
                endpoint,
                verify,
                secret_key,
                ..MinioProvider::default()
            }
        });
    let mqtt = any_text().prop_map(|password| MqttProvider {
        broker: "mqtt://h".to_owned(),
        password,
        ..MqttProvider::default()
    });
    let file = word().prop_map(|folder| FileProvider {
        root: format!("/{folder}"),
    });
    (
        btree_map(word(), minio, 0..3),
        btree_map(word(), mqtt, 0..2),
        btree_map(word(), file, 0..2),
    )
        .prop_map(|(minio, mqtt, file)| StorageProviders {
            minio,
            mqtt,
            file,
            ..StorageProviders::default()
        })
}

fn federation() -> impl Strategy<Value = Federation> {
    let replica =
        (any::<bool>(), 0..9_u32, texts()).prop_map(|(ssl_verify, priority, headers)| Replica {
            kind: "endpoint".to_owned(),
            url: "https://x.example.org".to_owned(),
            ssl_verify,
            priority,
            headers,
            ..Replica::default()
        });
    (0..99_u32, vec(replica, 0..3)).prop_map(|(rescheduler_threshold, members)| Federation {
        rescheduler_threshold,
        members,
        topology: "star".to_owned(),
        ..Federation::default()
    })
}

fn edge() -> impl Strategy<Value = Edge> {
    let times = (option::of(1..9000_u32), option::of(1..9000_u32));
    let rest = (
        option::of(any::<i32>()),
        option::of(0..100_u32),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
    );
    (btree_map(word(), any_text(), 0..3), times, rest).prop_map(
        |(node_selector, (deadline, timeout), rest)| Edge {
            node_selector,
            deadline: deadline.map(|seconds| format!("{seconds}s")),
            timeout: timeout.map(|millis| format!("{millis}ms")),
            priority: rest.0,
            retries: rest.1,
            reuse: rest.2,
            read_only: rest.3,
            after: Some("move:done".to_owned()),
            ..Edge::default()
        },
    )
}

/// A service that a file or a body can say, not normalised, its script of more than one line.
pub(crate) fn service() -> impl Strategy<Value = Service> {
    let identity = (
        word(),
        "[a-z]{1,5}(/[a-z]{1,5})?(:[0-9.]{1,4}[0-9])?",
        word(),
    );
    let limits = (10..4000_u32, 6..4000_u32, any::<[bool; 4]>());
    let storage = (entries(), entries(), providers());
    let maps = (texts(), texts(), btree_map(word(), any_text(), 0..3));
    let blocks = (
        option::of(federation()),
        option::of(edge()),
        any::<bool>(),
        vec(1..=u16::MAX, 0..3),
    );
    (identity, limits, storage, maps, blocks, any_text()).prop_map(
        |(identity, limits, storage, maps, blocks, script)| {
            let [enable_gpu, alpine, file_stage_in, image_prefetch] = limits.2;
            Service {
                name: identity.0,
                image: identity.1,
                cluster_id: identity.2.clone(),
                cpu: format!("{}m", limits.0),
                memory: format!("{}Mi", limits.1),
                enable_gpu,
                alpine,
                file_stage_in,
                image_prefetch,
                input: storage.0,
                output: storage.1,
                storage_providers: storage.2,
                script: format!("#!/bin/sh\n{script}\nend"),
                environment: Environment {
                    variables: maps.0,
                    secrets: maps.1,
                },
                annotations: maps.2,
                labels: BTreeMap::from([("team".to_owned(), identity.2.clone())]),
                clusters: BTreeMap::from([(
                    identity.2,
                    Cluster {
                        endpoint: "https://c".to_owned(),
                        ..Cluster::default()
                    },
                )]),
                federation: blocks.0,
                edge: blocks.1,
                volume: blocks.2.then(|| Volume {
                    size: "1Gi".to_owned(),
                    mount_path: "/data".to_owned(),
                    ..Volume::default()
                }),
                expose: Expose {
                    api_port: blocks.3.clone(),
                    node_port: if blocks.3.len() > 1 {
                        blocks.3
                    } else {
                        Vec::new()
                    },
                    ..Expose::default()
                },
                synchronous: Synchronous {
                    min_scale: 1,
                    max_scale: 2,
                },
                allowed_users: vec!["ana".to_owned()],
                ..Service::default()
            }
        },
    )
}
