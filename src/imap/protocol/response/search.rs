//! Responses to SEARCH, SORT and THREAD.

use bytes::BytesMut;

use crate::protocol::PartialRange;
use crate::types::ModSeq;

use super::{decimal, sequence_set};

/// `* SEARCH 2 3 (MODSEQ 917162500)`, `* SORT 5 3 4`: the response to SEARCH and SORT without
/// RETURN (RFC 3501 section 7.2.5, RFC 5256 section 4). Written number by number, because it may be
/// longer than one send.
///
/// ```abnf
/// mailbox-data          =/ "SEARCH" *(SP nz-number) [SP search-sort-mod-seq]
/// sort-data             = "SORT" *(SP nz-number) [SP search-sort-mod-seq]
/// search-sort-mod-seq   = "(" "MODSEQ" SP mod-sequence-value ")"
/// ```
#[derive(Debug)]
#[must_use = "a response that was begun must be ended"]
pub struct SearchResponse(());

impl SearchResponse {
    /// Begins the response to `command`, which is SEARCH or SORT.
    pub fn begin(out: &mut BytesMut, command: &str) -> SearchResponse {
        out.extend_from_slice(b"* ");
        out.extend_from_slice(command.as_bytes());
        SearchResponse(())
    }

    /// Writes one number.
    pub fn number(&mut self, out: &mut BytesMut, number: u32) {
        item(out, b" ", number.into());
    }

