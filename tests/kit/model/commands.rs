//! The commands of a client on messages and mailboxes.

use std::rc::Rc;

use super::flags::{Change, DELETED, Flags, SEEN, written as flags_written};
use super::message::{Action, Op};
use super::names::{NameOp, NoteChanges, SPECIAL_USE};
use super::session::{Kind, Session};
use super::wire::{Checked, Dial};
use crate::set;

/// Names of mailboxes, as on the wire.
const NAMES: [&str; 8] = ["a", "a/b", "a/b/c", "b", "b/c", "with blanks", "Entw&APw-rfe", "c/d/e"];

/// The mailbox besides INBOX that clients share.
pub(super) const SHARED: &str = "b";

/// All mailboxes.
pub(super) const ALL: &str = "LIST \"\" * RETURN (SPECIAL-USE)";

/// What is noted about mailboxes. Not `\Trash`: what is copied there may be over the quota.
const NOTES: [(&str, &[&str]); 2] = [
    (SPECIAL_USE, &["\\Sent", "\\Junk", "\\Archive \\Drafts"]),
    ("/shared/comment", &["one", "two words"]),
];

/// Asks for all that is noted about a mailbox.
pub(super) fn noted(name: &str) -> String {
    format!("GETMETADATA (DEPTH infinity) \"{name}\" (/private /shared)")
}

/// Sets of flags to change.
const FLAGS: [u16; 10] = [1, 2, 4, 8, 8, 1 | 32, 64, 128 | 4, 256, 16];

