//! Messages that no standard allows but every archive has, and some that look like commands.

use super::random::Random;
use super::text;

/// Number of kinds.
pub(super) const KINDS: usize = 18;

const HEADER: &[u8] = b"From: <odd@example.org>\r\nDate: Mon, 7 Feb 1994 21:52:25 -0800\r\n\
    Subject: odd\r\nMessage-ID: <odd@example.org>\r\n";

/// A message of `kind`, which is below [`KINDS`].
pub(super) fn write(random: &mut Random, out: &mut Vec<u8>, kind: usize) {
    match kind {
        // No header, no line end, next to nothing.
        0 => out.push(b'x'),
        1 => out.extend_from_slice(b"\r\n"),
        2 => out.push(0),
        3 => text::plain(random, out, 3_000),
        4 => out.extend_from_slice(HEADER),
        5 => with_body(out, b""),
        // Broken line ends.
        6 => bare(random, out, b"\n"),
        7 => bare(random, out, b"\r"),
        8 => mixed_line_ends(random, out),
        9 => with_body(out, b"ends in a CR\r"),
        // Traps for parsers.
        10 => nuls(random, out),
        11 => every_octet(out),
        12 => long_line(random, out),
        13 => unclosed(random, out),
        14 => nested(out),
        // Text that must never be taken for protocol.
        15 => with_body(out, b"A1 LOGOUT\r\n* BYE\r\n+ \r\nA2 OK [APPENDUID 1 1] done\r\n)\r\n"),
        16 => with_body(out, b"literal {10+}\r\n0123456789 {0}\r\n (\\Seen) {4294967296+}\r\n"),
        _ => with_body(out, b"From the start of a line\r\n>From quoted\r\n.\r\n..\r\n{3}"),
    }
}

fn with_body(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(HEADER);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// A message in which every line end, in the header too, is `end`.
fn bare(random: &mut Random, out: &mut Vec<u8>, end: &[u8]) {
    let mut whole = Vec::new();
    with_body(&mut whole, b"");
    text::plain(random, &mut whole, 2_000);
    for line in whole.split(|&o| o == b'\n') {
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(end);
    }
}

fn mixed_line_ends(random: &mut Random, out: &mut Vec<u8>) {
    with_body(out, b"");
    for _ in 0..60 {
        text::token(random, out, 30);
        out.extend_from_slice(random.pick(&["\r\n", "\n", "\r", "\n\r", "\r\r\n"]).as_bytes());
    }
}

fn nuls(random: &mut Random, out: &mut Vec<u8>) {
    with_body(out, b"");
    for _ in 0..200 {
        text::token(random, out, 9);
        out.extend_from_slice(if random.chance(10) { b"\r\n" } else { b"\0" });
    }
}

fn every_octet(out: &mut Vec<u8>) {
    with_body(out, b"");
    out.extend(0..=u8::MAX);
    out.extend((0..=u8::MAX).rev());
}

/// 24,000 octets without a line end, as found in a real list archive.
fn long_line(random: &mut Random, out: &mut Vec<u8>) {
    with_body(out, b"");
    text::token(random, out, 24_000);
    out.extend_from_slice(b"\r\nend\r\n");
}

fn unclosed(random: &mut Random, out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
    out.extend_from_slice(b"Content-Type: multipart/mixed; boundary=never\r\n\r\n--never\r\n\r\n");
    text::plain(random, out, 1_000);
}

/// Forty nested multiparts, none closed.
fn nested(out: &mut Vec<u8>) {
    out.extend_from_slice(HEADER);
    for depth in 0..40 {
        let part =
            format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\r\nthe innermost\r\n");
}
