//! Fields of a header.

/// Writes the fields of these names (or, with `not`, all others) with the lines that continue them,
/// and the empty line at the end (RFC 3501 section 6.4.5).
pub(super) fn filter_header(header: &[u8], not: bool, names: &[Vec<u8>], kept: &mut Vec<u8>) {
    let (mut keep, mut at) = (false, 0);
    while at < header.len() {
        let end = memchr::memchr(b'\n', &header[at..]).map_or(header.len(), |n| at + n + 1);
        let line = &header[at..end];
        at = end;
        if matches!(line, b"\r\n" | b"\n") {
            return kept.extend_from_slice(line);
        }
        if !matches!(line[0], b' ' | b'\t') {
            keep = is_kept(line, not, names);
        }
        if keep {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(b"\r\n");
}

/// Whether the field that begins with this line is one of those wanted.
fn is_kept(line: &[u8], not: bool, names: &[Vec<u8>]) -> bool {
    // Most fields differ in their first letter from the few that are asked for.
    let first = line[0].to_ascii_lowercase();
    let mut alike = names.iter().filter(|n| n.first().map(u8::to_ascii_lowercase) == Some(first));
    if !not && alike.clone().next().is_none() {
        return false;
    }
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line[..colon].trim_ascii_end();
    alike.any(|wanted| wanted.eq_ignore_ascii_case(name)) != not
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"From: a\r\nSubject: one\r\n two\r\nX-B : c\r\nnonsense\r\n\r\n";

    fn filter(header: &[u8], not: bool, names: &[&str]) -> String {
        let names: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut kept = Vec::new();
        filter_header(header, not, &names, &mut kept);
        String::from_utf8(kept).unwrap()
    }

    #[test]
    fn fields_come_with_their_continuations() {
        let filtered = |not, names: &[&str]| filter(HEADER, not, names);
        assert_eq!(filtered(false, &["SUBJECT"]), "Subject: one\r\n two\r\n\r\n");
        assert_eq!(filtered(false, &["x-b", "from"]), "From: a\r\nX-B : c\r\n\r\n");
        assert_eq!(filtered(false, &["to"]), "\r\n");
        assert_eq!(filtered(false, &["", "nonsense"]), "\r\n");
        assert_eq!(filtered(true, &["subject"]), "From: a\r\nX-B : c\r\n\r\n");
    }

    #[test]
    fn a_header_without_an_end_gets_one() {
        assert_eq!(filter(b"A: b\r\nC: d", false, &["c"]), "C: d\r\n");
        assert_eq!(filter(b"", false, &["c"]), "\r\n");
        assert_eq!(filter(b"A: b\n\nC: d", true, &["c"]), "A: b\n\n");
    }
}
