//! Results with updates (RFC 5267), and the changes they go through.

use std::sync::Arc;

use super::program::Program;
use crate::home::HeldMemory;
use crate::limits::CONTEXT_SORTED;
use imap::mime::Sorter;
use imap::protocol::Tag;
use imap::types::{Uid, UidRange};

/// The results of the selected mailbox that receive updates.
#[derive(Default)]
pub(in crate::session) struct Contexts {
    pub(super) followed: Vec<Context>,
    /// Messages whose flags have changed since the last update; in no order.
    pub(super) changed: Vec<UidRange>,
    /// The first UID that no update has looked at.
    pub(super) next: Uid,
}

/// A result that receives updates.
pub(super) struct Context {
    /// The tag of the command that produced it.
    pub tag: Tag,
    /// Whether the client gets UIDs or message numbers.
    pub uid: bool,
    pub program: Arc<Program>,
    pub result: Order,
    pub held: HeldMemory,
}

/// A result and its order.
pub(super) enum Order {
    /// In the order of the mailbox.
    Mailbox(Vec<UidRange>),
    /// The order of SORT. `known` has every message that the sorter holds, including removed ones.
    Sorted { uids: Vec<u32>, known: Vec<UidRange>, sorter: Sorter },
}

impl Contexts {
    /// Whether the result of the command with this tag receives updates.
    pub(super) fn has(&self, tag: &Tag) -> bool {
        self.followed.iter().any(|context| context.tag == *tag)
    }

    /// Notes that flags of these messages have changed.
    pub(in crate::session) fn change(&mut self, uids: &[UidRange]) {
        if !self.followed.is_empty() {
            self.changed.extend_from_slice(uids);
        }
    }

    pub(super) fn ranges(&self) -> usize {
        self.followed.iter().map(|context| context.result.weight()).sum()
    }
}

impl Context {
    /// Whether its memory is still within the limits: it grows with every update.
    pub(super) fn may_stay(&mut self) -> bool {
        let octets = self.program.memory() + self.result.memory();
        self.held.set(octets) && self.result.sorted() as usize <= CONTEXT_SORTED
    }
}

impl Order {
    /// Approximate size in ranges.
    pub(super) fn weight(&self) -> usize {
        match self {
            Order::Mailbox(uids) => uids.len(),
            Order::Sorted { uids, .. } => uids.len() / 2,
        }
    }

    /// Number of messages in the sorter; 0 without SORT.
    fn sorted(&self) -> u32 {
        match self {
            Order::Mailbox(_) => 0,
            Order::Sorted { known, .. } => UidRange::count(known),
        }
    }

    /// Approximate memory in bytes.
    fn memory(&self) -> usize {
        let range = size_of::<UidRange>();
        match self {
            Order::Mailbox(uids) => uids.len() * range,
            Order::Sorted { uids, known, sorter } => {
                uids.len() * size_of::<u32>() + known.len() * range + sorter.memory()
            }
        }
    }
}

/// Adjacent messages of a result. `position` counts from 1; it is 0 where the order is that of the
/// mailbox.
pub(super) struct Part {
    pub position: u32,
    pub uids: Vec<UidRange>,
    pub len: u32,
}

impl Order {
    /// Removes these messages, ascending. Returns those that were in the result.
    pub(super) fn remove(&mut self, gone: &[UidRange]) -> Vec<Part> {
        match self {
            Order::Mailbox(uids) => {
                let lost = UidRange::intersection(uids, gone);
                if !lost.is_empty() {
                    *uids = UidRange::difference(uids, &lost);
                }
                vec![Part { position: 0, len: UidRange::count(&lost), uids: lost }]
            }
            Order::Sorted { uids, .. } => {
                let (mut parts, mut kept) = (Vec::<Part>::new(), 0);
                uids.retain(|&uid| {
                    if !UidRange::covers(gone, Uid(uid)) {
                        kept += 1;
                        return true;
                    }
                    // Positions account for the messages removed before.
                    match parts.last_mut() {
                        Some(part) if part.position == kept + 1 => part.push(uid),
                        _ => parts.push(Part::new(kept + 1, uid)),
                    }
                    false
                });
                parts
            }
        }
    }
}

/// Inserts the missing messages of `fit`, ascending, where `order` places them. Returns them with
/// their positions; each position accounts for the insertions before it.
pub(super) fn insert(uids: &mut Vec<u32>, order: &[u32], fit: &[UidRange]) -> Vec<Part> {
    let mut there = std::mem::take(uids).into_iter().peekable();
    let mut parts = Vec::<Part>::new();
    for &uid in order {
        let was_there = there.next_if_eq(&uid).is_some();
        if was_there {
            uids.push(uid);
        } else if UidRange::covers(fit, Uid(uid)) {
            uids.push(uid);
            let position = uids.len() as u32;
            match parts.last_mut() {
                Some(part) if part.position + part.len == position => part.push(uid),
                _ => parts.push(Part::new(position, uid)),
            }
        }
    }
    parts
}

impl Part {
    fn new(position: u32, uid: u32) -> Part {
        Part { position, uids: vec![UidRange { first: Uid(uid), last: Uid(uid) }], len: 1 }
    }

    fn push(&mut self, uid: u32) {
        UidRange::push(&mut self.uids, Uid(uid));
        self.len += 1;
    }
}

pub(super) fn numbers_of(runs: &[UidRange]) -> impl Iterator<Item = u32> + '_ {
    runs.iter().flat_map(|run| run.first.0..=run.last.0)
}
