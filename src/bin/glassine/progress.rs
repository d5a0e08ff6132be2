//! Progress bars on a terminal, silence in a pipe.

use std::io::IsTerminal;

use glassine::pipeline::{Event, Observer};
use indicatif::{ProgressBar, ProgressStyle};

/// One line that says what is done and what is left.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar if standard error is a terminal, else nothing.
    pub fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {elapsed}");
        bar.set_style(style.expect("the template is valid"));
        Self { bar }
    }

    /// Shows `done` of `total` under `name`.
    pub fn show(&self, name: &'static str, done: u64, total: u64) {
        self.bar.set_message(name);
        self.bar.set_length(total);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    async fn report(&mut self, event: Event) -> bool {
        match event {
            Event::Loading {
                loaded_bytes,
                total_bytes,
            } => {
                self.show("loading", loaded_bytes, total_bytes);
            }
            Event::Encoding => self.show("encoding", 0, 1),
            Event::Denoising { step, steps, .. } => {
                self.show("denoising", step as u64, steps as u64);
            }
            Event::Decoding { pass, passes } => self.show("decoding", pass as u64, passes as u64),
            _ => {}
        }
        true
    }
}
