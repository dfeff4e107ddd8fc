//! The metadata of a mailbox: entries that clients set (RFC 5464). The special use is not an entry
//! here; the mailbox stores it as bits.
//!
//! In the row of the mailbox:
//!
//! ```text
//! count u32, then for each entry: name text, length of the value u32, value
//! ```

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::index::codec::{Fields, Row};
use crate::index::error::Rot;
use crate::limits::{METADATA_ENTRIES, METADATA_OCTETS};
use crate::store::MetadataEntry;

/// Approximate bytes of an entry beside its name and value.
const OVERHEAD: usize = 64;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Metadata {
    /// Names in lower case.
    entries: BTreeMap<Box<str>, Box<[u8]>>,
    octets: usize,
}

impl Metadata {
    /// The value of an entry, by its name in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.entries.get(name).map(|value| &**value)
    }

    /// All entries, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The entries below this name, at any depth: `/private/a` is below `/private`.
    pub fn below<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a, 'n> {
        let from = (Bound::Excluded(name), Bound::Unbounded);
        let all = self.entries.range::<str, _>(from).map(|(name, value)| (&**name, &**value));
        // Names such as `/private-x` sort between `/private` and `/private/a`.
        let begins = move |(own, _): &(&str, _)| own.starts_with(name);
        let inside = move |(own, _): &(&str, _)| own.as_bytes().get(name.len()) == Some(&b'/');
        all.take_while(begins).filter(inside)
    }

    /// Approximate bytes in memory.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// Bytes of the entries after these changes; `None` when that exceeds the limit of bytes or
    /// entries of a mailbox.
    pub(in crate::index) fn octets_after(&self, changes: &[MetadataEntry]) -> Option<usize> {
        let (mut entries, mut octets) = (self.entries.len(), self.octets);
        for change in changes {
            if let Some(old) = self.get(&change.name) {
                entries -= 1;
                octets -= weight(&change.name, old);
            }
            if let Some(new) = &change.value {
                entries += 1;
                octets += weight(&change.name, new);
            }
        }
        (entries <= METADATA_ENTRIES && octets <= METADATA_OCTETS).then_some(octets)
    }

    pub(super) fn change(&mut self, change: &MetadataEntry) {
        let old = match &change.value {
            Some(new) => {
                self.octets += weight(&change.name, new);
                self.entries.insert(change.name.clone(), new.clone())
            }
            None => self.entries.remove(&change.name),
        };
        self.octets -= old.map_or(0, |old| weight(&change.name, &old));
    }

    pub(super) fn encode(&self, row: &mut Row) {
        row.u32(u32::try_from(self.entries.len()).expect("bounded by METADATA_ENTRIES"));
        for (name, value) in &self.entries {
            row.text(name);
            row.u32(u32::try_from(value.len()).expect("bounded by METADATA_VALUE"));
            row.octets(value);
        }
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Metadata, Rot> {
        let mut metadata = Metadata::default();
        for _ in 0..fields.u32()? {
            let name: Box<str> = fields.text()?.into();
            let length = fields.u32()? as usize;
            let value: Box<[u8]> = fields.octets(length)?.into();
            metadata.octets += weight(&name, &value);
            if metadata.entries.insert(name, value).is_some() {
                return Err(Rot("an entry of metadata stands there twice"));
            }
        }
        Ok(metadata)
    }
}

fn weight(name: &str, value: &[u8]) -> usize {
    OVERHEAD + name.len() + value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: Option<&str>) -> MetadataEntry {
        MetadataEntry { name: name.into(), value: value.map(|value| value.as_bytes().into()) }
    }

    #[test]
    fn what_is_below_a_name() {
        let mut metadata = Metadata::default();
        for name in ["/private/a", "/private/a-b", "/private/a/b", "/private/a/b/c", "/shared/a"] {
            metadata.change(&entry(name, Some("x")));
        }
        let below = |name| metadata.below(name).map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(below("/private/a"), ["/private/a/b", "/private/a/b/c"]);
        assert_eq!(below("/private").len(), 4);
        assert_eq!(below("/private/a/b/c"), [""; 0]);
    }

    #[test]
    fn what_it_takes_is_counted() {
        let mut metadata = Metadata::default();
        let changes = [
            entry("/a", Some("long")),
            entry("/b", Some("")),
            entry("/a", None),
            entry("/c", None),
        ];
        for change in &changes {
            let after = metadata.octets_after(std::slice::from_ref(change));
            metadata.change(change);
            assert_eq!(after, Some(metadata.octets()));
        }
        assert_eq!((metadata.octets(), metadata.get("/b")), (OVERHEAD + 2, Some(&b""[..])));
        let large = "x".repeat(METADATA_OCTETS);
        assert_eq!(metadata.octets_after(&[entry("/c", Some(&large))]), None);
        let many: Vec<_> =
            (0..METADATA_ENTRIES).map(|n| entry(&format!("/c/{n}"), Some(""))).collect();
        assert_eq!(metadata.octets_after(&many), None);
        assert!(metadata.octets_after(&many[1..]).is_some());
    }
}
