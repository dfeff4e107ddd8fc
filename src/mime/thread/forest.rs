//! Step 1 of REFERENCES: messages and their parents, link by link.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::MessageId;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Steps up the tree, for each node, that the search for loops may take in all. Mail that means
/// it takes a handful, a million replies in random order some 15.
const STEPS: u64 = 256;

/// What a node knows of its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mail {
    pub number: u32,
    pub date: i64,
    pub subject: Option<u32>,
    pub is_reply: bool,
}

/// Trees of messages, and of Message-IDs that others refer to.
#[derive(Debug, Default)]
pub(super) struct Forest {
    ids: HashMap<MessageId, u32>,
    nodes: Vec<Node>,
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

    pub fn parent(&self, node: u32) -> u32 {
        self.nodes[node as usize].parent
    }

    /// The message of a node; `None` for a dummy.
    pub fn mail(&self, node: u32) -> Option<&Mail> {
        self.nodes.get(node as usize)?.mail.as_ref()
    }

    /// Nodes that have a message, by date and then by number.
    pub fn by_date(&self) -> Vec<u32> {
        let mut keyed: Vec<(i64, u32, u32)> = (0_u32..)
            .zip(&self.nodes)
            .filter_map(|(at, node)| node.mail.map(|mail| (mail.date, mail.number, at)))
            .collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, _, node)| node).collect()
    }

    /// The node of this Message-ID if nobody has it yet, else a new one without.
    fn place(&mut self, mail: Mail, id: Option<MessageId>) -> u32 {
        let next = self.nodes.len() as u32;
        let node = match id.map(|id| self.ids.entry(id)) {
            Some(Entry::Vacant(entry)) => *entry.insert(next),
            Some(Entry::Occupied(entry)) if self.nodes[*entry.get() as usize].mail.is_none() => {
                *entry.get()
            }
            _ => next,
        };
        if node == next {
            self.nodes.push(Node::new(next));
        }
        self.nodes[node as usize].mail = Some(mail);
        node
    }

    fn node_of(&mut self, id: MessageId) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.ids.entry(id).or_insert(next);
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
        self.nodes[child as usize].parent = parent;
        self.nodes[parent as usize].children += 1;
        let (a, b) = (self.join_of(parent), self.join_of(child));
        self.nodes[a.max(b) as usize].joined = a.min(b);
    }

    fn cut(&mut self, child: u32) {
        let parent = std::mem::replace(&mut self.nodes[child as usize].parent, NONE);
        if parent != NONE {
            self.nodes[parent as usize].children -= 1;
        }
    }

    /// Whether a node is the other or below it. When this was asked so often that it would take
    /// more than linear time, which takes mail made for it, the answer is yes.
    fn descends(&mut self, node: u32, ancestor: u32) -> bool {
        if node == ancestor {
            return true;
        }
        // Most children are new, and most of the others come from another tree.
        let childless = self.nodes[ancestor as usize].children == 0;
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
            let next = self.nodes[at as usize].joined;
            if next == at {
                return at;
            }
            let over = self.nodes[next as usize].joined;
            self.nodes[at as usize].joined = over;
            at = over;
        }
    }
}

impl Node {
    fn new(at: u32) -> Node {
        Node { parent: NONE, children: 0, joined: at, mail: None }
    }
}
