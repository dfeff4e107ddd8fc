//! MIME to BODYSTRUCTURE: the answers about a message are IMAP, and agree with BODY[…].
//!
//! Input: a message.

use bytes::BytesMut;
use imap::mime::{
    Fields, Message, Outliner, base_subject, decode_field, envelope, header_length, preview,
    sent_date, thread,
};
use imap::protocol::SectionText;
use kit::value::{Value, check_body, check_envelope, value};

const SHORT: &str = "what is said of some kibibytes is not too long";

pub fn run(octets: &[u8]) {
    let message = Message::parse(octets, true);
    let size = octets.len() as u64;
    check_body(&value(&written(|out| message.body_structure(false, out).expect(SHORT))), false);
    let structure = value(&written(|out| message.body_structure(true, out).expect(SHORT)));
    check_body(&structure, true);
    check_envelope(&value(&written(|out| envelope(octets, out).expect(SHORT))));
    assert_eq!(message.section(&[], None), Some(0..size));
    let header = message.section(&[], Some(&SectionText::Header)).expect("a message has a header");
    let text = message.section(&[], Some(&SectionText::Text)).expect("and a text");
    assert_eq!((header.start, header.end, text.end), (0, text.start, size));
    assert_eq!(header.end, header_length(octets) as u64);
    parts(&message, octets, &structure, &mut Vec::new(), true);
    in_pieces(octets, &message);
    words(octets);
}

fn written(write: impl FnOnce(&mut BytesMut)) -> Vec<u8> {
    let mut out = BytesMut::new();
    write(&mut out);
    out.to_vec()
}

/// Every part of the structure is there, under its number, with the stated size and lines.
fn parts(
    message: &Message<'_>,
    octets: &[u8],
    structure: &Value,
    number: &mut Vec<u32>,
    is_message: bool,
) {
    let Value::List(fields) = structure else { panic!("no body: {structure:?}") };
    let within = fields.iter().take_while(|field| matches!(field, Value::List(_))).count();
    if within > 0 {
        let hollow = message.section(&[number.as_slice(), &[1]].concat(), None).is_none();
        assert!(!hollow || within == 1, "the one part of a multipart that has none");
        for (part, body) in (1..).zip(&fields[..within]).filter(|_| !hollow) {
            number.push(part);
            parts(message, octets, body, number, false);
            number.pop();
        }
        let next = [number.as_slice(), &[within as u32 + 1]].concat();
        assert_eq!(message.section(&next, None), None, "a part that is not in the structure");
        return;
    }
    if is_message {
        number.push(1);
    }
    let body = message.section(number, None).expect("a part of the structure");
    assert_eq!(fields[6], Value::Number(body.end - body.start), "size of part {number:?}");
    let mime = message.section(number, Some(&SectionText::Mime)).expect("each part has a header");
    assert!(mime.end <= body.start && body.end <= octets.len() as u64);
    let lines = octets[body.start as usize..body.end as usize].iter().filter(|&&o| o == b'\n');
    match &fields[7..] {
        [Value::Number(stated), ..] => assert_eq!(*stated, lines.count() as u64),
        [Value::List(_), inner @ Value::List(_), Value::Number(stated), ..] => {
            assert_eq!(*stated, lines.count() as u64);
            // Nothing is told of a message in base64.
            if let Some(inside) = message.section(number, Some(&SectionText::Text)) {
                assert!(body.start <= inside.start && inside.end <= body.end);
                parts(message, octets, inner, number, true);
            }
        }
        _ => {}
    }
    if let Ok(decoded) = message.binary(number) {
        assert!(decoded.len() <= 2 * (body.end - body.start) as usize + 4, "it grew");
    }
    if is_message {
        number.pop();
    }
}

/// A message that comes in pieces has the same parts.
fn in_pieces(octets: &[u8], message: &Message<'_>) {
    let length = 1 + octets.first().map_or(0, |octet| usize::from(*octet));
    let mut outliner = Outliner::new(true, true, true);
    let pieces: Vec<_> = octets.chunks(length).collect();
    for (at, piece) in pieces.iter().enumerate() {
        outliner.feed(piece, at + 1 == pieces.len()).expect(SHORT);
    }
    if octets.is_empty() {
        outliner.feed(b"", true).expect(SHORT);
    }
    let outline = outliner.finish();
    let structure = |message: &Message<'_>| {
        written(|out| message.body_structure(true, out).expect(SHORT)) //
    };
    assert_eq!(structure(&outline.message), structure(message));
    assert_eq!(outline.header, header_length(octets) as u64);
    assert_eq!(outline.preview, preview(octets));
    for number in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 1], &[u32::MAX], &[0]] {
        assert_eq!(outline.message.encoded(number), message.encoded(number));
        for text in [None, Some(SectionText::Mime), Some(SectionText::Text)] {
            let range = message.section(number, text.as_ref());
            assert_eq!(outline.message.section(number, text.as_ref()), range);
            assert!(range.is_none_or(|r| r.start <= r.end && r.end <= octets.len() as u64));
        }
    }
}

/// Everything else that reads headers and texts.
fn words(octets: &[u8]) {
    let shown = preview(octets);
    assert!(shown.chars().count() <= 200);
    assert!(!shown.contains(['\r', '\n', '\0']), "{shown:?}");
    let _ = (sent_date(octets), thread::message_ids(octets).len());
    for field in Fields::new(octets) {
        let decoded = decode_field(field.value);
        assert!(decoded.len() <= 3 * field.value.len() + 3 * 4, "{decoded:?}");
        let _ = base_subject(field.value);
    }
}
