//! What is wrong with a service.

use std::fmt;

/// One thing that is wrong with a service: which member, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SpecError {
    /// Path of the member, such as `input[0].path`; empty when the whole text is meant.
    pub field: String,
    /// What is wrong, with the value and what was expected.
    pub message: String,
}

impl SpecError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }

    /// The whole text of the API's answer 400.
    pub fn answer(&self) -> String {
        // The one text that the reference sends without its usual introduction.
        if self.message.ends_with("path cannot be empty") {
            return self.message.clone();
        }
        format!("The service specification is not valid: {self}")
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Texts of the reference that begin with the member's name keep their wording.
        if self.field.is_empty() || self.message.starts_with(&self.field) {
            return write!(out, "{}", self.message);
        }
        write!(out, "{}: {}", self.field, self.message)
    }
}

/// Something that is accepted but probably not what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Path of the member.
    pub field: String,
    /// What is odd about it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(out, "{}", self.message)
        } else {
            write!(out, "{}: {}", self.field, self.message)
        }
    }
}
