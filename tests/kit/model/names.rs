//! The names of the mailboxes of an account: as with [messages](super::message), a set of states,
//! each with the pending changes that it contains and the answers to them.
//!
//! A mailbox is a *node* here: its name may change, and its UIDVALIDITY is known only once a client
//! has selected it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::message::{Moment, Op};
use super::wire::{Checked, ensure};

/// A change of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameOp {
    /// CREATE, with a node for the new mailbox.
    Create(Rc<str>, usize),
    /// DELETE.
    Delete(Rc<str>),
    /// RENAME of a mailbox and all below it.
    Rename(Rc<str>, Rc<str>),
    /// SUBSCRIBE, or UNSUBSCRIBE.
    Subscribe(Rc<str>, bool),
    /// SETMETADATA: entries and their values, or that they have none.
    Note(Rc<str>, NoteChanges),
}

/// Entries that SETMETADATA changes, with their new values; without one the entry is removed.
pub type NoteChanges = Vec<(Rc<str>, Option<Rc<str>>)>;

/// Entries of metadata with their values.
pub type Notes = BTreeMap<Rc<str>, Rc<str>>;

/// The entry that holds the special use of a mailbox.
pub const SPECIAL_USE: &str = "/private/specialuse";

/// The answer to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// OK.
    Ok,
    /// `NO [ALREADYEXISTS]`.
    AlreadyExists,
    /// `NO [NONEXISTENT]`; or `NO [HASCHILDREN]`, which the server finds out a moment later.
    NonExistent,
    /// `NO [CANNOT]`.
    Cannot,
    /// `NO [LIMIT]`.
    Limit,
}

/// All names at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Mailboxes.
    pub names: BTreeMap<Rc<str>, usize>,
    /// Subscriptions, whether or not the mailboxes exist.
    pub subscribed: BTreeSet<Rc<str>>,
    /// The largest number of subscriptions.
    pub most: usize,
    /// What has been noted about mailboxes, by their nodes; nothing about those that are not here.
    pub notes: BTreeMap<usize, Notes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    tree: Tree,
    /// Ascending.
    done: Vec<(Op, Said)>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    validity: Option<u32>,
    id: Option<Rc<str>>,
}

/// See the [module](self).
#[derive(Clone)]
pub struct Names {
    states: Vec<State>,
    pending: Vec<(Op, NameOp)>,
    past: Vec<(Tree, Moment)>,
    nodes: Vec<Node>,
    /// Names whose mailbox was, or may have been, deleted or renamed.
    pub touched: BTreeSet<Rc<str>>,
    /// Levels above mailboxes that were deleted.
    levels: BTreeSet<Rc<str>>,
}

impl Default for Names {
    fn default() -> Names {
        let names = BTreeMap::from([("INBOX".into(), 0)]);
        let (subscribed, notes) = (BTreeSet::new(), BTreeMap::new());
        let tree = Tree { names, subscribed, most: usize::MAX, notes };
        let states = vec![State { tree, done: Vec::new() }];
        let nodes = vec![Node::default()];
        Names {
            states,
            pending: vec![],
            past: vec![],
            nodes,
            touched: BTreeSet::new(),
            levels: BTreeSet::new(),
        }
    }
}

