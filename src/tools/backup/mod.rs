//! `mailrace backup`: copies a data folder, also of a running server; `mailrace restore`: makes a
//! data folder of such a copy.
//!
//! `store::image` says which files, and how much of each, make a consistent copy. They are linked
//! or copied in any order. If one of them is gone when its turn comes, because it was stripped or
//! dropped, all is looked at again; what is in the backup by then stays. The newest snapshot of the
//! catalog is taken before, and must be the newest one still when the files are known: what the log
//! lacks is in it then. So the manifest names the files of one moment, and everything acknowledged
//! before the backup began is in them.
//!
//! - Sealed segments and record files never change, so a hard link is enough where the file system
//!   allows one. A server uses a segment for other mail only if that file has no other name.
//! - Segments that a server writes to are copied: recovery may cut them, and would cut a link too.
//! - The catalog is left out. A restored folder makes it again from the newest snapshot and the
//!   log, and has to change every mailbox in it anyway; a copy of a file that is being written
//!   would be worth nothing.
//!
//! Until the new manifest is there, the files of the old one are replaced only by files with the
//! same content and more behind it. Files that the new one does not name go last. So whatever
//! interrupts a backup, the folder holds the old one or the new one.
//!
//! A copy that is complete is read-only, so that a later run knows it after an interruption.

mod copy;
mod files;
mod manifest;
mod restore;

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use self::files::Backup;
#[cfg(test)]
pub(crate) use self::files::image_after;
use self::manifest::{End, Manifest};
pub use self::restore::{RestoreOptions, run as restore};
use super::error::{ToolError, say};
use super::verify::{self, VerifyOptions};
use crate::reactor::files::create_folder;
use crate::server::{MANIFEST, RESTORING, StartError};
use crate::stats::escaped;
use crate::store::DataLock;

/// A first backup into this folder has begun, and none is complete.
const UNFINISHED: &str = "backup.unfinished";

/// What `backup` does.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The folder of the backup.
    pub to: PathBuf,
    /// Check everything in the backup when it is complete.
    pub verify: bool,
    /// Report as JSON.
    pub json: bool,
}

/// The report. Members may be added; if one is removed or changes its meaning, `version` is raised.
#[derive(Default, Serialize)]
struct Report {
    version: u32,
    data: String,
    to: String,
    /// Everything acknowledged before this time is in it: seconds since 1970 UTC.
    taken: u64,
    seconds: f64,
    /// Segments and record files of the backup, and their bytes.
    files: usize,
    bytes: u64,
    /// Files that were linked, copied or continued, and those that were there already.
    linked: usize,
    copied: usize,
    kept: usize,
    /// Files of earlier backups that were removed.
    removed: usize,
    bytes_copied: u64,
    logs: Vec<End>,
    /// Files that are damaged in the data folder, and were copied as they are.
    damaged: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<serde_json::Value>,
}

/// Makes or continues a backup and prints the report on standard output. Returns how many findings
/// there are: files that are damaged in the data folder and, with `verify`, all damage.
///
/// # Errors
/// When the backup is not complete. The one before it, if any, is as it was.
pub fn run(options: &BackupOptions) -> Result<usize, ToolError> {
    let begun = Instant::now();
    check_places(&options.data, &options.to)?;
    let lock = DataLock::acquire(&options.to)
        .map_err(|error| ToolError::Server(StartError::Lock(error)))?;
    let mut backup = Backup::begin(&options.data, &options.to)?;
    let image = backup.take()?;
    backup.copy_others()?;
    backup.finish(&image)?;
    let Backup { manifest, mut report, .. } = backup;
    report.version = 1;
    report.data = options.data.display().to_string();
    report.to = options.to.display().to_string();
    report.taken = manifest.taken;
    report.files = manifest.files().count();
    report.bytes = manifest.bytes();
    report.logs.clone_from(&manifest.logs);
    report.damaged = image.damaged;
    report.seconds = begun.elapsed().as_secs_f64();
    drop(lock);
    let mut findings = report.damaged.len();
    let mut checked = None;
    if options.verify {
        report.damaged.extend(check_others(&options.to, &manifest)?);
        findings = report.damaged.len();
        let data = options.to.clone();
        let found = verify::examine(&VerifyOptions { data, json: options.json, repair: false })?;
        findings += found.findings();
        report.verify = options.json.then(|| found.value());
        checked = Some(found);
    }
    match (options.json, checked) {
        (true, _) => {
            let text = serde_json::to_string_pretty(&report).expect("a report is plain data");
            say(&(text + "\n"))?;
        }
        (false, checked) => {
            say(&report.text())?;
            checked.map_or(Ok(()), |found| say(&found.text()))?;
        }
    }
    Ok(findings)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ToolError {
    let path = path.display().to_string();
    move |error| ToolError::Io { doing: format!("cannot use {path}"), error }
}

/// Refuses folders that cannot be source and target.
fn check_places(data: &Path, to: &Path) -> Result<(), ToolError> {
    let folder = data.join("segments");
    folder.metadata().map_err(|error| StartError::Data(folder.clone(), error))?;
    for (name, what) in [
        (MANIFEST, "is a backup, and no data folder: restore it first"),
        (RESTORING, "was not restored completely: run `mailrace restore` again"),
    ] {
        if data.join(name).exists() {
            return Err(ToolError::Usage(format!("{} {what}", data.display())));
        }
    }
    let source = data.canonicalize().map_err(at(data))?;
    // What there is of the target: a refused folder is not made.
    let whole = std::path::absolute(to).map_err(at(to))?;
    let there = whole.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let mut target = there.canonicalize().map_err(at(to))?;
    if let Ok(rest) = whole.strip_prefix(there) {
        target.push(rest);
    }
    if source.starts_with(&target) || target.starts_with(&source) {
        return Err(ToolError::Usage(format!(
            "{} and {} are the same folder, or one is in the other: choose another folder with \
             --to",
            data.display(),
            to.display()
        )));
    }
    create_folder(to).map_err(at(to))?;
    let begun = [MANIFEST, UNFINISHED].iter().any(|name| to.join(name).exists());
    for entry in fs::read_dir(to).map_err(at(to))? {
        let name = entry.map_err(at(to))?.file_name();
        if !begun && name != "lock" && name != "lost+found" {
            return Err(ToolError::Usage(format!(
                "{} is not empty and holds no backup (there is {}): choose another folder with \
                 --to",
                to.display(),
                name.display()
            )));
        }
    }
    Ok(())
}

/// Compares the files beside the log, and the lengths of all others, with the manifest.
fn check_others(to: &Path, manifest: &Manifest) -> Result<Vec<String>, ToolError> {
    let mut wrong = Vec::new();
    for other in &manifest.others {
        let octets = fs::read(to.join(&other.name)).map_err(at(&to.join(&other.name)))?;
        if format!("{:016x}", xxh3_64(&octets)) != other.checksum {
            wrong.push(format!("{}: its checksum is wrong", other.name));
        }
    }
    Ok(wrong)
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        for damaged in &self.damaged {
            let _ = writeln!(text, "damaged, copied as it is: {}", escaped(damaged));
        }
        let Report { files, linked, copied, kept, removed, seconds, .. } = self;
        let (all, written) = (self.bytes as f64 / 1e6, self.bytes_copied as f64 / 1e6);
        let _ = writeln!(
            text,
            "{files} files, {all:.1} MB: {linked} linked, {copied} copied ({written:.1} MB, \
             {seconds:.1} s), {kept} there already, {removed} old ones removed"
        );
        text
    }
}
