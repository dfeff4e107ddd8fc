//! PREVIEW: the first words of a message (RFC 8970).

use mail_parser::decoders::html::html_to_text;
use memchr::{memchr_iter, memrchr};

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
        return of_html(&text);
    }
    // In a reply, its own words come first, if it has any.
    let own = text.split_inclusive('\n').filter(|line| !line.starts_with('>'));
    match one_line(own.flat_map(str::chars)).0 {
        own if own.is_empty() => one_line(text.chars()).0,
        own => own,
    }
}

/// Bytes of HTML that are tried first: they decide most previews.
const STARTS: [usize; 2] = [8 << 10, 64 << 10];

fn of_html(html: &str) -> String {
    for start in STARTS.into_iter().filter(|start| html.len() > 2 * start) {
        // Up to a tag, so that no tag, entity or name of an element is cut.
        let cut = memrchr(b'<', &html.as_bytes()[..start]).unwrap_or_default();
        let text = html_to_text(&apart(&html[..cut]));
        if let (line, true) = one_line(certain(&text).chars()) {
            return line;
        }
    }
    one_line(html_to_text(&apart(html)).chars()).0
}

/// The text of a start of HTML without its last word, which may go on after an element that is not
/// shown.
fn certain(text: &str) -> &str {
    let blank = [' ', '\n'];
    &text[..text.trim_end_matches(blank).rfind(blank).unwrap_or_default()]
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
    let ends = |&at: &usize| {
        let named = html.as_bytes()[at..].strip_prefix(b"</").and_then(|end| end.get(..name.len()));
        named.is_some_and(|named| named.eq_ignore_ascii_case(name.as_bytes()))
    };
    let at = memchr_iter(b'<', html.as_bytes()).find(ends).unwrap_or(html.len());
    html[at..].find('>').map_or(html.len(), |end| at + end + 1)
}

/// The first words in one line, and whether there are more.
fn one_line(text: impl Iterator<Item = char>) -> (String, bool) {
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
            return (out, true);
        }
        if needed == 2 {
            out.push(' ');
        }
        out.push(c);
        (characters, blank) = (characters + needed, false);
    }
    (out, false)
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

    fn html_piece() -> impl Strategy<Value = String> {
        let pieces: &[&str] = &[
            "<p>",
            "</p>",
            "<br>",
            "<b>",
            "<title>",
            "</title>",
            "<style>",
            "</STYLE >",
            "<head>",
            "</head>",
            "<!--",
            "-->",
            "<",
            ">",
            "!",
            "--",
            "&amp;",
            "&",
            ";",
            "&nbsp;",
            "&#32;",
            "&#10;",
            "word",
            "é",
            "\u{a0}",
            " ",
            "\n",
            "\t",
            "\u{200b}",
            "a=\"",
            "\"",
            "/",
        ];
        prop_oneof![
            8 => prop::sample::select(pieces).prop_map(str::to_owned),
            2 => (prop::sample::select(pieces), 0..3000_usize).prop_map(|(text, n)| text.repeat(n)),
            2 => (0..3000_usize).prop_map(|n| "word ".repeat(n)),
        ]
    }

    proptest! {
        #[test]
        fn the_start_of_html_decides_as_all_of_it_does(
            pieces in prop::collection::vec(html_piece(), 0..30),
        ) {
            let html = pieces.concat();
            prop_assert_eq!(of_html(&html), one_line(html_to_text(&apart(&html)).chars()).0);
        }

        /// Wherever the start ends.
        #[test]
        fn what_is_certain_stays(pieces in prop::collection::vec(html_piece(), 0..12)) {
            let html = pieces.concat();
            let whole = html_to_text(&apart(&html));
            for (cut, _) in html.match_indices('<').take(50) {
                let text = html_to_text(&apart(&html[..cut]));
                prop_assert!(whole.starts_with(certain(&text)), "{}", &html[..cut]);
            }
        }

        #[test]
        fn no_html_is_too_bad(html in "(?s)([<>/!&;#x0-9 \"'-]|br|p|head|style|é|\n|.){0,60}") {
            let message = ["Content-Type: text/html; charset=utf-8\n\n", &html].concat();
            prop_assert!(preview(message.as_bytes()).chars().count() <= limits::PREVIEW);
        }
    }
}
