//! GETMETADATA and SETMETADATA (RFC 5464), including special use (RFC 6154 section 4).
//!
//! A mailbox has shared and private entries. Only its owner can reach either. The server itself has
//! no entries and refuses to create any, as RFC 5464 section 3.3 allows.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::home::{Ledger, Owner};
use crate::index::Mailbox;
use crate::limits::{METADATA_ENTRIES, METADATA_NAME, METADATA_OCTETS, METADATA_VALUE};
use crate::reactor::LeaseClass;
use crate::session::observed::changes;
use crate::session::session::Session;
use crate::store::{LogError, MailboxId, MetadataEntry, Purpose, Record, sealed_len};
use imap::protocol::response::{self, Code};
use imap::protocol::{Depth, GetMetadata, NameError, SetMetadata, Tag};
use imap::types::SpecialUse;

/// The entry of the special use; its value is the attributes as LIST sends them.
const SPECIAL_USE: &str = "/private/specialuse";

/// The changes of a SETMETADATA.
#[derive(Default)]
struct Change {
    uses: Option<SpecialUse>,
    entries: Vec<MetadataEntry>,
}

/// Why an entry is refused.
enum Refused {
    Name,
    Value,
    UnknownUse(String),
}

impl Session {
    pub(in crate::session) fn get_metadata(&self, tag: &Tag, get: GetMetadata, owner: &Rc<Owner>) {
        if get.mailbox == Err(NameError::Empty) {
            if get.depth == Depth::Zero {
                let none = get.entries.iter().map(|entry| (&**entry, None));
                self.output.push(|out| response::metadata(out, None, self.enabled.names(), none));
            }
            return self.ok(tag, "GETMETADATA completed");
        }
        let Some(name) = self.valid(tag, get.mailbox) else { return };
        let account = owner.account.borrow();
        let found = owner.mailbox_named(name.as_str()).and_then(|id| account.mailbox(id));
        let Some(mailbox) = found else {
            return self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
        };
        let uses = written(mailbox.special_use());
        let mut found = asked_for(&get.entries, get.depth, mailbox, uses.as_deref());
        let most = get.max_size.unwrap_or(u64::MAX);
        let size = |value: Option<&[u8]>| value.map_or(0, |value| value.len() as u64);
        let longest = found.values().map(|&(_, value)| size(value)).filter(|&size| size > most);
        let longest = longest.max();
        found.retain(|_, (_, value)| size(*value) <= most);
        if !found.is_empty() {
            let (name, names) = (Some(&name), self.enabled.names());
            self.output.push(|out| response::metadata(out, name, names, found.into_values()));
        }
        match longest {
            Some(octets) => {
                let text = "GETMETADATA completed, larger values are left out";
                self.ok_code(tag, Code::MetadataLongEntries(octets), text);
            }
            None => self.ok(tag, "GETMETADATA completed"),
        }
    }

    /// Sets all entries or none.
    pub(in crate::session) async fn set_metadata(
        &self,
        tag: &Tag,
        set: SetMetadata,
        owner: &Rc<Owner>,
    ) {
        if set.mailbox == Err(NameError::Empty) {
            let text = "entries of the server cannot be set, only those of mailboxes";
            return self.no(tag, Some(Code::Cannot), text);
        }
        let Some(name) = self.valid(tag, set.mailbox) else { return };
        let change = match Change::of(set.entries) {
            Ok(change) => change,
            Err(refused) => return self.entry_refused(tag, &refused),
        };
        let _one_at_a_time = owner.structure.lock().await;
        let Some(mailbox) = owner.mailbox_named(name.as_str()) else {
            return self.no(tag, Some(Code::NonExistent), "there is no mailbox of that name");
        };
        let change = change.of_what_differs(owner, mailbox);
        if !owner.account.borrow().has_room_for_metadata(mailbox, &change.entries) {
            let text = format!(
                "no room for more metadata; a mailbox can have {METADATA_ENTRIES} entries of \
                 {METADATA_OCTETS} bytes together"
            );
            return self.no(tag, Some(Code::MetadataTooMany), &text);
        }
        match change.write(self.home.ledger(owner), mailbox).await {
            Ok(Some((uses, entries))) => {
                changes::metadata_set(name.as_str(), uses, &entries);
                self.ok(tag, "SETMETADATA completed");
            }
            Ok(None) => self.ok(tag, "SETMETADATA completed"),
            Err(error) => self.not_written(tag, &error),
        }
    }

    /// Refuses a value that was too large to read.
    pub(in crate::session) fn value_too_large(&self, tag: &Tag) {
        self.entry_refused(tag, &Refused::Value);
    }

    fn entry_refused(&self, tag: &Tag, refused: &Refused) {
        match refused {
            Refused::Name => {
                let text = format!("the name of an entry can have {METADATA_NAME} octets");
                self.no(tag, Some(Code::Limit), &text);
            }
            Refused::Value => {
                let text = format!("a value can have {METADATA_VALUE} octets");
                self.no(tag, Some(Code::MetadataMaxSize(METADATA_VALUE as u64)), &text);
            }
            Refused::UnknownUse(unknown) => self.unknown_use(tag, unknown),
        }
    }

