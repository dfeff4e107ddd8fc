//! Received octets: lines, and literals that are passed on piece by piece.

use std::io::{self, Read};

use super::error::ClientError;

/// Longest line of a server: APPENDUID for a batch into a busy mailbox may list thousands of UIDs.
const CAPACITY: usize = 256 << 10;

/// A read buffer over a socket or, in tests, over canned text.
pub struct Input<R> {
    pub(super) from: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<R: Read> Input<R> {
    pub fn new(from: R) -> Input<R> {
        Input { from, buffer: vec![0; CAPACITY].into_boxed_slice(), start: 0, end: 0 }
    }

    /// The next line without its CRLF.
    pub fn line(&mut self) -> Result<&[u8], ClientError> {
        let mut searched = 0;
        loop {
            let unsearched = &self.buffer[self.start + searched..self.end];
            if let Some(at) = memchr::memchr(b'\n', unsearched) {
                let (from, until) = (self.start, self.start + searched + at);
                self.start = until + 1;
                let line = &self.buffer[from..until];
                return Ok(line.strip_suffix(b"\r").unwrap_or(line));
            }
            searched = self.end - self.start;
            self.fill()?;
        }
    }

    /// Passes the next `length` octets to `sink`, piece by piece.
    pub fn literal(&mut self, length: u64, mut sink: impl FnMut(&[u8])) -> Result<(), ClientError> {
        let mut left = length;
        while left > 0 {
            if self.start == self.end {
                self.fill()?;
            }
            let here = left.min((self.end - self.start) as u64) as usize;
            sink(&self.buffer[self.start..self.start + here]);
            self.start += here;
            left -= here as u64;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), ClientError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.end == self.buffer.len() {
            if self.start == 0 {
                return Err(ClientError::LineTooLong);
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let read = loop {
            match self.from.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(ClientError::Io)?,
            }
        };
        if read == 0 {
            return Err(ClientError::Closed);
        }
        self.end += read;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one octet a time, as a slow network would.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let one = self.0.len().min(1);
            self.0.read(&mut into[..one])
        }
    }

    #[test]
    fn lines_and_literals_in_any_pieces() {
        let text = b"* OK hi\r\nbare\n{5}\r\na\r\nbc)\r\n";
        for slow in [true, false] {
            let from: Box<dyn Read> = if slow { Box::new(Slow(text)) } else { Box::new(&text[..]) };
            let mut input = Input::new(from);
            assert_eq!(input.line().unwrap(), b"* OK hi");
            assert_eq!(input.line().unwrap(), b"bare");
            assert_eq!(input.line().unwrap(), b"{5}");
            let mut literal = Vec::new();
            input.literal(5, |piece| literal.extend_from_slice(piece)).unwrap();
            assert_eq!(literal, b"a\r\nbc");
            assert_eq!(input.line().unwrap(), b")");
            assert!(matches!(input.line(), Err(ClientError::Closed)));
        }
    }

    #[test]
    fn an_endless_line_is_an_error() {
        let mut input = Input::new(io::repeat(b'x'));
        assert!(matches!(input.line(), Err(ClientError::LineTooLong)));
    }
}
