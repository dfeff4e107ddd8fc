//! PREVIEW: the first words of a message (RFC 8970).

use mail_parser::decoders::html::html_to_text;

use super::pieces::{Text, pieces};
use crate::limits;

/// The first text of a message, 200 characters at most, in one line: markup, quotations and blanks
/// that only make distance are left out. Empty when there is no text.
#[must_use]
pub fn preview(message: &[u8]) -> String {
    let texts = pieces(message).filter_map(|piece| piece.text).filter(|text| text.readable);
    texts.map(|text| of_part(&text)).find(|preview| !preview.is_empty()).unwrap_or_default()
}

fn of_part(part: &Text) -> String {
    let most = if part.html { limits::PREVIEW_READ_HTML } else { limits::PREVIEW_READ };
    let start = &part.body[..part.body.len().min(most)];
    let octets = part.transfer.decode(start);
    let text = part.charset.decode(&octets);
    if part.html {
        return one_line(html_to_text(&text).chars());
    }
    // Of an answer the words of its own come first, if it has any.
    let own = text.split_inclusive('\n').filter(|line| !line.starts_with('>'));
    match one_line(own.flat_map(str::chars)) {
        own if own.is_empty() => one_line(text.chars()),
        own => own,
    }
}

fn one_line(text: impl Iterator<Item = char>) -> String {
    let (mut out, mut characters, mut blank) = (String::new(), 0, false);
    for c in text {
        if c.is_whitespace() || c.is_control() {
            blank = true;
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        let needed = 1 + usize::from(blank && characters > 0);
        if characters + needed > limits::PREVIEW {
            break;
        }
        if needed == 2 {
            out.push(' ');
        }
        out.push(c);
        (characters, blank) = (characters + needed, false);
    }
    out
}

/// Of no width: advertisers fill what follows their first words with them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn previews_are_the_first_words() {
        for (message, expected) in [
            ("Subject: x\r\n\r\nHello,\r\n\r\n  world\t!\u{a0}\r\n", "Hello, world !"),
            ("Subject: x\n\n> you said\nI say\n", "I say"),
            ("Subject: x\n\n> you said\n", "> you said"),
            ("Content-Type: image/png\n\ndata", ""),
            ("Subject: x\n", ""),
            ("", ""),
            (
                "Content-Type: text/html; charset=utf-8\n\n<html><head><title>no</title>\
                <style>p { a: b }</style></head><body><!-- c --><p>caf&eacute; <b>ol</b>é</p>",
                "café olé",
            ),
            (
                "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n  \n--b\n\
                Content-Transfer-Encoding: base64\n\naGVsbG8=\n--b--",
                "hello",
            ),
            (
                "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: \
                quoted-printable\n\n=E2=80=8Bcaf=C3=A9 so=\nft",
                "café soft",
            ),
        ] {
            assert_eq!(preview(message.as_bytes()), expected, "{message}");
        }
    }

    #[test]
    fn previews_are_short() {
        let message = ["A: b\n\n", &"é é ".repeat(300_000)].concat();
        let preview = preview(message.as_bytes());
        assert_eq!(preview.chars().count(), 199, "the next word would not fit with its space");
        let html = "Content-Type: text/html\n\n<";
        assert_eq!(super::preview(html.as_bytes()), "");
    }

    proptest! {
        #[test]
        fn no_html_is_too_bad(html in "(?s)([<>/!&;#x0-9 \"'-]|br|p|head|style|é|\n|.){0,60}") {
            let message = ["Content-Type: text/html; charset=utf-8\n\n", &html].concat();
            prop_assert!(preview(message.as_bytes()).chars().count() <= limits::PREVIEW);
        }
    }
}
