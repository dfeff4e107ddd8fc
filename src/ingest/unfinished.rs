//! Messages of batches that are not committed: what is known of them is kept in memory, and a
//! client needs six octets to send one.

use std::cell::Cell;
use std::rc::Rc;

use crate::limits::{SMALL_BATCH_KEYWORDS, UNFINISHED_KEYWORDS};
use crate::reactor::thresholds;
use crate::store::KeywordList;
use imap::types::Keyword;

/// What a list takes in memory beside its bits: itself, its place among the lists of the batch.
const LIST: usize = 100;

/// Those of all uploads of a reactor.
#[derive(Default)]
pub struct Unfinished {
    messages: Cell<usize>,
    /// Bytes of their lists of keywords.
    keywords: Cell<usize>,
}

impl Unfinished {
    /// The share of a batch that has no messages yet.
    #[must_use]
    pub fn share(self: &Rc<Self>) -> Share {
        Share { of: self.clone(), messages: 0, keywords: 0, table: 0 }
    }
}

/// The messages of one batch; counted until it is dropped.
pub struct Share {
    of: Rc<Unfinished>,
    messages: usize,
    keywords: usize,
    /// Names in the table of the last list.
    table: usize,
}

impl Share {
    /// Whether the batch may have one more message. A small batch may always: those who send
    /// millions must not keep others from sending one.
    #[must_use]
    pub fn one_more(&mut self) -> bool {
        let all = self.of.messages.get();
        let limits = thresholds();
        if self.messages >= limits.small_batch && all >= limits.unfinished_messages {
            return false;
        }
        self.messages += 1;
        self.of.messages.set(all + 1);
        true
    }

    /// Whether the batch may keep one more list of keywords, for which its own table grew by so
    /// many bytes; a small batch may, likewise. A list keeps the table it points into, which is
    /// another when the batch got a keyword since.
    #[must_use]
    pub fn keywords(&mut self, list: &KeywordList, grown: usize) -> bool {
        let Some((table, bits)) = list.parts() else { return true };
        let mut octets = LIST + bits.len() + grown;
        if table.len() != self.table {
            octets += table.len() * size_of::<Keyword>();
        }
        let all = self.of.keywords.get() + octets;
        if self.keywords + octets > SMALL_BATCH_KEYWORDS && all > UNFINISHED_KEYWORDS {
            return false;
        }
        self.table = table.len();
        self.keywords += octets;
        self.of.keywords.set(all);
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.messages.set(self.of.messages.get() - self.messages);
        self.of.keywords.set(self.of.keywords.get() - self.keywords);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{SMALL_BATCH, UNFINISHED_MESSAGES};

    #[test]
    fn who_sends_millions_leaves_room_for_small_batches() {
        let unfinished = Rc::new(Unfinished::default());
        let (mut large, mut small) = (unfinished.share(), unfinished.share());
        assert!((0..UNFINISHED_MESSAGES).all(|_| large.one_more()));
        assert!(!large.one_more());
        assert!((0..SMALL_BATCH).all(|_| small.one_more()));
        assert!(!small.one_more());
        drop(large);
        assert!((0..UNFINISHED_MESSAGES - SMALL_BATCH).all(|_| small.one_more()));
        assert!(!small.one_more());
        drop(small);
        assert_eq!(unfinished.messages.get(), 0);
    }

    #[test]
    fn so_does_who_sends_a_set_of_keywords_with_each() {
        let unfinished = Rc::new(Unfinished::default());
        let names: Vec<Keyword> =
            (0..1_000).map(|n| Keyword::new(format!("k{n}").as_bytes()).unwrap()).collect();
        let list = |names: &[Keyword]| KeywordList::from(names.to_vec());
        let (all, few) = (list(&names), list(&names[..20]));
        let (mut large, mut small) = (unfinished.share(), unfinished.share());
        let kept = (0..).take_while(|_| large.keywords(&all, 0)).count();
        assert!((140_000..150_000).contains(&kept), "{kept}");
        assert!((0..30).all(|_| small.keywords(&few, 0)));
        assert!(!small.keywords(&all, 0));
        drop((large, small));
        assert_eq!(unfinished.keywords.get(), 0);
    }
}
