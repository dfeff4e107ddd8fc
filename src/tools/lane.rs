//! A connection with a mailbox of its own, and the messages that the server acknowledged there.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::error::ToolError;
use client::Mail;
use client::{Client, Comparison, Completion, Expected, Trust};

/// Uploads on one connection into one mailbox. No other client uses the mailbox, so message number
/// n is the n-th acknowledged one.
pub(super) struct Lane {
    /// The connection, logged in.
    pub client: Client,
    /// The mailbox, created by [`Lane::open`].
    pub mailbox: String,
    stored: u32,
    /// Runs of acknowledged UIDs, ascending: first and last of each.
    uids: Vec<(u32, u32)>,
}

impl Lane {
    /// Connects, logs in and creates the mailbox.
    pub(super) fn open(
        address: SocketAddr,
        trust: Option<&Trust>,
        user: &str,
        password: &str,
        mailbox: String,
    ) -> Result<Lane, ToolError> {
        let mut client = Client::connect(address, trust)?;
        client.login(user, password)?;
        client.create(&mailbox)?;
        Ok(Lane { client, mailbox, stored: 0, uids: Vec::new() })
    }

    /// Number of acknowledged messages.
    pub(super) fn stored(&self) -> u32 {
        self.stored
    }

    /// Records the OK of an APPEND of `messages`. If the server has UIDPLUS, the OK must name one
    /// UID for each message, above all UIDs before.
    pub(super) fn acknowledge(
        &mut self,
        completion: &Completion,
        messages: u64,
    ) -> Result<(), ToolError> {
        self.stored += u32::try_from(messages).expect("UIDs have 32 bits");
        let Some(given) = completion.append_uids() else {
            if self.client.has("UIDPLUS") {
                let text = format!("the OK has no APPENDUID: {}", completion.text);
                return Err(ToolError::Differs(text));
            }
            return Ok(());
        };
        if given.count() != messages {
            let text = format!("sent {messages} messages, acknowledged: {}", completion.text);
            return Err(ToolError::Differs(text));
        }
        for (first, last) in given.uids {
            match self.uids.last_mut() {
                Some(run) if first <= run.1 => {
                    let text = format!("UID {first} was assigned after {}", run.1);
                    return Err(ToolError::Differs(text));
                }
                Some(run) if first == run.1 + 1 => run.1 = last,
                _ => self.uids.push((first, last)),
            }
        }
        Ok(())
    }

    /// Checks that the mailbox has as many messages as were acknowledged.
    pub(super) fn check_count(&mut self) -> Result<(), ToolError> {
        let messages = self.client.status(&self.mailbox)?.messages;
        if messages == u64::from(self.stored) {
            return Ok(());
        }
        let (mailbox, stored) = (&self.mailbox, self.stored);
        let text = format!("{mailbox} has {messages} messages, {stored} were acknowledged");
        Err(ToolError::Differs(text))
    }

    /// Selects the mailbox for [`Lane::compare`].
    pub(super) fn examine(&mut self) -> Result<(), ToolError> {
        self.client.examine(&self.mailbox).map(drop).map_err(ToolError::from)
    }

    /// Fetches messages by ranges of numbers and compares each with what `sent` returns for its
    /// number. Every requested message must arrive.
    pub(super) fn compare<'a>(
        &mut self,
        ranges: &[RangeInclusive<u32>],
        sent: impl Fn(u32) -> Option<&'a Mail>,
        seen: impl FnMut(u64),
    ) -> Result<Comparison, ToolError> {
        let Lane { client, uids, stored, .. } = self;
        let expected = |number: u32| {
            let known = number <= *stored;
            known
                .then(|| sent(number))
                .flatten()
                .map(|mail| Expected { uid: uid(uids, number), mail })
        };
        let set: Vec<_> = ranges.iter().map(|r| format!("{}:{}", r.start(), r.end())).collect();
        let comparison = client.compare(&set.join(","), expected, seen)?;
        let awaited: u64 = ranges.iter().map(|r| u64::from(r.end() - r.start()) + 1).sum();
        if comparison.messages == awaited {
            return Ok(comparison);
        }
        let came = comparison.messages;
        Err(ToolError::Differs(format!("asked for {awaited} messages, got {came}")))
    }
}

/// The UID of the message with this number, counted from 1.
fn uid(runs: &[(u32, u32)], number: u32) -> Option<u32> {
    let mut before = 0;
    for &(first, last) in runs {
        let count = last - first + 1;
        if number <= before + count {
            return Some(first + (number - before) - 1);
        }
        before += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_by_number() {
        let runs = [(5, 7), (10, 10), (20, 30)];
        let uids = [1, 3, 4, 5, 15, 16].map(|number| uid(&runs, number));
        assert_eq!(uids, [Some(5), Some(7), Some(10), Some(20), Some(30), None]);
    }
}