impl Tree {
    fn below<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Rc<str>, usize)> {
        let inside =
            move |own: &str| own.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
        self.names.iter().filter(move |(own, _)| inside(own)).map(|(name, node)| (name, *node))
    }

    fn apply(&mut self, op: &NameOp) -> Said {
        match op {
            NameOp::Create(name, node) => {
                if self.names.contains_key(name) {
                    return Said::AlreadyExists;
                }
                self.names.insert(name.clone(), *node);
            }
            NameOp::Delete(name) => {
                let Some(node) = self.names.remove(name) else { return Said::NonExistent };
                self.notes.remove(&node);
            }
            NameOp::Rename(from, to) => return self.rename(from, to),
            NameOp::Note(name, entries) => return self.note(name, entries),
            NameOp::Subscribe(name, true) => {
                let there = self.names.contains_key(name) || self.below(name).next().is_some();
                if !there && !self.subscribed.contains(name) {
                    return Said::NonExistent;
                }
                if self.subscribed.len() >= self.most && !self.subscribed.contains(name) {
                    return Said::Limit;
                }
                self.subscribed.insert(name.clone());
            }
            NameOp::Subscribe(name, false) => {
                self.subscribed.remove(name);
            }
        }
        Said::Ok
    }

    fn note(&mut self, name: &Rc<str>, entries: &[(Rc<str>, Option<Rc<str>>)]) -> Said {
        let Some(&node) = self.names.get(name) else { return Said::NonExistent };
        let notes = self.notes.entry(node).or_default();
        for (entry, value) in entries {
            match value {
                Some(value) => notes.insert(entry.clone(), value.clone()),
                None => notes.remove(entry),
            };
        }
        if notes.is_empty() {
            self.notes.remove(&node);
        }
        Said::Ok
    }

    /// Whether this, and nothing else, is noted about the mailbox of this name.
    fn has_notes(&self, name: &str, notes: &Notes) -> bool {
        let own = self.names.get(name).and_then(|node| self.notes.get(node));
        own.map_or(notes.is_empty(), |own| own == notes)
    }

    /// Whether the mailbox of this name has these special uses, as LIST tells them.
    fn has_uses(&self, name: &str, uses: &str) -> bool {
        let own = self.names.get(name).and_then(|node| self.notes.get(node)?.get(SPECIAL_USE));
        own.map_or("", |own| &**own) == uses
    }

    fn rename(&mut self, from: &Rc<str>, to: &Rc<str>) -> Said {
        if to.strip_prefix(&**from).is_some_and(|rest| rest.starts_with('/')) {
            return Said::Cannot;
        }
        let itself = self.names.get(from).map(|node| (from.clone(), *node));
        let below = self.below(from).map(|(name, node)| (name.clone(), node));
        let all: Vec<_> = itself.into_iter().chain(below).collect();
        if all.is_empty() {
            return Said::NonExistent;
        }
        let new = |name: &str| -> Rc<str> { format!("{to}{}", &name[from.len()..]).into() };
        let taken = |(name, _): &(Rc<str>, usize)| self.names.contains_key(&new(name));
        if self.names.contains_key(to) || all.iter().any(taken) {
            return Said::AlreadyExists;
        }
        for (name, node) in all {
            self.names.remove(&name);
            self.names.insert(new(&name), node);
        }
        Said::Ok
    }
}

impl Names {
    /// Limits the subscriptions. Call it before the first command.
    pub fn limit_subscriptions(&mut self, most: usize) {
        self.states.iter_mut().for_each(|state| state.tree.most = most);
    }

    /// A node for a mailbox that is to be created.
    pub fn node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Whether no more changes should be begun.
    pub fn is_busy(&self) -> bool {
        self.pending.len() >= 3
    }

    /// A state that is possible now.
    pub fn any(&self) -> &Tree {
        &self.states[0].tree
    }

    fn close(&mut self) {
        let mut at = 0;
        while at < self.states.len() {
            for (op, change) in &self.pending {
                let state = &self.states[at];
                if state.done.iter().any(|(done, _)| done == op) {
                    continue;
                }
                let mut state = state.clone();
                let said = state.tree.apply(change);
                let place = state.done.partition_point(|(done, _)| done < op);
                state.done.insert(place, (*op, said));
                if !self.states.contains(&state) {
                    self.states.push(state);
                }
            }
            at += 1;
        }
    }

    /// A change is about to be sent.
    pub fn begin(&mut self, op: Op, change: NameOp) {
        match &change {
            NameOp::Create(..) | NameOp::Subscribe(..) | NameOp::Note(..) => {}
            NameOp::Delete(name) => self.touch(&[name]),
            NameOp::Rename(from, to) => self.touch(&[from, to]),
        }
        self.pending.push((op, change));
        self.close();
    }

    fn touch(&mut self, names: &[&Rc<str>]) {
        self.touched.extend(names.iter().map(|name| (*name).clone()));
    }

