//! Step 6: threads in the order in which they are sent.

use super::forest::{Forest, NONE};
use super::gather::Gathered;
use crate::protocol::response::ThreadNode;

/// The children of all nodes in one list.
struct Children {
    /// Where the children of each node begin. The next-to-last entry is where the threads begin.
    starts: Vec<u32>,
    nodes: Vec<u32>,
}

impl Children {
    /// Siblings come in the order of `by_date`; a dummy takes the place of its first child.
    fn new(gathered: &Gathered, forest: &Forest) -> Children {
        let root = gathered.nodes;
        let mut seen = vec![false; gathered.nodes];
        let mut pairs = Vec::with_capacity(gathered.by_date.len());
        for &node in &gathered.by_date {
            let parent = gathered.parents[node as usize];
            if parent == NONE {
                pairs.push((root as u32, node));
                continue;
            }
            if forest.mail(parent).is_none() && !seen[parent as usize] {
                seen[parent as usize] = true;
                pairs.push((root as u32, parent));
            }
            pairs.push((parent, node));
        }
        let mut starts = vec![0_u32; root + 2];
        for &(parent, _) in &pairs {
            starts[parent as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut nodes = vec![0_u32; pairs.len()];
        for (parent, node) in pairs {
            let place = &mut next[parent as usize];
            nodes[*place as usize] = node;
            *place += 1;
        }
        Children { starts, nodes }
    }

    fn of(&self, node: u32) -> &[u32] {
        let (start, end) = (self.starts[node as usize], self.starts[node as usize + 1]);
        &self.nodes[start as usize..end as usize]
    }

    fn threads(&self) -> &[u32] {
        self.of(self.starts.len() as u32 - 2)
    }
}

/// Threads by the date of their first message.
pub(super) fn in_order(gathered: &Gathered, forest: &Forest) -> Vec<ThreadNode> {
    let children = Children::new(gathered, forest);
    let mut out = Vec::with_capacity(gathered.by_date.len());
    let mut stack = Vec::new();
    for &thread in children.threads() {
        write(thread, &children, forest, &mut stack, &mut out);
    }
    out
}

/// Threads by the arrival of their latest message, and the messages of each by date.
pub(super) fn latest_last(gathered: &Gathered, forest: &Forest) -> Vec<ThreadNode> {
    let children = Children::new(gathered, forest);
    let mut flat = Vec::with_capacity(gathered.by_date.len());
    let mut threads = Vec::with_capacity(children.threads().len());
    let mut stack = Vec::new();
    for &thread in children.threads() {
        let start = flat.len();
        let latest = write(thread, &children, forest, &mut stack, &mut flat);
        threads.push((latest, start, flat.len()));
    }
    threads.sort_unstable();
    threads.iter().flat_map(|&(_, start, end)| &flat[start..end]).copied().collect()
}

/// Appends a thread in preorder. Returns arrival and number of its latest message.
fn write(
    thread: u32,
    children: &Children,
    forest: &Forest,
    stack: &mut Vec<(u32, u32)>,
    out: &mut Vec<ThreadNode>,
) -> (i64, u32) {
    let mut latest = (i64::MIN, 0);
    stack.push((thread, 0));
    while let Some((node, depth)) = stack.pop() {
        let mail = forest.mail(node);
        latest = mail.map_or(latest, |mail| latest.max((mail.arrival, mail.number)));
        out.push(ThreadNode { depth, number: mail.map(|mail| mail.number) });
        stack.extend(children.of(node).iter().rev().map(|&child| (child, depth + 1)));
    }
    latest
}