    /// Ends the response. `modseq` is the highest mod-sequence of the messages found, if there are
    /// any and the client asked for it (RFC 7162 section 3.1.6).
    pub fn end(self, out: &mut BytesMut, modseq: Option<ModSeq>) {
        if let Some(modseq) = modseq {
            item(out, b" (MODSEQ ", modseq.0);
            out.extend_from_slice(b")");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// `* ESEARCH (TAG "a") UID COUNT 5 ALL 4:18,21`: the response to SEARCH and SORT with RETURN, item
/// by item, and later updates of a result.
///
/// ```abnf
/// esearch-response     = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)
/// search-correlator    = SP "(" "TAG" SP tag-string ")"                  ; RFC 4466
/// search-return-data   = "MIN" SP nz-number / "MAX" SP nz-number /
///                        "ALL" SP sequence-set / "COUNT" SP number       ; RFC 4731
/// search-return-data   =/ "MODSEQ" SP mod-sequence-value                 ; RFC 7162
/// search-return-data   =/ ret-data-partial / ret-data-addto / ret-data-removefrom
/// ```
#[derive(Debug)]
#[must_use = "a response that was begun must be ended"]
pub struct EsearchResponse(());

impl EsearchResponse {
    /// Begins the response to the command with this tag. `uid`: its numbers are UIDs.
    pub fn begin(out: &mut BytesMut, tag: &str, uid: bool) -> EsearchResponse {
        out.extend_from_slice(b"* ESEARCH (TAG \"");
        out.extend_from_slice(tag.as_bytes());
        out.extend_from_slice(if uid { b"\") UID" } else { b"\")" });
        EsearchResponse(())
    }

    /// `MIN 2`; only if something was found.
    pub fn min(&mut self, out: &mut BytesMut, number: u32) {
        item(out, b" MIN ", number.into());
    }

    /// `MAX 47`; only if something was found.
    pub fn max(&mut self, out: &mut BytesMut, number: u32) {
        item(out, b" MAX ", number.into());
    }

    /// `COUNT 25`
    pub fn count(&mut self, out: &mut BytesMut, count: u32) {
        item(out, b" COUNT ", count.into());
    }

    /// `MODSEQ 917162500` (RFC 7162); only if something was found.
    pub fn modseq(&mut self, out: &mut BytesMut, modseq: ModSeq) {
        item(out, b" MODSEQ ", modseq.0);
    }

    /// `ALL 2,10:15`, in the order given. Writes nothing if there are no numbers.
    pub fn all(&mut self, out: &mut BytesMut, ranges: impl IntoIterator<Item = (u32, u32)>) {
        let mut ranges = ranges.into_iter().peekable();
        if ranges.peek().is_some() {
            out.extend_from_slice(b" ALL ");
            sequence_set(out, ranges);
        }
    }

    /// Extends the set that the previous item ends with; it may be longer than one send.
    pub fn more(&mut self, out: &mut BytesMut, ranges: impl IntoIterator<Item = (u32, u32)>) {
        out.extend_from_slice(b",");
        sequence_set(out, ranges);
    }

    /// `PARTIAL (1:100 20,4:9`, in the order given; NIL for no numbers. Must be closed.
    ///
    /// ```abnf
    /// ret-data-partial = "PARTIAL" SP "(" partial-range SP partial-results ")"   ; RFC 9394
    /// partial-results  = sequence-set / "NIL"
    /// ```
    pub fn partial(
        &mut self,
        out: &mut BytesMut,
        range: PartialRange,
        ranges: impl IntoIterator<Item = (u32, u32)>,
    ) {
        let minus: &[u8] = if range.from_end { b"-" } else { b"" };
        out.extend_from_slice(b" PARTIAL (");
        out.extend_from_slice(minus);
        item(out, b"", range.first.into());
        out.extend_from_slice(b":");
        out.extend_from_slice(minus);
        item(out, b"", range.last.into());
        out.extend_from_slice(b" ");
        let mut ranges = ranges.into_iter().peekable();
        if ranges.peek().is_none() {
            out.extend_from_slice(b"NIL");
        }
        sequence_set(out, ranges);
    }

    /// `ADDTO (1 2733`: numbers added to the result at a position from 1, or at 0 if positions have
    /// no meaning (RFC 5267 section 4.3.2). At least one number. Must be closed.
    ///
    /// ```abnf
    /// ret-data-addto = "ADDTO" SP "(" context-position SP sequence-set
    ///                  *(SP context-position SP sequence-set) ")"
    /// ```
    pub fn add_to(
        &mut self,
        out: &mut BytesMut,
        position: u32,
        ranges: impl IntoIterator<Item = (u32, u32)>,
    ) {
        change(out, b" ADDTO (", position, ranges);
    }

    /// `REMOVEFROM (0 32768`: numbers removed from the result (RFC 5267 section 4.3.3). Must be
    /// closed.
    ///
    /// ```abnf
    /// ret-data-removefrom = "REMOVEFROM" SP "(" context-position SP sequence-set
    ///                       *(SP context-position SP sequence-set) ")"
    /// ```
    pub fn remove_from(
        &mut self,
        out: &mut BytesMut,
        position: u32,
        ranges: impl IntoIterator<Item = (u32, u32)>,
    ) {
        change(out, b" REMOVEFROM (", position, ranges);
    }

    /// Adds numbers at another position to an open ADDTO or REMOVEFROM.
    pub fn and_at(
        &mut self,
        out: &mut BytesMut,
        position: u32,
        ranges: impl IntoIterator<Item = (u32, u32)>,
    ) {
        change(out, b" ", position, ranges);
    }

    /// Closes PARTIAL, ADDTO or REMOVEFROM.
    pub fn close(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(b")");
    }

    /// Ends the response.
    pub fn end(self, out: &mut BytesMut) {
        out.extend_from_slice(b"\r\n");
    }
}

fn item(out: &mut BytesMut, name: &[u8], number: u64) {
    out.extend_from_slice(name);
    decimal(out, number);
}

fn change(
    out: &mut BytesMut,
    name: &[u8],
    position: u32,
    ranges: impl IntoIterator<Item = (u32, u32)>,
) {
    item(out, name, position.into());
    out.extend_from_slice(b" ");
    sequence_set(out, ranges);
}

/// A message in its thread, or a missing message that has replies. Nodes come in preorder: a node
/// is followed by its children, one deeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadNode {
    /// 0 for the root of a thread.
    pub depth: u32,
    /// Number or UID of the message; `None` for a missing one, which has children.
    pub number: Option<u32>,
}

/// Begins `* THREAD (2)(3 6 (4 23)(44 7 96))` (RFC 5256 section 4); [`thread_lists`] and CRLF
/// follow.
///
/// ```abnf
/// thread-data    = "THREAD" [SP 1*thread-list]
/// thread-list    = "(" (thread-members / thread-nested) ")"
/// thread-members = nz-number *(SP nz-number) [SP thread-nested]
/// thread-nested  = 2*thread-list
/// ```
pub fn thread_begin(out: &mut BytesMut, is_empty: bool) {
    out.extend_from_slice(if is_empty { b"* THREAD" } else { b"* THREAD " });
}

/// Writes whole threads. Iterative, because a sender can make threads as deep as it likes.
///
/// An only child follows its parent in the same list; siblings open a list each. A node that opens
/// a list first closes the lists at its depth and deeper:
///
/// ```text
/// depth  number  only child  written
/// 0      3       no          (3
/// 1      6       yes          6
/// 2      4       no           (4
/// 3      23      yes          23
/// 2      44      no          )(44
///                            ))
/// ```
pub fn thread_lists(out: &mut BytesMut, nodes: &[ThreadNode]) {
    // Depths at which the open lists begin, and whether the last octet written is a number's.
    let (mut lists, mut spaced) = (Vec::new(), false);
    for (node, alone) in nodes.iter().zip(only_children(nodes)) {
        if !alone {
            while lists.last().is_some_and(|&depth| depth >= node.depth) {
                lists.pop();
                out.extend_from_slice(b")");
                spaced = false;
            }
            out.extend_from_slice(if spaced { b" (" } else { b"(" });
            lists.push(node.depth);
            spaced = false;
        }
        if let Some(number) = node.number {
            item(out, if spaced { b" " } else { b"" }, number.into());
            spaced = true;
        }
    }
    lists.iter().for_each(|_| out.extend_from_slice(b")"));
}

/// Whether each node is the only child of its parent.
fn only_children(nodes: &[ThreadNode]) -> Vec<bool> {
    let mut alone = vec![false; nodes.len()];
    // The ancestors of the current node, each with its last child so far.
    let mut path: Vec<Option<usize>> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        path.truncate(node.depth as usize);
        if let Some(last_child) = path.last_mut() {
            match last_child.replace(at) {
                None => alone[at] = true,
                Some(before) => alone[before] = false,
            }
        }
        path.push(None);
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    fn found(command: &str, numbers: &[u32], modseq: Option<ModSeq>) -> String {
        written(|out| {
            let mut answer = SearchResponse::begin(out, command);
            numbers.iter().for_each(|&number| answer.number(out, number));
            answer.end(out, modseq);
        })
    }

    #[test]
    fn numbers_found() {
        let modseq = Some(ModSeq(917_162_500));
        let line = found("SEARCH", &[2, 5, 6], modseq);
        assert_eq!(line, "* SEARCH 2 5 6 (MODSEQ 917162500)\r\n");
        assert_eq!(found("SEARCH", &[], None), "* SEARCH\r\n");
        assert_eq!(found("SORT", &[5, 3, 4, 1, 2], None), "* SORT 5 3 4 1 2\r\n");
    }

    /// RFC 4731 section 3.1, RFC 5267 section 4.3, RFC 7162 section 3.1.10, RFC 9394.
    #[test]
    fn extended_answers() {
        type Item = fn(&mut EsearchResponse, &mut BytesMut);
        let line = |uid, items: &[Item]| {
            written(|out| {
                let mut answer = EsearchResponse::begin(out, "A283", uid);
                items.iter().for_each(|item| item(&mut answer, out));
                answer.end(out);
            })
        };
        let range = |first, last, from_end| PartialRange { first, last, from_end };
        assert_eq!(line(false, &[]), "* ESEARCH (TAG \"A283\")\r\n");
        assert_eq!(
            line(false, &[|a, o| a.min(o, 2), |a, o| a.max(o, 47), |a, o| a.count(o, 25)]),
            "* ESEARCH (TAG \"A283\") MIN 2 MAX 47 COUNT 25\r\n"
        );
        assert_eq!(
            line(
                true,
                &[
                    |a, o| a.all(o, [(2, 2), (10, 11), (12, 15)]),
                    |a, o| a.more(o, [(3, 3), (4, 9)]),
                    |a, o| a.modseq(o, ModSeq(7))
                ]
            ),
            "* ESEARCH (TAG \"A283\") UID ALL 2,10:15,3:9 MODSEQ 7\r\n"
        );
        assert_eq!(line(true, &[|a, o| a.all(o, [])]), "* ESEARCH (TAG \"A283\") UID\r\n");
        let partial = |range, found: &[(u32, u32)]| {
            written(|out| {
                EsearchResponse(()).partial(out, range, found.iter().copied());
                EsearchResponse(()).close(out);
            })
        };
        let forward = partial(range(1, 10, false), &[(9, 9), (4, 5)]);
        assert_eq!(forward, " PARTIAL (1:10 9,4:5)");
        assert_eq!(partial(range(1, 100, true), &[]), " PARTIAL (-1:-100 NIL)");
        assert_eq!(
            line(
                true,
                &[
                    |a, o| a.add_to(o, 0, [(32768, 32768), (32769, 32769)]),
                    |a, o| a.close(o),
                    |a, o| a.remove_from(o, 1, [(5, 5)]),
                    |a, o| a.and_at(o, 7, [(3, 3)]),
                    |a, o| a.close(o)
                ]
            ),
            "* ESEARCH (TAG \"A283\") UID ADDTO (0 32768:32769) REMOVEFROM (1 5 7 3)\r\n"
        );
    }

    /// Nodes written as (depth, number); 0 is none.
    fn threads(nodes: &[(u32, u32)]) -> String {
        let node = |&(depth, n): &_| ThreadNode { depth, number: (n > 0).then_some(n) };
        let nodes: Vec<_> = nodes.iter().map(node).collect();
        written(|out| {
            thread_begin(out, nodes.is_empty());
            thread_lists(out, &nodes);
            out.extend_from_slice(b"\r\n");
        })
    }

    /// RFC 5256 section 4.
    #[test]
    fn the_threads_of_rfc_5256() {
        assert_eq!(threads(&[]), "* THREAD\r\n");
        assert_eq!(threads(&[(0, 2)]), "* THREAD (2)\r\n");
        assert_eq!(
            threads(&[(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96)]),
            "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
        );
        let missing = threads(&[(0, 0), (1, 3), (1, 5), (0, 9)]);
        assert_eq!(missing, "* THREAD ((3)(5))(9)\r\n");
        assert_eq!(threads(&[(0, 0), (1, 8), (1, 9)]), "* THREAD ((8)(9))\r\n");
        let third = threads(&[(0, 1), (1, 2), (1, 3), (1, 4), (2, 5)]);
        assert_eq!(third, "* THREAD (1 (2)(3)(4 5))\r\n");
    }

    #[test]
    fn depth_costs_no_stack() {
        let chain: Vec<_> = (1..100_000).map(|n| (n - 1, n)).chain([(99_999, 7)]).collect();
        assert!(threads(&chain).ends_with(" 99999 7)\r\n"));
        // Every message has two replies, the second of which has two replies.
        let mut forks = Vec::new();
        for depth in 0..100_000 {
            forks.extend([(depth, 1), (depth + 1, 2)]);
        }
        forks.push((100_000, 3));
        let (open, close) = ("(1 (2)".repeat(100_000), ")".repeat(100_000));
        assert_eq!(threads(&forks), format!("* THREAD {open}(3){close}\r\n"));
    }
}
