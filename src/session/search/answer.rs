//! Writes the results of a search: `* SEARCH`, `* SORT` and `* ESEARCH`.
//!
//! A result is a list of runs of UIDs or message numbers, in the order in which they are sent; each
//! run ascends by one. Long answers are sent in pieces, each after the client has read enough of
//! the previous ones.

use bytes::BytesMut;

use crate::net::{GATHERED, Gone};
use crate::session::selected::Selected;
use crate::session::session::Session;
use imap::protocol::response::{EsearchResponse, SearchResponse};
use imap::protocol::{PartialRange, Returns, Tag};
use imap::types::{ModSeq, Uid, UidRange};

/// Runs written between two checks of the size of the buffer.
const RUNS: usize = 1024;

/// How much of a result must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    All,
    /// This number of messages from the start, and this number from the end.
    Ends(u32, u32),
}

/// The start and the end of a result, as far as they are needed. With `Need::All` both are the
/// complete result.
pub(super) struct Hits {
    pub start: Vec<UidRange>,
    pub end: Vec<UidRange>,
}

/// The parts of a result that the client requested.
#[derive(Default)]
struct Items {
    min: Option<Uid>,
    max: Option<Uid>,
    count: Option<u32>,
    all: Option<Vec<UidRange>>,
    partial: Option<(PartialRange, Vec<UidRange>)>,
}

impl Need {
    /// What these result options need (RFC 4731, RFC 5182 section 2.4, RFC 9394).
    pub(super) fn of(returns: Option<&Returns>) -> Need {
        let Some(returns) = returns else { return Need::All };
        let ends = returns.min || returns.max || returns.partial.is_some();
        if returns.all || returns.count || returns.update || !ends {
            return Need::All;
        }
        let (mut start, mut end) = (u32::from(returns.min), u32::from(returns.max));
        if let Some(partial) = returns.partial {
            let side = if partial.from_end { &mut end } else { &mut start };
            *side = partial.last.max(*side);
        }
        Need::Ends(start, end)
    }
}

impl Hits {
    fn items(&self, returns: &Returns) -> Items {
        let mut items = Items::default();
        if returns.min {
            items.min = self.start.first().map(|run| run.first);
        }
        if returns.max {
            items.max = self.end.last().map(|run| run.last);
        }
        if returns.count {
            items.count = Some(UidRange::count(&self.start));
        }
        if returns.all {
            items.all = Some(self.start.clone());
        }
        items.partial = returns.partial.map(|partial| {
            let runs = if partial.from_end { &self.end } else { &self.start };
            let (first, last) = partial.of(UidRange::count(runs));
            (partial, UidRange::part(runs, first, last))
        });
        items
    }

    /// The value of `$` after a command with SAVE (RFC 5182 section 2.4, RFC 9394 section 3.2).
    pub(super) fn saved(&self, returns: &Returns) -> Vec<UidRange> {
        match Need::of(Some(&Returns { update: false, ..*returns })) {
            Need::All => UidRange::ascending(&self.start),
            Need::Ends(..) => self.items(returns).mentioned(),
        }
    }
}

impl Items {
    /// All messages that these items mention, ascending.
    fn mentioned(&self) -> Vec<UidRange> {
        let ends =
            self.min.into_iter().chain(self.max).map(|uid| UidRange { first: uid, last: uid });
        let partial = self.partial.iter().flat_map(|(_, runs)| runs).copied();
        let all = self.all.iter().flatten().copied();
        UidRange::ascending(&ends.chain(partial).chain(all).collect::<Vec<_>>())
    }
}

/// The message numbers of these UIDs in the client's view: runs of first and last, in the order
/// given.
fn numbers(selected: &Selected, uids: &[UidRange]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (first, last) in selected.shown.numbers(uids) {
        match runs.last_mut() {
            Some(run) if run.1 + 1 == first => run.1 = last,
            _ => runs.push((first, last)),
        }
    }
    runs
}

impl Session {
    /// Sends `* SEARCH` or `* SORT`; `command` is the keyword.
    pub(super) async fn tell_numbers(
        &self,
        command: &str,
        uid: bool,
        found: &[UidRange],
        modseq: Option<ModSeq>,
    ) -> Result<(), Gone> {
        let mut out = BytesMut::new();
        let mut answer = SearchResponse::begin(&mut out, command);
        for (first, last) in self.told(uid, found) {
            for number in first..=last {
                answer.number(&mut out, number);
                if out.len() >= GATHERED {
                    self.output.pass_on(&mut out).await?;
                }
            }
        }
        answer.end(&mut out, modseq);
        self.output.pass_on(&mut out).await
    }

