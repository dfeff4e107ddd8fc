//! A connection with a mailbox of its own, and what the server has acknowledged there.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::error::ToolError;
use client::Mail;
use client::{Client, Comparison, Completion, Expected, Trust};

/// Uploads on one connection into one mailbox that nobody else uses: so the message with number n
/// is the n-th that was acknowledged.
pub struct Lane {
    /// The connection, logged in.
    pub client: Client,
    /// The mailbox, made by [`Lane::open`].
    pub mailbox: String,
    stored: u32,
    /// First and last of each run of UIDs, in order.
    uids: Vec<(u32, u32)>,
}

impl Lane {
    /// Connects, logs in and makes the mailbox.
    pub fn open(
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

    /// How many messages the server has acknowledged.
    pub fn stored(&self) -> u32 {
        self.stored
    }

    /// Takes note of the OK to an APPEND of `messages`. One UID must have been given to each, above
    /// all before, if the server gives UIDs at all.
    pub fn acknowledge(&mut self, completion: &Completion, messages: u64) -> Result<(), ToolError> {
        self.stored += u32::try_from(messages).expect("UIDs have 32 bits");
        let Some(given) = completion.append_uids() else {
            if self.client.has("UIDPLUS") {
                return Err(ToolError::Differs(format!("no APPENDUID: {}", completion.text)));
            }
            return Ok(());
        };
        if given.count() != messages {
            let text = format!("{messages} messages sent, acknowledged: {}", completion.text);
            return Err(ToolError::Differs(text));
        }
        for (first, last) in given.uids {
            match self.uids.last_mut() {
                Some(run) if first <= run.1 => {
                    let text = format!("UID {first} given after {}", run.1);
                    return Err(ToolError::Differs(text));
                }
                Some(run) if first == run.1 + 1 => run.1 = last,
                _ => self.uids.push((first, last)),
            }
        }
        Ok(())
    }

    /// Asks the server how many messages there are: it must be those acknowledged.
    pub fn check_count(&mut self) -> Result<(), ToolError> {
        let messages = self.client.status(&self.mailbox)?.messages;
        if messages == u64::from(self.stored) {
            return Ok(());
        }
        let (mailbox, stored) = (&self.mailbox, self.stored);
        let text = format!("{mailbox} has {messages} messages, acknowledged were {stored}");
        Err(ToolError::Differs(text))
    }

    /// Selects the mailbox for [`Lane::compare`].
    pub fn examine(&mut self) -> Result<(), ToolError> {
        self.client.examine(&self.mailbox).map(drop).map_err(ToolError::from)
    }

    /// Fetches the messages of these ranges, by number, and compares each with what `sent` gives
    /// for its number. All of them must come.
    pub fn compare<'a>(
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
        Err(ToolError::Differs(format!("fetched {awaited} messages by number, {came} came")))
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
