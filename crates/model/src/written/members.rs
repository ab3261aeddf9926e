//! Turning what was written into types, member by member, and noting what is odd on the way.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{Key, Place, What, Written};
use crate::nearest::did_you_mean;

/// Which rules hold for scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A text is a text and nothing else, as OSCAR's API has it.
    Json,
    /// Where text is wanted, any scalar is its text, as OSCAR's clients have it.
    Yaml,
}

/// Something to tell about a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) field: String,
    pub(crate) place: Place,
    pub(crate) message: String,
    /// Whether the message says by itself which member it is about.
    pub(crate) names_itself: bool,
}

/// What was noticed while reading.
#[derive(Debug)]
pub(crate) struct Notes {
    pub(crate) dialect: Dialect,
    pub(crate) problems: Vec<Note>,
    pub(crate) warnings: Vec<Note>,
    /// Where each value that was read stands, by path.
    pub(crate) places: BTreeMap<String, Place>,
}

impl Notes {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            problems: Vec::new(),
            warnings: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    pub(crate) fn problem(&mut self, field: &str, place: Place, message: String) {
        self.problems.push(Note {
            field: field.to_owned(),
            place,
            message,
            names_itself: false,
        });
    }

    pub(crate) fn warning(&mut self, field: &str, place: Place, message: String) {
        self.warnings.push(Note {
            field: field.to_owned(),
            place,
            message,
            names_itself: false,
        });
    }

    /// "12 is not possible; expected a text".
    pub(crate) fn wrong(&mut self, field: &str, value: &Written, expected: &str) {
        let kind = match &value.what {
            What::Null => "nothing",
            What::Bool(..) => "a choice of true or false",
            What::Number(_) => "a number",
            What::Text(_) => "a text",
            What::List(_) => "a list",
            What::Map(_) => "a map",
        };
        let scalar = matches!(value.what, What::Bool(..) | What::Number(_) | What::Text(_));
        let message = if scalar && !is_secret(field) {
            format!("{} is {kind}; expected {expected}", value.shown())
        } else {
            format!("found {kind}; expected {expected}")
        };
        self.problem(field, value.place, message);
    }

    /// The members of a map. Anything else is a problem, and has no members.
    pub(crate) fn members<'a>(&mut self, value: &'a Written, path: &str) -> Members<'a, '_> {
        self.places.insert(path.to_owned(), value.place);
        let all: &[(Key, Written)] = match &value.what {
            What::Map(members) => members,
            What::Null => &[],
            _ => {
                self.wrong(path, value, "a map of members");
                &[]
            }
        };
        Members {
            all,
            path: path.to_owned(),
            place: value.place,
            notes: self,
            known: Vec::new(),
        }
    }

    /// The items of a list. Anything else is a problem, and has no items.
    pub(crate) fn items<'a>(&mut self, value: &'a Written, path: &str) -> &'a [Written] {
        self.places.insert(path.to_owned(), value.place);
        match &value.what {
            What::List(items) => items,
            What::Null => &[],
            _ => {
                self.wrong(path, value, "a list");
                &[]
            }
        }
    }

    /// A map with names of the user's, each value read by `read`.
    pub(crate) fn entries<'a, T>(
        &mut self,
        value: &'a Written,
        path: &str,
        mut read: impl FnMut(&mut Notes, &'a Written, &str) -> T,
    ) -> BTreeMap<String, T> {
        let members = self.members(value, path).all;
        let entries = members.iter();
        entries
            .map(|(key, value)| (key.name.clone(), read(self, value, &join(path, &key.name))))
            .collect()
    }

    /// A text; null is the empty one.
    pub(crate) fn text(&mut self, value: &Written, path: &str) -> String {
        self.places.insert(path.to_owned(), value.place);
        match (&value.what, self.dialect) {
            (What::Text(text), _) | (What::Number(text) | What::Bool(_, text), Dialect::Yaml) => {
                text.clone()
            }
            (What::Null, _) => String::new(),
            _ => {
                self.wrong(path, value, "a string");
                String::new()
            }
        }
    }

    /// A whole number that fits `T`; null is none.
    pub(crate) fn whole<T: FromStr>(
        &mut self,
        value: &Written,
        path: &str,
        expected: &str,
    ) -> Option<T> {
        self.places.insert(path.to_owned(), value.place);
        match &value.what {
            What::Null => None,
            What::Number(text) => {
                let number = text.parse().ok();
                if number.is_none() {
                    let message = format!("{} is not possible; expected {expected}", value.shown());
                    self.problem(path, value.place, message);
                }
                number
            }
            _ => {
                self.wrong(path, value, expected);
                None
            }
        }
    }
}

