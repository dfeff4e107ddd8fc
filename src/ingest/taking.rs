//! What a large batch needs beside its octets, in as many turns of the reactor as it takes: room
//! for its keywords in the mailbox, and its end when it will not be.

use std::rc::Rc;

use crate::home::{GuardedLog, Owner, Pinned};
use crate::index::Mailbox;
use crate::reactor::{breathe, thresholds};
use crate::store::{KeywordList, MailboxId};

/// Drops things of which a batch may have one for each message, in turns.
pub(super) async fn free<T>(log: &GuardedLog, things: impl IntoIterator<Item = T>) {
    for thing in things {
        drop(thing);
        log.worked(1).await;
    }
}

/// Makes room in a mailbox for more sets of keywords than should be looked up in one turn. The
/// guard keeps it until the messages are there. `None` when there is no room for all, or no
/// mailbox.
pub(super) async fn admit_many<'l>(
    owner: &Rc<Owner>,
    mailbox: MailboxId,
    lists: impl ExactSizeIterator<Item = &'l KeywordList> + Clone,
) -> Option<Pinned> {
    let of = |work: &mut dyn FnMut(&mut Mailbox) -> bool| {
        owner.account.borrow_mut().mailbox_mut(mailbox).is_some_and(work)
    };
    // While it is pinned that cannot be done.
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

/// As many sets of keywords as are admitted in one turn.
pub(super) fn many_sets() -> usize {
    (thresholds().step_messages / 4).max(1)
}
