//! Finds where a command ends, by line ends and literals alone.
//!
//! A command is one line, unless the line ends by announcing a literal. Then that many octets and
//! another line belong to it (RFC 3501 section 4.3), and so on. In this example the command ends
//! after the third line; the LF inside the literal ends nothing:
//!
//! ```text
//! a LOGIN {11+}CRLF       a line that announces 11 octets
//! FRED\nFOOBAR {7}CRLF    the literal, then the rest of the line, which announces 7 more
//! fat man CRLF            the literal and an empty rest: the command ends
//! ```
//!
//! [`Framer`] keeps two offsets, the start of the current line and how far it was searched, so each
//! octet is searched once however the command is cut into receives. A literal moves both past its
//! end. Line ends are found even if the command makes no sense, because the client may have sent
//! the literal already (RFC 7888 section 3); [`Discard`] then throws the rest away without
//! buffering it.

use memchr::{memchr, memrchr};

use crate::limits;

/// A literal announced at the end of a line.
///
/// ```abnf
/// literal  = "{" number ["+"] "}" CRLF *CHAR8          ; RFC 7888
/// literal8 = "~{" number ["+"] "}" CRLF *OCTET         ; RFC 4466
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its length in octets. A number too large for 64 bits becomes `u64::MAX`, which exceeds every
    /// limit.
    pub size: u64,
    /// Whether the client waits for `+` before sending it: `{n}` rather than `{n+}`.
    pub synchronising: bool,
    /// Whether it may contain NUL: `~{n}` (RFC 3516).
    pub binary: bool,
}

impl Literal {
    /// The literal announced at the end of a line (given without its line end), and the offset of
    /// the announcement.
    #[must_use]
    pub fn at_end(line: &[u8]) -> Option<(Literal, usize)> {
        let brace = memrchr(b'{', line)?;
        let mut tail = Tail::default();
        tail.feed(&line[brace..]);
        // Another CR before the line end: nothing is announced.
        let (size, synchronising) = tail.announced().filter(|_| tail.state == TailState::Closed)?;
        let binary = brace > 0 && line[brace - 1] == b'~';
        Some((Literal { size, synchronising, binary }, brace - usize::from(binary)))
    }
}

/// Limits on a command outside APPEND, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// All lines of a command, without literals.
    pub line: usize,
    /// All literals of a command.
    pub literals: usize,
}

impl Limits {
    /// Before login.
    pub const BEFORE_LOGIN: Limits =
        Limits { line: limits::LINE_BEFORE_LOGIN, literals: limits::LITERAL_BEFORE_LOGIN };
    /// After login.
    pub const AFTER_LOGIN: Limits = Limits { line: limits::LINE, literals: limits::LITERAL };
}

/// What [`Framer::scan`] found. Offsets count from the start of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// The command continues beyond the buffer.
    NeedMore,
    /// A whole command of `length` octets, line end included. The framer has reset itself: remove
    /// them from the buffer before the next scan.
    Command {
        /// Octets from the start of the command to the end of its last line.
        length: usize,
    },
    /// A line announced a literal. Reported once. There are three ways to continue:
    /// - It belongs to an APPEND, which has its own parser: call [`Framer::reset`].
    /// - It `fits`: answer `+` if it is synchronising, and scan again as octets arrive.
    /// - It does not fit: the framer has reset itself. Answer, remove `at` octets from the buffer,
    ///   and give the rest to [`Discard::after`].
    Literal {
        /// The literal.
        literal: Literal,
        /// Offset of its first octet.
        at: usize,
        /// Whether it is within the limit on literals.
        fits: bool,
    },
    /// A line exceeded the limit. The framer has reset itself: answer, and give the buffer from
    /// `at` on to [`Discard::line`].
    LineTooLong {
        /// Offset of the start of that line.
        at: usize,
    },
}

/// Finds the end of the command at the start of a growing buffer. See the module for the algorithm.
#[derive(Clone, Debug)]
pub struct Framer {
    limits: Limits,
    /// Start of the current line; beyond the buffer while a literal is being received.
    line_start: usize,
    /// The current line has no line end before this.
    searched: usize,
    /// Total octets of the literals before the current line.
    literals: usize,
}

