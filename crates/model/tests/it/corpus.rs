//! Every file under `tests/fdl/` with what is made of it: the warnings and the services, or the errors.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use spillway_model::fdl::{self, Diagnostic, Fdl, FdlService};
use spillway_model::service::Service;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fdl")
        .join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn name(file: &Path) -> &str {
    file.file_name().unwrap().to_str().unwrap()
}

fn tell(told: &mut String, title: &str, diagnostics: &[Diagnostic], file: &str) {
    for diagnostic in diagnostics {
        writeln!(told, "{title}: {}", diagnostic.in_file(file)).unwrap();
    }
}

/// What the server is sent, with a stand-in for scripts in files of their own.
fn sent(service: FdlService) -> Service {
    match service.script_file.clone() {
        Some(file) => service.with_script(format!("# first line of {file}\n# and the second\n")),
        None => service.service,
    }
}

fn check(folder: &str, file: &Path, told: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path(Path::new("../fdl/expected").join(folder));
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name(file).trim_end_matches(".yaml"), told));
}

#[test]
fn good_files_become_services_and_written_out_again_the_same_services() {
    let files = files("valid");
    assert!(files.len() >= 30, "only {} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let Fdl {
            services,
            aws,
            warnings,
            ..
        } = match fdl::parse(&text) {
            Ok(fdl) => fdl,
            Err(error) => panic!("{}", error.in_file(name(&file))),
        };
        let mut told = String::new();
        tell(&mut told, "warning", &warnings, name(&file));
        for function in aws {
            writeln!(told, "not applied: {function}").unwrap();
        }
        for service in &services {
            let script = service.script_file.as_deref().unwrap_or("(in the file)");
            let line = service.place.line;
            writeln!(
                told,
                "service: {}/{} of line {line}, script {script}",
                service.cluster_id, service.service.name
            )
            .unwrap();
        }
        let services: Vec<Service> = services.into_iter().map(sent).collect();
        let written = fdl::to_yaml(&services).unwrap();
        write!(told, "\n{written}").unwrap();
        check("valid", &file, &told);

        let again = fdl::parse(&written)
            .unwrap_or_else(|error| panic!("{}: {error}\n{written}", name(&file)));
        let again: Vec<Service> = again.services.into_iter().map(sent).collect();
        assert_eq!(again, services, "{} does not come back", name(&file));
    }
}

#[test]
fn broken_files_are_refused_with_line_and_column() {
    let files = files("broken");
    assert!(files.len() >= 30, "only {} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let Err(error) = fdl::parse(&text) else {
            panic!("{} is accepted", name(&file))
        };
        let mut told = String::new();
        tell(&mut told, "error", &error.errors, name(&file));
        tell(&mut told, "warning", &error.warnings, name(&file));
        for error in &error.errors {
            assert!(
                error.place.line > 0 && error.place.column > 0,
                "{error} has no place"
            );
        }
        check("broken", &file, &told);
    }
}
