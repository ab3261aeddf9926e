//! Reading a file.

use std::collections::BTreeMap;

use super::{Diagnostic, Fdl, FdlError, FdlService, LARGEST_FILE, MOST_SERVICES};
use crate::Place;
use crate::service::{Cluster, Service, SpecError, StorageProviders, decode};
use crate::written::{self, Dialect, Key, Note, Notes, What, Written};

/// Reads an FDL file and checks everything that can be checked without the cluster and the script.
pub fn parse(text: &str) -> Result<Fdl, FdlError> {
    let start = Place { line: 1, column: 1 };
    let refused = |place, message: String| {
        let error = Diagnostic {
            place,
            field: String::new(),
            message,
        };
        FdlError {
            errors: vec![error],
            warnings: Vec::new(),
        }
    };
    if text.len() > LARGEST_FILE {
        let message = format!(
            "the file has {} bytes; at most {LARGEST_FILE} are possible",
            text.len()
        );
        return Err(refused(start, message));
    }
    let document = written::read_yaml(text).map_err(|error| refused(error.place, error.message))?;
    if !matches!(document.what, What::Map(_)) {
        let message = format!(
            "found {}; expected the key \"functions\", and below it \"oscar\" with a list of services",
            document.shown()
        );
        return Err(refused(start, message));
    }
    let mut reading = Reading {
        notes: Notes::new(Dialect::Yaml),
        file: Fdl::empty(),
        lines: BTreeMap::new(),
    };
    reading.file(&document);
    reading.finish()
}

/// Where each member stands, by path.
type Places = BTreeMap<String, Place>;

/// A file half read.
struct Reading {
    /// About the file outside of its services; those inside are added as they are read.
    notes: Notes,
    file: Fdl,
    /// Where each service begins, by cluster and name.
    lines: BTreeMap<(String, String), u32>,
}

impl Fdl {
    fn empty() -> Self {
        Self {
            services: Vec::new(),
            aws: Vec::new(),
            storage_providers: StorageProviders::default(),
            clusters: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }
}

impl Reading {
    fn file(&mut self, document: &Written) {
        let mut it = self.notes.members(document, "");
        // Such keys hold what is repeated below through anchors.
        it.ignore_all(|name| name.starts_with("x-") || name.starts_with('.'));
        let providers = it.one("storage_providers", decode::storage_providers);
        let clusters = it.one("clusters", decode::clusters);
        let functions = it.get("functions");
        let place = it.place;
        it.finish();
        self.file.storage_providers = providers.unwrap_or_default();
        self.file.clusters = clusters.unwrap_or_default();
        let Some(functions) = functions else {
            let message = "the key \"functions\" is missing; expected it with \"oscar\" and a list of services below";
            return self.notes.problem("", place, message.to_owned());
        };
        let mut it = self.notes.members(functions, "functions");
        let (oscar, aws) = (it.get("oscar"), it.get("aws"));
        let place = it.place;
        it.finish();
        if oscar.is_none() && aws.is_none() {
            let message = "it holds no services; expected \"oscar\" and a list of services below";
            self.notes.problem("functions", place, message.to_owned());
        }
        for item in oscar
            .map(|oscar| self.list(oscar, "functions.oscar"))
            .unwrap_or_default()
        {
            self.entry(item);
        }
        for item in aws
            .map(|aws| self.list(aws, "functions.aws"))
            .unwrap_or_default()
        {
            self.lambda(item);
        }
    }