impl Framer {
    /// A framer at the start of a command.
    #[must_use]
    pub fn new(limits: Limits) -> Framer {
        Framer { limits, line_start: 0, searched: 0, literals: 0 }
    }

    /// Replaces the limits, after login.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether the command has announced no literal yet.
    #[must_use]
    pub fn is_on_first_line(&self) -> bool {
        self.line_start == 0
    }

    /// Starts over at the start of a command.
    pub fn reset(&mut self) {
        *self = Framer::new(self.limits);
    }

    /// Scans the buffered octets of the current command. Octets of later commands may follow.
    pub fn scan(&mut self, buffered: &[u8]) -> Scan {
        let fresh = buffered.get(self.searched..).unwrap_or_default();
        let Some(newline) = memchr(b'\n', fresh) else {
            self.searched = self.searched.max(buffered.len());
            // While a literal is being received, its line has not begun and cannot be too long.
            let begun = buffered.len() >= self.line_start;
            // The one octet over the limit is the CR of a line end whose LF has not arrived.
            return if begun && self.text_until(self.searched) > self.limits.line + 1 {
                self.too_long()
            } else {
                Scan::NeedMore
            };
        };
        let end = self.searched + newline + 1;
        let line = without_line_end(&buffered[self.line_start..end]);
        if self.text_until(self.line_start + line.len()) > self.limits.line {
            return self.too_long();
        }
        match Literal::at_end(line) {
            None => {
                self.reset();
                Scan::Command { length: end }
            }
            Some((literal, _)) => self.literal(literal, end),
        }
    }

    fn literal(&mut self, literal: Literal, at: usize) -> Scan {
        let size = usize::try_from(literal.size).unwrap_or(usize::MAX);
        let fits = size <= self.limits.literals - self.literals;
        if fits {
            self.literals += size;
            self.line_start = at + size;
            self.searched = self.line_start;
        } else {
            self.reset();
        }
        Scan::Literal { literal, at, fits }
    }

    fn too_long(&mut self) -> Scan {
        let at = self.line_start;
        self.reset();
        Scan::LineTooLong { at }
    }

    /// Octets of the command before `end`, without literals.
    fn text_until(&self, end: usize) -> usize {
        end - self.literals
    }
}

/// Discards the rest of a refused command, of any size and in constant memory, so that none of it
/// is taken for a command.
#[derive(Clone, Debug)]
pub struct Discard {
    /// Octets of the current literal still to come.
    skip: u64,
    tail: Tail,
}

impl Discard {
    /// Starts at the beginning of a line, or within a line at a point that is not inside a
    /// literal's announcement.
    #[must_use]
    pub fn line() -> Discard {
        Discard { skip: 0, tail: Tail::default() }
    }

    /// Starts at the first octet of an announced literal. `None` if the literal is synchronising:
    /// the client waits, the refusal answers it, and the command is over.
    #[must_use]
    pub fn after(literal: Literal) -> Option<Discard> {
        (!literal.synchronising).then(|| Discard { skip: literal.size, tail: Tail::default() })
    }

    /// Starts within a literal, after `received` of its octets.
    #[must_use]
    pub fn rest_of(literal: Literal, received: u64) -> Discard {
        Discard { skip: literal.size.saturating_sub(received), tail: Tail::default() }
    }

    /// Takes the next octets. `Some(n)`: the command ended after `n` of them, and the next command
    /// begins there. `None`: all belonged to it, and more will come.
    pub fn feed(&mut self, octets: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let skipped = self.skip.min((octets.len() - at) as u64);
            self.skip -= skipped;
            at += skipped as usize;
            let rest = &octets[at..];
            let Some(newline) = memchr(b'\n', rest) else {
                self.tail.feed(rest);
                return None;
            };
            self.tail.feed(&rest[..newline]);
            at += newline + 1;
            match std::mem::take(&mut self.tail).announced() {
                Some((size, false)) => self.skip = size,
                Some((_, true)) | None => return Some(at),
            }
        }
    }
}

/// One line of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The text without line end.
    pub text: &'a [u8],
    /// Octets including the line end.
    pub length: usize,
}

