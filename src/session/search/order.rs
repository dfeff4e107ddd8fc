//! SORT and THREAD (RFC 5256, RFC 5957).
//!
//! One pass over the headers collects the sort keys; a thread of the offload pool sorts them, so
//! other sessions do not wait. The memory counts against the user's limit.

use std::ops::ControlFlow;

use bytes::BytesMut;

use super::answer::Hits;
use super::{Command, Failed, Unread};
use crate::home::{HeldMemory, Seat};
use crate::net::GATHERED;
use crate::session::session::Session;
use crate::session::vigil::Vigil;
use imap::mime::Sorter;
use imap::mime::thread::{Message, Threader};
use imap::protocol::response::{self, ThreadNode};
use imap::protocol::{SortCriterion, ThreadAlgorithm};
use imap::types::{Uid, UidRange};

/// Message-IDs linked per job of the offload pool: a few milliseconds.
const IDS: usize = 1 << 16;

/// Nodes of the threads written between two checks of the size of the buffer.
const NODES: usize = 4096;

impl Session {
    pub(super) async fn run_sort(
        &self,
        command: &Command<'_>,
        criteria: &[SortCriterion],
    ) -> Result<Unread, Failed> {
        let (found, mut unread) = self.all_hits(command).await?;
        let (mut sorter, mut held) = (Sorter::new(criteria), self.held()?);
        match self.add_to_sorter(command.place, found, &mut sorter, &mut held).await {
            Ok(more) => unread += more,
            Err(failed) => {
                self.discard(sorter).await?;
                return Err(failed);
            }
        }
        let work = self.home.offload.run(self.user_name(), move || (sorter.order(), sorter));
        let (sorted, sorter) = self.watch(&mut Vigil::new(), work).await??;
        let mut runs = Vec::new();
        sorted.into_iter().for_each(|uid| UidRange::push(&mut runs, Uid(uid)));
        let hits = Hits { end: runs.clone(), start: runs };
        self.tell_hits(command, &hits).await?;
        self.save(command, &hits, unread);
        if command.returns.is_some_and(|returns| returns.update) {
            self.follow(command, (hits.start, unread), Some(sorter), held);
        }
        Ok(unread)
    }

    /// Frees memory outside the reactor: hundreds of megabytes take a few milliseconds.
    async fn discard<T: Send + 'static>(&self, memory: T) -> Result<(), Failed> {
        Ok(self.home.offload.run(self.user_name(), move || drop(memory)).await?)
    }

    /// An empty memory reservation for a command.
    pub(super) fn held(&self) -> Result<HeldMemory, Failed> {
        // Only a session with a user runs commands that reserve memory.
        self.seat.as_ref().map(Seat::held).ok_or(Failed::Gone)
    }

    /// Adds these messages to the sorter, and sets `held` to its memory.
    pub(super) async fn add_to_sorter(
        &self,
        place: super::Place<'_>,
        uids: Vec<UidRange>,
        sorter: &mut Sorter,
        held: &mut HeldMemory,
    ) -> Result<Unread, Failed> {
        let (needs_header, mut too_much) = (sorter.needs_header(), false);
        let unread = self
            .headers(place, uids, needs_header, |entry, header| {
                sorter.add(entry.uid().0, entry.date().to_unix(), entry.size(), header);
                too_much = !held.set(sorter.memory());
                if too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        if too_much { Err(Failed::TooMuch) } else { Ok(unread) }
    }

    pub(super) async fn run_thread(
        &self,
        command: &Command<'_>,
        algorithm: ThreadAlgorithm,
    ) -> Result<Unread, Failed> {
        let (found, mut unread) = self.all_hits(command).await?;
        let (mut threader, mut held) = (Threader::new(algorithm), self.held()?);
        let (mut vigil, mut rest) = (Vigil::new(), found);
        while !rest.is_empty() {
            let (mut messages, mut ids) = (Vec::new(), 0);
            let mut last = Uid(u32::MAX);
            unread += self
                .headers(command.place, rest.clone(), true, |entry, header| {
                    let arrival = entry.date().to_unix();
                    let message = Message::of_header(entry.uid().0, header, arrival);
                    ids += 1 + message.references.len();
                    messages.push(message);
                    if ids < IDS {
                        return ControlFlow::Continue(());
                    }
                    last = entry.uid();
                    ControlFlow::Break(())
                })
                .await?;
            rest = UidRange::difference(&rest, &[UidRange { first: Uid(1), last }]);
            let work = self.home.offload.run(self.user_name(), move || {
                messages.iter().for_each(|message| threader.add(message));
                threader
            });
            threader = self.watch(&mut vigil, work).await??;
            if !held.set(threader.memory()) {
                self.discard(threader).await?;
                return Err(Failed::TooMuch);
            }
        }
        let work = self.home.offload.run(self.user_name(), move || threader.finish());
        let mut nodes = self.watch(&mut vigil, work).await??;
        held.set(nodes.capacity() * size_of::<ThreadNode>());
        if !command.uid
            && let Some(selected) = &*self.selected.borrow()
        {
            for node in &mut nodes {
                node.number = node.number.and_then(|uid| selected.shown.view.sequence(Uid(uid)));
            }
        }
        self.tell_threads(&nodes).await?;
        Ok(unread)
    }

    async fn tell_threads(&self, mut nodes: &[ThreadNode]) -> Result<(), Failed> {
        let mut out = BytesMut::new();
        response::thread_begin(&mut out, nodes.is_empty());
        while !nodes.is_empty() {
            // Split only between threads.
            let from = nodes.len().min(NODES);
            let end = nodes[from..].iter().position(|node| node.depth == 0);
            let (some, rest) = nodes.split_at(end.map_or(nodes.len(), |end| from + end));
            response::thread_lists(&mut out, some);
            nodes = rest;
            if out.len() >= GATHERED {
                self.output.pass_on(&mut out).await?;
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(self.output.pass_on(&mut out).await?)
    }
}
