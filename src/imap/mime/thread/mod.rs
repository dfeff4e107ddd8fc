//! Threads (RFC 5256, THREAD): which message replies to which.
//!
//! Messages are added one by one, in mailbox order. Each leaves about 150 bytes: hashes of its
//! Message-IDs and subject, dates, links.
//!
//! Every step takes near linear time and does not recurse, whatever the mail claims. `forest` does
//! step 1 of REFERENCES, `gather` steps 2 to 5, `emit` step 6.

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

pub use super::facts::{MessageId, message_ids};
use forest::Forest;
pub use message::{Message, SubjectId};

/// Takes messages, returns threads.
#[derive(Debug)]
pub struct Threader {
    algorithm: ThreadAlgorithm,
    forest: Forest,
    /// Number of each subject, in order of arrival.
    subjects: HashMap<SubjectId, u32>,
}

impl Threader {
    /// A threader without messages.
    #[must_use]
    pub fn new(algorithm: ThreadAlgorithm) -> Threader {
        Threader { algorithm, forest: Forest::default(), subjects: HashMap::new() }
    }

    /// Adds the next message. Numbers, be they sequence numbers or UIDs, must ascend.
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

    /// Approximate memory in bytes, including what [`Threader::finish`] will take.
    #[must_use]
    pub fn memory(&self) -> usize {
        // A hash table has one byte more per entry.
        let subject = size_of::<(SubjectId, u32)>() + 1;
        self.forest.memory() + self.subjects.capacity() * subject
    }

    /// The threads of all messages added, in the order in which to send them.
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
