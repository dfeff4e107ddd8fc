//! A chapter: the part of the mail that is in memory, uploaded and fetched back.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::Phase;
use super::progress::Bar;
use crate::reactor::thread_cpu;
use crate::tools::lane::Lane;
use crate::tools::latency::Latency;
use crate::tools::{ToolError, cpu};
use client::{Comparison, Mail};
use client::{Literals, Prepared};

/// Octets after which a chapter ends, with the message that reaches this size.
const CHAPTER: u64 = 512 << 20;

/// Octets after which a batch ends even if it may have more messages, so that a few large messages
/// do not hold up one connection.
const BATCH: u64 = 16 << 20;

/// Mail in memory, cut into batches.
pub(super) struct Chapter {
    mail: Vec<Prepared>,
    batches: Vec<Range<usize>>,
    octets: u64,
}

/// Result of a lane's thread.
type Outcome = Result<(Latency, Comparison), ToolError>;

impl Chapter {
    /// Reads the next chapter; `None` at the end of the mail.
    pub(super) fn read(
        mail: &mut impl Iterator<Item = Result<Mail, ToolError>>,
        batch: usize,
    ) -> Result<Option<Chapter>, ToolError> {
        let mut chapter = Chapter { mail: Vec::new(), batches: Vec::new(), octets: 0 };
        while chapter.octets < CHAPTER
            && let Some(message) = mail.next()
        {
            let message = message?;
            chapter.octets += message.octets.len() as u64;
            chapter.mail.push(Prepared::new(message, Literals::NonSynchronising));
        }
        chapter.batches = batches(&chapter.mail, batch);
        Ok((!chapter.mail.is_empty()).then_some(chapter))
    }

    /// Number of messages.
    pub(super) fn messages(&self) -> u64 {
        self.mail.len() as u64
    }

    /// Octets of its messages.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Appends the whole chapter, with its batches assigned to the lanes in turn.
    pub(super) fn upload(&self, lanes: &mut [Lane], progress: &Bar) -> Result<Phase, ToolError> {
        progress.phase("upload");
        self.in_parallel(lanes, |lane, batches| {
            let mut latency = Latency::new();
            for batch in batches {
                let (start, messages) = (Instant::now(), &self.mail[batch.clone()]);
                let completion = lane.client.append(&lane.mailbox, messages)?;
                latency.record(start.elapsed());
                lane.acknowledge(&completion, messages.len() as u64)?;
                progress.octets(octets_of(messages));
            }
            Ok((latency, Comparison::default()))
        })
    }

    /// Fetches the whole chapter and compares it. It must be the last one that the lanes stored.
    pub(super) fn compare(&self, lanes: &mut [Lane], progress: &Bar) -> Result<Phase, ToolError> {
        progress.phase("compare");
        self.in_parallel(lanes, |lane, batches| {
            let sent: Vec<_> = batches.iter().flat_map(|batch| &self.mail[batch.clone()]).collect();
            if sent.is_empty() {
                return Ok((Latency::new(), Comparison::default()));
            }
            lane.examine()?;
            let last = lane.stored();
            let before = last - u32::try_from(sent.len()).expect("fewer than are stored");
            let mail = |number: u32| {
                let index = number.checked_sub(before + 1)?;
                sent.get(index as usize).map(|prepared| &prepared.mail)
            };
            let seen = |octets| progress.octets(octets);
            Ok((Latency::new(), lane.compare(&[before + 1..=last], mail, seen)?))
        })
    }

    /// Runs `work` for every lane on a thread of its own, with the lane's batches.
    fn in_parallel(
        &self,
        lanes: &mut [Lane],
        work: impl Fn(&mut Lane, &[Range<usize>]) -> Outcome + Sync,
    ) -> Result<Phase, ToolError> {
        let (start, cpu_before, count) = (Instant::now(), cpu::of_this_process(), lanes.len());
        let (mut latency, mut comparison) = (Latency::new(), Comparison::default());
        let mut clients = Duration::ZERO;
        std::thread::scope(|scope| {
            let threads: Vec<_> = lanes
                .iter_mut()
                .enumerate()
                .map(|(number, lane)| {
                    let own: Vec<_> =
                        self.batches.iter().skip(number).step_by(count).cloned().collect();
                    let work = &work;
                    scope.spawn(move || Ok::<_, ToolError>((work(lane, &own)?, thread_cpu())))
                })
                .collect();
            for thread in threads {
                let ((own, compared), used) = thread.join().expect("a lane does not panic")?;
                latency.add(&own);
                comparison.add(compared);
                clients += used;
            }
            Ok::<_, ToolError>(())
        })?;
        let elapsed = start.elapsed();
        let server_cpu = (cpu::of_this_process() - cpu_before).saturating_sub(clients);
        Ok(Phase { elapsed, server_cpu, latency, comparison })
    }
}

/// Cuts mail into batches of `most` messages or [`BATCH`] octets, whichever comes first.
fn batches(mail: &[Prepared], most: usize) -> Vec<Range<usize>> {
    let (mut batches, mut start, mut octets) = (Vec::new(), 0, 0);
    for (index, message) in mail.iter().enumerate() {
        octets += message.mail.octets.len() as u64;
        if index + 1 - start == most || octets >= BATCH {
            batches.push(start..index + 1);
            (start, octets) = (index + 1, 0);
        }
    }
    if start < mail.len() {
        batches.push(start..mail.len());
    }
    batches
}

fn octets_of(messages: &[Prepared]) -> u64 {
    messages.iter().map(|message| message.mail.octets.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap::types::Flags;

    fn prepared(size: usize) -> Prepared {
        let octets = vec![b'x'; size].into();
        let mail = Mail { octets, flags: Flags::default(), date: None };
        Prepared::new(mail, Literals::NonSynchronising)
    }

    #[test]
    fn batches_end_by_number_or_by_size() {
        let sizes = [1, 1, 1, 17 << 20, 9 << 20, 9 << 20, 1];
        let mail = sizes.map(prepared);
        assert_eq!(batches(&mail, 2), [0..2, 2..4, 4..6, 6..7]);
        assert_eq!(batches(&mail, 100), [0..4, 4..6, 6..7]);
        assert_eq!(batches(&mail[..2], 2), std::slice::from_ref(&(0..2)));
        assert!(batches(&[], 2).is_empty());
    }

    #[test]
    fn chapters_end_with_the_mail() {
        let mut mail = (1..=5).map(|size| Ok(prepared(size).mail));
        let chapter = Chapter::read(&mut mail, 2).unwrap().unwrap();
        assert_eq!((chapter.octets(), chapter.batches.len()), (15, 3));
        assert!(Chapter::read(&mut mail, 2).unwrap().is_none());
    }
}
