//! What may be true of one message.
//!
//! Several clients change a message at the same time, and connections break before they are
//! answered. So there is not one state but a set: a state is the flags (or that the message is
//! gone) and which of the *pending* changes it already contains. A change is pending from before
//! its first octet is sent until its reply was read; unanswered, it stays so until the server was
//! started again and looked at. The set is closed: from each state, each pending change that is
//! not in it leads to another. An answer removes the states that contradict it: OK those without
//! the change, NO those with it.
//!
//! A change happens to a message at one moment, and OK says that it did: STORE that is answered by
//! OK alone found the message there, so what came after it found its flags. MOVE takes the flags
//! along that the message has at that moment; that they are in its target and not others is what
//! its states remember as *taken*. A conditional STORE may not come after a change that came after
//! its own beginning; a state knows in which of them it is *stale*.
//!
//! What is read was true at some moment between the command and its answer, which may be long ago
//! on a slow connection; so values that have left the set are kept along with the moment at which
//! they did. That a message is gone is for ever.
//!
//! Mod-sequences tighten this: the same one shows the same flags, and whoever asks after somebody
//! was told one is never told a smaller one. That holds across crashes: what was told was durable.

use std::rc::Rc;

use super::flags::{Change, DELETED, Flags, written};
use super::wire::{Checked, ensure};

/// Counts what happens to the clients of a run.
pub type Moment = u64;

/// Numbers what clients do.
pub type Op = u64;

/// Flags, or `None` of a message that is gone.
pub type Value = Option<Flags>;

/// More pending changes than this are not told apart.
const PENDING: usize = 7;

/// More states than this are not told apart either.
const STATES: usize = 4_000;

/// What a change makes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// STORE.
    Flags(Change, Flags),
    /// STORE with UNCHANGEDSINCE, of what is not above any mod-sequence given out so far.
    FlagsIfUnchanged(Change, Flags),
    /// EXPUNGE: gone if it is `\Deleted`.
    Expunge,
    /// The other end of MOVE.
    Take,
}

impl Action {
    fn apply(self, value: Value) -> Value {
        let flags = value?;
        match self {
            Action::Flags(change, named) | Action::FlagsIfUnchanged(change, named) => {
                Some(change.of(flags, named))
            }
            Action::Expunge => (flags & DELETED == 0).then_some(flags),
            Action::Take => None,
        }
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened.
    Done,
    /// It happened, and the message was there.
    Found,
    /// It did not, and will not.
    Not,
    /// It did or did not, and is over.
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    value: Value,
    /// Bits of `pending`.
    contains: u16,
    /// Those of them that found the message there.
    found: u16,
    /// Conditional ones that are not contained, and come too late.
    stale: u16,
    /// The MOVE that took it, and the flags it had then.
    taken: Option<(Op, Flags)>,
}

impl State {
    fn new(value: Value) -> State {
        State { value, contains: 0, found: 0, stale: 0, taken: None }
    }

    /// After the change of this number; `None` if it cannot come now.
    fn after(&self, number: usize, pending: &[(Op, Action)]) -> Option<State> {
        let (op, action) = pending[number];
        let bit = 1 << number;
        let too_late = self.value.is_some() && self.stale & bit != 0;
        if self.contains & bit != 0 || too_late {
            return None;
        }
        let mut state = State { contains: self.contains | bit, ..*self };
        let Some(flags) = self.value else { return Some(state) };
        state.value = action.apply(self.value);
        state.found |= bit;
        if action == Action::Take {
            state.taken = Some((op, flags));
        }
        if state.value != self.value {
            let conditional = |own: &Action| matches!(own, Action::FlagsIfUnchanged(..));
            for (other, _) in pending.iter().enumerate().filter(|(_, own)| conditional(&own.1)) {
                if state.contains >> other & 1 == 0 {
                    state.stale |= 1 << other;
                }
            }
        }
        Some(state)
    }

