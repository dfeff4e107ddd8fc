//! Step 1 of REFERENCES: messages and their parents, link by link.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use super::MessageId;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Steps up the tree, for each node, that the search for loops may take in all. Mail that means
/// it takes a handful, a million replies in random order some 15.
const STEPS: u64 = 256;

/// Memory in bytes that a node takes while threads are gathered and put in order: a dozen lists of
/// numbers, most of them there at a time.
const GATHERED: usize = 48;

/// What a node knows of its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mail {
    pub number: u32,
    pub date: i64,
    pub arrival: i64,
    pub subject: Option<u32>,
    pub is_reply: bool,
}

/// Tables that Message-IDs are spread over: a single one would be there twice while it grows.
const TABLES: usize = 256;

/// Nodes in one piece of memory.
const PIECE: usize = 1 << 14;

/// Trees of messages, and of Message-IDs that others refer to.
#[derive(Debug, Default)]
pub(super) struct Forest {
    ids: Ids,
    nodes: Nodes,
    /// Steps taken so far.
    steps: u64,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    children: u32,
    /// Another node of what was ever one tree; itself for one of each. Trees that are told apart
    /// by this have no node in common; after a link was cut, the reverse need not hold.
    joined: u32,
    /// `None` is a dummy: nobody but references know of it.
    mail: Option<Mail>,
}

impl Forest {
    /// Takes a message and links it and its references (RFC 5256, REFERENCES, step 1).
    pub fn add(&mut self, mail: Mail, id: Option<MessageId>, references: &[MessageId]) {
        let current = self.place(mail, id);
        // Step 1A. A link that exists stays.
        let mut last = NONE;
        for &reference in references {
            let node = self.node_of(reference);
            if last != NONE && self.parent(node) == NONE {
                self.link(last, node);
            }
            last = node;
        }
        // Step 1B. The link to the last reference is the right one.
        if self.parent(current) != last {
            self.cut(current);
            if last != NONE {
                self.link(last, current);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Memory in bytes, about, with that of the lists that are made of it in the end.
    pub fn memory(&self) -> usize {
        self.ids.memory + self.nodes.len() * (size_of::<Node>() + GATHERED)
    }

    pub fn parent(&self, node: u32) -> u32 {
        self.nodes[node].parent
    }

    /// The message of a node; `None` for a dummy.
    pub fn mail(&self, node: u32) -> Option<&Mail> {
        self.nodes.get(node)?.mail.as_ref()
    }

    /// Nodes that have a message, by date and then by number.
    pub fn by_date(&self) -> Vec<u32> {
        let mut keyed: Vec<(i64, u32, u32)> = (0_u32..)
            .zip(self.nodes.iter())
            .filter_map(|(at, node)| node.mail.map(|mail| (mail.date, mail.number, at)))
            .collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, _, node)| node).collect()
    }

    /// The node of this Message-ID if nobody has it yet, else a new one without.
    fn place(&mut self, mail: Mail, id: Option<MessageId>) -> u32 {
        let next = self.nodes.len() as u32;
        let known = id.map_or(next, |id| self.ids.of(id, next));
        let node = if known != next && self.nodes[known].mail.is_some() { next } else { known };
        if node == next {
            self.nodes.push(Node::new(next));
        }
        self.nodes[node].mail = Some(mail);
        node
    }

    fn node_of(&mut self, id: MessageId) -> u32 {
        let next = self.nodes.len() as u32;
        let node = self.ids.of(id, next);
        if node == next {
            self.nodes.push(Node::new(next));
        }
        node
    }

    /// Makes one node the parent of another, which has none, unless that makes a loop.
    fn link(&mut self, parent: u32, child: u32) {
        debug_assert_eq!(self.parent(child), NONE, "cut first");
        if self.descends(parent, child) {
            return;
        }
        self.nodes[child].parent = parent;
        self.nodes[parent].children += 1;
        let (a, b) = (self.join_of(parent), self.join_of(child));
        self.nodes[a.max(b)].joined = a.min(b);
    }

    fn cut(&mut self, child: u32) {
        let parent = std::mem::replace(&mut self.nodes[child].parent, NONE);
        if parent != NONE {
            self.nodes[parent].children -= 1;
        }
    }

    /// Whether a node is the other or below it. When this was asked so often that it would take
    /// more than linear time, which takes mail made for it, the answer is yes.
    fn descends(&mut self, node: u32, ancestor: u32) -> bool {
        if node == ancestor {
            return true;
        }
        // Most children are new, and most of the others come from another tree.
        let childless = self.nodes[ancestor].children == 0;
        if childless || self.join_of(node) != self.join_of(ancestor) {
            return false;
        }
        let bound = STEPS * (self.nodes.len() as u64 + 1);
        let mut at = node;
        while at != NONE && self.steps < bound {
            at = self.parent(at);
            self.steps += 1;
            if at == ancestor {
                return true;
            }
        }
        at != NONE
    }

    fn join_of(&mut self, node: u32) -> u32 {
        let mut at = node;
        loop {
            let next = self.nodes[at].joined;
            if next == at {
                return at;
            }
            let over = self.nodes[next].joined;
            self.nodes[at].joined = over;
            at = over;
        }
    }
}

/// The node of each Message-ID.
#[derive(Debug, Default)]
struct Ids {
    /// None, or [`TABLES`].
    tables: Vec<HashMap<MessageId, u32>>,
    /// Bytes that they take.
    memory: usize,
}

impl Ids {
    /// The node of this Message-ID, which is `next` if it has none yet.
    fn of(&mut self, id: MessageId, next: u32) -> u32 {
        if self.tables.is_empty() {
            self.tables.resize_with(TABLES, HashMap::new);
        }
        let table = &mut self.tables[id.spread(TABLES)];
        let before = table.capacity();
        let node = *table.entry(id).or_insert(next);
        // A table has an octet for each entry besides, and an eighth of it stays free.
        let entry = (size_of::<(MessageId, u32)>() + 1) * 8 / 7;
        self.memory += (table.capacity() - before) * entry;
        node
    }
}

/// A list that does not move when it grows.
#[derive(Debug, Default)]
struct Nodes(Vec<Vec<Node>>);

impl Nodes {
    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * PIECE + last.len())
    }

    fn get(&self, node: u32) -> Option<&Node> {
        self.0.get(node as usize / PIECE)?.get(node as usize % PIECE)
    }

    fn push(&mut self, node: Node) {
        match self.0.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(node),
            None => self.0.push(vec![node]),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().flatten()
    }
}

impl Index<u32> for Nodes {
    type Output = Node;

    fn index(&self, node: u32) -> &Node {
        &self.0[node as usize / PIECE][node as usize % PIECE]
    }
}

impl IndexMut<u32> for Nodes {
    fn index_mut(&mut self, node: u32) -> &mut Node {
        &mut self.0[node as usize / PIECE][node as usize % PIECE]
    }
}

impl Node {
    fn new(at: u32) -> Node {
        Node { parent: NONE, children: 0, joined: at, mail: None }
    }
}
