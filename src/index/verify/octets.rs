//! Checking the octets of living messages that were committed before the log begins.

use crate::index::damaged::{Finding, NAMES};
use crate::index::error::CatalogError;
use crate::index::file::CatalogFile;
use crate::store::{Medium, is_whole};
use imap::types::Uid;

/// Compares all messages with their checksums, and adds a finding for each that is damaged and has
/// none yet.
pub(super) fn check(
    catalog: &CatalogFile,
    medium: &dyn Medium,
    findings: &mut Vec<Finding>,
) -> Result<(), CatalogError> {
    let mut after = String::new();
    loop {
        let names = catalog.names(&after, NAMES)?;
        let Some(last) = names.last() else { return Ok(()) };
        after = last.to_string();
        for name in &names {
            let Some(account) = catalog.account(name)? else { continue };
            for (mailbox, id) in account.names() {
                let mut from = Some(Uid(1));
                while let Some(first) = from {
                    let piece = catalog.chunks(id, first)?;
                    for entry in piece.chunks.iter().flat_map(|(_, chunk)| chunk.iter()) {
                        let Some(start) = entry.fragment(0) else { continue };
                        if is_whole(medium, entry.fragments(), entry.checksum()) {
                            continue;
                        }
                        let finding = Finding {
                            file: Some(start.segment),
                            stripped: medium.is_stripped(start.segment),
                            offset: start.offset.into(),
                            what: "the message is not what was received: its checksum is wrong"
                                .into(),
                            user: Some(name.clone()),
                            mailbox: Some(mailbox.into()),
                            uids: Some((entry.uid(), entry.uid())),
                        };
                        if !findings.contains(&finding) {
                            findings.push(finding);
                        }
                    }
                    from = piece.next;
                }
            }
        }
    }
}
