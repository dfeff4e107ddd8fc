//! Folders with one file per message: Maildirs and folders of `.eml` files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::{SourceError, crlf};
use crate::Mail;
use imap::limits::APPEND_LIMIT;
use imap::types::{Flags, InternalDate};

/// Reads a folder file by file, in the order of the file names. Those of a Maildir begin with the
/// time of delivery.
pub struct Folder {
    files: std::vec::IntoIter<PathBuf>,
    maildir: bool,
    empty: u64,
}

impl Folder {
    /// The messages in `cur` and `new` of a Maildir. Bare LFs become CRLF, flags come from the file
    /// name, the internal date from the file's modification time.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn maildir(path: &Path) -> Result<Folder, SourceError> {
        let mut files = files_in(&path.join("cur"))?;
        let new = path.join("new");
        if new.is_dir() {
            files.extend(files_in(&new)?);
        }
        Ok(Folder::new(files, true))
    }

    /// The `.eml` files of a folder, unchanged.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds no `.eml` file.
    pub fn of_eml(path: &Path) -> Result<Folder, SourceError> {
        let mut files = files_in(path)?;
        files.retain(|file| is_eml(file));
        if files.is_empty() {
            return Err(SourceError::NoMail { path: path.to_owned() });
        }
        Ok(Folder::new(files, false))
    }

    /// A single `.eml` file.
    #[must_use]
    pub fn of_one(path: &Path) -> Folder {
        Folder::new(vec![path.to_owned()], false)
    }

    fn new(mut files: Vec<PathBuf>, maildir: bool) -> Folder {
        files.sort_unstable_by(|a, b| a.file_name().cmp(&b.file_name()));
        Folder { files: files.into_iter(), maildir, empty: 0 }
    }

    /// See [`super::Source::empty`].
    #[must_use]
    pub fn empty(&self) -> u64 {
        self.empty
    }

    fn read(&self, path: &Path) -> Result<Mail, SourceError> {
        let failed = |error| SourceError::Io { path: path.to_owned(), error };
        let metadata = fs::metadata(path).map_err(failed)?;
        if metadata.len() > APPEND_LIMIT {
            return Err(SourceError::TooLarge { path: path.to_owned(), offset: 0 });
        }
        let octets = fs::read(path).map_err(failed)?;
        if !self.maildir {
            return Ok(Mail { octets: octets.into(), flags: Flags::default(), date: None });
        }
        let changed =
            metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let date = changed.map(|since| InternalDate::from_unix(since.as_secs() as i64));
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        Ok(Mail { octets: Bytes::from(crlf(&octets)), flags: maildir_flags(name), date })
    }
}

impl Iterator for Folder {
    type Item = Result<Mail, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let path = self.files.next()?;
            match self.read(&path) {
                Ok(mail) if mail.octets.is_empty() => self.empty += 1,
                mail => return Some(mail),
            }
        }
    }
}

/// The flags in a Maildir file name, after `:2,`. `P` (passed) has no system flag.
#[must_use]
pub fn maildir_flags(name: &[u8]) -> Flags {
    let Some(at) = memchr::memmem::rfind(name, b":2,") else { return Flags::default() };
    name[at + 3..].iter().fold(Flags::default(), |flags, letter| {
        flags.union(match letter {
            b'D' => Flags::DRAFT,
            b'F' => Flags::FLAGGED,
            b'R' => Flags::ANSWERED,
            b'S' => Flags::SEEN,
            b'T' => Flags::DELETED,
            _ => Flags::default(),
        })
    })
}

/// Whether the file name ends in `.eml`.
pub(super) fn is_eml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("eml"))
}

/// Files and links to files. Names that begin with a dot are not messages.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let failed = |error| SourceError::Io { path: folder.to_owned(), error };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && !entry.file_type().map_err(failed)?.is_dir() {
            files.push(entry.path());
        }
    }
    Ok(files)
}
