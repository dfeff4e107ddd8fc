//! A status as lines of text.

use console::{Alignment, measure_text_width, pad_str, style, truncate_str};

use super::figures::{clock, duration, measured, megabytes, size, sparkline, whole};
use crate::observe::{FigureStatus, Refusal, Status, Upload};
use crate::stats::{Standing, harmless};

/// The picture is never laid out narrower than this; a narrower terminal shows its left side.
const NARROWEST: usize = 60;

/// Width of the bar that shows how full the disk is.
const BAR: usize = 20;

/// What is drawn.
pub(super) struct Picture<'a> {
    pub status: &'a Status,
    /// Why the status is out of date.
    pub trouble: Option<&'a str>,
    /// Whether all figures are shown in place of uploads and refusals.
    pub figures: bool,
}

impl Picture<'_> {
    /// Lines for a screen of this size.
    pub(super) fn fitting(&self, columns: usize, rows: usize) -> Vec<String> {
        let (wide, high) = (columns.max(NARROWEST), rows.max(12));
        let mut lines = match self.figures {
            true => figures(self.status, wide),
            false => picture(self.status, wide, Some(high)),
        };
        if let Some(trouble) = self.trouble {
            let text = format!("The server cannot be reached: {}", harmless(trouble));
            lines.insert(1, style(text).red().bold().to_string());
        }
        lines.truncate(rows.saturating_sub(1));
        lines.push(style("q quits, f shows all figures").dim().to_string());
        lines.iter().map(|line| truncate_str(line, columns, "").into_owned()).collect()
    }
}

/// Every declared figure, a line for each of its values.
pub(super) fn figures(status: &Status, columns: usize) -> Vec<String> {
    let mut lines = vec![title("All figures")];
    let lines_of = |figure: &FigureStatus| {
        let line = |of: &str, value: f64| {
            let name = harmless(format!("{} {of}", figure.name).trim_end());
            let text = format!(
                "{} {}  {}",
                cell(&name, 48, Alignment::Left),
                cell(&measured(value, &figure.unit), 16, Alignment::Right),
                harmless(&figure.help)
            );
            truncate_str(&text, columns, "…").into_owned()
        };
        figure.values.iter().map(|one| line(&one.of, one.value)).collect::<Vec<_>>()
    };
    lines.extend(status.figures.iter().flat_map(lines_of));
    lines
}

/// The picture in this many columns. With a number of rows, uploads and refusals share the rest.
pub(super) fn picture(status: &Status, columns: usize, rows: Option<usize>) -> Vec<String> {
    let mut lines = head(status, columns);
    let room = rows.map(|rows| rows.saturating_sub(lines.len() + 7));
    let (uploads, refusals) = share(room, status.uploads.len(), status.refusals.len());
    lines.push(String::new());
    lines.push(title(&format!("Uploads: {} in progress", status.uploads_active)));
    if !status.uploads.is_empty() {
        lines.push(style(UploadLine::HEAD.text(columns)).dim().to_string());
    }
    lines.extend(status.uploads.iter().take(uploads).map(|one| UploadLine::of(one).text(columns)));
    lines.push(String::new());
    lines.push(title(&format!("Refusals: {} since start", status.totals.refusals)));
    lines.extend(status.refusals.iter().take(refusals).map(|one| refusal(one, columns)));
    lines
}

/// How many lines uploads and refusals get.
fn share(room: Option<usize>, uploads: usize, refusals: usize) -> (usize, usize) {
    let Some(room) = room else { return (uploads, refusals) };
    let refusals = refusals.min((room / 3).max(room.saturating_sub(uploads)));
    (uploads.min(room - refusals.min(room)), refusals)
}

