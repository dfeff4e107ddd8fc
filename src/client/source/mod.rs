//! Mail in files: an mbox, a Maildir, a folder of `.eml` files.
//!
//! Messages are read one at a time. Memory holds one message and, for a folder, the file names.

mod folder;
mod mbox;

use std::path::{Path, PathBuf};
use std::{fmt, io};

pub use self::folder::{Folder, maildir_flags};
pub use self::mbox::Mbox;
use crate::Mail;

/// Mail in a file or folder. Yields messages until the end or the first error.
pub enum Source {
    /// One file, each message after a `From ` line.
    Mbox(Mbox<io::BufReader<std::fs::File>>),
    /// One file per message.
    Folder(Folder),
}

impl Source {
    /// Opens `path`. A folder with a subfolder `cur` is a Maildir, any other folder holds `.eml`
    /// files. A file whose name ends in `.eml` is one message, any other file an mbox.
    ///
    /// # Errors
    /// When it cannot be read, or is none of these.
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

    /// Empty messages skipped so far: APPEND cannot carry them.
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
    /// The file system failed.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The file should be an mbox but does not begin with a `From ` line.
    NotAnMbox {
        /// The file.
        path: PathBuf,
    },
    /// The folder holds no message.
    NoMail {
        /// The folder.
        path: PathBuf,
    },
    /// A message is larger than APPEND allows ([`imap::limits::APPEND_LIMIT`]).
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Offset of the message in the file, in octets.
        offset: u64,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            SourceError::NotAnMbox { path } => {
                write!(f, "{}: not an mbox: it does not begin with a From line", path.display())
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

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SourceError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Turns each LF without a CR before it into CRLF.
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
