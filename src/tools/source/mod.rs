//! Mail as it lies in files: an mbox, a Maildir, a folder of `.eml` files.
//!
//! Messages are read one at a time: memory holds the one that is read and, of a folder, the names.

mod folder;
mod mbox;

use std::path::{Path, PathBuf};
use std::{fmt, io};

pub use self::folder::{Folder, maildir_flags};
pub use self::mbox::Mbox;
use super::Mail;

/// Where messages come from. Yields them one by one until the end or the first error.
pub enum Source {
    /// One file, every message after a `From ` line.
    Mbox(Mbox<io::BufReader<std::fs::File>>),
    /// A folder with a file for each message.
    Folder(Folder),
}

impl Source {
    /// Opens what stands at `path`: a folder that holds a `cur` is a Maildir, another folder one of
    /// `.eml` files, a file named `.eml` one message, any other file an mbox.
    ///
    /// # Errors
    /// When nothing is there that can be read, or it is none of these.
    pub fn open(path: &Path) -> Result<Source, SourceError> {
        let failed = |error| SourceError::Io { path: path.to_owned(), error };
        let kind = std::fs::metadata(path).map_err(failed)?;
        if kind.is_dir() && path.join("cur").is_dir() {
            return Folder::maildir(path).map(Source::Folder);
        }
        if kind.is_dir() {
            return Folder::of_eml(path).map(Source::Folder);
        }
        if folder::is_eml(path) {
            return Ok(Source::Folder(Folder::of_one(path)));
        }
        let file = std::fs::File::open(path).map_err(failed)?;
        Mbox::new(path, io::BufReader::with_capacity(256 << 10, file)).map(Source::Mbox)
    }

    /// Messages left out so far because they have no octets: no APPEND can carry them.
    #[must_use]
    pub fn empty(&self) -> u64 {
        match self {
            Source::Mbox(mbox) => mbox.empty(),
            Source::Folder(folder) => folder.empty(),
        }
    }
}

impl Iterator for Source {
    type Item = Result<Mail, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Source::Mbox(mbox) => mbox.next(),
            Source::Folder(folder) => folder.next(),
        }
    }
}

/// Why mail cannot be read.
#[derive(Debug)]
pub enum SourceError {
    /// The file system says no.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// A file that should be an mbox does not begin with a `From ` line.
    NotAnMbox {
        /// The file.
        path: PathBuf,
    },
    /// A folder without a single message.
    NoMail {
        /// The folder.
        path: PathBuf,
    },
    /// A message larger than any APPEND may be ([`crate::limits::APPEND_LIMIT`]).
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Where in it the message begins, in octets.
        offset: u64,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            SourceError::NotAnMbox { path } => {
                write!(f, "{}: no mbox: it does not begin with a From line", path.display())
            }
            SourceError::NoMail { path } => {
                write!(f, "{}: neither a Maildir nor a folder with .eml files", path.display())
            }
            SourceError::TooLarge { path, offset } => {
                let path = path.display();
                write!(f, "{path}: the message at offset {offset} is larger than 4 GiB")
            }
        }
    }
}

impl std::error::Error for SourceError {}

/// `octets` with CRLF for every LF that has no CR before it.
fn crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    let mut rest = 0;
    for at in memchr::memchr_iter(b'\n', octets) {
        out.extend_from_slice(&octets[rest..at]);
        if at == 0 || octets[at - 1] != b'\r' {
            out.push(b'\r');
        }
        rest = at;
    }
    out.extend_from_slice(&octets[rest..]);
    out
}

#[cfg(test)]
mod tests;
