//! Batches by reference, as COPY writes them: over two frames, of messages that were durable.

use imap::types::{ModSeq, Uid};
use mailrace::store::{BatchId, Change, Commit, EmailId, Lsn, MailboxId, MessageRecord, Record};

/// A committed batch of which copies can be made.
pub struct Source {
    lsn: Lsn,
    messages: Vec<MessageRecord>,
    octets: Vec<Vec<u8>>,
}

/// Copies that are being written.
#[derive(Default)]
pub struct Copying {
    sources: Vec<Source>,
    open: Vec<Open>,
}

struct Open {
    id: BatchId,
    messages: Vec<MessageRecord>,
    octets: Vec<Vec<u8>>,
    /// The frame of its first half, once it is written.
    began: Option<Lsn>,
}

impl Copying {
    /// Committed messages, with all of their fragments.
    pub fn committed(&mut self, lsn: Lsn, messages: &[MessageRecord], octets: &[Vec<u8>]) {
        // Some have fragments in records before theirs.
        let whole = |message: &MessageRecord| {
            let lengths = message.fragments.iter().map(|fragment| u64::from(fragment.length));
            lengths.sum::<u64>() == message.size
        };
        let (messages, octets) = messages
            .iter()
            .zip(octets)
            .filter(|(message, _)| whole(message))
            .map(|(message, octets)| (message.clone(), octets.clone()))
            .unzip();
        self.sources.push(Source { lsn, messages, octets });
    }

    /// Begins to copy one of the batches that are durable.
    pub fn begin(&mut self, id: BatchId, durable: Lsn, pick: usize) {
        let durable: Vec<_> = self.sources.iter().filter(|source| source.lsn <= durable).collect();
        let Some(source) = durable.get(pick % durable.len().max(1)) else { return };
        if !source.messages.is_empty() {
            let (mut messages, octets) = (source.messages.clone(), source.octets.clone());
            for (number, message) in (1..).zip(&mut messages) {
                message.email = EmailId(source.lsn.0 * 1000 + number);
            }
            self.open.push(Open { id, messages, octets, began: None });
        }
    }

    /// The records of the oldest copy in the next frame.
    pub fn records(&self) -> Vec<Record> {
        let Some(open) = self.open.first() else { return Vec::new() };
        let (first, second) = open.messages.split_at(open.messages.len() / 2);
        let references = |messages: &[MessageRecord]| Record::References {
            batch: open.id,
            messages: messages.to_vec(),
        };
        match open.began {
            None => vec![references(first)],
            Some(_) => vec![references(second), Record::Commit(open.commit())],
        }
    }

    /// Records the place of the frame with those records. Returns the change that it completes, if
    /// any, with the octets of its messages.
    pub fn written(&mut self, lsn: Lsn) -> Option<(Change, Vec<Vec<u8>>)> {
        let open = self.open.first_mut()?;
        if open.began.is_none() {
            open.began = Some(lsn);
            return None;
        }
        let commit = open.commit();
        let Open { mut messages, octets, .. } = self.open.remove(0);
        messages.iter_mut().for_each(|message| message.fragments.clear());
        Some((Change::Append { commit, messages }, octets))
    }

    /// The first frames of copies that are not complete.
    pub fn began(&self) -> impl Iterator<Item = Lsn> + '_ {
        self.open.iter().filter_map(|open| open.began)
    }
}

impl Open {
    fn commit(&self) -> Commit {
        Commit {
            batch: self.id,
            account: "anna".into(),
            mailbox: MailboxId(9),
            first_uid: Uid(self.id.0 as u32 * 1000),
            first_email: EmailId(0),
            modseq: ModSeq(self.id.0 + 7),
            save_date: 5,
            messages: self.messages.len() as u32,
            octets: self.messages.iter().map(|message| message.size).sum(),
        }
    }
}
