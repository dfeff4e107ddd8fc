//! The arguments of SEARCH, SORT and THREAD.

use super::keys::program;
use super::{
    PartialRange, Returns, Search, SearchKey, Sort, SortCriterion, SortKey, Thread, ThreadAlgorithm,
};
use crate::protocol::grammar::{Cursor, Parsed};

/// ```abnf
/// search             = "SEARCH" [search-return-opts] SP search-program   ; RFC 4466
/// search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
/// search-program     = ["CHARSET" SP charset SP] search-key *(SP search-key)
/// charset            = atom / quoted
/// ```
pub(in crate::protocol) fn search(cursor: &mut Cursor, uid: bool) -> Parsed<Search> {
    cursor.sp()?;
    let returns = return_options(cursor)?;
    let charset = if accept_whole_word(cursor, "CHARSET") {
        cursor.sp()?;
        let charset = charset(cursor)?;
        cursor.sp()?;
        Some(charset)
    } else {
        None
    };
    Ok(Search { uid, returns, charset, key: program(cursor)? })
}

/// ```abnf
/// sort                = "SORT" [search-return-opts] SP sort-criteria SP search-criteria
/// sort-criteria       = "(" sort-criterion *(SP sort-criterion) ")"      ; RFC 5256
/// sort-criterion      = ["REVERSE" SP] sort-key
/// search-criteria     = charset 1*(SP search-key)
/// ```
/// The charset may be missing: see [`criteria_of`].
pub(in crate::protocol) fn sort(cursor: &mut Cursor, uid: bool) -> Parsed<Sort> {
    cursor.sp()?;
    let returns = return_options(cursor)?;
    let criteria = cursor.list("a list of sort criteria", false, |c| {
        let mut reverse = false;
        while accept_whole_word(c, "REVERSE") {
            reverse = !reverse;
            c.sp()?;
        }
        Ok(SortCriterion { reverse, key: sort_key(c)? })
    })?;
    cursor.spaces();
    let (charset, key) = criteria_of(cursor)?;
    Ok(Sort { uid, returns, charset, criteria, key })
}

/// ```abnf
/// sort-key  = "ARRIVAL" / "CC" / "DATE" / "FROM" / "SIZE" / "SUBJECT" / "TO"
/// sort-key =/ "DISPLAYFROM" / "DISPLAYTO"                                ; RFC 5957
/// ```
fn sort_key(cursor: &mut Cursor) -> Parsed<SortKey> {
    let start = cursor.clone();
    Ok(match cursor.atom("a sort key")?.to_ascii_uppercase().as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        _ => return start.expected("a sort key"),
    })
}

/// ```abnf
/// thread     = "THREAD" SP thread-alg SP search-criteria                 ; RFC 5256
/// thread-alg = "ORDEREDSUBJECT" / "REFERENCES" / thread-alg-ext
/// ```
pub(in crate::protocol) fn thread(cursor: &mut Cursor, uid: bool) -> Parsed<Thread> {
    cursor.sp()?;
    let start = cursor.clone();
    let algorithm = match cursor.atom("a thread algorithm")?.to_ascii_uppercase().as_str() {
        "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
        "REFERENCES" => ThreadAlgorithm::References,
        "REFS" => ThreadAlgorithm::Refs,
        _ => return start.expected("ORDEREDSUBJECT, REFERENCES or REFS"),
    };
    cursor.sp()?;
    let (charset, key) = criteria_of(cursor)?;
    Ok(Thread { uid, algorithm, charset, key })
}

/// Reads the charset and the keys of SORT and THREAD.
///
/// Clients that enabled UTF8=ACCEPT omit the charset, as they must in SEARCH (RFC 6855 section 3),
/// or write `CHARSET` before it. No charset is named like a search key, so the parser tries keys
/// first; their strings are then UTF-8.
fn criteria_of(cursor: &mut Cursor) -> Parsed<(Box<str>, SearchKey)> {
    if !accept_whole_word(cursor, "CHARSET") {
        let mut ahead = cursor.clone();
        match program(&mut ahead) {
            Ok(key) => {
                *cursor = ahead;
                return Ok(("UTF-8".into(), key));
            }
            // If there is no charset either, report what is wrong with the keys.
            Err(error) if matches!(cursor.peek(), Some(b'0'..=b'9' | b'*' | b'$' | b'(')) => {
                return Err(error);
            }
            Err(_) => {}
        }
    } else {
        cursor.sp()?;
    }
    let charset = charset(cursor)?;
    cursor.sp()?;
    Ok((charset, program(cursor)?))
}

/// Any word; one that is not a charset is refused as an unknown charset.
fn charset(cursor: &mut Cursor) -> Parsed<Box<str>> {
    let name = cursor.astring("a charset")?;
    Ok(String::from_utf8_lossy(&name).into())
}

/// ```abnf
/// search-return-opt  = "MIN" / "MAX" / "ALL" / "COUNT"                   ; RFC 4731
/// search-return-opt =/ "SAVE"                                            ; RFC 5182
/// search-return-opt =/ "CONTEXT" / "UPDATE" / "PARTIAL" SP partial-range ; RFC 5267
/// ```
fn return_options(cursor: &mut Cursor) -> Parsed<Option<Returns>> {
    if !accept_whole_word(cursor, "RETURN") {
        return Ok(None);
    }
    cursor.spaces();
    let mut returns = Returns::default();
    cursor.list("a list of result options", true, |c| {
        let start = c.clone();
        match c.atom("a result option")?.to_ascii_uppercase().as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "COUNT" => returns.count = true,
            "ALL" => returns.all = true,
            "SAVE" => returns.save = true,
            "UPDATE" => returns.update = true,
            "CONTEXT" => returns.context = true,
            "PARTIAL" if returns.partial.is_none() => {
                c.sp()?;
                returns.partial = Some(partial_range(c)?);
            }
            "PARTIAL" => return start.expected("one PARTIAL"),
            _ => return start.expected("a result option"),
        }
        if returns.all && returns.partial.is_some() {
            return start.expected("either ALL or PARTIAL");
        }
        Ok(())
    })?;
    if returns == Returns::default() {
        returns.all = true;
    }
    cursor.sp()?;
    Ok(Some(returns))
}

/// ```abnf
/// partial-range       = partial-range-first / partial-range-last         ; RFC 9394
/// partial-range-first = nz-number ":" nz-number
/// partial-range-last  = MINUS nz-number ":" MINUS nz-number
/// ```
/// A range in descending order means the same.
pub(in crate::protocol) fn partial_range(cursor: &mut Cursor) -> Parsed<PartialRange> {
    let from_end = cursor.peek() == Some(b'-');
    let mut position = || {
        if from_end {
            cursor.require(b'-', "two positions on the same side")?;
        }
        let start = cursor.clone();
        let number = cursor.number("a position")?;
        match u32::try_from(number) {
            Ok(number) if number > 0 => {}
            _ => return start.expected("a position from 1 to 4294967295"),
        }
        Ok((number as u32, cursor.accept(b':')))
    };
    let (one, colon) = position()?;
    if !colon {
        return cursor.expected("a colon");
    }
    let (other, colon) = position()?;
    if colon {
        return cursor.expected("a range of two positions");
    }
    Ok(PartialRange { first: one.min(other), last: one.max(other), from_end })
}

/// Takes this word if it comes next as a whole word.
fn accept_whole_word(cursor: &mut Cursor, word: &str) -> bool {
    let mut ahead = cursor.clone();
    let whole = ahead.accept_word(word) && matches!(ahead.peek(), Some(b' ' | b'('));
    if whole {
        *cursor = ahead;
    }
    whole
}
