//! What takes space, as a table for people.

use std::fmt::Write;

use crate::server::{Files, NextCleaning, Purging, Scrubbed, Space};
use crate::stats::escaped;
use crate::tools::size::show_size;
use imap::types::InternalDate;

pub(super) fn table(space: &Space) -> String {
    let used = if space.running { "a server uses it" } else { "no server uses it" };
    let mut text = format!("{} ({used})\n\n", escaped(&space.data));
    match (space.live, space.dead, space.reclaimable) {
        (Some(live), Some(dead), Some(reclaimable)) => {
            line(&mut text, "Living messages", None, live, "as of the last checkpoint");
            let back = format!("cleaning would give back {}", show_size(reclaimable));
            line(&mut text, "Dead in sealed segments", None, dead, &back);
        }
        _ => text.push_str(
            "Living messages are unknown without a catalog; the next start makes it from the log\n",
        ),
    }
    let _ = writeln!(text, "\n{:<24}{:>7}{:>12}", "On the disk", "files", "size");
    let held = match space.reserve {
        Some(held) if held > 0 => format!("{held} held back for changes on a full disk"),
        _ => String::new(),
    };
    let files: [(&str, Files, &str); 9] = [
        ("Sealed segments", space.sealed, ""),
        ("Active segments", space.active, ""),
        ("Ready segments", space.ready, &held),
        ("Segments in preparation", space.preparing, ""),
        ("Record files", space.records, ""),
        ("Catalog", space.catalog, ""),
        ("Held for the catalog", space.spare, ""),
        ("Other", space.other, ""),
        ("Total", Files { files: 0, bytes: space.total }, ""),
    ];
    for (name, Files { files, bytes }, note) in files {
        let files = if name == "Total" { None } else { Some(files) };
        line(&mut text, name, files, bytes, note);
    }
    let of = format!("of {}", show_size(space.disk_size));
    text.push('\n');
    line(&mut text, "Free disk", None, space.disk_free, &of);
    text.push_str(&scrubbed(space.scrub));
    text.push_str(&purging(space.purge));
    match &space.next {
        Some(next) => text.push_str(&next_cleaning(next, space)),
        None if space.live.is_some() => text.push_str("\nNo segment is worth cleaning\n"),
        None => {}
    }
    text
}

fn line(text: &mut String, name: &str, files: Option<u64>, bytes: u64, note: &str) {
    let files = files.map_or_else(String::new, |files| files.to_string());
    let line = format!("{name:<24}{files:>7}{:>12}  {note}", show_size(bytes));
    let _ = writeln!(text, "{}", line.trim_end());
}

fn scrubbed(scrub: Option<Scrubbed>) -> String {
    let Some(Scrubbed { last, findings, .. }) = scrub else {
        return "\nNothing has been scrubbed yet\n".to_owned();
    };
    let last = match last.map(i64::try_from) {
        Some(Ok(time)) => format!("last complete at {}", InternalDate::from_unix(time)),
        _ => "not complete yet".to_owned(),
    };
    let found = match findings {
        0 => "no damage found".to_owned(),
        _ => format!("DAMAGE in {findings} places: see the log, and run `mailrace verify`"),
    };
    format!("\nScrub: {last}; {found}\n")
}

fn purging(purge: Option<Purging>) -> String {
    let Some(Purging { within, oldest }) = purge else { return String::new() };
    let kept = match oldest {
        0 => "none on the disk as of the last look".to_owned(),
        _ if oldest <= within => format!("on the disk for {oldest} s at most"),
        _ => format!("ON THE DISK FOR UP TO {oldest} s: see the log"),
    };
    format!("Expunged mail: {kept}; to be gone within {within} s\n")
}

fn next_cleaning(next: &NextCleaning, space: &Space) -> String {
    let NextCleaning { file, bytes, live, reclaimable, .. } = next;
    // Nothing has to be written for a segment in which nothing lives.
    let when = match (space.due == Some(true) || *live == 0, space.running) {
        (true, true) => "The server cleans it soon",
        (true, false) => "A server would clean it soon",
        _ => "That is too little to begin by itself; `mailrace clean --all` does it now",
    };
    format!(
        "\nNext cleaning: {file} of {}, {} of it living; {} come back\n{when}\n",
        show_size(*bytes),
        show_size(*live),
        show_size(*reclaimable)
    )
}
