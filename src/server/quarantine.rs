//! Reports the damage that a start found: in the log, and as data in the file `quarantine.json` of
//! the data folder.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::index::Quarantine;
use crate::reactor::{Access, files, unix_seconds};

/// Number of findings that are logged; the file has all.
const LOGGED: usize = 100;

/// Name of the file.
const FILE: &str = "quarantine.json";

/// Content of the file. Members may be added; if one is removed or changes its meaning, `version`
/// is raised.
#[derive(Serialize)]
struct Listed<'a> {
    version: u32,
    /// Seconds since 1970 UTC.
    time: u64,
    damaged: Vec<Damaged<'a>>,
}

#[derive(Serialize)]
struct Damaged<'a> {
    file: String,
    offset: u64,
    what: &'a str,
    user: Option<&'a str>,
    mailbox: Option<&'a str>,
    first_uid: Option<u32>,
    last_uid: Option<u32>,
}

/// Logs the damage and writes the file, or removes the file if nothing is damaged.
pub(super) fn tell(data: &Path, quarantine: &Quarantine) -> io::Result<()> {
    let path = data.join(FILE);
    if quarantine.expunged > 0 {
        let count = quarantine.expunged;
        tracing::warn!("{count} damaged messages are in no mailbox any more");
    }
    if quarantine.findings.is_empty() {
        return match files::exists(&path)? {
            true => files::remove(&path),
            false => Ok(()),
        };
    }
    for finding in quarantine.findings.iter().take(LOGGED) {
        tracing::error!("quarantine: {finding}");
    }
    let (count, path_shown) = (quarantine.findings.len(), path.display());
    tracing::error!(
        "serving what is sound: {path_shown} lists all {count} findings. Damaged files are not \
         changed. Changes in lost frames are lost: mail may be missing, expunged mail may be back, \
         flags may be old, and clients of the affected accounts download everything again"
    );
    write(&path, quarantine)
}

/// Writes the file under another name, and renames it once it is complete.
fn write(path: &Path, quarantine: &Quarantine) -> io::Result<()> {
    let damaged = quarantine.findings.iter().map(|finding| Damaged {
        file: finding.file_name(),
        offset: finding.offset,
        what: &finding.what,
        user: finding.user.as_deref(),
        mailbox: finding.mailbox.as_deref(),
        first_uid: finding.uids.map(|(first, _)| first.0),
        last_uid: finding.uids.map(|(_, last)| last.0),
    });
    let listed = Listed { version: 1, time: unix_seconds(), damaged: damaged.collect() };
    let mut octets = serde_json::to_vec_pretty(&listed).map_err(io::Error::other)?;
    octets.push(b'\n');
    let unfinished = path.with_extension("json.new");
    let file = files::open(&unfinished, Access::Create)?;
    file.set_length(0)?;
    file.write_all_at(&octets, 0)?;
    file.sync_all()?;
    files::rename(&unfinished, path)
}
