use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

fn output(path: &str, prefix: &[&str], suffix: &[&str]) -> StorageIo {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    StorageIo {
        storage_provider: "minio.default".to_owned(),
        path: path.to_owned(),
        prefix: owned(prefix),
        suffix: owned(suffix),
        ..StorageIo::default()
    }
}

fn left(files: &[(&str, usize)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, size) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![b'x'; *size]).unwrap();
    }
    folder
}

fn keys(collected: &[Collected]) -> Vec<(&str, &str)> {
    let places = collected.iter().flat_map(|file| &file.places);
    places
        .map(|place| (place.bucket.as_str(), place.key.as_str()))
        .collect()
}

#[test]
fn files_go_to_every_output_that_takes_them_in_the_order_of_the_definition() {
    let folder = left(&[("a.txt", 1), ("daily/b.jpg", 1), ("daily/deep/c.txt", 1)]);
    let outputs = [
        output("all", &[], &[]),
        output("texts/sub/", &[], &["txt"]),
        output("daily", &["daily/"], &[]),
    ];
    let collected = collect(folder.path(), &outputs).unwrap();
    let expected = [
        ("all", "a.txt"),
        ("texts", "sub/a.txt"),
        ("all", "daily/b.jpg"),
        ("daily", "daily/b.jpg"),
        ("all", "daily/deep/c.txt"),
        ("texts", "sub/daily/deep/c.txt"),
        ("daily", "daily/deep/c.txt"),
    ];
    assert_eq!(keys(&collected), expected);
    assert_eq!(collected[1].content_type, "image/jpeg");
}

#[test]
fn files_that_nobody_takes_are_left_and_services_without_outputs_take_none() {
    let folder = left(&[("a.txt", 1)]);
    assert_eq!(
        collect(folder.path(), &[output("b", &[], &["jpg"])]).unwrap(),
        []
    );
    assert_eq!(collect(Path::new("/nowhere"), &[]).unwrap(), []);
}

#[test]
fn links_pipes_and_empty_folders_are_not_taken() {
    let folder = left(&[("real.txt", 1)]);
    symlink("/etc/passwd", folder.path().join("passwd")).unwrap();
    symlink("/etc", folder.path().join("etc")).unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let collected = collect(folder.path(), &[output("b", &[], &[])]).unwrap();
    assert_eq!(keys(&collected), [("b", "real.txt")]);
}

#[test]
fn an_output_folder_that_became_a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("output");
    symlink("/etc", &fake).unwrap();
    assert!(matches!(
        collect(&fake, &[output("b", &[], &[])]),
        Err(CollectError::Replaced)
    ));
}

#[test]
fn a_name_that_is_not_utf8_fails_clearly() {
    let folder = left(&[]);
    fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9.txt")), "x").unwrap();
    let error = collect(folder.path(), &[output("b", &[], &[])])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("caf\u{fffd}.txt") && error.contains("not UTF-8"),
        "{error}"
    );
}

#[test]
fn too_many_files_and_too_long_keys_fail_clearly() {
    let folder = left(&[]);
    for number in 0..=MAX_FILES {
        fs::write(folder.path().join(number.to_string()), "").unwrap();
    }
    assert!(matches!(
        collect(folder.path(), &[output("b", &[], &[])]),
        Err(CollectError::TooMany)
    ));

    let folder = left(&[("a.txt", 1)]);
    let long = format!("b/{}", "x/".repeat(600));
    assert!(matches!(
        collect(folder.path(), &[output(&long, &[], &[])]),
        Err(CollectError::KeyTooLong { .. })
    ));
}

#[test]
fn small_files_travel_inside_until_their_sum_is_too_large() {
    let small = usize::try_from(INLINE_BYTES).unwrap();
    let names: Vec<String> = (0..130).map(|number| format!("{number:03}")).collect();
    let mut files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), small)).collect();
    files.push(("large", small + 1));
    files.push(("zero", 0));
    let folder = left(&files);
    let collected = collect(folder.path(), &[output("b", &[], &[])]).unwrap();
    let inline = collected
        .iter()
        .filter(|file| file.source == Source::Inline)
        .count();
    assert_eq!(inline, 128 + 1, "4 MiB of 32 KiB each, and the empty one");
    assert_eq!(
        collected
            .iter()
            .find(|file| file.path.ends_with("large"))
            .unwrap()
            .source,
        Source::Blob
    );
}

#[test]
fn what_goes_elsewhere_says_where_and_the_gateway_brings_it_there() {
    let folder = left(&[("sub/a", 1)]);
    let far = |provider: &str, path: &str| StorageIo {
        storage_provider: provider.to_owned(),
        ..output(path, &[], &[])
    };
    let outputs = [
        far("S3.cloud", "bucket/out"),
        far("webdav.dav", "bucket/out"),
        far("minio", "bucket/out"),
    ];
    let collected = collect(folder.path(), &outputs).unwrap();
    let place = |provider: &str, bucket: &str, key: &str| Place {
        provider: provider.to_owned(),
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    };
    let expected = [
        place("s3.cloud", "bucket", "out/sub/a"),
        place("webdav.dav", "", "bucket/out/sub/a"),
        place("", "bucket", "out/sub/a"),
    ];
    assert_eq!(collected[0].places, expected);
}
