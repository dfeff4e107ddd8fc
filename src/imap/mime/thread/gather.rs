//! Steps 2 to 5 of REFERENCES: prunes dummies and merges threads with equal subjects.

use super::forest::{Forest, NONE};

/// The final parents. Siblings are in the order of `by_date`.
pub(super) struct Gathered {
    /// Nodes with a message, by date and then by number.
    pub by_date: Vec<u32>,
    /// Parent of each node with a message: `NONE` at the top, another such node, or a dummy, which
    /// is at the top itself. Dummies beyond those of the forest were added here.
    pub parents: Vec<u32>,
    /// Number of nodes, including those added.
    pub nodes: usize,
}

/// ORDEREDSUBJECT: the first message with a subject is the parent of all others with it.
pub(super) fn by_subject(forest: &Forest, subjects: usize) -> Gathered {
    let by_date = forest.by_date();
    let mut parents = vec![NONE; forest.len()];
    // The last entry is for the empty subject, which is treated like any other.
    let mut first = vec![NONE; subjects + 1];
    for &node in &by_date {
        let subject = forest.mail(node).and_then(|mail| mail.subject);
        let first = &mut first[subject.map_or(subjects, |subject| subject as usize)];
        parents[node as usize] = *first;
        if *first == NONE {
            *first = node;
        }
    }
    Gathered { by_date, parents, nodes: forest.len() }
}

/// Steps 2 to 4: the parent of a message is its nearest ancestor with a message. If there is none,
/// it is the topmost dummy, provided that several messages end up below that dummy.
pub(super) fn by_reference(forest: &Forest) -> Gathered {
    let by_date = forest.by_date();
    let above = above_dummies(forest);
    let mut parents = vec![NONE; forest.len()];
    let mut children = vec![0_u32; forest.len()];
    for &node in &by_date {
        let parent = forest.parent(node);
        if parent != NONE {
            let parent = above[parent as usize];
            parents[node as usize] = parent;
            children[parent as usize] += 1;
        }
    }
    for &node in &by_date {
        let parent = &mut parents[node as usize];
        if *parent != NONE && forest.mail(*parent).is_none() && children[*parent as usize] == 1 {
            *parent = NONE;
        }
    }
    Gathered { by_date, parents, nodes: forest.len() }
}

/// For each node: the node itself if it has a message or no parent, else the result for its parent.
fn above_dummies(forest: &Forest) -> Vec<u32> {
    let mut above = vec![NONE; forest.len()];
    let mut path = Vec::new();
    for start in 0..forest.len() as u32 {
        let mut at = start;
        let found = loop {
            if above[at as usize] != NONE {
                break above[at as usize];
            }
            if forest.mail(at).is_some() || forest.parent(at) == NONE {
                above[at as usize] = at;
                break at;
            }
            path.push(at);
            at = forest.parent(at);
        };
        for node in path.drain(..) {
            above[node as usize] = found;
        }
    }
    above
}

/// A thread in step 5.
#[derive(Clone, Copy)]
struct Top {
    node: u32,
    is_dummy: bool,
    is_reply: bool,
    subject: Option<u32>,
}

impl Gathered {
    /// Step 5: merges threads with equal subjects.
    pub fn merge_subjects(&mut self, forest: &Forest, subjects: usize) {
        let tops = self.tops(forest);
        // Steps 5A and 5B.
        let mut table: Vec<Option<Top>> = vec![None; subjects];
        for top in &tops {
            let Some(subject) = top.subject else { continue };
            let entry = &mut table[subject as usize];
            let better = entry.is_none_or(|e: Top| {
                !e.is_dummy && (top.is_dummy || (e.is_reply && !top.is_reply))
            });
            if better {
                *entry = Some(*top);
            }
        }
        // Step 5C. A dummy merged into another is only noted; its children move at the end.
        let mut instead: Vec<(u32, u32)> = Vec::new();
        for top in &tops {
            let Some(subject) = top.subject else { continue };
            let entry = &mut table[subject as usize];
            let Some(other) = entry.filter(|other| other.node != top.node) else { continue };
            if top.is_dummy {
                debug_assert!(other.is_dummy, "step 5B prefers dummies");
                instead.push((top.node, other.node));
            } else if other.is_dummy || (top.is_reply && !other.is_reply) {
                self.parents[top.node as usize] = other.node;
            } else {
                let dummy = self.nodes as u32;
                self.nodes += 1;
                self.parents[top.node as usize] = dummy;
                self.parents[other.node as usize] = dummy;
                *entry = Some(Top { node: dummy, is_dummy: true, ..other });
            }
        }
        if !instead.is_empty() {
            let mut other_of: Vec<u32> = (0..self.nodes as u32).collect();
            instead.iter().for_each(|&(node, other)| other_of[node as usize] = other);
            for parent in self.parents.iter_mut().filter(|parent| **parent != NONE) {
                *parent = other_of[*parent as usize];
            }
        }
    }

    /// The threads by the date of their first message; for a dummy, of its first child.
    fn tops(&self, forest: &Forest) -> Vec<Top> {
        let mut seen = vec![false; self.nodes];
        let mut tops = Vec::new();
        for &node in &self.by_date {
            let parent = self.parents[node as usize];
            let is_dummy = parent != NONE && forest.mail(parent).is_none();
            if (parent != NONE && !is_dummy) || (is_dummy && seen[parent as usize]) {
                continue;
            }
            let Some(mail) = forest.mail(node) else { continue };
            let top = if is_dummy { parent } else { node };
            seen[top as usize] = true;
            let (subject, is_reply) = (mail.subject, mail.is_reply && !is_dummy);
            tops.push(Top { node: top, is_dummy, is_reply, subject });
        }
        tops
    }
}
