//! What there is to say about a file, and where.

use std::fmt;

use crate::Place;
use crate::written::Note;

/// One error or warning. Shows as `12:9: unknown key "memmory"; did you mean "memory"?`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Line and column.
    pub place: Place,
    /// Path of the member within its service, or within the file; empty where the message names it.
    pub field: String,
    /// What is wrong, with the value and what was expected.
    pub message: String,
}

impl Diagnostic {
    /// With the name of the file in front, as editors and compilers have it: `farm.yaml:12:9: …`.
    pub fn in_file(&self, file: &str) -> String {
        format!("{file}:{self}")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(out, "{line}:{column}: ")?;
        if !self.field.is_empty() && !self.message.starts_with(&self.field) {
            write!(out, "{}: ", self.field)?;
        }
        write!(out, "{}", self.message)
    }
}

impl From<Note> for Diagnostic {
    fn from(note: Note) -> Self {
        let field = if note.names_itself {
            String::new()
        } else {
            note.field
        };
        Self {
            place: note.place,
            field,
            message: note.message,
        }
    }
}

/// A file that cannot be used: everything that is wrong with it, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FdlError {
    /// At least one.
    pub errors: Vec<Diagnostic>,
    /// What was noticed besides.
    pub warnings: Vec<Diagnostic>,
}

impl FdlError {
    /// One error a line, with the name of the file in front.
    pub fn in_file(&self, file: &str) -> String {
        self.errors
            .iter()
            .map(|error| error.in_file(file))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl fmt::Display for FdlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
        write!(out, "{}", lines.join("\n"))
    }
}
