//! A document as it was written, before anybody decides what it means.
//!
//! JSON and YAML both become this, and one reader ([`Members`]) turns it into types. A YAML scalar keeps its text:
//! `1.10`, `0644` and `no` stay what they are until it is known whether text, a number or a choice is wanted.

mod json;
mod members;
mod yaml;

pub(crate) use json::read as read_json;
pub(crate) use members::{Dialect, Members, Note, Notes};
pub(crate) use yaml::read as read_yaml;

/// Where in a text something stands, both from 1; zeros where nobody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of the line.
    pub line: u32,
    /// Number of the character in its line.
    pub column: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    pub(crate) what: What,
    pub(crate) place: Place,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    Null,
    /// With its text: `true`, but also YAML's `no`.
    Bool(bool, String),
    /// Its text.
    Number(String),
    Text(String),
    List(Vec<Written>),
    Map(Vec<(Key, Written)>),
}

/// Name of a member and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// Longest value that is repeated in a message, in characters.
const SHOWN: usize = 60;

impl Written {
    /// The value in words, for messages: `"abc"`, `12`, `a list`.
    pub(crate) fn shown(&self) -> String {
        match &self.what {
            What::Null => "nothing".to_owned(),
            What::Bool(_, text) | What::Number(text) => cut(text),
            What::Text(text) => format!("{:?}", cut(text)),
            What::List(_) => "a list".to_owned(),
            What::Map(_) => "a map".to_owned(),
        }
    }

    /// The same value as JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.what {
            What::Null => Value::Null,
            What::Bool(value, _) => Value::Bool(*value),
            What::Number(text) => text
                .parse()
                .map_or_else(|_| Value::String(text.clone()), Value::Number),
            What::Text(text) => Value::String(text.clone()),
            What::List(items) => items.iter().map(Self::to_json).collect(),
            What::Map(members) => members
                .iter()
                .map(|(key, value)| (key.name.clone(), value.to_json()))
                .collect(),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
