//! Finds the end of a message header without buffering the message.

use memchr::memchr;

/// Finds the end of the header of a message received in pieces, for BODY\[HEADER\] and BODY\[TEXT\]
/// (RFC 3501 section 6.4.5). The header includes the first empty line, which ends it. Lines end
/// with CRLF, a bare LF, or CR CR LF, as in mail whose line ends were converted twice. A message
/// without an empty line is all header.
#[derive(Clone, Debug, Default)]
pub struct HeaderScanner {
    /// Octets seen so far.
    taken: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// At the start of a line.
    #[default]
    LineStart,
    /// After a CR at the start of a line.
    Cr,
    /// After two of them.
    CrCr,
    /// Within a non-empty line.
    InLine,
    /// The header has ended.
    Done,
}

impl HeaderScanner {
    /// A scanner at the start of a message.
    #[must_use]
    pub fn new() -> HeaderScanner {
        HeaderScanner::default()
    }

    /// Takes the next piece. `Some(length)` once the length of the header is known, empty line
    /// included; later pieces do not change it.
    pub fn feed(&mut self, piece: &[u8]) -> Option<u64> {
        let mut at = 0;
        while self.state != State::Done && at < piece.len() {
            let octet = piece[at];
            match (self.state, octet) {
                (State::InLine, _) => {
                    let newline = memchr(b'\n', &piece[at..]);
                    at += newline.map_or(piece.len() - at, |n| n + 1);
                    if newline.is_some() {
                        self.state = State::LineStart;
                    }
                    continue;
                }
                (_, b'\n') => self.state = State::Done,
                (State::LineStart, b'\r') => self.state = State::Cr,
                (State::Cr, b'\r') => self.state = State::CrCr,
                _ => self.state = State::InLine,
            }
            at += 1;
        }
        self.taken += at as u64;
        (self.state == State::Done).then_some(self.taken)
    }

    /// The length of the header, once the whole message was fed.
    #[must_use]
    pub fn finish(&self) -> u64 {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(message: &[u8]) -> u64 {
        let mut scanner = HeaderScanner::new();
        scanner.feed(message);
        scanner.finish()
    }

    #[test]
    fn headers_end_with_the_first_empty_line() {
        for (message, expected) in [
            (&b"A: b\r\n\r\nbody\r\n\r\n"[..], 8),
            (b"A: b\n\nbody", 6),
            (b"A: b\n\r\nbody", 7),
            (b"A: b\r\n\nbody", 7),
            (b"\r\nbody", 2),
            (b"\n", 1),
            (b"A: b\r\n", 6),
            (b"A: b\r\n\r", 7),
            (b"A: \0\0\r\n\r\n", 9),
            (b"A: b\r\r\n\r\n", 9),
            (b"A: b\r\r\n\r\r\nbody\r\r\n", 10),
            (b"\r\r\n\r\n", 3),
            (b"\r\r\r\n\r\n", 6),
            (b"\r \n\n", 4),
            (b" \r\n\r\n", 5),
            (b"", 0),
        ] {
            assert_eq!(length(message), expected, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn cuts_change_nothing() {
        let message = b"A: b\r\nB: \r\r\n c\n\r\nbody\n\n";
        for first in 0..=message.len() {
            for second in first..=message.len() {
                let mut scanner = HeaderScanner::new();
                scanner.feed(&message[..first]);
                scanner.feed(&message[first..second]);
                assert_eq!(scanner.feed(&message[second..]), Some(17));
                assert_eq!(scanner.feed(b"more"), Some(17));
            }
        }
    }
}