    fn list<'a>(&mut self, value: &'a Written, path: &str) -> &'a [Written] {
        if let What::List(items) = &value.what {
            if items.len() <= MOST_SERVICES {
                return items;
            }
            let message = format!(
                "it has {} entries; at most {MOST_SERVICES} are possible in one file",
                items.len()
            );
            self.notes.problem(path, value.place, message);
            return &[];
        }
        let message = format!(
            "found {}; expected a list, each entry beginning with \"- \"",
            value.shown()
        );
        self.notes.problem(path, value.place, message);
        &[]
    }

    /// `{<cluster id>: <service>}`
    fn entry(&mut self, item: &Written) {
        let What::Map(members) = &item.what else {
            let message = format!(
                "found {}; expected \"<cluster id>:\" and a service below it",
                item.shown()
            );
            return self.notes.problem("functions.oscar", item.place, message);
        };
        for (key, value) in members {
            match &value.what {
                What::Map(_) => self.service(key, value),
                What::Null => {
                    let message = format!(
                        "there is nothing below {:?}; the members of the service must be indented deeper than it",
                        key.name
                    );
                    // What follows at the same depth are the members that should be below.
                    return self.notes.problem("", key.place, message);
                }
                _ => {
                    let message = format!(
                        "{:?} stands where the id of a cluster belongs; expected \"- <cluster id>:\" and the service below it",
                        key.name
                    );
                    return self.notes.problem("", key.place, message);
                }
            }
        }
    }

    fn service(&mut self, key: &Key, value: &Written) {
        let mut notes = Notes::new(Dialect::Yaml);
        let mut service = decode::read(&mut notes, value, "");
        notes.places.insert(String::new(), key.place);
        service.cluster_id.clone_from(&key.name);
        copy(
            &mut service,
            &self.file.storage_providers,
            &self.file.clusters,
        );

        let script_place = *notes.places.get("script").unwrap_or(&key.place);
        let mut checked = service.clone();
        let problems = checked.normalise_all();
        for SpecError { field, message } in problems {
            if !notes
                .problems
                .iter()
                .any(|known| known.field.starts_with(&field))
            {
                let place = place_of(&field, &notes.places, &self.notes.places);
                notes.problem(&field, place, message);
            }
        }
        for (field, provider) in checked.undefined_providers() {
            let place = place_of(&field, &notes.places, &self.notes.places);
            notes.warning(
                &field,
                place,
                format!("{provider:?} is defined nowhere in this file"),
            );
        }
        for (output, input) in checked.self_triggers() {
            let place = place_of(&output, &notes.places, &self.notes.places);
            let message = format!(
                "it lies inside {input}: every result would start the service again, without end"
            );
            notes.warning(&output, place, message);
        }
        let identity = (key.name.clone(), service.name.clone());
        if let Some(line) = self.lines.insert(identity, key.place.line) {
            let message = format!(
                "service {:?} of cluster {:?} is already in line {line}; this one replaces it",
                service.name, key.name
            );
            let place = place_of("name", &notes.places, &self.notes.places);
            notes.warning("name", place, message);
        }
        self.notes.problems.append(&mut notes.problems);
        self.notes.warnings.append(&mut notes.warnings);

        let inline = service.script.contains('\n');
        let script_file = (!inline).then(|| std::mem::take(&mut service.script).trim().to_owned());
        let place = key.place;
        self.file.services.push(FdlService {
            cluster_id: key.name.clone(),
            service,
            script_file,
            script_place,
            place,
        });
    }

    /// One entry for SCAR, of which only the name matters here.
    fn lambda(&mut self, item: &Written) {
        let mut it = self.notes.members(item, "functions.aws");
        let name = it.one("lambda", |notes, value, path| {
            notes.members(value, path).text("name")
        });
        let name = name
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "without a name".to_owned());
        self.notes.warning(
            "",
            item.place,
            format!("function {name:?} is for AWS Lambda and is not applied here"),
        );
        self.file.aws.push(name);
    }

    fn finish(mut self) -> Result<Fdl, FdlError> {
        let errors = in_order(self.notes.problems);
        let warnings = in_order(self.notes.warnings);
        if !errors.is_empty() {
            return Err(FdlError { errors, warnings });
        }
        self.file.warnings = warnings;
        Ok(self.file)
    }
}

/// What the file defines for all services goes into each, over what the service itself says.
fn copy(service: &mut Service, providers: &StorageProviders, clusters: &BTreeMap<String, Cluster>) {
    let own = &mut service.storage_providers;
    let StorageProviders {
        s3,
        minio,
        onedata,
        webdav,
        rucio,
        mqtt,
        file,
    } = providers.clone();
    own.s3.extend(s3);
    own.minio.extend(minio);
    own.onedata.extend(onedata);
    own.webdav.extend(webdav);
    own.rucio.extend(rucio);
    own.mqtt.extend(mqtt);
    own.file.extend(file);
    service.clusters.extend(clusters.clone());
}

/// Where a member of a service stands, or the nearest one around it that stands anywhere. What the file defines for
/// all services has its place in the file.
fn place_of(field: &str, own: &Places, of_file: &Places) -> Place {
    let mut path = field;
    loop {
        if let Some(place) = own
            .get(path)
            .or_else(|| of_file.get(path).filter(|_| !path.is_empty()))
        {
            return *place;
        }
        if path.is_empty() {
            return Place::default();
        }
        path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
    }
}

/// By place, and each thing once: what stands at the top of the file is checked with every service.
fn in_order(notes: Vec<Note>) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = notes.into_iter().map(Diagnostic::from).collect();
    diagnostics.sort();
    diagnostics.dedup();
    diagnostics
}