fn head(status: &Status, columns: usize) -> Vec<String> {
    let Status { totals, rates, disk, segments, .. } = status;
    let state = match status.ready {
        true => style("accepts mail".to_owned()).green(),
        false => style(format!("accepts no mail: {}", harmless(&status.problems.join("; ")))).red(),
    };
    let up = duration(status.uptime);
    let (version, listen) = (harmless(&status.mailrace), harmless(&status.listen));
    let used = |n: u64| whole(n as f64);
    let connections: u64 = status.connections.values().sum();
    let state_of = |name: &&str| Some(format!("{name} {}", used(*status.connections.get(*name)?)));
    let states: Vec<String> = Standing::NAMES.iter().filter_map(state_of).collect();
    let full = match disk.full_in {
        Some(seconds) => format!("full in {} at this rate", duration(seconds)),
        None => "the log is not growing".to_owned(),
    };
    let peak = status.history.octets.iter().copied().max().unwrap_or(0);
    vec![
        format!("{} {version} on {listen}, up for {up}, {state}", style("mailrace").bold()),
        String::new(),
        format!(
            "{} MB/s   {} messages/s   {} fdatasyncs/s   {} messages, {} since start",
            style(megabytes(rates.octets)).cyan().bold(),
            style(whole(rates.messages)).bold(),
            whole(rates.fdatasyncs),
            used(totals.messages),
            size(totals.octets)
        ),
        style(sparkline(&status.history.octets, columns)).cyan().to_string(),
        style(format!(
            "the last {}, at most {} MB/s",
            duration(status.history.octets.len() as u64),
            megabytes(peak as f64)
        ))
        .dim()
        .to_string(),
        String::new(),
        format!(
            "Disk         {} {} of {} free, {full}",
            bar(disk.size, disk.available),
            size(disk.available),
            size(disk.size)
        ),
        format!(
            "Connections  {} of {}: {}",
            used(connections),
            used(status.connections_limit),
            states.join(", ")
        ),
        format!(
            "Segments     {} ready, {} active, {} sealed, {} used while unwritten",
            used(segments.ready),
            used(segments.active),
            used(segments.sealed),
            used(segments.unwritten)
        ),
        format!(
            "Space        {} live, {} dead, {} segments cleaned, {} given back",
            size(figure(status, "mailrace_live_bytes")),
            size(figure(status, "mailrace_dead_bytes")),
            used(figure(status, "mailrace_cleaned_segments_total")),
            size(figure(status, "mailrace_cleaned_bytes_total"))
        ),
    ]
}

/// The sum of a figure's values; 0 when the server has no such figure.
fn figure(status: &Status, name: &str) -> u64 {
    let figure = status.figures.iter().find(|figure| figure.name == name);
    figure.map_or(0, |figure| figure.values.iter().map(|one| one.value as u64).sum())
}

fn title(text: &str) -> String {
    style(text).bold().to_string()
}

fn bar(all: u64, free: u64) -> String {
    let used = all.saturating_sub(free) as f64 / all.max(1) as f64;
    let cells = (used * BAR as f64).round() as usize;
    format!("[{}{}]", "#".repeat(cells.min(BAR)), "-".repeat(BAR - cells.min(BAR)))
}

/// The cells of one line of the table of uploads.
struct UploadLine([String; 7]);

impl UploadLine {
    const HEAD: Heads = Heads(["User", "Mailbox", "Messages", "Mail", "MB/s", "Msgs/s", "From"]);

    fn of(upload: &Upload) -> UploadLine {
        UploadLine([
            harmless(&upload.user),
            harmless(&upload.mailbox),
            whole(upload.messages as f64),
            size(upload.octets),
            megabytes(upload.octets_per_second),
            whole(upload.messages_per_second),
            harmless(&upload.peer),
        ])
    }

    fn text(&self, columns: usize) -> String {
        table(self.0.each_ref().map(String::as_str), columns)
    }
}