    /// Whether the mailbox of this name is, and was, always the same one.
    pub fn is_steady(&self, name: &str) -> bool {
        let above = |own: &Rc<str>| name.strip_prefix(&**own).is_some_and(|r| r.starts_with('/'));
        !self.touched.iter().any(|own| **own == *name || above(own))
    }

    /// A change was answered. `None`: no answer came, and it will not happen any more.
    pub fn end(&mut self, op: Op, said: Option<Said>, id: Option<&str>, now: Moment) -> Checked {
        let Some(number) = self.pending.iter().position(|(own, _)| *own == op) else {
            return Ok(());
        };
        let change = self.pending.remove(number).1;
        // A level that disappeared with the last mailbox below it can be deleted as if it existed.
        let is_level = matches!(&change, NameOp::Delete(name) if self.levels.contains(name));
        if let (NameOp::Delete(name), Some(Said::Ok)) = (&change, said) {
            let ends = name.match_indices('/').map(|(at, _)| name[..at].into());
            self.levels.extend(ends);
        }
        let before = std::mem::take(&mut self.states);
        for state in &before {
            let found = state.done.iter().position(|(done, _)| *done == op);
            let fits = |expected: Said, said: Said| {
                expected == said || (is_level && (expected, said) == (Said::NonExistent, Said::Ok))
            };
            if said.is_some_and(|said| found.is_none_or(|at| !fits(state.done[at].1, said))) {
                continue;
            }
            let mut state = state.clone();
            found.map(|at| state.done.remove(at));
            if !self.states.contains(&state) {
                self.states.push(state);
            }
        }
        ensure!(
            !self.states.is_empty(),
            "{change:?} was answered {said:?}, which it cannot be: {before:?}"
        );
        if let (NameOp::Create(_, node), Some(id)) = (&change, id) {
            self.bind(*node, None, Some(id))?;
        }
        self.left(before, now);
        Ok(())
    }

    fn left(&mut self, before: Vec<State>, now: Moment) {
        for State { tree, .. } in before {
            if self.states.iter().any(|own| own.tree == tree) {
                continue;
            }
            match self.past.iter_mut().find(|(own, _)| *own == tree) {
                Some((_, last)) => *last = now,
                None => self.past.push((tree, now)),
            }
        }
    }

    /// Whether the names can have been like this at some moment since.
    pub fn may_be(&self, since: Moment, mut like: impl FnMut(&Tree) -> bool) -> bool {
        self.states.iter().any(|state| like(&state.tree))
            || self.past.iter().any(|(tree, last)| *last >= since && like(tree))
    }

    fn is(&self, node: usize, validity: Option<u32>, id: Option<&str>) -> bool {
        let fits = |own: &Node| {
            (own.validity.is_none() || validity.is_none() || own.validity == validity)
                && (own.id.is_none() || id.is_none() || own.id.as_deref() == id)
        };
        let same = |own: &Node| {
            validity.is_some() && own.validity == validity
                || id.is_some() && own.id.as_deref() == id
        };
        fits(&self.nodes[node])
            && self.nodes.iter().enumerate().all(|(own, other)| own == node || !same(other))
    }

    fn bind(&mut self, node: usize, validity: Option<u32>, id: Option<&str>) -> Checked {
        ensure!(self.is(node, validity, id), "UIDVALIDITY {validity:?}, MAILBOXID {id:?}: taken");
        let own = &mut self.nodes[node];
        own.validity = own.validity.or(validity);
        own.id = own.id.take().or(id.map(Into::into));
        Ok(())
    }

    /// A client found a mailbox of this name.
    pub fn found(&mut self, name: &str, validity: u32, id: Option<&str>, since: Moment) -> Checked {
        let mut nodes = BTreeSet::new();
        self.may_be(since, |tree| {
            nodes.extend(tree.names.get(name).copied());
            false
        });
        let known: Vec<_> = nodes.iter().map(|node| (node, &self.nodes[*node])).collect();
        let fit: Vec<usize> =
            nodes.iter().copied().filter(|node| self.is(*node, Some(validity), id)).collect();
        ensure!(
            !fit.is_empty(),
            "{name} has UIDVALIDITY {validity}, MAILBOXID {id:?}; it may be one of {known:?}"
        );
        if let [node] = fit[..] { self.bind(node, Some(validity), id) } else { Ok(()) }
    }