/// The line at the start of a buffer, once its end has arrived. For client lines that are not
/// commands: `DONE` (RFC 2177) and SASL responses. The caller bounds the buffer.
#[must_use]
pub fn line(buffered: &[u8]) -> Option<Line<'_>> {
    let length = memchr(b'\n', buffered)? + 1;
    Some(Line { text: without_line_end(&buffered[..length]), length })
}

/// Removes CRLF or a bare LF from the end.
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Recognises `{n}` and `{n+}` at the end of a line received in pieces.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    state: TailState,
    size: u64,
    synchronising: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TailState {
    /// Nothing that could become an announcement.
    #[default]
    Text,
    /// After `{`.
    Open,
    /// After at least one digit.
    Digits,
    /// After the `+`.
    Plus,
    /// After `}`.
    Closed,
    /// After `}` and CR.
    ClosedCr,
}

impl Tail {
    /// Takes the next piece of the line, without LF.
    fn feed(&mut self, piece: &[u8]) {
        let from = match memrchr(b'{', piece) {
            Some(brace) => brace,
            None if self.state == TailState::Text => return,
            None => 0,
        };
        for &octet in &piece[from..] {
            self.step(octet);
        }
    }

    fn step(&mut self, octet: u8) {
        use TailState::{Closed, ClosedCr, Digits, Open, Plus, Text};
        self.state = match (self.state, octet) {
            (_, b'{') => {
                *self = Tail::default();
                Open
            }
            (Open | Digits, b'0'..=b'9') => {
                self.size = self.size.saturating_mul(10).saturating_add(u64::from(octet - b'0'));
                Digits
            }
            (Digits, b'+') => Plus,
            (Digits | Plus, b'}') => {
                self.synchronising = self.state == Digits;
                Closed
            }
            (Closed, b'\r') => ClosedCr,
            _ => Text,
        };
    }

