//! A client that copies, moves, flags, expunges, creates, renames and deletes in mailboxes of its
//! own until the server is gone. It knows their content after each command.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;

use kit::{Client, Random};

use crate::load::Id;
use crate::state::{Change, State};

/// Approximate number of its messages at a time.
const MESSAGES: usize = 200;

/// Largest message that it appends.
const LARGE: usize = 6000;

const FLAGS: [&str; 6] = ["\\Answered", "\\Deleted", "\\Flagged", "\\Seen", "later", "work"];

/// See the [module](self).
pub struct Changer {
    client: Client,
    random: Random,
    /// Start of the names of its mailboxes.
    pub prefix: &'static str,
    /// Commands sent ahead of their replies.
    pub ahead: usize,
    /// NO \[UNAVAILABLE\] is allowed, and then nothing was done. Only with `ahead` at 0.
    pub may_fail: bool,
    /// Number of such replies.
    pub refused: usize,
    /// Number of them to commands that mark, move or remove mail, or delete a mailbox.
    pub refused_changes: usize,
    /// Messages of this account's INBOX, from which no client removes any.
    library: Vec<(u32, Id)>,
    /// The state after the last OK.
    state: State,
    waiting: VecDeque<Waiting>,
    selected: Option<String>,
    /// Next number for batches, mailboxes and tags.
    next: u64,
}

/// A command without a reply.
struct Waiting {
    tag: String,
    change: Change,
    after: State,
    uids: Option<String>,
}

impl Changer {
    /// Continues from `state`. Batches and mailboxes are numbered from `next`.
    pub fn new(
        client: Client,
        prefix: &'static str,
        state: State,
        library: Vec<(u32, Id)>,
        random: Random,
        next: u64,
    ) -> Changer {
        let (waiting, selected) = (VecDeque::new(), None);
        let (ahead, may_fail, refused) = (0, false, 0);
        Changer {
            client,
            random,
            prefix,
            ahead,
            may_fail,
            refused,
            refused_changes: 0,
            library,
            state,
            waiting,
            selected,
            next,
        }
    }

    /// Works until the server is gone; sends each change to `progress`.
    pub fn run(mut self, progress: &Sender<usize>) -> Changer {
        while self.step().is_some() {
            // The receiver is gone once the server must end.
            let _ = progress.send(1);
        }
        // Replies sent before the end still count.
        while !self.waiting.is_empty() && self.reply().is_some() {}
        self
    }

    /// Runs this many commands and reads all replies. Panics if the server is gone.
    pub fn work(&mut self, commands: usize) {
        for _ in 0..commands {
            self.step().expect("a server");
        }
        while !self.waiting.is_empty() {
            self.reply().expect("a server");
        }
    }

    /// The possible states: a command without a reply may have been carried out, if all before it
    /// were.
    pub fn possible(&self) -> Vec<State> {
        let waiting = self.waiting.iter().map(|waiting| waiting.after.clone());
        std::iter::once(self.state.clone()).chain(waiting).collect()
    }

    /// Sends a command, after SELECT if needed. `None` when the server is gone.
    fn step(&mut self) -> Option<()> {
        let change = self.draw();
        let needs = match &change {
            Change::Take { .. } => Some("INBOX"),
            Change::Copy { from, .. } | Change::Move { from, .. } => Some(&**from),
            Change::Store { name, .. } | Change::Expunge { name, .. } | Change::Close { name } => {
                Some(&**name)
            }
            _ => None,
        };
        if let Some(name) = needs.filter(|name| self.selected.as_deref() != Some(*name)) {
            let name = name.to_owned();
            self.selected = Some(name.clone());
            self.send(Change::Select { name })?;
        }
        if matches!(change, Change::Close { .. }) {
            self.selected = None;
        }
        self.send(change)
    }

    fn send(&mut self, change: Change) -> Option<()> {
        let (after, uids) = self.latest().after(&change);
        let tag = format!("c{}", self.number());
        let text = change.text(&tag);
        self.waiting.push_back(Waiting { tag, change, after, uids });
        if !self.client.try_send(&text) {
            return None;
        }
        while self.waiting.len() > self.ahead {
            self.reply()?;
        }
        Some(())
    }

    /// Reads the next tagged response, which must answer the oldest command.
    fn reply(&mut self) -> Option<()> {
        loop {
            let line = self.client.response()?.text();
            if line.starts_with("* ") {
                continue;
            }
            let Waiting { tag, change, .. } = self.waiting.front().unwrap();
            let rest = line.strip_prefix(tag).unwrap_or_else(|| panic!("{tag} {change:?}: {line}"));
            if rest.starts_with(" NO [UNAVAILABLE] ") && self.may_fail {
                self.refused();
                return Some(());
            }
            let Waiting { change, after, uids, .. } = self.waiting.pop_front().unwrap();
            assert!(rest.starts_with(" OK "), "{change:?}: {line}");
            let told = ["[APPENDUID ", "[COPYUID "].iter().any(|code| rest.contains(code));
            if let Some(uids) = uids.filter(|_| told) {
                assert!(rest.contains(&format!(" {uids}]")), "{change:?} not to {uids}: {line}");
            }
            self.state = after;
            return Some(());
        }
    }