    /// UIDVALIDITY of the mailbox that certainly has this name, if it was ever told.
    pub fn validity(&self, name: &str) -> Option<u32> {
        let node = *self.any().names.get(name)?;
        let same = |state: &State| state.tree.names.get(name) == Some(&node);
        self.states.iter().all(same).then(|| self.nodes[node].validity).flatten()
    }

    /// Whether the mailbox with this UIDVALIDITY can have been deleted at some moment since.
    pub fn may_be_deleted(&self, validity: u32, since: Moment) -> bool {
        let is_it = |node: &usize| self.nodes[*node].validity == Some(validity);
        self.may_be(since, |tree| !tree.names.values().any(is_it))
    }

    /// A client found no mailbox of this name.
    pub fn missed(&self, name: &str, since: Moment) -> Checked {
        ensure!(
            self.may_be(since, |tree| !tree.names.contains_key(name)),
            "{name} is said not to be there; the names are {:?}",
            self.any().names
        );
        Ok(())
    }

    /// All names as a client was told them, with their special uses.
    pub fn listed(&self, names: &BTreeMap<Rc<str>, String>, since: Moment) -> Checked {
        let fits = |tree: &Tree| {
            tree.names.keys().eq(names.keys())
                && names.iter().all(|(name, uses)| tree.has_uses(name, uses))
        };
        ensure!(
            self.may_be(since, fits),
            "LIST tells {names:?}; expected {:?} with {:?} or one of {} others",
            self.any().names,
            self.any().notes,
            self.states.len() + self.past.len() - 1
        );
        Ok(())
    }

    /// What a client was told that is noted about a mailbox.
    pub fn noted(&self, name: &str, notes: &Notes, since: Moment) -> Checked {
        ensure!(
            self.may_be(since, |tree| tree.names.contains_key(name) && tree.has_notes(name, notes)),
            "GETMETADATA of {name} tells {notes:?}; of {:?} expected {:?} or one of {} others",
            self.any().names,
            self.any().notes,
            self.states.len() + self.past.len() - 1
        );
        Ok(())
    }

    /// All subscriptions as a client was told them.
    pub fn subscriptions(&self, names: &BTreeSet<Rc<str>>, since: Moment) -> Checked {
        ensure!(
            self.may_be(since, |tree| tree.subscribed == *names),
            "LSUB tells {names:?}; expected {:?} or one of {} others",
            self.any().subscribed,
            self.states.len() + self.past.len() - 1
        );
        Ok(())
    }

    /// Verified while nothing is in flight. Several states remain when mailboxes have exchanged
    /// names and no client knew which was which.
    pub fn settle(
        &mut self,
        names: &BTreeMap<Rc<str>, u32>,
        notes: &BTreeMap<Rc<str>, Notes>,
        subscribed: &BTreeSet<Rc<str>>,
    ) -> Checked {
        let fits = |state: &State| {
            let tree = &state.tree;
            tree.subscribed == *subscribed
                && tree.names.keys().eq(names.keys())
                && tree.names.iter().all(|(name, node)| self.is(*node, Some(names[name]), None))
                && notes.iter().all(|(name, notes)| tree.has_notes(name, notes))
        };
        let trees: Vec<_> = self.states.iter().map(|state| &state.tree).collect();
        let found = self.states.iter().find(|state| fits(state)).cloned();
        ensure!(
            found.is_some(),
            "the mailboxes are {names:?}, noted {notes:?}, subscribed {subscribed:?}; nodes {:?}; \
             expected one of {trees:?}",
            self.nodes
        );
        let Some(mut state) = found else { return Ok(()) };
        state.done.clear();
        for (name, node) in &state.tree.names {
            let (node, validity) = (*node, names[name]);
            let own = &mut self.nodes[node];
            own.validity = own.validity.or(Some(validity));
        }
        self.states = vec![state];
        self.pending.clear();
        self.past.clear();
        Ok(())
    }
}
