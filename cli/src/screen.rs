//! What a user sees: results on standard output, as table, JSON or YAML; notes and progress on standard error.

pub(crate) mod paint;
pub(crate) mod progress;
pub(crate) mod units;

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

/// Where everything is written to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    format: Format,
    quiet: bool,
}

impl Screen {
    pub(crate) fn new(format: Format, quiet: bool) -> Self {
        Self { format, quiet }
    }

    /// Writes a result: `value` for programs, or the rows of `table` for people. With `--quiet` people get the first
    /// column only, ready for another command.
    pub(crate) fn show<T: Serialize>(
        self,
        value: &T,
        table: impl FnOnce() -> Rows,
    ) -> anyhow::Result<()> {
        match self.format {
            Format::Table => self.text(&table().render(self.quiet))?,
            Format::Json => self.text(&format!("{}\n", serde_json::to_string_pretty(value)?))?,
            Format::Yaml => self.text(&serde_saphyr::to_string(value)?)?,
        }
        Ok(())
    }

    /// Writes text to standard output as it is.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes to standard output as they are.
    #[allow(clippy::unused_self)] // The only way to standard output, like its siblings.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// Tells something that is no result; silent with `--quiet`.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Warns, also with `--quiet`.
    #[allow(clippy::unused_self)] // Like its siblings.
    pub(crate) fn warn(self, text: impl AsRef<str>) {
        eprintln!("{} {}", paint::stderr("1;33", "warning:"), text.as_ref());
    }

    /// Whether bars may move.
    pub(crate) fn animated(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    pub(crate) fn quiet(self) -> bool {
        self.quiet
    }

    pub(crate) fn format(self) -> Format {
        self.format
    }
}

/// A table on its way to the screen.
#[derive(Debug)]
pub(crate) struct Rows {
    head: Vec<&'static str>,
    body: Vec<Vec<String>>,
    when_empty: &'static str,
}

impl Rows {
    /// `when_empty` is what people read when there is no row.
    pub(crate) fn new(head: &[&'static str], when_empty: &'static str) -> Self {
        Self {
            head: head.to_vec(),
            body: Vec::new(),
            when_empty,
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.body
            .push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    fn render(self, quiet: bool) -> String {
        if quiet {
            return self
                .body
                .iter()
                .filter_map(|row| row.first())
                .fold(String::new(), |all, first| all + first + "\n");
        }
        if self.body.is_empty() {
            return format!("{}\n", self.when_empty);
        }
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.head);
        table.add_rows(self.body);
        let text: Vec<String> = table
            .to_string()
            .lines()
            .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned())
            .collect();
        text.join("\n") + "\n"
    }
}

/// Names and messages come from others: what would steer the terminal is shown instead of obeyed.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
