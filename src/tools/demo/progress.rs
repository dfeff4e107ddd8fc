//! The bar that moves while the demo works; nothing where nobody would see it move.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress of a chapter: every octet goes there and back.
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for chapter `number` of `octets`, on standard error if that is a terminal.
    pub fn new(number: u32, octets: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(octets * 2), ProgressDrawTarget::stderr());
        let template = "{prefix} {msg:<8} [{bar:40}] {bytes} of {total_bytes}, {bytes_per_sec}";
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(if number == 1 { String::new() } else { format!("chapter {number}") });
        Progress(bar)
    }

    /// What is being done now.
    pub fn phase(&self, name: &'static str) {
        self.0.set_message(name);
    }

    /// So many octets more.
    pub fn octets(&self, count: u64) {
        self.0.inc(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
