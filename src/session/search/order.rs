//! SORT and THREAD (RFC 5256, RFC 5957): what was found, in another order.
//!
//! Keys are gathered in one pass over the headers, and put in order by a thread that no other
//! session waits for.

use std::ops::ControlFlow;

use super::answer::{Hits, push_number};
use super::scan::Damaged;
use super::{Command, Failed};
use crate::limits::SORT_OCTETS;
use crate::mime::Sorter;
use crate::mime::thread::{Message, Threader};
use crate::protocol::response::{self, ThreadNode};
use crate::protocol::{SortCriterion, ThreadAlgorithm};
use crate::session::dispatch::Session;
use crate::types::{Uid, UidRange};

impl Session {
    pub(super) async fn run_sort(
        &self,
        command: &Command<'_>,
        criteria: &[SortCriterion],
    ) -> Result<Damaged, Failed> {
        let (found, mut damaged) = self.all_hits(command).await?;
        let mut sorter = Sorter::new(criteria);
        damaged += self.add_to_sorter(command.place, found, &mut sorter).await?;
        let (sorted, sorter) = self.home.parser.run(move || (sorter.order(), sorter)).await?;
        let mut runs = Vec::new();
        sorted.into_iter().for_each(|uid| push_number(&mut runs, uid));
        let hits = Hits { end: runs.clone(), start: runs };
        self.tell_hits(command, &hits).await?;
        self.save(command, &hits, damaged);
        if command.returns.is_some_and(|returns| returns.update) {
            self.follow(command, hits.start, Some(sorter));
        }
        Ok(damaged)
    }

    /// Has the sorter take these messages.
    pub(super) async fn add_to_sorter(
        &self,
        place: super::Place<'_>,
        uids: Vec<UidRange>,
        sorter: &mut Sorter,
    ) -> Result<Damaged, Failed> {
        let (needs_header, mut too_much) = (sorter.needs_header(), false);
        let damaged = self
            .headers(place, uids, needs_header, |entry, header| {
                sorter.add(entry.uid().0, entry.date().to_unix(), entry.size(), header);
                too_much = sorter.memory() > SORT_OCTETS;
                if too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        if too_much { Err(Failed::TooMuch) } else { Ok(damaged) }
    }

    pub(super) async fn run_thread(
        &self,
        command: &Command<'_>,
        algorithm: ThreadAlgorithm,
    ) -> Result<Damaged, Failed> {
        let (found, mut damaged) = self.all_hits(command).await?;
        let by_arrival = algorithm == ThreadAlgorithm::Refs;
        let mut threader = Threader::new(algorithm);
        damaged += self
            .headers(command.place, found, true, |entry, header| {
                let arrival = entry.date().to_unix();
                let mut message = Message::of_header(entry.uid().0, header, arrival);
                if by_arrival {
                    message.date = arrival;
                }
                threader.add(&message);
                ControlFlow::Continue(())
            })
            .await?;
        let mut nodes = self.home.parser.run(move || linked(&threader.finish())).await?;
        if !command.uid
            && let Some(selected) = &*self.selected.borrow()
        {
            for node in &mut nodes {
                node.number = node.number.and_then(|uid| selected.view.sequence(Uid(uid)));
            }
        }
        self.tell_threads(&nodes).await?;
        Ok(damaged)
    }

    async fn tell_threads(&self, nodes: &[ThreadNode]) -> Result<(), Failed> {
        self.output.push(|out| response::thread(out, nodes, (!nodes.is_empty()).then_some(0)));
        self.output.room().await?;
        Ok(())
    }
}

/// Nodes in preorder with their depths, as nodes that know their first child and their next
/// sibling.
fn linked(nodes: &[crate::mime::thread::ThreadNode]) -> Vec<ThreadNode> {
    let mut linked: Vec<ThreadNode> = Vec::with_capacity(nodes.len());
    // The last node of each depth, as far as it may get a sibling.
    let mut open: Vec<u32> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let (place, depth) = (at as u32, node.depth as usize);
        if let Some(&before) = open.get(depth) {
            linked[before as usize].next = Some(place);
        } else if let Some(&parent) = open.last() {
            linked[parent as usize].child = Some(place);
        }
        open.truncate(depth);
        open.push(place);
        linked.push(ThreadNode { number: node.number, child: None, next: None });
    }
    linked
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::mime::thread::ThreadNode as Flat;

    #[test]
    fn depths_become_links() {
        let nodes = [
            (0, Some(2)),
            (0, Some(3)),
            (1, Some(6)),
            (2, Some(4)),
            (3, Some(23)),
            (2, Some(44)),
            (3, Some(7)),
            (4, Some(96)),
            (0, None),
            (1, Some(8)),
            (1, Some(9)),
        ];
        let nodes: Vec<_> = nodes.map(|(depth, number)| Flat { depth, number }).into();
        let mut out = BytesMut::new();
        response::thread(&mut out, &linked(&nodes), Some(0));
        assert_eq!(out, "* THREAD (2)(3 6 (4 23)(44 7 96))((8)(9))\r\n");
        assert!(linked(&[]).is_empty());
    }
}
