//! The manual agrees with what is declared in the code.
//!
//! `MAILRACE_WRITE=1 cargo test --lib manual` writes the tables again.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use crate::stats::Figure;

/// Compares a part of a file, the lines between `begin` and `end`, with what it should be.
fn same(path: &str, begin: &str, end: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(&path).unwrap();
    let from = text.find(begin).unwrap_or_else(|| panic!("no {begin:?} in {}", path.display()));
    let from = from + begin.len();
    let to = if end.is_empty() { text.len() } else { from + text[from..].find(end).unwrap() };
    if &text[from..to] == wanted {
        return;
    }
    if env::var_os("MAILRACE_WRITE").is_some() {
        fs::write(&path, text[..from].to_owned() + wanted + &text[to..]).unwrap();
        return;
    }
    let differs = text[from..to].lines().zip(wanted.lines()).find(|(is, wanted)| is != wanted);
    panic!("{} differs from the code: {differs:#?}", path.display());
}

/// The table of metrics has a row for each declared figure, with its help, and no other.
#[test]
fn the_table_of_metrics_is_what_is_declared() {
    let mut rows = String::new();
    for figure in Figure::ALL {
        let declared = figure.declared();
        let kind = match declared.kind {
            crate::stats::Kind::Histogram { .. } => "Histogram: ",
            _ => "",
        };
        let help = declared.help;
        let label = declared.label.map_or(String::new(), |label| format!(", by `{}`", label.name));
        let watch = match declared.watch {
            "" => String::new(),
            watch => format!(" {watch}"),
        };
        let _ = writeln!(rows, "| `{}` | {kind}{help}{label} |{watch} |", declared.metric());
    }
    let begin = "| Metric | Meaning | What to watch for |\n| --- | --- | --- |\n";
    same("src/manual/observability.md", begin, "\n## ", &rows);
}

/// The table of settings has a row for each flag of `mailrace serve`.
#[test]
fn the_table_of_settings_is_what_is_declared() {
    let begin = "| Flag | Default | Meaning |\n| --- | --- | --- |\n";
    same("src/manual/settings.md", begin, "", &crate::command::config::table());
}

/// The file that packages install is the example, with a data folder of its own.
#[test]
fn the_file_of_the_package_is_the_example() {
    let data = format!("#data = {:?}\n", crate::server::Config::default().data);
    let example = crate::command::config::example();
    assert!(example.contains(&data), "{example}");
    let ours = "# The package creates it, and the unit lets the server write to no other folder.\n\
                data = \"/var/lib/mailrace\"\n";
    same("tuning/mailrace.toml", "", "", &example.replace(&data, ours));
}

/// Where the pages of the manual name a flag and its default in a table, it is the default.
#[test]
fn defaults_in_the_manual_are_those_of_the_flags() {
    let table = crate::command::config::table();
    let page = include_str!("operations.md");
    let mut found = 0;
    for row in page.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        let [_, flag, default, ..] = cells[..] else { continue };
        let Some(flag) = flag.strip_prefix("`--").and_then(|flag| flag.strip_suffix('`')) else {
            continue;
        };
        let declared = table.lines().find(|row| row.starts_with(&format!("| `--{flag} ")));
        let declared = declared.unwrap_or_else(|| panic!("no flag --{flag}"));
        let declared = declared.split(" | ").nth(1).unwrap().trim_matches('`');
        let number = |text: &str| {
            let digits = text.trim().replace(',', "");
            digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().to_owned()
        };
        assert_eq!(number(default), number(declared), "{row}");
        found += 1;
    }
    assert!(found >= 7, "{found} rows name a flag");
}
