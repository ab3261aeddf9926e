//! Rows, as a table and as JSON.

use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use serde_json::Value;

use crate::samples::Samples;

/// One figure beside its floor.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Stable name, such as `1.cold.script`.
    pub(crate) id: String,
    /// Which of the twelve figures it belongs to.
    pub(crate) figure: u8,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) floor: Option<Floor>,
    /// `p50` over the floor's.
    pub(crate) ratio: Option<f64>,
    pub(crate) aim: Option<String>,
    pub(crate) moonshot: Option<String>,
    /// Whether the aim is met; absent without an aim.
    pub(crate) met: Option<bool>,
}

/// What a row is compared with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Floor {
    pub(crate) name: String,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// A bound on the ratio or on the value itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// At most so many times the floor.
    Times(f64),
    /// At least so many times the floor.
    AtLeastTimes(f64),
    /// At most so much, in the row's unit.
    AtMost(f64),
}

impl Row {
    pub(crate) fn new(
        id: &str,
        figure: u8,
        name: &str,
        unit: &'static str,
        samples: &Samples,
    ) -> Self {
        Self {
            id: id.to_owned(),
            figure,
            name: name.to_owned(),
            unit,
            p50: samples.p50(),
            p99: samples.p99(),
            floor: None,
            ratio: None,
            aim: None,
            moonshot: None,
            met: None,
        }
    }

    /// Puts the floor beside it.
    pub(crate) fn against(mut self, name: &str, floor: &Samples) -> Self {
        self.ratio = Some(self.p50 / floor.p50());
        self.floor = Some(Floor {
            name: name.to_owned(),
            p50: floor.p50(),
            p99: floor.p99(),
        });
        self
    }

    /// Says what we aim at; call it after [`Row::against`].
    pub(crate) fn aiming_at(mut self, aim: Bound, moonshot: Option<Bound>) -> Self {
        self.met = Some(self.meets(aim));
        self.aim = Some(self.word(aim));
        self.moonshot = moonshot.map(|bound| self.word(bound));
        self
    }

    /// Says what would be splendid, where there is no aim.
    pub(crate) fn dreaming_of(mut self, moonshot: Bound) -> Self {
        self.moonshot = Some(self.word(moonshot));
        self
    }

    fn meets(&self, bound: Bound) -> bool {
        match bound {
            Bound::Times(limit) => self.ratio.is_some_and(|ratio| ratio <= limit),
            Bound::AtLeastTimes(limit) => self.ratio.is_some_and(|ratio| ratio >= limit),
            Bound::AtMost(limit) => self.p50 <= limit,
        }
    }

    fn word(&self, bound: Bound) -> String {
        match bound {
            Bound::Times(limit) => format!("≤ {limit} ×"),
            Bound::AtLeastTimes(limit) => format!("≥ {limit} ×"),
            Bound::AtMost(limit) => format!("≤ {limit:.3} {}", self.unit),
        }
    }
}

/// The table for people.
#[allow(clippy::print_stdout)] // This is the program's output.
pub(crate) fn print(rows: &[Row]) {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "id", "what", "p50", "p99", "unit", "floor", "p50", "p99", "ratio", "aim", "met",
    ]);
    for row in rows {
        let floor = row.floor.as_ref();
        table.add_row([
            row.id.clone(),
            row.name.clone(),
            number(row.p50),
            number(row.p99),
            row.unit.to_owned(),
            floor.map_or(String::new(), |floor| floor.name.clone()),
            floor.map_or(String::new(), |floor| number(floor.p50)),
            floor.map_or(String::new(), |floor| number(floor.p99)),
            row.ratio
                .map_or(String::new(), |ratio| format!("{ratio:.2} ×")),
            row.aim.clone().unwrap_or_default(),
            row.met
                .map_or("", |met| if met { "yes" } else { "no" })
                .to_owned(),
        ]);
    }
    println!("{table}");
}

/// The rows for programs: one array, the machine's row last.
pub(crate) fn write(path: &Path, rows: &[Row], machine: &Value) -> Result<()> {
    let mut all: Vec<Value> = rows
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    all.push(machine.clone());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n")
        .with_context(|| path.display().to_string())
}

fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