    /// Size, and whether synchronising, if the line ends here.
    fn announced(self) -> Option<(u64, bool)> {
        let closed = matches!(self.state, TailState::Closed | TailState::ClosedCr);
        closed.then_some((self.size, self.synchronising))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framer() -> Framer {
        Framer::new(Limits { line: 40, literals: 20 })
    }

    fn literal(size: u64, synchronising: bool) -> Literal {
        Literal { size, synchronising, binary: false }
    }

    #[test]
    fn announcements() {
        let found = |line: &str| Literal::at_end(line.as_bytes());
        assert_eq!(found("a LOGIN {11}"), Some((literal(11, true), 8)));
        assert_eq!(found("{0+}"), Some((literal(0, false), 0)));
        let binary = Literal { size: 7, synchronising: false, binary: true };
        assert_eq!(found("a APPEND b ~{007+}"), Some((binary, 11)));
        assert_eq!(found("x{99999999999999999999999+}"), Some((literal(u64::MAX, false), 1)));
        for none in
            ["", "{", "{}", "{+}", "{5} ", "{5", "5}", "{5++}", "{5-}", "{ 5}", "{5}}", "{5}\r"]
        {
            assert_eq!(found(none), None, "{none}");
        }
    }

    /// Scans on past every literal that fits.
    fn scan_on(framer: &mut Framer, buffered: &[u8]) -> Scan {
        loop {
            match framer.scan(buffered) {
                Scan::Literal { fits: true, .. } => {}
                other => return other,
            }
        }
    }

    #[test]
    fn a_command_is_found_however_it_is_cut() {
        let commands = b"a LOGIN {4+}\r\nfr\r\n {3+}\nabc\r\nb NOOP\n";
        let length = commands.len() - "b NOOP\n".len();
        for cut in 0..length {
            let mut framer = framer();
            assert_eq!(scan_on(&mut framer, &commands[..cut]), Scan::NeedMore, "cut at {cut}");
            assert_eq!(scan_on(&mut framer, commands), Scan::Command { length }, "cut at {cut}");
            assert_eq!(framer.scan(&commands[length..]), Scan::Command { length: 7 });
        }
    }

    #[test]
    fn no_line_is_too_long_before_it_begins() {
        let command = format!("{:36}{{5+}}\r\nhello", "a LOGIN").into_bytes();
        for length in 42..47 {
            let mut framer = framer();
            assert_eq!(scan_on(&mut framer, &command[..length]), Scan::NeedMore, "{length}");
            assert_eq!(scan_on(&mut framer, &command), Scan::LineTooLong { at: 47 }, "{length}");
        }
    }

    #[test]
    fn a_literal_is_reported_once_and_its_octets_are_not_scanned() {
        let mut framer = framer();
        let told = Scan::Literal { literal: literal(9, true), at: 7, fits: true };
        assert_eq!(framer.scan(b"a {9}"), Scan::NeedMore);
        assert_eq!(framer.scan(b"a {9}\r\n"), told);
        assert_eq!(framer.scan(b"a {9}\r\n"), Scan::NeedMore);
        assert_eq!(framer.scan(b"a {9}\r\nb\nc\nd\n{5"), Scan::NeedMore);
        assert_eq!(framer.scan(b"a {9}\r\nb\nc\nd\n{5}\n\n"), Scan::Command { length: 17 });
    }

    #[test]
    fn limits_count_the_whole_command() {
        let mut framer = framer();
        let mut buffered = b"a {10+}\n0123456789 {10+}\n0123456789 ".to_vec();
        assert!(matches!(framer.scan(&buffered), Scan::Literal { fits: true, .. }));
        assert!(matches!(framer.scan(&buffered), Scan::Literal { fits: true, .. }));
        assert_eq!(framer.scan(&buffered), Scan::NeedMore);
        buffered.extend_from_slice(b"{1+}\n");
        let over = Scan::Literal { literal: literal(1, false), at: 41, fits: false };
        assert_eq!(framer.scan(&buffered), over);
        let mut empty = b"a {0+}\n".repeat(5);
        assert!((0..5).all(|_| matches!(framer.scan(&empty), Scan::Literal { fits: true, .. })));
        empty.extend_from_slice(b"a {0+}\n");
        assert_eq!(framer.scan(&empty), Scan::LineTooLong { at: 35 });
    }

    #[test]
    fn lines_too_long() {
        let mut framer = framer();
        assert_eq!(framer.scan(&[b'x'; 41]), Scan::NeedMore);
        assert_eq!(framer.scan(&[b'x'; 42]), Scan::LineTooLong { at: 0 });
        let mut line = [b'x'; 42];
        line[41] = b'\n';
        assert_eq!(framer.scan(&line), Scan::LineTooLong { at: 0 });
        line[40] = b'\r';
        assert_eq!(framer.scan(&line), Scan::Command { length: 42 });
    }

    #[test]
    fn absurd_literals_are_refused_in_step() {
        let mut framer = Framer::new(Limits::AFTER_LOGIN);
        let command = b"a APPEND x {18446744073709551616}\r\n";
        let literal = literal(u64::MAX, true);
        assert_eq!(framer.scan(command), Scan::Literal { literal, at: 35, fits: false });
        assert!(Discard::after(literal).is_none());
        assert_eq!(framer.scan(b"b NOOP\r\n"), Scan::Command { length: 8 });
    }

    #[test]
    fn discard_ends_with_the_command_however_it_is_cut() {
        let rest =
            b"ab\ncd (\\Seen) {4+}\r\nx\n{9 ~{000000000000000000000000002+}\n\n\n {7}\r\nb NOOP";
        let end = rest.len() - "b NOOP".len();
        for cut in 0..end {
            let mut discard = Discard::after(literal(5, false)).unwrap();
            assert_eq!(discard.feed(&rest[..cut]), None, "cut at {cut}");
            assert_eq!(discard.feed(&rest[cut..]), Some(end - cut), "cut at {cut}");
        }
        let mut discard = Discard::rest_of(literal(5, false), 3);
        assert_eq!(discard.feed(&rest[3..]), Some(end - 3));
        assert_eq!(Discard::line().feed(b"no {5+} literal\r\nb"), Some(17));
        assert_eq!(Discard::line().feed(b"nor here {5+}\r\r\nb"), Some(16));
        assert_eq!(Discard::after(literal(u64::MAX, false)).unwrap().feed(b"x\n"), None);
    }

    #[test]
    fn single_lines() {
        assert_eq!(line(b"DONE\r\na"), Some(Line { text: b"DONE", length: 6 }));
        assert_eq!(line(b"\n"), Some(Line { text: b"", length: 1 }));
        assert_eq!(line(b"DONE\r"), None);
    }
}
