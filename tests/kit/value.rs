//! A strict reader of our own responses, for comparison.

/// A value in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Nil,
    Number(u64),
    Text(Vec<u8>),
    List(Vec<Value>),
}

/// Reads one value. Panics when it is malformed, or anything follows it.
pub fn value(octets: &[u8]) -> Value {
    let mut at = 0;
    let value = read(octets, &mut at, 0);
    assert_eq!(at, octets.len(), "more follows: {}", octets.escape_ascii());
    value
}

fn read(octets: &[u8], at: &mut usize, depth: usize) -> Value {
    assert!(depth < 600, "nested too deep");
    let start = *at;
    *at += 1;
    match octets[start] {
        b'(' => {
            let mut list = Vec::new();
            while octets[*at] != b')' {
                list.push(read(octets, at, depth + 1));
                // No blank separates bodies, or addresses of a list.
                let joined = octets[*at] == b'(' && octets[*at - 1] == b')';
                let blank = octets[*at] == b' ' && octets[*at + 1] != b')';
                assert!(blank || joined || octets[*at] == b')', "at {at}");
                *at += usize::from(blank);
            }
            assert!(!list.is_empty(), "a list of nothing");
            *at += 1;
            Value::List(list)
        }
        b'"' => {
            let mut text = Vec::new();
            while octets[*at] != b'"' {
                *at += usize::from(octets[*at] == b'\\');
                assert!(matches!(octets[*at], b' '..=b'~' | b'\t' | 0x80..), "in a quoted string");
                text.push(octets[*at]);
                *at += 1;
            }
            *at += 1;
            Value::Text(text)
        }
        b'{' => {
            let length = usize::try_from(number(octets, at)).unwrap();
            assert!(octets[*at..].starts_with(b"}\r\n"));
            let start = *at + 3;
            *at = start + length;
            let text = octets[start..*at].to_vec();
            assert!(!text.contains(&0), "a NUL in a literal");
            Value::Text(text)
        }
        b'N' => {
            assert!(octets[start..].starts_with(b"NIL"));
            *at = start + 3;
            Value::Nil
        }
        _ => {
            *at = start;
            Value::Number(number(octets, at))
        }
    }
}

fn number(octets: &[u8], at: &mut usize) -> u64 {
    let digits = octets[*at..].iter().take_while(|octet| octet.is_ascii_digit()).count();
    let text = std::str::from_utf8(&octets[*at..*at + digits]).unwrap();
    *at += digits;
    text.parse().unwrap()
}

impl Value {
    fn list(&self) -> &[Value] {
        match self {
            Value::List(list) => list,
            other => panic!("no list: {other:?}"),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self, Value::Text(_))
    }

    fn is_nstring(&self) -> bool {
        matches!(self, Value::Text(_) | Value::Nil)
    }
}

/// ```abnf
/// envelope = "(" env-date SP env-subject SP env-from SP … SP env-message-id ")"
/// ```
pub fn check_envelope(value: &Value) {
    let fields = value.list();
    assert_eq!(fields.len(), 10);
    for (n, field) in fields.iter().enumerate() {
        if (2..8).contains(&n) && *field != Value::Nil {
            for address in field.list() {
                assert!(address.list().len() == 4 && address.list().iter().all(Value::is_nstring));
            }
        } else {
            assert!(field.is_nstring());
        }
    }
}

fn check_parameters(value: &Value) {
    if *value != Value::Nil {
        let list = value.list();
        assert!(list.len().is_multiple_of(2) && list.iter().all(Value::is_text));
    }
}

/// ```abnf
/// body = "(" (body-type-1part / body-type-mpart) ")"
/// ```
pub fn check_body(value: &Value, extended: bool) {
    let list = value.list();
    let parts = list.iter().take_while(|value| matches!(value, Value::List(_))).count();
    let rest = if parts > 0 {
        list[..parts].iter().for_each(|part| check_body(part, extended));
        assert!(list[parts].is_text());
        if extended {
            check_parameters(&list[parts + 1]);
        }
        &list[(parts + 1 + usize::from(extended))..]
    } else {
        assert!(list[0].is_text() && list[1].is_text());
        check_parameters(&list[2]);
        assert!(list[3].is_nstring() && list[4].is_nstring() && list[5].is_text());
        assert!(matches!(list[6], Value::Number(_)));
        let is = |n: usize, text: &str| match &list[n] {
            Value::Text(octets) => octets.eq_ignore_ascii_case(text.as_bytes()),
            _ => false,
        };
        let mut next = 7;
        // message/global is a message in IMAP4rev2 only (RFC 9051 section 7.5.2).
        let is_message =
            is(1, "rfc822") || is(1, "global") && matches!(list.get(7), Some(Value::List(_)));
        if is(0, "message") && is_message {
            check_envelope(&list[7]);
            check_body(&list[8], extended);
            next = 9;
        }
        if is(0, "text") || next == 9 {
            assert!(matches!(list[next], Value::Number(_)));
            next += 1;
        }
        if extended {
            assert!(list[next].is_nstring());
            next += 1;
        }
        &list[next..]
    };
    assert_eq!(rest.len(), if extended { 3 } else { 0 });
    if extended {
        if rest[0] != Value::Nil {
            assert!(rest[0].list().len() == 2 && rest[0].list()[0].is_text());
            check_parameters(&rest[0].list()[1]);
        }
        assert!(rest[1] == Value::Nil || rest[1].list().iter().all(Value::is_text));
        assert!(rest[2].is_nstring());
    }
}