    /// Sends `* ESEARCH`. `modseq` returns the highest mod-sequence of the messages it is given.
    pub(super) async fn tell_items(
        &self,
        tag: &Tag,
        uid: bool,
        returns: &Returns,
        hits: &Hits,
        modseq: impl Fn(&[UidRange]) -> Option<ModSeq>,
    ) -> Result<(), Gone> {
        let items = hits.items(returns);
        // MODSEQ covers the messages mentioned, or the complete result with COUNT (RFC 4731 section
        // 3.2).
        let modseq = match items.count {
            Some(_) => modseq(&hits.start),
            None => modseq(&items.mentioned()),
        };
        let one = |of: Uid| {
            let told = self.told(uid, &[UidRange { first: of, last: of }]);
            told.first().map(|&(first, _)| first)
        };
        let mut out = BytesMut::new();
        let mut answer = EsearchResponse::begin(&mut out, tag.as_str(), uid);
        if let Some(min) = items.min.and_then(one) {
            answer.min(&mut out, min);
        }
        if let Some(max) = items.max.and_then(one) {
            answer.max(&mut out, max);
        }
        if let Some(count) = items.count {
            answer.count(&mut out, count);
        }
        if let Some((range, found)) = &items.partial {
            let found = self.told(uid, found);
            self.write_set(&mut out, &mut answer, &found, |answer, out, runs| {
                answer.partial(out, *range, runs);
            })
            .await?;
            answer.close(&mut out);
        }
        if let Some(found) = items.all {
            let found = self.told(uid, &found);
            self.write_set(&mut out, &mut answer, &found, |answer, out, runs| {
                answer.all(out, runs);
            })
            .await?;
        }
        if let Some(modseq) = modseq {
            answer.modseq(&mut out, modseq);
        }
        answer.end(&mut out);
        self.output.pass_on(&mut out).await
    }

    /// Converts runs of UIDs to the numbers of the response: UIDs, or message numbers.
    pub(super) fn told(&self, uid: bool, uids: &[UidRange]) -> Vec<(u32, u32)> {
        match (uid, &*self.selected.borrow()) {
            (false, Some(selected)) => numbers(selected, uids),
            _ => uids.iter().map(|run| (run.first.0, run.last.0)).collect(),
        }
    }

    /// Writes a set in the order given, and sends the buffer whenever it is full. `begin` writes
    /// the item with the first runs of the set.
    pub(super) async fn write_set(
        &self,
        out: &mut BytesMut,
        answer: &mut EsearchResponse,
        runs: &[(u32, u32)],
        begin: impl FnOnce(&mut EsearchResponse, &mut BytesMut, Vec<(u32, u32)>),
    ) -> Result<(), Gone> {
        let (first, rest) = runs.split_at(runs.len().min(RUNS));
        begin(answer, out, first.to_vec());
        for runs in rest.chunks(RUNS) {
            if out.len() >= GATHERED {
                self.output.pass_on(out).await?;
            }
            answer.more(out, runs.to_vec());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(pairs: &[(u32, u32)]) -> Vec<UidRange> {
        pairs.iter().map(|&(first, last)| UidRange { first: Uid(first), last: Uid(last) }).collect()
    }

    const NONE: Returns = Returns {
        min: false,
        max: false,
        count: false,
        all: false,
        save: true,
        update: false,
        context: false,
        partial: None,
    };

    fn partial(first: u32, last: u32, from_end: bool) -> Returns {
        Returns { partial: Some(PartialRange { first, last, from_end }), ..NONE }
    }

    #[test]
    fn no_more_is_looked_for_than_is_asked_for() {
        let need = |returns: Returns| Need::of(Some(&returns));
        assert_eq!(Need::of(None), Need::All);
        assert_eq!(need(NONE), Need::All);
        assert_eq!(need(Returns { min: true, ..NONE }), Need::Ends(1, 0));
        assert_eq!(need(Returns { max: true, ..partial(3, 9, true) }), Need::Ends(0, 9));
        assert_eq!(need(Returns { max: true, ..partial(3, 9, false) }), Need::Ends(9, 1));
        assert_eq!(need(Returns { count: true, min: true, ..NONE }), Need::All);
        assert_eq!(need(Returns { update: true, min: true, ..NONE }), Need::All);
    }

    /// RFC 5182 section 2.4, RFC 9394 section 3.2.
    #[test]
    fn what_is_saved() {
        let all = runs(&[(2, 2), (10, 15), (21, 21)]);
        let hits = Hits { start: all.clone(), end: all.clone() };
        let saved = |returns: Returns| hits.saved(&returns);
        assert_eq!(saved(NONE), all);
        assert_eq!(saved(Returns { min: true, ..NONE }), runs(&[(2, 2)]));
        assert_eq!(saved(Returns { min: true, update: true, ..NONE }), runs(&[(2, 2)]));
        let ends = Returns { min: true, max: true, ..NONE };
        assert_eq!(saved(ends), runs(&[(2, 2), (21, 21)]));
        assert_eq!(saved(Returns { count: true, ..ends }), all);
        assert_eq!(saved(Returns { all: true, ..ends }), all);
        assert_eq!(saved(partial(2, 3, false)), runs(&[(10, 11)]));
        assert_eq!(saved(partial(2, 3, true)), runs(&[(14, 15)]));
        assert_eq!(saved(partial(8, 30, true)), runs(&[(2, 2)]));
        assert_eq!(saved(partial(9, 30, true)), []);
        assert_eq!(saved(partial(9, 30, false)), []);
        assert_eq!(saved(Returns { max: true, ..partial(1, 1, false) }), runs(&[(2, 2), (21, 21)]));
        assert_eq!(saved(Returns { count: true, ..partial(1, 1, false) }), all);
        // The minimum of a SORT result is its first message; `$` has no order.
        let sorted = runs(&[(9, 9), (3, 4), (1, 1)]);
        let hits = Hits { start: sorted.clone(), end: sorted };
        assert_eq!(hits.saved(&Returns { min: true, ..NONE }), runs(&[(9, 9)]));
        assert_eq!(hits.saved(&NONE), runs(&[(1, 1), (3, 4), (9, 9)]));
    }
}
