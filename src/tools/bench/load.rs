//! A round of load: every connection sends batches until the time is up.

use std::collections::VecDeque;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::plan::Plan;
use crate::reactor::thread_cpu;
use crate::tools::lane::Lane;
use crate::tools::latency::Latency;
use crate::tools::{ToolError, cpu};
use client::{Pending, Prepared};

/// A connection that batches are sent over: IMAP, or the floor's bare TCP.
pub(super) trait Uplink: Send {
    /// Names a batch in flight.
    type Ticket;

    /// Sends a batch.
    fn send<'a>(
        &mut self,
        batch: impl Iterator<Item = &'a Prepared> + Clone,
    ) -> Result<Self::Ticket, ToolError>;

    /// Waits until the oldest batch in flight, which has `messages`, is durable.
    fn finish(&mut self, ticket: Self::Ticket, messages: u64) -> Result<(), ToolError>;
}

impl Uplink for Lane {
    type Ticket = Pending;

    fn send<'a>(
        &mut self,
        batch: impl Iterator<Item = &'a Prepared> + Clone,
    ) -> Result<Pending, ToolError> {
        Ok(self.client.send_append(&self.mailbox, batch)?)
    }

    fn finish(&mut self, ticket: Pending, messages: u64) -> Result<(), ToolError> {
        let completion = self.client.finish_append(&ticket)?;
        self.acknowledge(&completion, messages)
    }
}

/// Measurements of a round.
pub(super) struct Load {
    /// Messages acknowledged.
    pub messages: u64,
    /// Octets of these messages, without command text.
    pub octets: u64,
    /// Commands acknowledged.
    pub batches: u64,
    /// Time from the first octet to the last acknowledgement.
    pub elapsed: Duration,
    /// Time from the first octet of a batch to its acknowledgement.
    pub latency: Latency,
    /// Processor time of the sending threads.
    pub client_cpu: Duration,
    /// Processor time of the rest of this process: the server's, if it runs here.
    pub other_cpu: Duration,
}

/// Sends over all links in parallel.
pub(super) fn run<U: Uplink>(links: &mut [U], plan: &Plan) -> Result<Load, ToolError> {
    let barrier = Barrier::new(links.len() + 1);
    let stop = Stop::new(plan);
    std::thread::scope(|scope| {
        let threads: Vec<_> = links
            .iter_mut()
            .enumerate()
            .map(|(number, link)| {
                let (barrier, stop) = (&barrier, &stop);
                scope.spawn(move || {
                    barrier.wait();
                    let sent = send(link, number, plan, stop);
                    if sent.is_err() {
                        stop.failed.store(true, Ordering::Relaxed);
                    }
                    sent
                })
            })
            .collect();
        let (start, cpu_before) = (Instant::now(), cpu::of_this_process());
        barrier.wait();
        let joined: Vec<_> =
            threads.into_iter().map(|t| t.join().expect("a sender does not panic")).collect();
        let process = cpu::of_this_process() - cpu_before;
        let mut load = Load {
            messages: 0,
            octets: 0,
            batches: 0,
            elapsed: start.elapsed(),
            latency: Latency::new(),
            client_cpu: Duration::ZERO,
            other_cpu: Duration::ZERO,
        };
        for sent in joined {
            load.add(&sent?);
        }
        load.other_cpu = process.saturating_sub(load.client_cpu);
        Ok(load)
    })
}

impl Load {
    fn add(&mut self, sent: &Sent) {
        self.messages += sent.messages;
        self.octets += sent.octets;
        self.batches += sent.latency.count();
        self.client_cpu += sent.cpu;
        self.latency.add(&sent.latency);
    }
}

/// Measurements of one sending thread.
struct Sent {
    messages: u64,
    octets: u64,
    latency: Latency,
    cpu: Duration,
}

/// When the threads stop sending.
struct Stop {
    deadline: Instant,
    octets: AtomicU64,
    limit: u64,
    failed: AtomicBool,
}

impl Stop {
    fn new(plan: &Plan) -> Stop {
        let deadline = Instant::now() + plan.duration;
        let failed = AtomicBool::new(false);
        Stop { deadline, octets: AtomicU64::new(0), limit: plan.limit, failed }
    }

    fn now(&self, at: Instant) -> bool {
        at >= self.deadline
            || self.octets.load(Ordering::Relaxed) >= self.limit
            || self.failed.load(Ordering::Relaxed)
    }
}

fn send<U: Uplink>(
    link: &mut U,
    number: usize,
    plan: &Plan,
    stop: &Stop,
) -> Result<Sent, ToolError> {
    let mut sent = Sent { messages: 0, octets: 0, latency: Latency::new(), cpu: Duration::ZERO };
    let cpu_before = thread_cpu();
    let mut under_way = VecDeque::with_capacity(plan.pipeline);
    let mut first = plan.first_message(number);
    loop {
        let mut now = Instant::now();
        while under_way.len() < plan.pipeline && !stop.now(now) {
            let ticket = link.send(plan.batch(first))?;
            under_way.push_back((ticket, now));
            let octets = plan.octets_of_batch(first);
            stop.octets.fetch_add(octets, Ordering::Relaxed);
            sent.octets += octets;
            first += plan.batch;
            now = Instant::now();
        }
        let Some((ticket, start)) = under_way.pop_front() else { break };
        link.finish(ticket, plan.batch as u64)?;
        sent.messages += plan.batch as u64;
        sent.latency.record(start.elapsed());
    }
    sent.cpu = thread_cpu() - cpu_before;
    Ok(sent)
}
