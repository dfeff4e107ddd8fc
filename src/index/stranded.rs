//! Stranded messages: messages of a mailbox whose octets lie in a segment that is stripped.
//!
//! A segment is stripped only once nothing names its octets any more, in a durable checkpoint of
//! the catalog. So at the end of a replay there must be no such message. If there is one, the
//! change that expunged or relocated it is lost, or the record file belongs to another data folder:
//! its octets are lost, and that is damage like any other.
//!
//! Looking for them reads the entries of all mailboxes, so a replay does it only when it has seen a
//! reason to: see `Replayer::stranded`.

use std::collections::BTreeMap;

use super::damaged::NAMES;
use super::error::CatalogError;
use super::file::CatalogFile;
use crate::store::{Damage, Epoch, Fragment, LogId, Lost, Lsn, MailboxId, Medium, SegmentId};
use imap::types::Uid;

/// The stranded messages of one mailbox in one segment.
#[derive(Default)]
struct Stranded {
    /// The lowest offset at which octets are missing.
    offset: Option<u32>,
    /// The first fragment of each.
    messages: Vec<Fragment>,
}

impl CatalogFile {
    /// All messages with octets in stripped segments, as damage: one for each mailbox and segment.
    pub(super) fn stranded(&self, medium: &dyn Medium) -> Result<Vec<Damage>, CatalogError> {
        let (mut damages, mut after) = (Vec::new(), String::new());
        loop {
            let names = self.names(&after, NAMES)?;
            let Some(last) = names.last() else { return Ok(damages) };
            after = last.to_string();
            for name in &names {
                let Some(account) = self.account(name)? else { continue };
                for (_, mailbox) in account.names() {
                    for (segment, stranded) in self.stranded_in(mailbox, medium)? {
                        damages.push(stranded.damage(segment, name, mailbox));
                    }
                }
            }
        }
    }

    fn stranded_in(
        &self,
        mailbox: MailboxId,
        medium: &dyn Medium,
    ) -> Result<BTreeMap<SegmentId, Stranded>, CatalogError> {
        let mut all: BTreeMap<SegmentId, Stranded> = BTreeMap::new();
        let mut from = Some(Uid(1));
        while let Some(first) = from {
            let piece = self.chunks(mailbox, first)?;
            for entry in piece.chunks.iter().flat_map(|(_, chunk)| chunk.iter()) {
                let lost = entry.fragments().find(|lost| medium.is_stripped(lost.segment));
                let (Some(lost), Some(start)) = (lost, entry.fragment(0)) else { continue };
                let stranded = all.entry(lost.segment).or_default();
                let offset = stranded.offset.get_or_insert(lost.offset);
                *offset = lost.offset.min(*offset);
                stranded.messages.push(start);
            }
            from = piece.next;
        }
        Ok(all)
    }
}

impl Stranded {
    fn damage(self, segment: SegmentId, account: &str, mailbox: MailboxId) -> Damage {
        let count = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        Damage {
            file: segment,
            stripped: true,
            offset: self.offset.unwrap_or_default().into(),
            epoch: Epoch(0),
            log: LogId(0),
            lsn: Lsn(0),
            what: format!(
                "{count} messages of {account} were in this segment, and only its records are left"
            ),
            messages: vec![(mailbox, count)],
            lost: Lost::Octets(self.messages),
        }
    }
}
