//! One message: the set of states that it may be in.
//!
//! Several clients change a message at the same time, and connections break before an answer comes.
//! So there is not one state but a set. A state is the flags (or that the message is gone) and
//! which of the *pending* changes it already contains. A change is pending from before its first
//! octet is sent until its reply is read. Without a reply it stays pending until the server was
//! started again and verified. The set is closed: from each state, each pending change that is not
//! in it leads to another state. An answer removes the states that contradict it: OK those without
//! the change, NO those with it.
//!
//! A change happens to a message at one moment, and OK says that it did: a STORE answered by a
//! plain OK found the message there, so every later change found its flags. MOVE takes the flags
//! that the message has at that moment; a state remembers them as *taken*, and the target must have
//! exactly these. A conditional STORE may not come after a change that came after its own
//! beginning; a state knows which conditional STOREs are *stale* in it.
//!
//! What a client reads was true at some moment between the command and its answer, which may be
//! long ago on a slow connection. So values that have left the set are kept, with the moment at
//! which they left. A message that is gone stays gone.
//!
//! Mod-sequences tighten this: the same one means the same flags, and after a client was told one,
//! no later command is told a smaller one. That holds across crashes, because what was told was
//! durable.

use std::rc::Rc;

use super::flags::{Change, DELETED, Flags, written};
use super::wire::{Checked, ensure};

/// A moment: counts what happens to the clients of a run.
pub type Moment = u64;

/// The number of an operation of a client.
pub type Op = u64;

/// Flags, or `None` when the message is gone.
pub type Value = Option<Flags>;

/// With more pending changes than this, everything is possible.
const PENDING: usize = 7;

/// With more states than this, everything is possible.
const STATES: usize = 4_000;

/// A change of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// STORE.
    Flags(Change, Flags),
    /// STORE with UNCHANGEDSINCE and the highest mod-sequence known.
    FlagsIfUnchanged(Change, Flags),
    /// EXPUNGE: gone if it has `\Deleted`.
    Expunge,
    /// MOVE, at the source.
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

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happened.
    Done,
    /// It happened, and the message was there.
    Found,
    /// It did not happen, and will not.
    Not,
    /// It happened or not, and is over.
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    value: Value,
    /// Bits of `pending`.
    contains: u16,
    /// Those of them that found the message there.
    found: u16,
    /// Conditional ones that are not contained, and are too late.
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

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its octets, see [`super::content::Contents`]. `None` while only its UID is known.
    pub class: Option<u32>,
    /// Its internal date, once it is known.
    pub date: Option<Rc<str>>,
    /// Its EMAILID, once it is known.
    pub email: Option<Rc<str>>,
    /// The command that brought it is known.
    pub explained: bool,
    /// When a client first heard of it.
    pub entered: Moment,
    states: Vec<State>,
    pending: Vec<(Op, Action)>,
    /// Values that are no longer possible, and the last moment at which they were.
    past: Vec<(Value, Moment)>,
    /// Mod-sequence, flags, and when a client first heard of them.
    versions: Vec<(u64, Flags, Moment)>,
    /// Too much is pending: everything is possible until the next verification.
    vague: bool,
}

impl Message {
    /// A message that arrived with one of these values.
    pub fn new(values: &[Value]) -> Message {
        let mut message = Message::default();
        for &value in values {
            message.add(State::new(value));
        }
        message
    }

    /// A message of which only octets and date are known.
    pub fn known(class: Option<u32>, date: Option<Rc<str>>) -> Message {
        Message { class, date, ..Message::default() }
    }

    /// A message of which only what a copy has in common with this one is known.
    pub fn to_copy(&self) -> Message {
        let email = self.email.clone();
        Message { email, ..Message::known(self.class, self.date.clone()) }
    }

    fn add(&mut self, state: State) {
        if !self.states.contains(&state) {
            self.states.push(state);
        }
    }

    /// Whether no more changes should be begun.
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

    /// A change is about to be sent.
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

    /// Records the values of `before` that are no longer possible.
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

    /// Whether it can have had this value at some moment since.
    pub fn may_be(&self, value: Value, since: Moment) -> bool {
        self.vague
            || self.states.iter().any(|state| state.value == value)
            || self.past.iter().any(|(past, last)| *past == value && *last >= since)
    }

    /// A client was told that it is gone, by an answer that does not name it.
    pub fn must_be_gone(&self) -> Checked {
        let may_be = self.vague || self.states.iter().any(|state| state.value.is_none());
        ensure!(may_be, "it was left out, and is there: {}", self.told());
        Ok(())
    }

    /// Whether it can have existed at some moment since.
    pub fn may_be_there(&self, since: Moment) -> bool {
        self.vague
            || self.states.iter().any(|state| state.value.is_some())
            || self.past.iter().any(|(past, last)| past.is_some() && *last >= since)
    }

    /// All values that it can have had since.
    pub fn values(&self, since: Moment) -> Vec<Value> {
        let now = self.states.iter().map(|state| state.value);
        let past = self.past.iter().filter(|(_, last)| *last >= since).map(|(value, _)| *value);
        let mut values: Vec<Value> = now.chain(past).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Gives up: everything is possible until the next verification.
    pub fn is_vague(&self) -> bool {
        self.vague
    }

    /// Everything is possible from now on.
    pub fn blur(&mut self) {
        self.vague = true;
    }

    /// Certainly gone.
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

    /// This MOVE took it away. Returns the flags it can have had then.
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

    /// Whether it may be gone without this MOVE.
    pub fn may_be_gone_without(&self, op: Op) -> bool {
        let by_other = |state: &State| state.taken.is_none_or(|(own, _)| own != op);
        self.vague || self.states.iter().any(|state| state.value.is_none() && by_other(state))
    }

    /// A client was told its flags, in answer to a command begun at `since`.
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

    /// Verified while nothing is in flight: this is its value, and nothing is in doubt.
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

    /// What is known, to be read by a person.
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
