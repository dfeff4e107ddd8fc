//! Admission of keywords and sets against the limits. A refused admission, `NO [LIMIT]`, leaves the
//! table unchanged.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use super::sets::Interned;
use super::{KeywordSet, Keywords, NAME, Translation};
use crate::limits::{KEYWORD_LENGTH, KEYWORD_OCTETS, KEYWORD_OCTETS_OF_ACCOUNT, KEYWORD_TEXT};
use crate::reactor::thresholds;
use crate::store::{BitSet, KeywordList};
use imap::types::{FlagChange, Keyword};

/// What an admission has added so far, to be undone if it is refused.
#[derive(Debug, Default)]
pub(super) struct Admission {
    pub(super) names: Vec<u16>,
    pub(super) sets: Vec<(u32, Interned)>,
}

/// All names, dead ones included, may be this many times the limit of held names. Dead names pile
/// up while a session keeps them from being collected.
const DEAD: usize = 4;

impl Keywords {
    /// The set of these keywords, added if new. `None`, and nothing added, when the mailbox or the
    /// account has no room for more keywords or sets: `NO [LIMIT]`.
    pub fn admit(&mut self, keywords: &[Keyword]) -> Option<KeywordSet> {
        let mut made = Admission::default();
        let set = self.admit_in(keywords, &mut made);
        self.keep_if_admitted(made, set.is_some()).then_some(set?)
    }

    fn admit_in(&mut self, keywords: &[Keyword], made: &mut Admission) -> Option<KeywordSet> {
        let mut set = BitSet::default();
        for keyword in keywords {
            set.insert(self.intern_name(keyword, made)?);
        }
        Some(self.intern_set(&set, made))
    }

    /// An early estimate of whether [`Keywords::admit`] has room for these names.
    #[must_use]
    pub(in crate::index) fn has_room_for(&self, keywords: &[Keyword]) -> bool {
        let new = keywords.iter().filter(|keyword| {
            self.number(keyword).is_none_or(|number| self.uses[usize::from(number)].held == 0)
        });
        let (names, text) = new.fold((0, 0), |(names, text), keyword| {
            (names + 1, text + keyword.as_str().len()) //
        });
        names == 0
            || self.held.names + names <= thresholds().keywords
                && self.held.text + text <= KEYWORD_TEXT
                && self.by_name.len() + names <= DEAD * thresholds().keywords
    }

    /// Admits the keyword lists of messages: all of them, or none and `false`.
    pub(in crate::index) fn admit_all<'l>(
        &mut self,
        lists: impl IntoIterator<Item = &'l KeywordList>,
    ) -> bool {
        let (mut by, mut made) = (Translation::default(), Admission::default());
        let mut fits = true;
        for list in lists {
            fits = self.translate(list, &mut by, &mut made).is_some() && self.is_admitted(&made);
            if !fits {
                break;
            }
        }
        self.keep_if_admitted(made, fits)
    }

    /// Admits the sets that result from applying a change to each of these sets: all of them, or
    /// none and `false`.
    #[must_use]
    pub(in crate::index) fn admit_change(
        &mut self,
        sets: &HashSet<KeywordSet>,
        change: FlagChange,
        keywords: &[Keyword],
    ) -> bool {
        let mut made = Admission::default();
        let Some(change) = self.prepare_in(change, keywords, &mut made) else {
            return self.keep_if_admitted(made, false);
        };
        for &set in sets {
            self.change_in(set, &change, &mut made);
            if !self.is_admitted(&made) {
                break;
            }
        }
        self.keep_if_admitted(made, true)
    }

    /// Undoes an admission that failed or exceeds a limit. Returns whether it was kept.
    fn keep_if_admitted(&mut self, made: Admission, fits: bool) -> bool {
        let admitted = fits && self.is_admitted(&made);
        if !admitted {
            for (set, how) in made.sets.into_iter().rev() {
                self.hold(set, false);
                match how {
                    Interned::Made => self.sets.undo(set),
                    _ => self.sets.bury(set),
                }
            }
            made.names.into_iter().rev().for_each(|name| self.forget_name(name));
        }
        self.count();
        admitted
    }

    fn is_admitted(&self, made: &Admission) -> bool {
        let (octets, limits, held) = (self.octets(), thresholds(), self.held);
        let others = self.account.load(Ordering::Relaxed) - self.counted;
        made.names.is_empty() && made.sets.is_empty()
            || held.names <= limits.keywords
                && self.by_name.len() <= DEAD * limits.keywords
                && held.text <= KEYWORD_TEXT
                && held.sets <= limits.keyword_sets
                && octets <= KEYWORD_OCTETS
                && others + octets <= KEYWORD_OCTETS_OF_ACCOUNT
    }

    /// Whether a message may get a new keyword of the greatest length: `\*` in PERMANENTFLAGS.
    #[must_use]
    pub fn takes_more(&self) -> bool {
        let (octets, limits, held) = (self.octets(), thresholds(), self.held);
        let others = self.account.load(Ordering::Relaxed) - self.counted;
        let more = octets + NAME + KEYWORD_LENGTH + 2 * NAME + limits.keywords / 8;
        held.names < limits.keywords
            && self.by_name.len() < DEAD * limits.keywords
            && held.text + KEYWORD_LENGTH <= KEYWORD_TEXT
            && held.sets < limits.keyword_sets
            && more <= KEYWORD_OCTETS
            && others + more <= KEYWORD_OCTETS_OF_ACCOUNT
    }
}
