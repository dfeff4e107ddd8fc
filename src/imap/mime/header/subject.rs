//! The base subject, which SORT and THREAD compare (RFC 5256 section 2.1).

use super::words::decode_field;

/// A subject without the prefixes and suffixes of replies, forwards and lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSubject {
    /// The remaining text in UTF-8, in its original case. Compare its
    /// [`casemap`](crate::mime::casemap).
    pub text: String,
    /// Whether a mark of a reply or forward was removed: `Re:`, `Fwd:`, `(fwd)` or `[fwd: ]`.
    pub is_reply: bool,
}

/// The base subject of a Subject field's value, by the six steps of RFC 5256 section 2.1.
///
/// ```abnf
/// subject      = *subj-leader [subj-middle] *subj-trailer
/// subj-middle  = *subj-blob (subj-base / subj-fwd)
///                  ; last subj-blob is subj-base if subj-base would otherwise be empty
/// subj-fwd     = subj-fwd-hdr subject subj-fwd-trl
/// subj-fwd-hdr = "[fwd:"
/// subj-fwd-trl = "]"
/// ```
#[must_use]
pub fn base_subject(value: &[u8]) -> BaseSubject {
    // Step 1.
    let text = one_line(&decode_field(value));
    let mut rest = text.as_str();
    let mut is_reply = false;
    loop {
        // Step 2.
        while let Some(shorter) = without_trailer(rest, &mut is_reply) {
            rest = shorter;
        }
        // Steps 3 to 5.
        while let Some(shorter) = without_leader(rest, &mut is_reply) {
            rest = shorter;
        }
        rest = without_blobs(rest).0;
        // Step 6.
        match within_forward(rest) {
            Some(shorter) => {
                rest = shorter;
                is_reply = true;
            }
            None => return BaseSubject { text: rest.to_owned(), is_reply },
        }
    }
}

/// Turns tabs and remains of folds into spaces, and several spaces into one.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\r' | '\n' => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// ```abnf
/// subj-trailer = "(fwd)" / WSP
/// ```
fn without_trailer<'a>(text: &'a str, is_reply: &mut bool) -> Option<&'a str> {
    if let Some(shorter) = text.strip_suffix(' ') {
        return Some(shorter);
    }
    const FWD: &str = "(fwd)";
    let at = text.len().checked_sub(FWD.len())?;
    let (before, end) = text.split_at_checked(at)?;
    end.eq_ignore_ascii_case(FWD).then(|| {
        *is_reply = true;
        before
    })
}

/// ```abnf
/// subj-leader = (*subj-blob subj-refwd) / WSP
/// subj-refwd  = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
/// ```
fn without_leader<'a>(text: &'a str, is_reply: &mut bool) -> Option<&'a str> {
    if let Some(shorter) = text.strip_prefix(' ') {
        return Some(shorter);
    }
    let (_, rest) = without_blobs(text);
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| after_word(rest, word))?;
    let rest = rest.trim_start_matches(' ');
    let rest = after_blob(rest).unwrap_or(rest).strip_prefix(':')?;
    *is_reply = true;
    Some(rest)
}

/// ```abnf
/// subj-blob = "[" *BLOBCHAR "]" *WSP
/// BLOBCHAR  = %x01-5a / %x5c / %x5e-ff    ; any CHAR8 except '[' and ']'
/// ```
fn after_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    Some(inside[end..].strip_prefix(']')?.trim_start_matches(' '))
}

/// The text after all leading blobs, in two forms: as a base, where the last blob stays if nothing
/// follows it; and as it is. Removing blobs one by one would take quadratic time.
fn without_blobs(text: &str) -> (&str, &str) {
    let (mut base, mut rest) = (text, text);
    while let Some(shorter) = after_blob(rest) {
        base = if shorter.is_empty() { rest } else { shorter };
        rest = shorter;
    }
    (base, rest)
}

fn within_forward(text: &str) -> Option<&str> {
    after_word(text, "[fwd:")?.strip_suffix(']')
}

fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_subjects_follow_the_abnf() {
        for (subject, expected, is_reply) in [
            ("", "", false),
            ("   ", "", false),
            ("plain", "plain", false),
            (" two\t words \r\n here ", "two words here", false),
            ("Re: a", "a", true),
            ("re:a", "a", true),
            ("RE : a", "a", true),
            ("Re[2]: a", "a", true),
            ("Re [x] : a", "a", true),
            ("Fw: a", "a", true),
            ("FWD: a", "a", true),
            ("fwdx: a", "fwdx: a", false),
            ("Aw: a", "Aw: a", false),
            ("Re: Fwd: re: a", "a", true),
            ("[list] a", "a", false),
            ("[list] [other] Re: a", "a", true),
            ("Re: [list] Re: a", "a", true),
            ("[list]", "[list]", false),
            ("[one] [two]", "[two]", false),
            ("Re: [list]", "[list]", true),
            ("[un closed a", "[un closed a", false),
            ("[a[b] c", "[a[b] c", false),
            ("a (fwd)", "a", true),
            ("a (FWD) (fwd) ", "a", true),
            ("(fwd)", "", true),
            ("[fwd: a]", "a", true),
            ("[Fwd: Re: [list] a (fwd)]", "a", true),
            ("[fwd: [fwd: a]]", "a", true),
            ("Re: [fwd: a] (fwd)", "a", true),
            ("[fwd:]", "", true),
            ("[fwd: a] b", "b", false),
            ("Re:", "", true),
            ("re", "re", false),
            ("reé", "reé", false),
            ("é(fwd)", "é", true),
            ("=?utf-8?q?Re:_caf=C3=A9?=", "café", true),
            ("a [b]", "a [b]", false),
        ] {
            let base = base_subject(subject.as_bytes());
            let got = (base.text.as_str(), base.is_reply);
            assert_eq!(got, (expected, is_reply), "{subject:?}");
        }
    }

    #[test]
    fn long_subjects_end() {
        for piece in ["Re: ", "[fwd: ", "[a] ", "(fwd)", "[", " ", "Re[a", "[]"] {
            let subject = piece.repeat(200_000);
            assert!(base_subject(subject.as_bytes()).text.len() <= subject.len());
        }
        let nested = ["[fwd: ".repeat(100_000), "a".into(), "]".repeat(100_000)].concat();
        assert_eq!(base_subject(nested.as_bytes()).text, "a");
    }
}