struct Heads([&'static str; 7]);

impl Heads {
    fn text(&self, columns: usize) -> String {
        table(self.0, columns)
    }
}

/// Names on the left, figures on the right; the names share the width that the figures leave.
fn table(cells: [&str; 7], columns: usize) -> String {
    const FIGURES: [usize; 4] = [11, 9, 8, 8];
    const PEER: usize = 22;
    let taken = FIGURES.iter().sum::<usize>() + PEER + 1;
    let names = columns.saturating_sub(taken).max(16);
    let (user, mailbox) = (names * 2 / 5, names - names * 2 / 5);
    let mut line = cell(cells[0], user - 1, Alignment::Left) + " ";
    line += &cell(cells[1], mailbox, Alignment::Left);
    for (text, width) in cells[2..6].iter().zip(FIGURES) {
        line += &cell(text, width, Alignment::Right);
    }
    line + &cell(cells[6], PEER + 1, Alignment::Right)
}

fn cell(text: &str, width: usize, alignment: Alignment) -> String {
    let cut = match measure_text_width(text) > width {
        true => truncate_str(text, width, "…"),
        false => text.into(),
    };
    pad_str(&cut, width, alignment, None).into_owned()
}

fn refusal(refusal: &Refusal, columns: usize) -> String {
    let whose = match (harmless(&refusal.user), harmless(&refusal.mailbox)) {
        (user, mailbox) if mailbox.is_empty() => user,
        (user, mailbox) => format!("{user}: {mailbox}"),
    };
    let text = format!(
        "{} {} {} {} ({})",
        clock(refusal.time),
        cell(&harmless(&refusal.what), 10, Alignment::Left),
        cell(&whose, columns / 4, Alignment::Left),
        harmless(&refusal.reason),
        harmless(&refusal.peer)
    );
    truncate_str(&text, columns, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Disk, FigureValue, History, Rates, STATUS_VERSION, Segments, Totals};

    fn status() -> Status {
        let upload = Upload {
            connection: "0-1".into(),
            peer: "127.0.0.1:40000".into(),
            user: "al\x1b[31mice".into(),
            mailbox: "日本語の郵便箱".repeat(10),
            since: 0,
            messages: 1234,
            octets: 5_000_000,
            octets_per_second: 1_500_000.0,
            messages_per_second: 300.0,
        };
        let refusal = Refusal {
            time: 1_700_000_000,
            peer: "127.0.0.1:40001".into(),
            user: "bob".into(),
            mailbox: "in\r\nbox".into(),
            what: "append".into(),
            reason: "the account's quota does not allow it".into(),
        };
        Status {
            version: STATUS_VERSION,
            mailrace: "0.1.0".into(),
            time: 1_700_000_001,
            uptime: 61,
            listen: "127.0.0.1:1143".into(),
            ready: true,
            problems: Vec::new(),
            totals: Totals { messages: 1234, refusals: 9, ..Totals::default() },
            rates: Rates { octets: 1_500_000.0, messages: 300.0, fdatasyncs: 3.0 },
            history: History { interval: 1, octets: vec![0, 5, 10], ..History::default() },
            connections: [("append".to_owned(), 1)].into(),
            connections_limit: 16_384,
            figures: vec![FigureStatus {
                name: "mailrace_refusals_total".into(),
                kind: "counter".into(),
                unit: String::new(),
                help: "Refused\x1b[2J things".into(),
                values: vec![FigureValue { of: "login".into(), value: 9.0 }],
            }],
            disk: Disk { path: "data".into(), size: 1000, available: 250, full_in: Some(12_000) },
            segments: Segments::default(),
            uploads_active: 40,
            uploads: vec![upload; 40],
            refusals: vec![refusal; 9],
            reactors: Vec::new(),
        }
    }

    #[test]
    fn every_line_fits_and_tells_the_terminal_nothing() {
        for columns in [60, 80, 100, 200] {
            for line in picture(&status(), columns, None) {
                let plain = console::strip_ansi_codes(&line);
                assert!(!plain.contains(char::is_control), "{plain:?}");
            }
            for figures in [false, true] {
                let picture = Picture { status: &status(), trouble: None, figures };
                let fitting = picture.fitting(columns, 24);
                let fits = |line: &String| {
                    let plain = console::strip_ansi_codes(line).into_owned();
                    measure_text_width(line) <= columns && !plain.contains(char::is_control)
                };
                assert!(fitting.iter().all(fits), "{fitting:#?}");
            }
        }
    }

    #[test]
    fn what_counts_is_in_it() {
        let text = picture(&status(), 100, None).join("\n");
        let text = console::strip_ansi_codes(&text);
        for word in [
            "1.5 MB/s",
            "300 messages/s",
            "accepts mail",
            "full in 3 h 20 min",
            "40 in progress",
            "22:13:20 append",
            "quota",
        ] {
            assert!(text.contains(word), "no {word} in\n{text}");
        }
        assert!(text.contains("[###############-----]"), "{text}");
        let text = figures(&status(), 100).join("\n");
        assert!(text.contains("mailrace_refusals_total login ") && text.contains(" 9  "), "{text}");
    }

    #[test]
    fn a_small_screen_shows_some_of_each() {
        for rows in [5, 12, 24, 50, 100] {
            let trouble = Some("refused");
            let picture = Picture { status: &status(), trouble, figures: false };
            let lines = picture.fitting(80, rows);
            assert!(lines.len() <= rows, "{} lines of {rows}", lines.len());
            assert!(lines[1].contains("cannot be reached"));
        }
        assert_eq!(share(Some(12), 40, 9), (8, 4));
        assert_eq!(share(Some(12), 2, 9), (2, 9));
        assert_eq!(share(Some(60), 40, 9), (40, 9));
        assert_eq!(share(Some(0), 40, 9), (0, 0));
    }
}