/// The members of one map, taken out one after another. [`Members::finish`] tells what nobody took.
pub(crate) struct Members<'a, 'n> {
    all: &'a [(Key, Written)],
    path: String,
    pub(crate) place: Place,
    pub(crate) notes: &'n mut Notes,
    known: Vec<&'a str>,
}

impl<'a> Members<'a, '_> {
    /// Path of a member.
    pub(crate) fn path(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// The member of this name in any case, unless it is absent or null.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<&'a Written> {
        self.known.push(name);
        let mut found = self
            .all
            .iter()
            .filter(|(key, _)| key.name.eq_ignore_ascii_case(name));
        let mut value = found.next()?;
        for again in found {
            let message = format!("{name:?} is given twice; this one counts");
            let path = join(&self.path, name);
            self.notes.warning(&path, again.0.place, message);
            value = again;
        }
        (value.1.what != What::Null).then_some(&value.1)
    }

    /// Names that are known and mean nothing here.
    pub(crate) fn ignore(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// The same for all names that `known` recognises.
    pub(crate) fn ignore_all(&mut self, known: impl Fn(&str) -> bool) {
        self.known.extend(
            self.all
                .iter()
                .map(|(key, _)| key.name.as_str())
                .filter(|name| known(name)),
        );
    }

    pub(crate) fn text(&mut self, name: &'static str) -> String {
        self.optional_text(name).unwrap_or_default()
    }

    pub(crate) fn optional_text(&mut self, name: &'static str) -> Option<String> {
        let value = self.get(name)?;
        Some(self.notes.text(value, &join(&self.path, name)))
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        self.optional_flag(name).unwrap_or_default()
    }

    pub(crate) fn optional_flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.get(name)?;
        let path = join(&self.path, name);
        self.notes.places.insert(path.clone(), value.place);
        let What::Bool(flag, _) = value.what else {
            self.notes.wrong(&path, value, "true or false");
            return None;
        };
        Some(flag)
    }

    /// A count; 0 when absent.
    pub(crate) fn count(&mut self, name: &'static str) -> u32 {
        self.optional_whole(name, "a whole number, 0 or more")
            .unwrap_or_default()
    }

    pub(crate) fn optional_whole<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Option<T> {
        let value = self.get(name)?;
        self.notes.whole(value, &join(&self.path, name), expected)
    }

    pub(crate) fn texts(&mut self, name: &'static str) -> Vec<String> {
        self.list(name, Notes::text)
    }

    pub(crate) fn strings(&mut self, name: &'static str) -> BTreeMap<String, String> {
        self.map(name, Notes::text)
    }

    /// A list, each item read by `read`.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Notes, &'a Written, &str) -> T,
    ) -> Vec<T> {
        let Some(value) = self.get(name) else {
            return Vec::new();
        };
        let path = join(&self.path, name);
        let items = self.notes.items(value, &path).iter().enumerate();
        items
            .map(|(at, item)| read(self.notes, item, &format!("{path}[{at}]")))
            .collect()
    }

    /// A map with names of the user's, each value read by `read`.
    pub(crate) fn map<T>(
        &mut self,
        name: &'static str,
        read: impl FnMut(&mut Notes, &'a Written, &str) -> T,
    ) -> BTreeMap<String, T> {
        let Some(value) = self.get(name) else {
            return BTreeMap::new();
        };
        self.notes.entries(value, &join(&self.path, name), read)
    }

    /// A member that has members of its own.
    pub(crate) fn one<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Notes, &'a Written, &str) -> T,
    ) -> Option<T> {
        let value = self.get(name)?;
        Some(read(self.notes, value, &join(&self.path, name)))
    }

    /// Warns about members that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in self.all {
            if self
                .known
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&key.name))
            {
                continue;
            }
            let hint = did_you_mean(&key.name, self.known.iter().copied());
            let hint = hint.unwrap_or_else(|| "; it is ignored".to_owned());
            let name = super::cut(&key.name);
            let message = format!("unknown key {name:?}{hint}");
            let field = join(&self.path, &name);
            self.notes.warnings.push(Note {
                field,
                place: key.place,
                message,
                names_itself: true,
            });
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Whether the value at this path must not be repeated in messages.
fn is_secret(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    path.contains("environment.secrets.")
        || ["password", "token", "secret", "key"]
            .iter()
            .any(|word| last.to_ascii_lowercase().contains(word))
}
