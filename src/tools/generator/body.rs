//! Bodies: plain text in its encodings, and MIME with alternatives, attachments, forwarded mail.

use super::header::{self, Moment};
use super::random::Random;
use super::text;

type Fill = fn(&mut Random, &mut Vec<u8>, usize);

/// First characters of a JPEG, a PDF and a ZIP file in base64, with a type that fits.
const ATTACHMENTS: [(&str, &str, &[u8]); 3] = [
    ("image/jpeg", "IMG_20190714.jpg", b"/9j/4AAQSkZJRgABAQAA"),
    ("application/pdf", "=?utf-8?Q?Angebot_f=C3=BCr_Sie.pdf?=", b"JVBERi0xLjQK"),
    ("application/zip", "sources-2.4.18.zip", b"UEsDBBQAAAAI"),
];

/// Writes the rest of a message after [`header::write`], for a total of about `size` octets.
pub(super) fn write(random: &mut Random, out: &mut Vec<u8>, moment: Moment, size: usize) {
    let room = size.saturating_sub(out.len() + 100).max(8);
    match (room, random.below(100)) {
        (2_000.., 0..15) => alternative(random, out, room),
        (2_500.., 15..20) => forwarded(random, out, moment, room),
        (16_000.., 20..85) | (150_000.., _) => attachments(random, out, room),
        (_, 0..60) => single(random, out, room, "us-ascii", "7bit", text::plain),
        (_, 60..75) => single(random, out, room, "utf-8; format=flowed", "7bit", text::flowed),
        (_, 75..85) => {
            single(random, out, room, "utf-8", "quoted-printable", text::quoted_printable);
        }
        (_, 85..92) => single(random, out, room, "utf-8", "8bit", text::eight_bit),
        (_, 92..96) => {
            single(random, out, room, "utf-8", "base64", |r, o, n| text::base64(r, o, n, b""));
        }
        // As before MIME: without any MIME field.
        _ => {
            out.extend_from_slice(b"\r\n");
            text::plain(random, out, room);
        }
    }
}

fn single(
    random: &mut Random,
    out: &mut Vec<u8>,
    room: usize,
    charset: &str,
    encoding: &str,
    fill: Fill,
) {
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    part_header(out, &format!("text/plain; charset={charset}"), encoding);
    fill(random, out, room);
}

fn part_header(out: &mut Vec<u8>, content_type: &str, encoding: &str) {
    let fields =
        format!("Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
    out.extend_from_slice(fields.as_bytes());
}

/// Writes the header of a multipart and returns its boundary.
fn multipart(random: &mut Random, out: &mut Vec<u8>, subtype: &str) -> Vec<u8> {
    let mut boundary = b"----=_Part_".to_vec();
    text::token(random, &mut boundary, 24);
    out.extend_from_slice(b"Content-Type: multipart/");
    out.extend_from_slice(subtype.as_bytes());
    out.extend_from_slice(b";\r\n\tboundary=\"");
    out.extend_from_slice(&boundary);
    out.extend_from_slice(b"\"\r\n\r\n");
    boundary
}

fn delimiter(out: &mut Vec<u8>, boundary: &[u8], end: &[u8]) {
    out.extend_from_slice(b"\r\n--");
    out.extend_from_slice(boundary);
    out.extend_from_slice(end);
    out.extend_from_slice(b"\r\n");
}

fn alternative(random: &mut Random, out: &mut Vec<u8>, room: usize) {
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    alternative_part(random, out, room);
}

/// The message as text and as HTML, one third to two thirds.
fn alternative_part(random: &mut Random, out: &mut Vec<u8>, room: usize) {
    let boundary = multipart(random, out, "alternative");
    let room = room.saturating_sub(600);
    delimiter(out, &boundary, b"");
    part_header(out, "text/plain; charset=\"utf-8\"", "quoted-printable");
    text::quoted_printable(random, out, room / 3);
    delimiter(out, &boundary, b"");
    part_header(out, "text/html; charset=\"utf-8\"", "8bit");
    out.extend_from_slice(b"<html><head><style>p { margin: 0 }</style></head>\r\n<body>\r\n");
    let end = out.len() + room * 2 / 3;
    while out.len() < end {
        out.extend_from_slice(b"<p class=\"MsoNormal\"><span style=\"font-size:11.0pt\">\r\n");
        text::plain(random, out, 400.min(end.saturating_sub(out.len())));
        out.extend_from_slice(b"</span></p>\r\n");
    }
    out.extend_from_slice(b"</body></html>\r\n");
    delimiter(out, &boundary, b"--");
}

/// Text, then one to three attachments of equal size.
fn attachments(random: &mut Random, out: &mut Vec<u8>, room: usize) {
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    let boundary = multipart(random, out, "mixed");
    out.extend_from_slice(b"This is a multi-part message in MIME format.\r\n");
    delimiter(out, &boundary, b"");
    let letter = (room / 10).min(4_000);
    alternative_part(random, out, letter);
    let count = random.between(1, 3);
    for _ in 0..count {
        let (kind, name, magic) = ATTACHMENTS[random.below(ATTACHMENTS.len())];
        delimiter(out, &boundary, b"");
        let disposition = format!("Content-Disposition: attachment;\r\n filename=\"{name}\"\r\n");
        out.extend_from_slice(disposition.as_bytes());
        part_header(out, &format!("{kind}; name=\"{name}\""), "base64");
        text::base64(random, out, (room - letter) / count, magic);
    }
    delimiter(out, &boundary, b"--");
}

/// A forwarded message, complete with its header.
fn forwarded(random: &mut Random, out: &mut Vec<u8>, moment: Moment, room: usize) {
    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
    let boundary = multipart(random, out, "mixed");
    delimiter(out, &boundary, b"");
    part_header(out, "text/plain", "7bit");
    text::plain(random, out, 120);
    delimiter(out, &boundary, b"");
    part_header(out, "message/rfc822", "8bit");
    let start = out.len();
    header::write(random, out, moment.after(-86_400), room);
    let inside = room.saturating_sub(out.len() - start + 300).max(8);
    single(random, out, inside, "utf-8", "8bit", text::eight_bit);
    delimiter(out, &boundary, b"--");
}
