//! Compares the search with a model that decodes everything.

use proptest::prelude::*;

use super::collation::casemap;
use super::needle::field_text;
use super::needle::{Needle, header_text};
use super::pieces::{Text, pieces};
use crate::mime::Fields;

fn contains(text: &str, needle: &str) -> bool {
    casemap(text).contains(&casemap(needle))
}

fn in_message(message: &[u8], needle: &str, headers: bool) -> bool {
    let decode =
        |text: Text| text.look.charset.decode(&text.look.transfer.decode(text.body)).into_owned();
    needle.is_empty()
        || pieces(message).any(|piece| {
            headers && contains(&header_text(piece.header), needle)
                || piece.text.is_some_and(|text| contains(&decode(text), needle))
        })
}

fn in_field(message: &[u8], name: &[u8], needle: &str) -> bool {
    Fields::new(message).any(|f| f.is(name) && contains(&field_text(&f), needle))
}

fn same(message: &[u8], needle: &str) -> Result<(), TestCaseError> {
    let fast = Needle::new(needle.as_bytes(), "UTF-8").expect("UTF-8 is known");
    let shown = message.escape_ascii();
    prop_assert_eq!(fast.in_body(message), in_message(message, needle, false), "{}", shown);
    prop_assert_eq!(fast.in_text(message), in_message(message, needle, true), "{}", shown);
    for name in [&b"Subject"[..], b"From", b"Content-Type"] {
        prop_assert_eq!(
            fast.in_header_field(message, name),
            in_field(message, name, needle),
            "{}",
            shown
        );
    }
    Ok(())
}

/// Messages built from pieces that matter to the search, in any order.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"Subject: ",
        b"From: ",
        b"Content-Type: text/plain; charset=utf-8\r\n",
        b"Content-Type: text/plain; charset=iso-8859-1\r\n",
        b"Content-Type: text/html; charset=iso-2022-jp\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: image/png\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"\r\n",
        b"\n",
        b"\r\n ",
        b"\n\t",
        b"\r\n\r\n",
        b"\n--b\n",
        b"--b\r\n",
        b"\r\n--b--\r\n",
        b"ab",
        b"AB",
        b"a b",
        b" ",
        b"\t",
        b"\xe9",
        b"\xc3\xa9",
        b"e\xcc\x81",
        b"=E9",
        b"=C3=A9",
        b"=\r\n",
        b"=?utf-8?q?a_=C3=A9?=",
        b"=?utf-8?b?YWI=?=",
        b"=?iso-8859-1?q?=E9",
        b"?=",
        b"YWIgYWI=",
        b"YWIg",
        b"\x1b$B$\"\x1b(B",
        b"\0",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..24).prop_map(|p| p.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_search_agrees_with_the_model(
        message in message(),
        needle in "(a|B|b|é|É|e| |\t|\r\n|あ|=|\\?|:|ab|m){0,4}",
    ) {
        same(&message, &needle)?;
    }

    #[test]
    fn octets_of_any_kind_are_searched(
        message in prop::collection::vec(any::<u8>(), 0..200),
        needle in "[a-z\u{80}-\u{ff}]{0,2}",
    ) {
        same(&message, &needle)?;
    }
}
