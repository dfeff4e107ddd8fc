//! The report of all findings, as text and as JSON.

use std::fmt::Write;

use serde::Serialize;

use super::finding::{Finding, Verdict};

/// Columns of a line of the report.
const COLUMNS: usize = 96;

/// Columns of the verdict and the name of the check, which stand before the finding.
const INDENT: usize = 24;

/// All findings.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Version of mailrace.
    pub mailrace: &'static str,
    /// The data folder.
    pub data: String,
    /// Number of checks with something to do.
    pub to_do: usize,
    /// All checks.
    pub checks: Vec<Finding>,
}

impl Report {
    pub(super) fn new(data: String, checks: Vec<Finding>) -> Report {
        let to_do = checks.iter().filter(|finding| finding.verdict == Verdict::ToDo).count();
        Report { mailrace: env!("CARGO_PKG_VERSION"), data, to_do, checks }
    }

    /// One line per check, followed by what to do.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.checks {
            let verdict = match finding.verdict {
                Verdict::Fine => "fine",
                Verdict::ToDo => "TO DO",
                Verdict::Unknown => "unknown",
            };
            let _ = write!(text, "{:INDENT$}", format!("{verdict:8}{}", finding.check));
            fill(&mut text, &finding.found);
            for (word, more) in [("Why", &finding.why), ("Do", &finding.remedy)] {
                if let Some(more) = more {
                    let _ = write!(text, "{:INDENT$}", "");
                    fill(&mut text, &format!("{word}: {more}"));
                }
            }
        }
        text
    }

    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report is plain data")
    }
}

/// Appends words, wrapped to indented lines.
fn fill(text: &mut String, words: &str) {
    let mut column = INDENT;
    for (number, word) in words.split_whitespace().enumerate() {
        let length = word.chars().count();
        if number > 0 && column + 1 + length > COLUMNS {
            let _ = write!(text, "\n{:INDENT$}", "");
            column = INDENT;
        } else if number > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let long = "word ".repeat(40);
        Report::new(
            "data".into(),
            vec![
                Finding::fine("kernel", "Linux 6.18"),
                Finding::to_do("scheduler", "bfq", long, "set it to none"),
                Finding::unknown("write cache", "no /sys"),
            ],
        )
    }

    #[test]
    fn a_line_a_check_and_what_to_do_below_it() {
        let text = report().text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "fine    kernel          Linux 6.18");
        assert_eq!(lines[1], "TO DO   scheduler       bfq");
        assert!(lines[2].starts_with("                        Why: word word"), "{text}");
        assert!(lines[3].starts_with("                        word"), "{text}");
        assert_eq!(lines[lines.len() - 2], "                        Do: set it to none");
        assert_eq!(lines[lines.len() - 1], "unknown write cache     no /sys");
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }

    #[test]
    fn the_same_as_json() {
        let json: serde_json::Value = serde_json::from_str(&report().json()).unwrap();
        assert_eq!(json["to_do"], 1);
        assert_eq!(json["checks"][0]["verdict"], "fine");
        assert_eq!(json["checks"][1]["do"], "set it to none");
        assert_eq!(json["checks"][2]["verdict"], "unknown");
        assert!(json["checks"][2].get("why").is_none());
    }
}
