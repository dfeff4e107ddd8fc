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
        let mut nodes = self.home.parser.run(move || threader.finish()).await?;
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
        self.output.push(|out| response::thread(out, nodes));
        self.output.room().await?;
        Ok(())
    }
}
