//! Threads (RFC 5256, THREAD): which message answers which.
//!
//! Messages are taken one by one, in the order of the mailbox, and only what threads are made of
//! is kept: hashes of Message-IDs and subjects, dates, links. Some 150 octets a message.
//!
//! Everything is in near linear time and without recursion, whatever the mail says of itself.

mod emit;
mod forest;
mod gather;
mod message;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use crate::protocol::ThreadAlgorithm;
use crate::protocol::response::ThreadNode;
use std::collections::HashMap;

use forest::Forest;
pub use message::{Message, MessageId, SubjectId, message_ids};

/// Takes messages, hands out threads.
#[derive(Debug)]
pub struct Threader {
    algorithm: ThreadAlgorithm,
    forest: Forest,
    /// Number of each subject, in the order in which they came.
    subjects: HashMap<SubjectId, u32>,
}

impl Threader {
    /// No messages yet.
    #[must_use]
    pub fn new(algorithm: ThreadAlgorithm) -> Threader {
        Threader { algorithm, forest: Forest::default(), subjects: HashMap::new() }
    }

    /// Takes the next message; numbers ascend, be they sequence numbers or UIDs.
    pub fn add(&mut self, message: &Message) {
        let subject = message.subject.map(|subject| {
            let next = self.subjects.len() as u32;
            *self.subjects.entry(subject).or_insert(next)
        });
        let mail = forest::Mail {
            number: message.number,
            date: message.date,
            arrival: message.arrival,
            subject,
            is_reply: message.is_reply,
        };
        match self.algorithm {
            ThreadAlgorithm::OrderedSubject => self.forest.add(mail, None, &[]),
            _ => self.forest.add(mail, message.id, &message.references),
        }
    }

    /// Memory in bytes that it takes, about, and that [`Threader::finish`] will take.
    #[must_use]
    pub fn memory(&self) -> usize {
        // A hash table has an octet for each entry besides.
        let subject = size_of::<(SubjectId, u32)>() + 1;
        self.forest.memory() + self.subjects.capacity() * subject
    }

    /// The threads of all messages that were taken, in the order in which they are to be sent.
    #[must_use]
    pub fn finish(self) -> Vec<ThreadNode> {
        let Threader { algorithm, forest, subjects } = self;
        match algorithm {
            ThreadAlgorithm::OrderedSubject => {
                emit::in_order(&gather::by_subject(&forest, subjects.len()), &forest)
            }
            ThreadAlgorithm::References => {
                let mut gathered = gather::by_reference(&forest);
                gathered.merge_subjects(&forest, subjects.len());
                emit::in_order(&gathered, &forest)
            }
            ThreadAlgorithm::Refs => emit::latest_last(&gather::by_reference(&forest), &forest),
        }
    }
}