    /// Without the change of this number.
    fn without(&self, number: usize) -> State {
        let below = (1u16 << number) - 1;
        let drop = |bits: u16| bits & below | bits >> 1 & !below;
        State {
            contains: drop(self.contains),
            found: drop(self.found),
            stale: drop(self.stale),
            ..*self
        }
    }
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Which octets, see [`super::content::Contents`]; `None` while only its UID was told.
    pub class: Option<u32>,
    /// Its internal date, once it is known.
    pub date: Option<Rc<str>>,
    /// How it came here is known.
    pub explained: bool,
    /// When a client first heard of it.
    pub entered: Moment,
    states: Vec<State>,
    pending: Vec<(Op, Action)>,
    /// Values that are possible no more, and when they last were.
    past: Vec<(Value, Moment)>,
    /// Mod-sequence, flags, and when a client first heard of them.
    versions: Vec<(u64, Flags, Moment)>,
    /// Too much is pending: everything is possible until the next look in quiet.
    vague: bool,
}

impl Message {
    /// One that came with these flags, or one of these.
    pub fn new(values: &[Value]) -> Message {
        let mut message = Message::default();
        for &value in values {
            message.add(State::new(value));
        }
        message
    }

    /// Only what its octets and its date are.
    pub fn known(class: Option<u32>, date: Option<Rc<str>>) -> Message {
        Message { class, date, ..Message::default() }
    }

    fn add(&mut self, state: State) {
        if !self.states.contains(&state) {
            self.states.push(state);
        }
    }

    /// Whether enough is pending.
    pub fn is_busy(&self) -> bool {
        self.pending.len() >= 3 || self.vague
    }

    fn close(&mut self) {
        let mut at = 0;
        while at < self.states.len() {
            let state = self.states[at];
            for number in 0..self.pending.len() {
                if let Some(after) = state.after(number, &self.pending) {
                    self.add(after);
                }
            }
            at += 1;
            if self.states.len() > STATES {
                self.vague = true;
                return;
            }
        }
    }

    /// A change is about to be asked for.
    pub fn begin(&mut self, op: Op, action: Action) {
        if self.vague || self.is_gone() {
            return;
        }
        if self.pending.len() >= PENDING {
            self.vague = true;
            return;
        }
        self.pending.push((op, action));
        self.close();
    }

    /// A change is over.
    pub fn end(&mut self, op: Op, outcome: Outcome, now: Moment) -> Checked {
        let Some(number) = self.pending.iter().position(|(own, _)| *own == op) else {
            return Ok(());
        };
        let before = self.states.clone();
        let action = self.pending.remove(number).1;
        self.states.clear();
        for state in &before {
            let contains = state.contains >> number & 1 == 1;
            let fits = match outcome {
                Outcome::Either => true,
                Outcome::Not => !contains,
                Outcome::Done => contains,
                Outcome::Found => state.found >> number & 1 == 1,
            };
            if fits {
                self.add(state.without(number));
            }
        }
        ensure!(
            !self.states.is_empty(),
            "{action:?} is {outcome:?}, which contradicts what is known: {before:?}"
        );
        self.left(&before, now);
        Ok(())
    }

    /// Values of `before` that are possible no more.
    fn left(&mut self, before: &[State], now: Moment) {
        for state in before {
            if self.states.iter().any(|own| own.value == state.value) {
                continue;
            }
            match self.past.iter_mut().find(|(value, _)| *value == state.value) {
                Some((_, last)) => *last = now,
                None => self.past.push((state.value, now)),
            }
        }
    }

    /// Whether it can have been like this at some moment since.
    pub fn may_be(&self, value: Value, since: Moment) -> bool {
        self.vague
            || self.states.iter().any(|state| state.value == value)
            || self.past.iter().any(|(past, last)| *past == value && *last >= since)
    }

    /// A client was told, without its name, that it is not there any more.
    pub fn must_be_gone(&self) -> Checked {
        let may_be = self.vague || self.states.iter().any(|state| state.value.is_none());
        ensure!(may_be, "it was left out, and is there: {}", self.told());
        Ok(())
    }

    /// Whether it can have been there at some moment since.
    pub fn may_be_there(&self, since: Moment) -> bool {
        self.vague
            || self.states.iter().any(|state| state.value.is_some())
            || self.past.iter().any(|(past, last)| past.is_some() && *last >= since)
    }