    fn refused(&mut self) {
        assert_eq!(self.ahead, 0, "what comes after it was expected to find it done");
        let refused = self.waiting.pop_front();
        let changes = refused.is_some_and(|one| {
            use Change::{Close, Delete, Expunge, Move, Store};
            matches!(
                one.change,
                Store { .. } | Move { .. } | Expunge { .. } | Close { .. } | Delete { .. }
            )
        });
        self.refused += 1;
        self.refused_changes += usize::from(changes);
        // The next SELECT shows whether CLOSE was carried out.
        self.selected = None;
    }

    /// The state after all commands, including those without a reply.
    fn latest(&self) -> &State {
        self.waiting.back().map_or(&self.state, |waiting| &waiting.after)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    // ---- The next command -----------------------------------------------------------------------

    fn draw(&mut self) -> Change {
        loop {
            let change = match self.random.below(20) {
                0..2 => self.create(),
                2 => self.delete(),
                3 => self.rename(),
                4 => self.subscribe(),
                5..8 => self.append(),
                8 => self.take(),
                9..11 => self.copy(),
                11..14 => self.move_mail(),
                14..18 => self.store(),
                _ => self.expunge(),
            };
            if let Some(change) = change {
                return change;
            }
        }
    }

    /// A name with its prefix, such as `c0b` or `c0b/x`.
    fn name(&mut self) -> String {
        let top = self.random.pick(&["a", "b", "c", "d"]);
        let below = self.random.pick(&["", "", "/x", "/y"]);
        format!("{}{top}{below}", self.prefix)
    }

    fn any(&mut self) -> Option<String> {
        let names: Vec<&String> = self.latest().mailboxes.keys().collect();
        let count = names.len();
        let names: Vec<String> = names.into_iter().cloned().collect();
        (count > 0).then(|| names[self.random.below(count)].clone())
    }

    /// Some adjacent messages of a mailbox, ascending.
    fn some(&mut self, name: &str, most: usize) -> Option<Vec<u32>> {
        let uids: Vec<u32> = self.latest().mailboxes[name].mail.keys().copied().collect();
        if uids.is_empty() {
            return None;
        }
        let first = self.random.below(uids.len());
        let count = self.random.within(1, most).min(uids.len() - first);
        Some(uids[first..first + count].to_vec())
    }

    /// Whether one of these is selected. Other tests cover changes to a selected mailbox.
    fn selects(&self, names: &[String]) -> bool {
        self.selected.as_ref().is_some_and(|selected| names.contains(selected))
    }

    fn create(&mut self) -> Option<Change> {
        let name = self.name();
        let birth = self.number();
        (!self.latest().mailboxes.contains_key(&name)).then_some(Change::Create { name, birth })
    }

    fn delete(&mut self) -> Option<Change> {
        let name = self.any()?;
        let selected = self.selects(std::slice::from_ref(&name));
        (!selected).then_some(Change::Delete { name })
    }

    fn rename(&mut self) -> Option<Change> {
        let from = self.any()?;
        let to = self.name().split('/').next()?.to_owned();
        let moved = self.latest().within(&from);
        let apart = !from.starts_with(&to) && self.latest().within(&to).is_empty();
        (apart && !self.selects(&moved)).then_some(Change::Rename { from, to })
    }

    fn subscribe(&mut self) -> Option<Change> {
        let name = self.any()?;
        Some(match self.latest().subscribed.contains(&name) {
            true => Change::Unsubscribe { name },
            false => Change::Subscribe { name },
        })
    }

    fn append(&mut self) -> Option<Change> {
        let (to, batch, of) = (self.any()?, self.number(), self.random.within(1, 8));
        let ids = (0..of).map(|index| Id { batch, index, of, large: LARGE }).collect();
        (self.latest().len() < MESSAGES).then_some(Change::Append { to, ids })
    }

    fn take(&mut self) -> Option<Change> {
        let to = self.any()?;
        if self.library.is_empty() || self.latest().len() >= MESSAGES {
            return None;
        }
        let first = self.random.below(self.library.len());
        let messages = self.library[first..].iter().take(self.random.within(1, 5)).copied();
        Some(Change::Take { messages: messages.collect(), to })
    }

    fn copy(&mut self) -> Option<Change> {
        let (from, to) = (self.any()?, self.any()?);
        let uids = self.some(&from, 12)?;
        (self.latest().len() < MESSAGES).then_some(Change::Copy { from, uids, to })
    }

    fn move_mail(&mut self) -> Option<Change> {
        let (from, to) = (self.any()?, self.any()?);
        let uids = self.some(&from, 40)?;
        (from != to).then_some(Change::Move { from, uids, to })
    }

    fn store(&mut self) -> Option<Change> {
        let name = self.any()?;
        let uids = self.some(&name, 30)?;
        let how = self.random.pick(&["+", "+", "-", ""]);
        let first = self.random.below(FLAGS.len());
        let count = self.random.within(1, FLAGS.len() - first);
        let flags = FLAGS[first..first + count].to_vec();
        Some(Change::Store { name, uids, how, flags })
    }

    fn expunge(&mut self) -> Option<Change> {
        let name = self.any()?;
        Some(match self.random.below(3) {
            0 => Change::Close { name },
            1 => Change::Expunge { name, uids: None },
            _ => Change::Expunge { uids: Some(self.some(&name, 60)?), name },
        })
    }
}