    /// Copies the entries of INBOX to the new mailbox when INBOX is renamed; INBOX keeps its own
    /// (RFC 5464 section 4.1). Without room for them, the copy has none.
    pub(super) async fn copy_metadata(
        &self,
        from: MailboxId,
        to: MailboxId,
        owner: &Rc<Owner>,
    ) -> Result<(), LogError> {
        let change = {
            let account = owner.account.borrow();
            let Some(mailbox) = account.mailbox(from) else { return Ok(()) };
            let entry = |(name, value): (&str, &[u8])| MetadataEntry {
                name: name.into(),
                value: Some(value.into()),
            };
            let entries: Vec<_> = mailbox.metadata().iter().map(entry).collect();
            Change { uses: Some(mailbox.special_use()), entries }
        };
        let _one_at_a_time = owner.structure.lock().await;
        let change = change.of_what_differs(owner, to);
        if owner.account.borrow().has_room_for_metadata(to, &change.entries) {
            change.write(self.home.ledger(owner), to).await?;
        }
        Ok(())
    }
}

impl Change {
    /// The last value counts if an entry is named several times.
    fn of(entries: Vec<(Box<str>, Option<Vec<u8>>)>) -> Result<Change, Refused> {
        let mut uses = None;
        let mut last = BTreeMap::new();
        for (name, value) in entries {
            if name.len() > METADATA_NAME {
                return Err(Refused::Name);
            }
            if value.as_ref().is_some_and(|value| value.len() > METADATA_VALUE) {
                return Err(Refused::Value);
            }
            if name.eq_ignore_ascii_case(SPECIAL_USE) {
                uses = Some(uses_of(value.as_deref().unwrap_or_default())?);
            } else {
                last.insert(name.to_ascii_lowercase().into_boxed_str(), value);
            }
        }
        let entry = |(name, value): (_, Option<Vec<u8>>)| MetadataEntry {
            name,
            value: value.map(Vec::into_boxed_slice),
        };
        Ok(Change { uses, entries: last.into_iter().map(entry).collect() })
    }

    /// Removes changes that have no effect. No other session changes the entries in between.
    fn of_what_differs(mut self, owner: &Owner, mailbox: MailboxId) -> Change {
        let account = owner.account.borrow();
        if let Some(mailbox) = account.mailbox(mailbox) {
            self.uses = self.uses.filter(|&uses| uses != mailbox.special_use());
            self.entries
                .retain(|entry| mailbox.metadata().get(&entry.name) != entry.value.as_deref());
        }
        self
    }

    /// Writes the change, and returns when it is durable: the changes written, or `None` if there
    /// were none.
    async fn write(
        self,
        ledger: Ledger<'_>,
        mailbox: MailboxId,
    ) -> Result<Option<(Option<SpecialUse>, Vec<Box<str>>)>, LogError> {
        let Change { uses, entries } = self;
        if uses.is_none() && entries.is_empty() {
            return Ok(None);
        }
        let adds = entries.iter().any(|entry| entry.value.is_some());
        let purpose = if adds { Purpose::Adds } else { Purpose::Changes };
        let names = entries.iter().map(|entry| entry.name.clone()).collect();
        let record = Record::SetMetadata { account: ledger.owner().name(), mailbox, uses, entries };
        let class = LeaseClass::holding(sealed_len(0, record.encoded_len()));
        let step = ledger.step(class, purpose, |page| {
            page.change(record);
            Ok::<_, LogError>(())
        });
        step.await?;
        ledger.durable().await?;
        Ok(Some((uses, names)))
    }
}

/// The special use as LIST sends it, separated by spaces; `None` if there is none.
fn written(uses: SpecialUse) -> Option<Box<[u8]>> {
    let names = uses.names().collect::<Vec<_>>().join(" ");
    (!names.is_empty()).then(|| names.into_bytes().into())
}

fn uses_of(value: &[u8]) -> Result<SpecialUse, Refused> {
    let names = value.split(|octet| *octet == b' ').filter(|name| !name.is_empty());
    names
        .map(|name| {
            SpecialUse::by_name(name)
                .ok_or_else(|| Refused::UnknownUse(String::from_utf8_lossy(name).into_owned()))
        })
        .try_fold(SpecialUse::default(), |all, one| Ok(all.union(one?)))
}

/// The requested entries with their values, by the name in lower case, spelled as the client did.
/// With depth 0, missing entries are NIL.
fn asked_for<'a>(
    named: &'a [Box<str>],
    depth: Depth,
    mailbox: &'a Mailbox,
    uses: Option<&'a [u8]>,
) -> BTreeMap<Box<str>, (&'a str, Option<&'a [u8]>)> {
    let mut found = BTreeMap::new();
    let value = |name: &str| if name == SPECIAL_USE { uses } else { mailbox.metadata().get(name) };
    for spelt in named {
        let name: Box<str> = spelt.to_ascii_lowercase().into();
        let value = value(&name);
        found.insert(name, (&**spelt, value));
    }
    if depth == Depth::Zero {
        return found;
    }
    let names: Vec<Box<str>> = found.keys().cloned().collect();
    found.retain(|_, (_, value)| value.is_some());
    let uses = uses.map(|uses| (SPECIAL_USE, uses));
    for name in &names {
        for (own, value) in mailbox.metadata().below(name).chain(uses) {
            if is_within(own, name, depth) {
                found.entry(own.into()).or_insert((own, Some(value)));
            }
        }
    }
    found
}

/// Whether an entry is below another, within this depth.
fn is_within(name: &str, above: &str, depth: Depth) -> bool {
    let rest = name.strip_prefix(above).and_then(|rest| rest.strip_prefix('/'));
    rest.is_some_and(|rest| depth == Depth::Infinity || !rest.contains('/'))
}
