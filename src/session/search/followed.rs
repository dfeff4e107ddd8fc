//! Results that are followed (RFC 5267), and how they change.

use std::sync::Arc;

use super::program::Program;
use crate::home::HeldMemory;
use crate::limits::CONTEXT_SORTED;
use imap::mime::Sorter;
use imap::protocol::Tag;
use imap::types::{Uid, UidRange};

/// The results that are followed in the selected mailbox.
#[derive(Default)]
pub(in crate::session) struct Contexts {
    pub(super) followed: Vec<Context>,
    /// Messages whose flags have changed since the results were last looked at; not in order.
    pub(super) changed: Vec<UidRange>,
    /// Messages from this one on were not looked at yet.
    pub(super) next: Uid,
}

/// A result that is followed.
pub(super) struct Context {
    /// Of the command that found it.
    pub tag: Tag,
    /// Whether the client is told UIDs.
    pub uid: bool,
    pub program: Arc<Program>,
    pub result: Order,
    pub held: HeldMemory,
}

/// A result.
pub(super) enum Order {
    /// In the order of the mailbox.
    Mailbox(Vec<UidRange>),
    /// UIDs as SORT has put them. The sorter knows these, and those that have gone since.
    Sorted { uids: Vec<u32>, known: Vec<UidRange>, sorter: Sorter },
}

impl Contexts {
    /// Whether the result of the command with this tag is followed.
    pub(super) fn has(&self, tag: &Tag) -> bool {
        self.followed.iter().any(|context| context.tag == *tag)
    }

    /// Flags of these messages have changed.
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
    /// Whether it takes no more than it may: it grows while it is followed.
    pub fn may_stay(&mut self) -> bool {
        let octets = self.program.memory() + self.result.memory();
        self.held.set(octets) && self.result.sorted() as usize <= CONTEXT_SORTED
    }
}

impl Order {
    /// About, in ranges.
    pub fn weight(&self) -> usize {
        match self {
            Order::Mailbox(uids) => uids.len(),
            Order::Sorted { uids, .. } => uids.len() / 2,
        }
    }

    /// Messages whose keys are known, of a result of SORT.
    fn sorted(&self) -> u32 {
        match self {
            Order::Mailbox(_) => 0,
            Order::Sorted { known, .. } => UidRange::count(known),
        }
    }

    /// Memory in bytes, about.
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

/// Numbers in a result that stand together, at a position counted from 1; 0 where positions mean
/// nothing.
pub(super) struct Part {
    pub position: u32,
    pub uids: Vec<UidRange>,
    pub len: u32,
}

impl Order {
    /// Takes these messages, ascending, out. Gives those that were there.
    pub fn remove(&mut self, gone: &[UidRange]) -> Vec<Part> {
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
                    // What was removed before has closed up already.
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

/// Puts those of `fit`, ascending, that are not there yet where `order` has them. Gives them with
/// the positions they get, one after the other.
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