impl<D: Dial> Session<'_, D> {
    /// A mailbox that is probably there.
    pub(super) fn target(&mut self) -> Rc<str> {
        if self.shares && self.random.chance(80) {
            return self.random.pick(&["INBOX", "INBOX", SHARED]).into();
        }
        if self.random.one_in(40) {
            return self.random.pick(&NAMES).into();
        }
        if self.random.chance(45) {
            return "INBOX".into();
        }
        let model = self.model.borrow();
        let names = &model.accounts[self.account].names.any().names;
        let number = self.random.below(names.len());
        names.keys().nth(number).cloned().unwrap_or_else(|| "INBOX".into())
    }

    /// Some messages that the session knows, ascending. Of none is too much in doubt.
    fn some(&mut self) -> Vec<u32> {
        let Some(mirror) = &self.mirror else { return Vec::new() };
        let all = mirror.messages.len();
        if all == 0 {
            return Vec::new();
        }
        let from = self.random.below(all);
        let most = self.random.pick(&[1, 1, 3, 8]);
        let (step, mut uids) = (self.random.within(1, 2), Vec::new());
        let mut model = self.model.borrow_mut();
        for known in mirror.messages[from..].iter().step_by(step).take(most) {
            let Some(uid) = known.uid else { continue };
            let message = model.message(self.account, mirror.validity, uid);
            if message.is_some_and(|message| !message.is_busy()) {
                uids.push(uid);
            }
        }
        uids
    }

    fn numbers(&self, uids: &[u32]) -> Vec<u32> {
        let Some(mirror) = &self.mirror else { return Vec::new() };
        uids.iter().filter_map(|uid| Some(mirror.find(*uid)? as u32 + 1)).collect()
    }

    /// Registers an action on messages of the selected mailbox.
    fn begin(&self, uids: &[u32], action: Action) -> Op {
        let mut model = self.model.borrow_mut();
        let op = model.next_op();
        let validity = self.mirror.as_ref().map_or(0, |mirror| mirror.validity);
        for &uid in uids {
            if let Some(message) = model.message(self.account, validity, uid) {
                message.begin(op, action);
            }
        }
        op
    }

    /// The set of these messages, by UID or by sequence number.
    fn set(&self, uids: &[u32], uid: bool) -> String {
        if uid { set(uids) } else { set(&self.numbers(uids)) }
    }

    /// Sets or clears `\Deleted`.
    pub(super) async fn mark(&mut self, marks: bool) -> Checked {
        let change = if marks { Change::Add } else { Change::Remove };
        self.store_this(true, change, DELETED, false).await
    }

    pub(super) async fn store(&mut self, uid: bool) -> Checked {
        let mut change =
            self.random.pick(&[Change::Add, Change::Add, Change::Remove, Change::Replace]);
        let conditional = self.random.one_in(if self.shares { 3 } else { 6 });
        if conditional && self.random.one_in(2) {
            // The client sees what it overwrites.
            change = Change::Replace;
        }
        let mut flags = self.random.pick(&FLAGS);
        if change == Change::Replace && self.random.one_in(3) {
            flags = 0;
        }
        self.store_this(uid, change, flags, conditional).await
    }

    async fn store_this(
        &mut self,
        uid: bool,
        change: Change,
        flags: Flags,
        conditional: bool,
    ) -> Checked {
        let read_only = self.mirror.as_ref().is_none_or(|mirror| mirror.read_only);
        let uids = self.some();
        if uids.is_empty() || read_only {
            return self.ask("NOOP", Kind::Noop).await;
        }
        let silent = self.random.one_in(3);
        let condition = match &self.mirror {
            Some(mirror) if conditional => {
                let modseq = mirror.find(uids[0]).map_or(0, |at| mirror.messages[at].modseq);
                format!(" (UNCHANGEDSINCE {modseq})")
            }
            _ => String::new(),
        };
        let action = match conditional {
            true => Action::FlagsIfUnchanged(change, flags),
            false => Action::Flags(change, flags),
        };
        let op = self.begin(&uids, action);
        let (verb, set) = (if uid { "UID STORE" } else { "STORE" }, self.set(&uids, uid));
        let (sign, list) = (change.sign(), flags_written(flags));
        let dot_silent = if silent { ".SILENT" } else { "" };
        let command = format!("{verb} {set}{condition} {sign}FLAGS{dot_silent} ({list})");
        self.ask(&command, Kind::Store { op, uids, conditional, uid, silent }).await
    }

    /// Expunges all messages with `\Deleted`. Returns those that the server's side of the session
    /// certainly knows.
    pub(super) fn sweep(&mut self, only: Option<Vec<u32>>) -> (Op, Vec<u32>) {
        let Some(mirror) = &self.mirror else { return (0, Vec::new()) };
        let mut model = self.model.borrow_mut();
        let op = model.next_op();
        model.mailbox(self.account, mirror.validity).sweep(op);
        (op, only.unwrap_or_else(|| mirror.uids()))
    }

    pub(super) async fn expunge(&mut self) -> Checked {
        let some = self.some();
        if self.random.one_in(2) && !some.is_empty() {
            let set = set(&some);
            let op = self.begin(&some, Action::Expunge);
            let kind = Kind::Expunge { op, sure: some, closes: false };
            return self.ask(&format!("UID EXPUNGE {set}"), kind).await;
        }
        let (op, sure) = self.sweep(None);
        self.ask("EXPUNGE", Kind::Expunge { op, sure, closes: false }).await
    }

    pub(super) async fn copy(&mut self, moved: bool) -> Checked {
        let uids = self.some();
        let target = self.target();
        let Some(mirror) = self.mirror.as_ref().filter(|_| !uids.is_empty()) else {
            return self.ask("NOOP", Kind::Noop).await;
        };
        let from = (self.account, mirror.validity);
        let verb = if moved { "UID MOVE" } else { "UID COPY" };
        let command = format!("{verb} {} \"{target}\"", set(&uids));
        let op = self.model.borrow_mut().copy(from, uids, &target, moved);
        self.ask(&command, Kind::Copy { op, target }).await
    }

    /// FETCH of octets, which sometimes sets `\Seen`.
    pub(super) async fn read(&mut self) -> Checked {
        let uids = self.some();
        if uids.is_empty() {
            return self.ask("NOOP", Kind::Noop).await;
        }
        let read_only = self.mirror.as_ref().is_none_or(|mirror| mirror.read_only);
        let peeks = read_only || !self.random.one_in(3);
        let op = (!peeks).then(|| self.begin(&uids, Action::Flags(Change::Add, SEEN)));
        let body = if peeks { "BODY.PEEK[]" } else { "BODY[]" };
        let uid = self.random.one_in(2);
        let (verb, set) = (if uid { "UID FETCH" } else { "FETCH" }, self.set(&uids, uid));
        let command = format!("{verb} {set} (UID EMAILID INTERNALDATE RFC822.SIZE {body})");
        self.ask(&command, Kind::Fetch { op, uids, octets: true }).await
    }

    /// Fetches UIDs and flags of all messages.
    pub(super) async fn fetch_all(&mut self) -> Checked {
        let uids = self.mirror.as_ref().map(super::mirror::Mirror::uids).unwrap_or_default();
        let kind = Kind::Fetch { op: None, uids, octets: false };
        self.ask("UID FETCH 1:* (UID FLAGS MODSEQ EMAILID)", kind).await
    }

    pub(super) async fn search(&mut self) -> Checked {
        let uids = self.mirror.as_ref().map(super::mirror::Mirror::uids).unwrap_or_default();
        self.ask("UID SEARCH ALL", Kind::Search { uids }).await
    }

    /// CREATE, sometimes of a mailbox that exists.
    pub(super) async fn create(&mut self, name: &str) -> Checked {
        let op = {
            let model = &mut *self.model.borrow_mut();
            let op = model.next_op();
            let names = &mut model.accounts[self.account].names;
            if names.is_busy() {
                return Ok(());
            }
            let node = names.node();
            names.begin(op, NameOp::Create(name.into(), node));
            op
        };
        self.ask(&format!("CREATE \"{name}\""), Kind::Names(op)).await?;
        self.replies().await
    }

    /// CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, SETMETADATA.
    pub(super) async fn change_names(&mut self) -> Checked {
        let (name, other) = (self.random.pick(&NAMES), self.random.pick(&NAMES));
        let (target, notes) = (self.target(), self.some_notes());
        let mut what = self.random.below(12);
        if self.shares && self.random.chance(70) {
            // The shared mailbox is seldom taken away.
            what = self.random.pick(&[0, 8, 9, 10]);
        }
        let (op, command) = {
            let model = &mut *self.model.borrow_mut();
            let op = model.next_op();
            let names = &mut model.accounts[self.account].names;
            if names.is_busy() {
                return Ok(());
            }
            let (change, command) = match what {
                0..=4 => {
                    let node = names.node();
                    (NameOp::Create(name.into(), node), format!("CREATE \"{name}\""))
                }
                5 => (NameOp::Delete(name.into()), format!("DELETE \"{name}\"")),
                6 | 7 => {
                    let change = NameOp::Rename(name.into(), other.into());
                    (change, format!("RENAME \"{name}\" \"{other}\""))
                }
                8 => (NameOp::Subscribe(name.into(), true), format!("SUBSCRIBE \"{name}\"")),
                9 => (NameOp::Subscribe(name.into(), false), format!("UNSUBSCRIBE \"{name}\"")),
                _ => {
                    let command = format!("SETMETADATA \"{target}\" ({})", notes.1);
                    (NameOp::Note(target, notes.0), command)
                }
            };
            names.begin(op, change);
            (op, command)
        };
        self.ask(&command, Kind::Names(op)).await?;
        self.replies().await
    }

    /// An entry or several with values or without, and how they are written in SETMETADATA.
    fn some_notes(&mut self) -> (NoteChanges, String) {
        let (mut notes, mut texts) = (Vec::new(), Vec::new());
        let from = self.random.below(NOTES.len());
        let end = self.random.within(from + 1, NOTES.len());
        for (entry, values) in &NOTES[from..end] {
            let value = self.random.pick(values);
            let value = (!self.random.one_in(4)).then_some(value);
            let quoted = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\"));
            texts.push(format!("{entry} {}", value.map_or("NIL".into(), quoted)));
            notes.push(((*entry).into(), value.map(Into::into)));
        }
        (notes, texts.join(" "))
    }

    /// LIST, LSUB, STATUS, GETMETADATA.
    pub(super) async fn ask_names(&mut self) -> Checked {
        match self.random.below(4) {
            0 => self.ask(ALL, Kind::List).await?,
            3 => {
                let name = self.target();
                self.ask(&noted(&name), Kind::Metadata(name)).await?;
            }
            1 => self.ask("LSUB \"\" *", Kind::Lsub).await?,
            _ => {
                let name = self.target();
                let items = "MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ";
                let command = format!("STATUS \"{name}\" ({items})");
                self.ask(&command, Kind::Status(name)).await?;
            }
        }
        self.replies().await
    }
}
