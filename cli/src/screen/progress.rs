//! Bars and spinners for work that takes long. Without a terminal they are silent.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Screen;

const TICK: Duration = Duration::from_millis(120);

/// All bars of one command; they vanish when it ends, also when it is interrupted.
#[derive(Debug, Clone)]
pub(crate) struct Bars {
    all: MultiProgress,
}

/// One bar or spinner, gone when dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bars {
    pub(crate) fn new(screen: Screen) -> Self {
        let target = if screen.animated() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            all: MultiProgress::with_draw_target(target),
        }
    }

    /// A bar over `total` bytes, or a counter when the total is not known.
    pub(crate) fn transfer(&self, name: &str, total: Option<u64>) -> Bar {
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(style(
                "{msg:30!} [{bar:28}] {bytes:>10} of {total_bytes:>10}  {bytes_per_sec:>12}  {eta:>4}",
            )),
            None => ProgressBar::no_length().with_style(style("{msg:30!} {spinner} {bytes:>10}  {bytes_per_sec}")),
        };
        self.add(bar, name)
    }

    /// Something whose end cannot be foreseen.
    pub(crate) fn spinner(&self, text: &str) -> Bar {
        self.add(
            ProgressBar::new_spinner().with_style(style("{spinner} {msg}  {elapsed}")),
            text,
        )
    }

    fn add(&self, bar: ProgressBar, text: &str) -> Bar {
        let bar = self.all.add(bar);
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(TICK);
        Bar(bar)
    }

    /// Writes a line above the bars, or to standard error when there are none.
    pub(crate) fn line(&self, text: &str) {
        if self.all.is_hidden() {
            eprintln!("{text}");
        } else {
            // Standard error may be gone; the bars then are too.
            let _ = self.all.println(text);
        }
    }
}

impl Bar {
    pub(crate) fn advance(&self, by: u64) {
        self.0.inc(by);
    }

    pub(crate) fn set(&self, position: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(position);
    }

    pub(crate) fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template that does not parse falls back to the plain bar rather than taking the command down.
    ProgressStyle::with_template(template).map_or_else(
        |_| ProgressStyle::default_bar(),
        |style| style.progress_chars("=> "),
    )
}
