//! Work on a large batch besides its octets, with yields: admitting its keywords to the mailbox,
//! and dropping a batch that is not committed.

use std::rc::Rc;

use crate::home::{GuardedLog, Owner, Pinned};
use crate::index::Mailbox;
use crate::reactor::{breathe, thresholds};
use crate::store::{KeywordList, MailboxId};

/// Drops the parts of a batch, which may be as numerous as its messages, with yields.
pub(super) async fn free<T>(log: &GuardedLog, things: impl IntoIterator<Item = T>) {
    for thing in things {
        drop(thing);
        log.worked(1).await;
    }
}

/// Admits more sets of keywords to a mailbox than should be looked up without a yield. The guard
/// keeps them until the messages have arrived. `None` if the mailbox has no room for all, or does
/// not exist.
pub(super) async fn admit_many<'l>(
    owner: &Rc<Owner>,
    mailbox: MailboxId,
    lists: impl ExactSizeIterator<Item = &'l KeywordList> + Clone,
) -> Option<Pinned> {
    let of = |work: &mut dyn FnMut(&mut Mailbox) -> bool| {
        owner.account.borrow_mut().mailbox_mut(mailbox).is_some_and(work)
    };
    // Must come before the pin, which prevents it.
    of(&mut |mailbox| {
        mailbox.collect_keywords();
        true
    });
    let pinned = owner.pin(mailbox)?;
    let (piece, mut left) = (many_sets(), lists);
    while left.len() > 0 {
        let next = left.clone().take(piece);
        if !of(&mut |mailbox| mailbox.admit_all(next.clone())) {
            return None;
        }
        left.nth(piece - 1);
        breathe().await;
    }
    Some(pinned)
}

/// Sets of keywords admitted between two yields.
pub(super) fn many_sets() -> usize {
    (thresholds().step_messages / 4).max(1)
}
