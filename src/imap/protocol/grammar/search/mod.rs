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
    /// Whether the answer contains UIDs.
    pub uid: bool,
    /// What to return; `None` asks for the untagged SEARCH that precedes ESEARCH (RFC 4731).
    pub returns: Option<Returns>,
    /// CHARSET of the strings, as written. The session checks whether it is known.
    pub charset: Option<Box<str>>,
    /// The condition.
    pub key: SearchKey,
}

/// Result options: what to return, and what to do with the result later (RFC 4731, 5182, 5267 and
/// 9394). `RETURN ()` asks for ALL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// `MIN`: the lowest number.
    pub min: bool,
    /// `MAX`: the highest number.
    pub max: bool,
    /// `COUNT`: how many numbers.
    pub count: bool,
    /// `ALL`: every number. Never together with `partial`.
    pub all: bool,
    /// `SAVE`: keep the result as `$` (RFC 5182).
    pub save: bool,
    /// `UPDATE`: report later changes to the result (RFC 5267).
    pub update: bool,
    /// `CONTEXT`: the client will ask for this result again (RFC 5267).
    pub context: bool,
    /// `PARTIAL`: a part of the result (RFC 5267, RFC 9394).
    pub partial: Option<PartialRange>,
}

/// `23500:24000`, or `-1:-30` counted from the end (RFC 9394): positions in a result, from 1, both
/// ends included. `first` is not above `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialRange {
    /// The position nearer to where counting starts.
    pub first: u32,
    /// The position farther from it.
    pub last: u32,
    /// Whether counting starts at the end of the result.
    pub from_end: bool,
}

impl PartialRange {
    /// The first and last position, counted from 1 at the start, in a result of this many.
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
    /// Whether the answer contains UIDs.
    pub uid: bool,
    /// What to return; `None` asks for the untagged SORT.
    pub returns: Option<Returns>,
    /// Charset of the strings, as written.
    pub charset: Box<str>,
    /// What to sort by, most significant first; at least one.
    pub criteria: Vec<SortCriterion>,
    /// The condition.
    pub key: SearchKey,
}

/// One sort criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortCriterion {
    /// `REVERSE`: descending.
    pub reverse: bool,
    /// What to compare.
    pub key: SortKey,
}

/// What SORT compares (RFC 5256 section 3, RFC 5957).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortKey {
    /// `ARRIVAL`: the internal date.
    Arrival,
    /// `CC`: the mailbox of the first Cc address.
    Cc,
    /// `DATE`: the sent date.
    Date,
    /// `DISPLAYFROM`: the first From address as it is shown (RFC 5957).
    DisplayFrom,
    /// `DISPLAYTO`: the first To address as it is shown (RFC 5957).
    DisplayTo,
    /// `FROM`: the mailbox of the first From address.
    From,
    /// `SIZE`: in octets.
    Size,
    /// `SUBJECT`: the base subject.
    Subject,
    /// `TO`: the mailbox of the first To address.
    To,
}

/// The arguments of THREAD (RFC 5256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Whether the answer contains UIDs.
    pub uid: bool,
    /// How to build threads.
    pub algorithm: ThreadAlgorithm,
    /// Charset of the strings, as written.
    pub charset: Box<str>,
    /// The condition.
    pub key: SearchKey,
}

/// How messages are grouped into threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThreadAlgorithm {
    /// `ORDEREDSUBJECT` (RFC 5256)
    OrderedSubject,
    /// `REFERENCES` (RFC 5256)
    References,
    /// `REFS`: REFERENCES without merging by subject, sorted by the newest message.
    Refs,
}
