//! The view of a session: what its mailbox must hold, judged only by what the session was told.

use std::rc::Rc;

use super::flags::Flags;
use super::wire::reply::Fetched;
use super::wire::{Checked, ensure};

/// A message, as far as the session knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// UID.
    pub uid: Option<u32>,
    /// Flags as last told.
    pub flags: Option<Flags>,
    /// Mod-sequence as last told, or 0.
    pub modseq: u64,
}

/// The selected mailbox.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// The name it was selected by.
    pub name: Rc<str>,
    /// UIDVALIDITY.
    pub validity: u32,
    /// HIGHESTMODSEQ as last told. A resynchronisation from there tells everything that the session
    /// has not heard of.
    pub modseq: u64,
    /// It was selected with EXAMINE.
    pub read_only: bool,
    /// By number.
    pub messages: Vec<Known>,
}

impl Mirror {
    /// EXISTS.
    pub fn exists(&mut self, count: u32) -> Checked {
        let before = self.messages.len();
        ensure!(count as usize >= before, "{count} EXISTS after {before} without an EXPUNGE");
        self.messages.resize(count as usize, Known::default());
        Ok(())
    }

    /// EXPUNGE. Returns the UID of the message, if it was known.
    pub fn expunge(&mut self, number: u32) -> Checked<Option<u32>> {
        let count = self.messages.len();
        ensure!((1..=count).contains(&(number as usize)), "{number} EXPUNGE of {count} messages");
        Ok(self.messages.remove(number as usize - 1).uid)
    }

    /// VANISHED, of messages that the session must know.
    pub fn vanished(&mut self, uids: &[u32]) -> Checked {
        for &uid in uids {
            match self.find(uid) {
                Some(at) => self.messages.remove(at),
                None => self.messages.remove(self.unknown(uid)?),
            };
        }
        Ok(())
    }

    /// The place of a message whose UID was never told, judged by its neighbours.
    fn unknown(&self, uid: u32) -> Checked<usize> {
        let after = self.messages.iter().position(|known| known.uid.is_some_and(|own| own > uid));
        let end = after.unwrap_or(self.messages.len());
        let start = self.messages[..end].iter().rposition(|known| known.uid.is_some());
        let start = start.map_or(0, |start| start + 1);
        ensure!(start < end, "UID {uid} vanished and was never there");
        Ok(start)
    }

    /// FETCH. Returns the UID, if it is known by now.
    pub fn learn(&mut self, fetched: &Fetched<'_>) -> Checked<Option<u32>> {
        let count = self.messages.len();
        let number = fetched.number as usize;
        ensure!((1..=count).contains(&number), "{number} FETCH of {count} messages");
        let known = &mut self.messages[number - 1];
        if let (Some(known), Some(told)) = (known.uid, fetched.uid) {
            ensure!(known == told, "message {number} has UID {told}, and had {known}");
        }
        known.uid = known.uid.or(fetched.uid);
        known.flags = fetched.flags.or(known.flags);
        if let Some(modseq) = fetched.modseq {
            let before = known.modseq;
            ensure!(
                modseq >= before,
                "the mod-sequence of message {number} was {before} and is {modseq}"
            );
            known.modseq = modseq;
        }
        let uid = known.uid;
        if uid.is_some() && fetched.uid.is_some() {
            let before = self.messages[..number - 1].iter().rev().find_map(|known| known.uid);
            let after = self.messages[number..].iter().find_map(|known| known.uid);
            ensure!(
                before < uid && after.is_none_or(|after| Some(after) > uid),
                "message {number} has UID {uid:?} between {before:?} and {after:?}"
            );
        }
        Ok(uid)
    }

    /// Forgets the flags of these messages: they have changed and were not told.
    pub fn forget(&mut self, uids: &[u32]) {
        for known in &mut self.messages {
            if known.uid.is_some_and(|uid| uids.contains(&uid)) {
                known.flags = None;
            }
        }
    }

    /// The place of a UID.
    pub fn find(&self, uid: u32) -> Option<usize> {
        self.messages.iter().position(|known| known.uid == Some(uid))
    }

    /// All known UIDs, ascending.
    pub fn uids(&self) -> Vec<u32> {
        self.messages.iter().filter_map(|known| known.uid).collect()
    }

    /// Whether the UIDs of all messages are known.
    pub fn is_whole(&self) -> bool {
        self.messages.iter().all(|known| known.uid.is_some())
    }
}
