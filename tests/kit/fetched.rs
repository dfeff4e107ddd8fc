//! An untagged FETCH response, its items by name.
//!
//! [`crate::model::wire::reply`] reads FETCH as well, strictly and only the items that the model
//! knows.

use super::Response;

/// The items of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The message's sequence number.
    pub number: u32,
    /// Names as the server spelt them, and values without quotes or literal headers.
    items: Vec<(String, Vec<u8>)>,
}

impl Fetched {
    /// Parses a response. `None` when it is not FETCH. Panics when it is malformed.
    pub fn parse(response: &Response) -> Option<Fetched> {
        let mut words = response.octets.splitn(4, |&octet| octet == b' ');
        let (star, number) = (words.next()?, words.next()?);
        if star != b"*" || words.next()? != b"FETCH" {
            return None;
        }
        let number = std::str::from_utf8(number).unwrap().parse().unwrap();
        let mut rest = words.next()?.strip_prefix(b"(").expect("a list of items");
        let mut items = Vec::new();
        while rest != b")" {
            let name = name(&mut rest);
            items.push((name, value(&mut rest)));
            rest = rest.strip_prefix(b" ").unwrap_or(rest);
        }
        Some(Fetched { number, items })
    }

    /// All FETCH responses of a reply.
    pub fn all(responses: &[Response]) -> Vec<Fetched> {
        responses.iter().filter_map(Fetched::parse).collect()
    }

    /// Whether the response has this item.
    pub fn has(&self, name: &str) -> bool {
        self.items.iter().any(|(own, _)| own == name)
    }

    /// The value of an item. Panics when there is no such item.
    #[track_caller]
    pub fn octets(&self, name: &str) -> &[u8] {
        let found = self.items.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| &value[..]).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The same as text.
    #[track_caller]
    pub fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.octets(name)).expect("text")
    }

    /// The same as a number.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().expect("a number")
    }

    /// The flags, sorted, without `\Recent`, which belongs to the session.
    #[track_caller]
    pub fn flags(&self) -> Vec<&str> {
        let list = self.text("FLAGS").trim_matches(['(', ')']);
        let mut flags: Vec<_> =
            list.split(' ').filter(|flag| !flag.is_empty() && *flag != "\\Recent").collect();
        flags.sort_unstable();
        flags
    }
}

/// These octets as BODY\[\] shows them, with 0x80 for each NUL, which no literal may hold (RFC 3501
/// section 9, `CHAR8`). BINARY\[\] shows them unchanged.
pub fn without_nul(octets: &[u8]) -> Vec<u8> {
    octets.iter().map(|&octet| if octet == 0 { 0x80 } else { octet }).collect()
}

/// Reads up to a space outside brackets.
fn name(rest: &mut &[u8]) -> String {
    let mut depth = 0;
    let end = rest.iter().position(|octet| {
        match octet {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        *octet == b' ' && depth == 0
    });
    let (name, value) = rest.split_at(end.expect("a value"));
    *rest = &value[1..];
    String::from_utf8(name.to_vec()).unwrap()
}

fn value(rest: &mut &[u8]) -> Vec<u8> {
    // A literal8, as in BINARY.
    *rest = rest.strip_prefix(b"~").unwrap_or(rest);
    let (skip, length, after) = match rest[0] {
        b'{' => {
            let digits = rest.iter().position(|&octet| octet == b'}').expect("a literal");
            let length = std::str::from_utf8(&rest[1..digits]).unwrap().parse().unwrap();
            (digits + 3, length, 0)
        }
        b'"' => (1, rest[1..].iter().position(|&octet| octet == b'"').expect("quotes"), 1),
        b'(' => (0, rest.iter().position(|&octet| octet == b')').expect("a list") + 1, 0),
        _ => (0, rest.iter().position(|octet| b" )".contains(octet)).expect("an end"), 0),
    };
    let value = rest[skip..skip + length].to_vec();
    *rest = &rest[skip + length + after..];
    value
}

#[test]
fn items_are_taken_apart() {
    let text = b"* 2 FETCH (UID 7 FLAGS (\\Seen b) INTERNALDATE \" 1-Feb-2003 a\" \
                 BODY[HEADER.FIELDS (A B)] {4}\r\nx) (BODY[] \"\" RFC822.SIZE 9)";
    let response = Response { octets: text.to_vec(), literals: Vec::new() };
    let fetched = Fetched::parse(&response).unwrap();
    assert_eq!((fetched.number, fetched.number("UID")), (2, 7));
    assert_eq!(fetched.flags(), ["\\Seen", "b"]);
    assert_eq!(fetched.text("INTERNALDATE"), " 1-Feb-2003 a");
    assert_eq!(fetched.octets("BODY[HEADER.FIELDS (A B)]"), b"x) (");
    assert_eq!((fetched.octets("BODY[]"), fetched.number("RFC822.SIZE")), (&b""[..], 9));
}
