//! The progress bar of the demo, shown only on a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress of a chapter, in octets sent and received: each octet counts twice.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar for chapter `number` with `octets`, on standard error if that is a terminal.
    pub(super) fn new(number: u32, octets: u64) -> Bar {
        let bar = ProgressBar::with_draw_target(Some(octets * 2), ProgressDrawTarget::stderr());
        let template = "{prefix} {msg:<8} [{bar:40}] {bytes} of {total_bytes}, {bytes_per_sec}";
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(if number == 1 { String::new() } else { format!("chapter {number}") });
        Bar(bar)
    }

    /// Names the current phase.
    pub(super) fn phase(&self, name: &'static str) {
        self.0.set_message(name);
    }

    /// Advances the bar.
    pub(super) fn octets(&self, count: u64) {
        self.0.inc(count);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