    /// All that it can have been since.
    pub fn values(&self, since: Moment) -> Vec<Value> {
        let now = self.states.iter().map(|state| state.value);
        let past = self.past.iter().filter(|(_, last)| *last >= since).map(|(value, _)| *value);
        let mut values: Vec<Value> = now.chain(past).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Everything is possible until the next look in quiet.
    pub fn is_vague(&self) -> bool {
        self.vague
    }

    /// From now on everything is possible.
    pub fn blur(&mut self) {
        self.vague = true;
    }

    /// Gone for certain.
    pub fn is_gone(&self) -> bool {
        !self.vague && self.states.iter().all(|state| state.value.is_none())
    }

    /// A client was told that it is gone.
    pub fn gone(&mut self, since: Moment, now: Moment) -> Checked {
        ensure!(
            self.may_be(None, since),
            "it is said to be gone, and nobody took it away: {}",
            self.told()
        );
        let before = self.states.clone();
        self.states.retain(|state| state.value.is_none());
        if self.vague || self.states.is_empty() {
            self.states = vec![State::new(None)];
            self.pending.clear();
            self.vague = false;
        }
        self.left(&before, now);
        Ok(())
    }

    /// This MOVE took it away: the flags it can have had then.
    pub fn taken_by(&mut self, op: Op, now: Moment) -> Checked<Vec<Value>> {
        if self.vague {
            return Ok(Vec::new());
        }
        let before = self.states.clone();
        let by = |state: &State| state.taken.filter(|(own, _)| *own == op);
        self.states.retain(|state| by(state).is_some());
        ensure!(
            !self.states.is_empty(),
            "it was moved, and cannot have been there to be moved: {before:?}, {}",
            self.told()
        );
        let mut flags: Vec<Value> =
            self.states.iter().filter_map(by).map(|(_, flags)| Some(flags)).collect();
        flags.sort_unstable();
        flags.dedup();
        self.left(&before, now);
        Ok(flags)
    }

    /// The flags it can have had when this MOVE took it away, if it did.
    pub fn flags_taken(&self, op: Op) -> Vec<Value> {
        let taken = self.states.iter().filter_map(|state| state.taken);
        taken.filter(|(own, _)| *own == op).map(|(_, flags)| Some(flags)).collect()
    }

    /// Whether it may be gone and this MOVE did not take it.
    pub fn may_be_gone_without(&self, op: Op) -> bool {
        let by_other = |state: &State| state.taken.is_none_or(|(own, _)| own != op);
        self.vague || self.states.iter().any(|state| state.value.is_none() && by_other(state))
    }

    /// A client was told its flags, in answer to something it began at `since`.
    pub fn seen(
        &mut self,
        flags: Flags,
        modseq: Option<u64>,
        since: Moment,
        now: Moment,
    ) -> Checked {
        if let Some(modseq) = modseq {
            self.version(modseq, flags, since, now)?;
        }
        ensure!(
            self.may_be(Some(flags), since),
            "it has the flags ({}); {}",
            written(flags),
            self.told()
        );
        Ok(())
    }

    fn version(&mut self, modseq: u64, flags: Flags, since: Moment, now: Moment) -> Checked {
        self.not_before(modseq, since)?;
        match self.versions.iter().find(|(own, ..)| *own == modseq) {
            Some(&(_, known, _)) => ensure!(
                known == flags,
                "mod-sequence {modseq} was ({}) and is ({}) now",
                written(known),
                written(flags)
            ),
            None => self.versions.push((modseq, flags, now)),
        }
        Ok(())
    }

    /// A client was told its mod-sequence.
    pub fn not_before(&self, modseq: u64, since: Moment) -> Checked {
        let highest = self.versions.iter().filter(|(_, _, heard)| *heard <= since);
        let highest = highest.map(|(modseq, ..)| *modseq).max().unwrap_or(0);
        ensure!(modseq >= highest, "its mod-sequence was {highest} and is {modseq} now");
        Ok(())
    }

    /// A look while nothing is under way: this is how it is, and all that was in doubt is settled.
    pub fn settle(&mut self, value: Value, modseq: u64, since: Moment, now: Moment) -> Checked {
        match value {
            Some(flags) => self.seen(flags, Some(modseq), since, now)?,
            None => ensure!(
                self.vague || self.states.iter().any(|state| state.value.is_none()),
                "it is lost: {}",
                self.told()
            ),
        }
        self.states = vec![State::new(value)];
        self.pending.clear();
        self.past.clear();
        self.vague = false;
        Ok(())
    }

    /// What is known, for a person.
    pub fn told(&self) -> String {
        let of =
            |value: &Value| value.map_or("gone".into(), |flags| format!("({})", written(flags)));
        let mut values: Vec<String> = self.states.iter().map(|state| of(&state.value)).collect();
        values.dedup();
        let past: Vec<String> =
            self.past.iter().map(|(value, last)| format!("{} until {last}", of(value))).collect();
        format!(
            "possible are {}; before: {}; pending: {:?}",
            values.join(", "),
            past.join(", "),
            self.pending
        )
    }
}
