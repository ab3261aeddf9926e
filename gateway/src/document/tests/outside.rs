//! Nobody adds a route beside the tables, where it would need no documentation.

use std::path::{Path, PathBuf};

/// What may make routes by itself: the tables, the agents' protocol, the object store's.
const OWN: [&str; 3] = ["routes.rs", "link.rs", "objects"];

#[test]
fn every_route_of_the_api_stands_in_a_table() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut looked_at = 0;
    for file in files(&source) {
        let name = file
            .strip_prefix(&source)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if OWN.iter().any(|own| name.starts_with(own)) || name.contains("tests") {
            continue;
        }
        looked_at += 1;
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for way in [
            ".route(",
            ".route_service(",
            ".nest(",
            ".nest_service(",
            "fallback_service(",
        ] {
            assert!(
                !code.contains(way),
                "{name} makes a route with `{way}`; put it into a table, see routes.rs"
            );
        }
    }
    assert!(looked_at > 40, "only {looked_at} files were looked at");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
