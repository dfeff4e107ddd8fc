//! The mbox format in its lossless variant, mboxrd.
//!
//! A line that begins with `From ` starts each message. Lines of the message that match `^>*From `
//! carry one extra `>`. An empty line ends the message. Lines end in LF in the file, in CRLF on the
//! wire.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::SourceError;
use crate::Mail;
use imap::limits::APPEND_LIMIT;
use imap::types::{Flags, InternalDate};

/// Reads an mbox message by message.
pub struct Mbox<R> {
    reader: R,
    path: PathBuf,
    /// Offset of the line after `line`.
    offset: u64,
    /// The last line read. At the start of `next`: a `From ` line, or empty at the end of the file.
    line: Vec<u8>,
    empty: u64,
    failed: bool,
}

impl<R: BufRead> Mbox<R> {
    /// Reads an mbox that errors call `path`. An empty file holds no messages.
    ///
    /// # Errors
    /// When it cannot be read or does not begin with a `From ` line.
    pub fn new(path: &Path, reader: R) -> Result<Mbox<R>, SourceError> {
        let path = path.to_owned();
        let (offset, line) = (0, Vec::new());
        let mut mbox = Mbox { reader, path, offset, line, empty: 0, failed: false };
        mbox.read_line(0)?;
        if !mbox.line.is_empty() && !mbox.line.starts_with(b"From ") {
            return Err(SourceError::NotAnMbox { path: mbox.path });
        }
        Ok(mbox)
    }

    /// See [`super::Source::empty`].
    pub fn empty(&self) -> u64 {
        self.empty
    }

    fn message(&mut self) -> Result<Option<Mail>, SourceError> {
        while !self.line.is_empty() {
            let date = date_of_from_line(&self.line);
            let octets = self.octets()?;
            if octets.is_empty() {
                self.empty += 1;
                continue;
            }
            let octets = Bytes::from(octets);
            return Ok(Some(Mail { octets, flags: Flags::default(), date }));
        }
        Ok(None)
    }

    /// Reads up to the next `From ` line, which is then in `line`. The empty line before it is left
    /// out.
    fn octets(&mut self) -> Result<Vec<u8>, SourceError> {
        let start = self.offset;
        let mut octets = Vec::new();
        let mut empty_line = false;
        loop {
            self.read_line(start)?;
            if self.line.is_empty() || self.line.starts_with(b"From ") {
                return Ok(octets);
            }
            if empty_line {
                octets.extend_from_slice(b"\r\n");
            }
            empty_line = matches!(self.line[..], [b'\n'] | [b'\r', b'\n']);
            if !empty_line {
                push_line(&mut octets, unquoted(&self.line));
            }
            if octets.len() as u64 > APPEND_LIMIT {
                return Err(SourceError::TooLarge { path: self.path.clone(), offset: start });
            }
        }
    }

    /// `start` is the offset of the message, for the error.
    fn read_line(&mut self, start: u64) -> Result<(), SourceError> {
        self.line.clear();
        let mut bounded = (&mut self.reader).take(APPEND_LIMIT);
        let read = bounded.read_until(b'\n', &mut self.line);
        let path = || self.path.clone();
        let read = read.map_err(|error| SourceError::Io { path: path(), error })? as u64;
        if read == APPEND_LIMIT {
            return Err(SourceError::TooLarge { path: path(), offset: start });
        }
        self.offset += read;
        Ok(())
    }
}

impl<R: BufRead> Iterator for Mbox<R> {
    type Item = Result<Mail, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let message = self.message().transpose();
        self.failed = matches!(message, Some(Err(_)));
        message
    }
}

fn unquoted(line: &[u8]) -> &[u8] {
    let quotes = line.iter().take_while(|&&o| o == b'>').count();
    if quotes > 0 && line[quotes..].starts_with(b"From ") { &line[1..] } else { line }
}

fn push_line(octets: &mut Vec<u8>, line: &[u8]) {
    match line.strip_suffix(b"\n") {
        Some(text) => {
            octets.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
            octets.extend_from_slice(b"\r\n");
        }
        // The file ends here.
        None => octets.extend_from_slice(line),
    }
}

/// The time at the end of `From someone@example.org Wed Jun 19 20:38:52 2002`, in UTC by custom. A
/// zone before or after the year, which some writers add, is ignored.
fn date_of_from_line(line: &[u8]) -> Option<InternalDate> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
    words.retain(|word| !word.starts_with(['+', '-']));
    let [.., month, day, time, year] = words[..] else { return None };
    InternalDate::parse(format!("{day}-{month}-{year} {time} +0000").as_bytes()).ok()
}
