//! The writer of the log: an event is one line, and nothing in it moves a cursor, changes a color
//! or turns the direction of writing.
//!
//! Names, tokens and error texts hold whatever a client sent. They are escaped here, behind the
//! formatter, so that no call that logs can forget to.

use std::io::{self, IsTerminal, Stderr, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::stats::escaped;

/// Standard error, line by line.
pub(super) struct Lines {
    color: bool,
}

/// One line on its way.
pub(super) struct Line<W> {
    out: W,
    /// The level, when it is to be shown in its color.
    level: Option<Level>,
}

impl Lines {
    /// Colors the level when standard error is a terminal and `NO_COLOR` is not set.
    pub fn text() -> Lines {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Lines { color: io::stderr().is_terminal() && !unwanted }
    }

    /// Without colors, for programs.
    pub fn json() -> Lines {
        Lines { color: false }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<Stderr>;

    fn make_writer(&'a self) -> Line<Stderr> {
        Line { out: io::stderr(), level: None }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line<Stderr> {
        Line { out: io::stderr(), level: Some(*event.level()).filter(|_| self.color) }
    }
}

impl<W: Write> Write for Line<W> {
    /// Takes a whole event, as the formatter hands it over. Escapes are those of JSON, where such
    /// characters only ever stand inside a string: a line of JSON means the same afterwards.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = escaped(text.strip_suffix('\n').unwrap_or(&text)).into_owned();
        if let Some(level) = self.level {
            color(&mut line, level);
        }
        line.push('\n');
        // In one call, so that two threads do not mix their lines.
        self.out.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Colors the level, the first word that is one: only the time stands before it.
fn color(line: &mut String, level: Level) {
    let (name, number) = match level {
        Level::ERROR => ("ERROR", 31),
        Level::WARN => ("WARN", 33),
        Level::INFO => ("INFO", 32),
        Level::DEBUG => ("DEBUG", 34),
        Level::TRACE => ("TRACE", 35),
    };
    if let Some(at) = line.find(name) {
        line.replace_range(at..at + name.len(), &format!("\x1b[{number}m{name}\x1b[0m"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str, level: Option<Level>) -> String {
        let mut line = Line { out: Vec::new(), level };
        line.write_all(event.as_bytes()).unwrap();
        String::from_utf8(line.out).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let forged = "T  INFO token refused: x\r\nT  INFO logged in\x1b[31m\u{202e}\u{9b}\n";
        assert_eq!(
            written(forged, None),
            "T  INFO token refused: x\\r\\nT  INFO logged in\\u001b[31m\\u202e\\u009b\n"
        );
        assert_eq!(written("no end", None), "no end\n");
    }

    #[test]
    fn json_means_the_same() {
        let value = "tag \u{e0041}, \u{202e}, \u{7f}, ü, \u{1f600}";
        let line = written(&format!("{}\n", serde_json::json!({ "user": value })), None);
        assert!(line.chars().all(|c| c == '\n' || !crate::stats::is_hidden(c)), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["user"], value);
    }

    #[test]
    fn only_the_level_has_a_color() {
        let line = written("T  WARN x: WARN\x1b[31m\n", Some(Level::WARN));
        assert_eq!(line, "T  \x1b[33mWARN\x1b[0m x: WARN\\u001b[31m\n");
    }
}
