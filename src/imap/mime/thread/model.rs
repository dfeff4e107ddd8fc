//! RFC 5256 to the letter, step by step, without regard to speed.

use std::collections::HashMap;

use super::{Message, MessageId, SubjectId};
use crate::protocol::ThreadAlgorithm;
use crate::protocol::response::ThreadNode;

#[derive(Clone, Debug, Default)]
struct Node {
    parent: Option<usize>,
    mail: Option<Message>,
}

/// A tree under construction: nodes and, after step 2, their children.
#[derive(Default)]
struct Model {
    nodes: Vec<Node>,
    ids: HashMap<MessageId, usize>,
    children: Vec<Vec<usize>>,
}

/// The threads of these messages.
pub fn threads(algorithm: ThreadAlgorithm, messages: &[Message]) -> Vec<ThreadNode> {
    let mut model = Model::default();
    for message in messages {
        model.step_1(message);
    }
    let mut root = model.steps_2_and_3();
    if algorithm == ThreadAlgorithm::References {
        model.step_4(&mut root);
        root = model.step_5(root);
    }
    model.step_6(&mut root);
    if algorithm == ThreadAlgorithm::Refs {
        root.sort_by_key(|&top| model.latest(top));
    }
    let mut out = Vec::new();
    for top in root {
        model.write(top, 0, &mut out);
    }
    out
}

impl Model {
    fn new_node(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn node_of(&mut self, id: MessageId) -> usize {
        if let Some(&node) = self.ids.get(&id) {
            return node;
        }
        let node = self.new_node();
        self.ids.insert(id, node);
        node
    }

    fn loops(&self, parent: usize, child: usize) -> bool {
        std::iter::successors(Some(parent), |&at| self.nodes[at].parent).any(|at| at == child)
    }

    fn step_1(&mut self, message: &Message) {
        let known = message.id.map(|id| self.node_of(id));
        let current = match known {
            Some(node) if self.nodes[node].mail.is_none() => node,
            _ => self.new_node(),
        };
        self.nodes[current].mail = Some(message.clone());
        let references: Vec<usize> =
            message.references.iter().map(|&id| self.node_of(id)).collect();
        for pair in references.windows(2) {
            if self.nodes[pair[1]].parent.is_none() && !self.loops(pair[0], pair[1]) {
                self.nodes[pair[1]].parent = Some(pair[0]);
            }
        }
        let last = references.last().copied();
        self.nodes[current].parent = None;
        if let Some(last) = last.filter(|&last| !self.loops(last, current)) {
            self.nodes[current].parent = Some(last);
        }
    }

    fn steps_2_and_3(&mut self) -> Vec<usize> {
        self.children = vec![Vec::new(); self.nodes.len()];
        let mut root = Vec::new();
        for at in 0..self.nodes.len() {
            match self.nodes[at].parent {
                Some(parent) => self.children[parent].push(at),
                None => root.push(at),
            }
        }
        self.prune(root, true)
    }

    fn prune(&mut self, siblings: Vec<usize>, top: bool) -> Vec<usize> {
        let mut kept = Vec::new();
        for node in siblings {
            let children = std::mem::take(&mut self.children[node]);
            let children = self.prune(children, false);
            let is_dummy = self.nodes[node].mail.is_none();
            if is_dummy && (!top || children.len() <= 1) {
                kept.extend(children);
            } else {
                self.children[node] = children;
                kept.push(node);
            }
        }
        kept
    }

    fn first(&self, node: usize) -> &Message {
        let own = self.nodes[node].mail.as_ref();
        own.unwrap_or_else(|| self.nodes[self.children[node][0]].mail.as_ref().expect("pruned"))
    }

    fn key(&self, node: usize) -> (i64, u32) {
        (self.first(node).date, self.first(node).number)
    }

    fn is_dummy(&self, node: usize) -> bool {
        self.nodes[node].mail.is_none()
    }

    fn sort(&self, siblings: &mut [usize]) {
        siblings.sort_by_key(|&node| self.key(node));
    }

    fn step_4(&mut self, root: &mut [usize]) {
        for &node in root.iter() {
            if self.is_dummy(node) {
                let mut children = std::mem::take(&mut self.children[node]);
                self.sort(&mut children);
                self.children[node] = children;
            }
        }
        self.sort(root);
    }

    fn step_5(&mut self, root: Vec<usize>) -> Vec<usize> {
        let subjects: HashMap<usize, SubjectId> =
            root.iter().filter_map(|&n| self.first(n).subject.map(|s| (n, s))).collect();
        let is_reply = |model: &Model, n: usize| {
            model.nodes[n].mail.as_ref().is_some_and(|mail| mail.is_reply)
        };
        let mut table: HashMap<SubjectId, usize> = HashMap::new();
        for &node in &root {
            let Some(&subject) = subjects.get(&node) else { continue };
            let Some(&entry) = table.get(&subject) else {
                table.insert(subject, node);
                continue;
            };
            let better = self.is_dummy(node) || (is_reply(self, entry) && !is_reply(self, node));
            if !self.is_dummy(entry) && better {
                table.insert(subject, node);
            }
        }
        let mut kept = root.clone();
        for &node in &root {
            let Some(&subject) = subjects.get(&node) else { continue };
            let entry = table[&subject];
            if entry == node {
                continue;
            }
            kept.retain(|&n| n != node);
            if self.is_dummy(node) && self.is_dummy(entry) {
                let children = std::mem::take(&mut self.children[node]);
                self.children[entry].extend(children);
            } else if self.is_dummy(entry) || (is_reply(self, node) && !is_reply(self, entry)) {
                self.children[entry].push(node);
            } else {
                let dummy = self.new_node();
                self.children.push(vec![entry, node]);
                kept.retain(|&n| n != entry);
                kept.push(dummy);
                table.insert(subject, dummy);
            }
        }
        kept
    }

    fn step_6(&mut self, siblings: &mut [usize]) {
        for &node in siblings.iter() {
            let mut children = std::mem::take(&mut self.children[node]);
            self.step_6(&mut children);
            self.children[node] = children;
        }
        self.sort(siblings);
    }

    fn latest(&self, node: usize) -> (i64, u32) {
        let own = self.nodes[node].mail.as_ref().map(|mail| (mail.arrival, mail.number));
        let below = self.children[node].iter().map(|&child| self.latest(child));
        below.chain(own).max().expect("pruned")
    }

    fn write(&self, node: usize, depth: u32, out: &mut Vec<ThreadNode>) {
        let number = self.nodes[node].mail.as_ref().map(|mail| mail.number);
        out.push(ThreadNode { depth, number });
        for &child in &self.children[node] {
            self.write(child, depth + 1, out);
        }
    }
}
