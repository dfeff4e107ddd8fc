//! SEARCH, SORT and THREAD.

mod keys;
mod parse;
#[cfg(test)]
mod tests;

pub use keys::{DateField, DateOrder, SearchKey};
pub(in crate::protocol) use parse::{partial_range, search, sort, thread};

/// The arguments of SEARCH (RFC 3501 section 6.4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Whether UIDs are to be answered.
    pub uid: bool,
    /// What of the result; `None` asks for `* SEARCH` as it was before ESEARCH (RFC 4731).
    pub returns: Option<Returns>,
    /// CHARSET of the strings, as written; whether it is known is for the session to say.
    pub charset: Option<Box<str>>,
    /// What a message must be.
    pub key: SearchKey,
}

/// Result options: what of a result is wanted, and what becomes of it (RFC 4731, 5182, 5267 and
/// 9394). `RETURN ()` asks for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// `MIN`: the lowest number.
    pub min: bool,
    /// `MAX`: the highest number.
    pub max: bool,
    /// `COUNT`: how many.
    pub count: bool,
    /// `ALL`: every number. Never together with `partial`.
    pub all: bool,
    /// `SAVE`: keep the result as `$` (RFC 5182).
    pub save: bool,
    /// `UPDATE`: tell what changes in it later (RFC 5267).
    pub update: bool,
    /// `CONTEXT`: it will be asked for again (RFC 5267).
    pub context: bool,
    /// `PARTIAL`: a part of the result (RFC 5267, RFC 9394).
    pub partial: Option<PartialRange>,
}

/// `23500:24000`, or `-1:-30` counted from the end (RFC 9394): positions in a result, from 1,
/// `first` not above `last`, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialRange {
    /// The position nearer to where the count begins.
    pub first: u32,
    /// The position farther from it.
    pub last: u32,
    /// Whether the last of the result has position 1.
    pub from_end: bool,
}

impl PartialRange {
    /// The first and the last position that this names of so many results, both counted from 1.
    #[must_use]
    pub fn of(self, results: u32) -> (u32, u32) {
        let from_end = |position| results.saturating_add(1).saturating_sub(position);
        match self.from_end {
            false => (self.first, self.last),
            true => (from_end(self.last), from_end(self.first)),
        }
    }
}

/// The arguments of SORT (RFC 5256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Whether UIDs are to be answered.
    pub uid: bool,
    /// What of the result; `None` asks for `* SORT`.
    pub returns: Option<Returns>,
    /// Charset of the strings, as written.
    pub charset: Box<str>,
    /// By what, the most significant first; at least one.
    pub criteria: Vec<SortCriterion>,
    /// What a message must be.
    pub key: SearchKey,
}

/// One order among messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortCriterion {
    /// `REVERSE`: from the greatest to the least.
    pub reverse: bool,
    /// By what.
    pub key: SortKey,
}

/// What SORT compares (RFC 5256 section 3, RFC 5957).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// `ARRIVAL`: the internal date.
    Arrival,
    /// `CC`: the mailbox of the first Cc address.
    Cc,
    /// `DATE`: when it was sent.
    Date,
    /// `DISPLAYFROM`: the first From address as it is shown (RFC 5957).
    DisplayFrom,
    /// `DISPLAYTO`: the first To address as it is shown (RFC 5957).
    DisplayTo,
    /// `FROM`: the mailbox of the first From address.
    From,
    /// `SIZE`: octets.
    Size,
    /// `SUBJECT`: the base subject.
    Subject,
    /// `TO`: the mailbox of the first To address.
    To,
}

/// The arguments of THREAD (RFC 5256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Whether UIDs are to be answered.
    pub uid: bool,
    /// How messages are put together.
    pub algorithm: ThreadAlgorithm,
    /// Charset of the strings, as written.
    pub charset: Box<str>,
    /// What a message must be.
    pub key: SearchKey,
}

/// How messages are put together to threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadAlgorithm {
    /// `ORDEREDSUBJECT` (RFC 5256)
    OrderedSubject,
    /// `REFERENCES` (RFC 5256)
    References,
    /// `REFS`: REFERENCES without the merging by subject, sorted by the newest message.
    Refs,
}
