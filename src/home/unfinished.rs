//! Limits the messages of uncommitted batches. The record of each is in memory, and a client can
//! create one with six octets.

use std::cell::Cell;
use std::rc::Rc;

use crate::limits::{SMALL_BATCH_KEYWORDS, UNFINISHED_KEYWORDS};
use crate::reactor::thresholds;
use crate::store::KeywordList;
use imap::types::Keyword;

/// Bytes of a keyword list besides its bits: the list, and its entry in the batch.
const LIST: usize = 100;

/// Messages of unfinished batches in all uploads of a reactor.
#[derive(Default)]
pub struct Unfinished {
    messages: Cell<usize>,
    /// Bytes of their keyword lists.
    keywords: Cell<usize>,
}

impl Unfinished {
    /// The share of a new batch.
    #[must_use]
    pub fn share(self: &Rc<Self>) -> UnfinishedShare {
        UnfinishedShare { of: self.clone(), messages: 0, keywords: 0, table: 0 }
    }
}

/// The messages of one batch, counted until this is dropped.
pub struct UnfinishedShare {
    of: Rc<Unfinished>,
    messages: usize,
    keywords: usize,
    /// Number of names in the table of the last list.
    table: usize,
}

impl UnfinishedShare {
    /// Counts one more message; `false` if the limit is reached. A small batch is never refused, so
    /// that an upload of millions does not prevent others from sending one message.
    #[must_use]
    pub fn add_message(&mut self) -> bool {
        let all = self.of.messages.get();
        let limits = thresholds();
        if self.messages >= limits.small_batch && all >= limits.unfinished_messages {
            return false;
        }
        self.messages += 1;
        self.of.messages.set(all + 1);
        true
    }

    /// Counts one more keyword list, for which the table of the batch grew by `grown` bytes;
    /// `false` if the limit is reached. A small batch is never refused. A list keeps the table it
    /// refers to alive, and each new keyword in the batch creates a new table.
    #[must_use]
    pub fn add_keywords(&mut self, list: &KeywordList, grown: usize) -> bool {
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

impl Drop for UnfinishedShare {
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
    fn an_upload_of_millions_leaves_room_for_small_batches() {
        let unfinished = Rc::new(Unfinished::default());
        let (mut large, mut small) = (unfinished.share(), unfinished.share());
        assert!((0..UNFINISHED_MESSAGES).all(|_| large.add_message()));
        assert!(!large.add_message());
        assert!((0..SMALL_BATCH).all(|_| small.add_message()));
        assert!(!small.add_message());
        drop(large);
        assert!((0..UNFINISHED_MESSAGES - SMALL_BATCH).all(|_| small.add_message()));
        assert!(!small.add_message());
        drop(small);
        assert_eq!(unfinished.messages.get(), 0);
    }

    #[test]
    fn an_upload_with_many_sets_of_keywords_does_too() {
        let unfinished = Rc::new(Unfinished::default());
        let names: Vec<Keyword> =
            (0..1_000).map(|n| Keyword::new(format!("k{n}").as_bytes()).unwrap()).collect();
        let list = |names: &[Keyword]| KeywordList::from(names.to_vec());
        let (all, few) = (list(&names), list(&names[..20]));
        let (mut large, mut small) = (unfinished.share(), unfinished.share());
        let kept = (0..).take_while(|_| large.add_keywords(&all, 0)).count();
        assert!((140_000..150_000).contains(&kept), "{kept}");
        assert!((0..30).all(|_| small.add_keywords(&few, 0)));
        assert!(!small.add_keywords(&all, 0));
        drop((large, small));
        assert_eq!(unfinished.keywords.get(), 0);
    }
}
