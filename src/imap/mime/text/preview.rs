//! PREVIEW: the first words of a message (RFC 8970).

use mail_parser::decoders::html::html_to_text;

use super::pieces::{Look, pieces};
use crate::limits;

/// The first words of a message, at most 200 characters in one line, without markup, quotations and
/// superfluous blanks. Empty if there is no text.
#[must_use]
pub fn preview(message: &[u8]) -> String {
    let texts = pieces(message).filter_map(|piece| piece.text);
    let texts = texts.filter(|text| text.look.readable);
    let mut previews = texts.map(|text| {
        of_start(&text.look, &text.body[..text.body.len().min(read(&text.look))]) //
    });
    previews.find(|preview| !preview.is_empty()).unwrap_or_default()
}

/// Octets of a text to read for its preview.
pub(in crate::mime) fn read(look: &Look) -> usize {
    if look.html { limits::PREVIEW_READ_HTML } else { limits::PREVIEW_READ }
}

/// The preview of a text with this start.
pub(in crate::mime) fn of_start(look: &Look, start: &[u8]) -> String {
    let octets = look.transfer.decode(start);
    let text = look.charset.decode(&octets);
    if look.html {
        return one_line(html_to_text(&apart(&text)).chars());
    }
    // In a reply, its own words come first, if it has any.
    let own = text.split_inclusive('\n').filter(|line| !line.starts_with('>'));
    match one_line(own.flat_map(str::chars)) {
        own if own.is_empty() => one_line(text.chars()),
        own => own,
    }
}

/// Elements that begin a new line or table cell.
const BLOCKS: [&str; 49] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "select",
    "summary",
    "table",
    "tbody",
    "td",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
];

/// Elements whose content is never text.
const SILENT: [&str; 3] = ["title", "style", "script"];

/// HTML with a blank before each tag that separates words, and without content that is not text.
fn apart(html: &str) -> String {
    let mut out = String::with_capacity(html.len() + html.len() / 8);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let tag = rest[1..].strip_prefix('/').unwrap_or(&rest[1..]);
        let length = tag.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let name = &tag[..length];
        if BLOCKS.iter().any(|block| name.eq_ignore_ascii_case(block)) {
            out.push(' ');
        }
        let silent = SILENT.iter().any(|silent| name.eq_ignore_ascii_case(silent));
        let opens = silent && !rest.starts_with("</");
        if opens {
            rest = &rest[find_end(rest, name)..];
            continue;
        }
        out.push('<');
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

/// The end of the element with this name that begins here. An unclosed element contains the rest of
/// the text, so the search for its end runs once.
fn find_end(html: &str, name: &str) -> usize {
    let end = [b"</", name.as_bytes()].concat();
    let at = html.as_bytes().windows(end.len()).position(|at| at.eq_ignore_ascii_case(&end));
    let at = at.unwrap_or(html.len());
    html[at..].find('>').map_or(html.len(), |end| at + end + 1)
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

/// Zero-width characters: advertisers pad their first words with them.
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
            ("Content-Type: text/html\n\n<div>Hello</div><div>World</div>", "Hello World"),
            ("Content-Type: text/html\n\n<tr><td>one</td><TD a=b>two</td></tr>", "one two"),
            ("Content-Type: text/html\n\n<ul><li>one<li>two</ul>a<hr>b", "one two a b"),
            ("Content-Type: text/html\n\n<title>t</TITLE>b<b>o</b>dy", "body"),
            ("Content-Type: text/html\n\n<body><style>a {b: c}</style>text", "text"),
            ("Content-Type: text/html\n\na<title>t", "a"),
            (
                "Content-Type: multipart/mixed; boundary=\"--b\"\n\n--b\n\nhello\n--b--",
                "--b hello --b--",
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
