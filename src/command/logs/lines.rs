//! Formats the lines of the log: an event is one line, and nothing in it can move the cursor,
//! change colors or reverse the direction of writing.
//!
//! Names, tokens and error texts contain whatever a client sent. They are escaped here, after the
//! formatter, so that no logging call can forget to.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use serde_json::json;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use super::journal::Journal;
use crate::stats::escaped;

/// How lines look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// Whether each line is a JSON object.
    pub json: bool,
    /// Whether the level is colored.
    pub color: bool,
    /// Whether each line begins with its priority for journald, such as `<6>` (sd-daemon(3)).
    pub priority: bool,
}

/// Makes a writer per line of the log.
pub(super) struct Lines {
    pub journal: Journal,
    pub look: Look,
}

/// The writer of one line.
pub(super) struct Line<'a> {
    journal: &'a Journal,
    look: Look,
    level: Level,
}

impl Look {
    /// For standard error: colors on a terminal unless `NO_COLOR` is set, priorities for journald.
    pub(super) fn of_stderr(json: bool) -> Look {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let color = !json && io::stderr().is_terminal() && !unwanted;
        Look { json, color, priority: is_journal() }
    }

    /// Escapes and decorates a line and adds the line end. Escapes are those of JSON, in which such
    /// characters occur only inside strings, so a line of JSON keeps its meaning.
    fn finish(self, level: Level, text: &str) -> String {
        let mut line = String::with_capacity(text.len() + 16);
        if self.priority {
            let _ = write!(line, "<{}>", priority(level));
        }
        line.push_str(&escaped(text));
        if self.color {
            color(&mut line, level);
        }
        line.push('\n');
        line
    }

    /// A line as the formatter would make it, for messages that do not come from an event.
    pub(super) fn line(self, level: Level, message: &str) -> Vec<u8> {
        let mut time = String::new();
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let target = module_path!();
        let text = match self.json {
            true => json!({
                "timestamp": time,
                "level": level.as_str(),
                "fields": { "message": message },
                "target": target,
            })
            .to_string(),
            false => format!("{time} {:>5} {target}: {message}", level.as_str()),
        };
        self.finish(level, &text).into_bytes()
    }
}

/// Whether standard error is connected to journald: JOURNAL_STREAM has the device and the inode of
/// that stream (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// The priorities of syslog.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { journal: &self.journal, look: self.look, level: Level::INFO }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line<'a> {
        Line { level: *event.level(), ..self.make_writer() }
    }
}

impl Write for Line<'_> {
    /// The formatter passes a whole event at a time.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        self.journal.push(self.look.finish(self.level, text).as_bytes());
        Ok(event.len())
    }

    /// The journal writes by itself.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Colors the level, the first word that names one: only the time precedes it.
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

    fn written(event: &str) -> String {
        Look::default().finish(Level::INFO, event)
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let forged = "T  INFO token refused: x\r\nT  INFO logged in\x1b[31m\u{202e}\u{9b}";
        assert_eq!(
            written(forged),
            "T  INFO token refused: x\\r\\nT  INFO logged in\\u001b[31m\\u202e\\u009b\n"
        );
    }

    #[test]
    fn json_means_the_same() {
        let value = "tag \u{e0041}, \u{202e}, \u{7f}, ü, \u{1f600}";
        let line = written(&json!({ "user": value }).to_string());
        assert!(line.chars().all(|c| c == '\n' || !crate::stats::is_hidden(c)), "{line:?}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["user"], value);
    }

    #[test]
    fn only_the_level_has_a_color() {
        let look = Look { color: true, ..Look::default() };
        let line = look.finish(Level::WARN, "T  WARN x: WARN\x1b[31m");
        assert_eq!(line, "T  \x1b[33mWARN\x1b[0m x: WARN\\u001b[31m\n");
    }
    #[test]
    fn a_line_of_our_own_looks_like_the_others() {
        let look = Look { priority: true, ..Look::default() };
        let line = String::from_utf8(look.line(Level::WARN, "12 lines\n")).unwrap();
        assert!(
            line.starts_with("<4>20")
                && line.ends_with("Z  WARN mailrace::command::logs::lines: 12 lines\\n\n"),
            "{line}"
        );
        let line = Look { json: true, ..Look::default() }.line(Level::ERROR, "\"");
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!((&line["level"], &line["fields"]["message"]), (&"ERROR".into(), &"\"".into()));
    }
}
