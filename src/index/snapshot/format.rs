//! Head, blocks and end of a snapshot. Octet by octet: [`crate::manual::format`].

use xxhash_rust::xxh3::xxh3_64;

use super::Flaw;
use crate::index::file::CATALOG_FORMAT;

/// Bytes before the first block.
pub(super) const HEAD: usize = 32;
/// Bytes before the rows of a block.
pub(super) const BLOCK_HEAD: usize = 16;
/// Bytes of a checksum (XXH3-64, seed 0).
pub(super) const CHECKSUM: usize = 8;
/// Bytes after the empty block that ends the rows, without the checksum of the whole.
pub(super) const TAIL: usize = 16;
/// A block is closed when its rows have this many bytes.
pub(super) const BLOCK: usize = 256 << 10;

const MAGIC: &[u8; 8] = b"mailsnap";
const VERSION: u16 = 1;

/// The table that a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Positions = 1,
    Accounts = 2,
    Subscribed = 3,
    Mailboxes = 4,
    Chunks = 5,
    Live = 6,
    Restored = 7,
}

impl Table {
    fn of(number: u8) -> Option<Table> {
        use Table::{Accounts, Chunks, Live, Mailboxes, Positions, Restored, Subscribed};
        let all = [Positions, Accounts, Subscribed, Mailboxes, Chunks, Live, Restored];
        all.into_iter().find(|&table| table as u8 == number)
    }
}

/// A row of the catalog: two numbers and a name as its key, and its octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SnapshotRow<'a> {
    pub(super) table: Table,
    pub(super) first: u64,
    pub(super) second: u64,
    pub(super) name: &'a str,
    pub(super) octets: &'a [u8],
}

impl<'a> SnapshotRow<'a> {
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), Flaw> {
        let name = u16::try_from(self.name.len()).map_err(|_| Flaw("a name is too long"))?;
        let octets = u32::try_from(self.octets.len()).map_err(|_| Flaw("a row is too long"))?;
        out.push(self.table as u8);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.second.to_le_bytes());
        out.extend_from_slice(&name.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&octets.to_le_bytes());
        out.extend_from_slice(self.octets);
        Ok(())
    }

    /// Takes a row off the front of `rest`.
    pub(super) fn take(rest: &mut &'a [u8]) -> Result<SnapshotRow<'a>, Flaw> {
        let table = Table::of(take(rest, 1)?[0]).ok_or(Flaw("a row is of an unknown table"))?;
        let (first, second) = (number(rest)?, number(rest)?);
        let length = u16::from_le_bytes(array(rest)?);
        let name = take(rest, length.into())?;
        let name = std::str::from_utf8(name).map_err(|_| Flaw("a name is not UTF-8"))?;
        let length = u32::from_le_bytes(array(rest)?);
        let octets = take(rest, length as usize)?;
        Ok(SnapshotRow { table, first, second, name, octets })
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Flaw> {
    let (taken, left) = rest.split_at_checked(count).ok_or(Flaw("a row ends early"))?;
    *rest = left;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Flaw> {
    let (taken, left) = rest.split_first_chunk().ok_or(Flaw("a row ends early"))?;
    *rest = left;
    Ok(*taken)
}

/// Takes a number off the front of `rest`.
pub(super) fn number(rest: &mut &[u8]) -> Result<u64, Flaw> {
    array(rest).map(u64::from_le_bytes)
}

/// The beginning of the snapshot with this number.
pub(super) fn head(number: u64) -> [u8; HEAD] {
    let mut octets = Vec::with_capacity(HEAD);
    octets.extend_from_slice(MAGIC);
    octets.extend_from_slice(&VERSION.to_le_bytes());
    octets.extend_from_slice(&[0; 2]);
    let format = u32::try_from(CATALOG_FORMAT).expect("versions are counted from 1");
    octets.extend_from_slice(&format.to_le_bytes());
    octets.extend_from_slice(&number.to_le_bytes());
    sealed(octets)
}

/// Checks the beginning of the snapshot with this number.
pub(super) fn check_head(octets: &[u8; HEAD], expected: u64) -> Result<(), Flaw> {
    if !octets.starts_with(MAGIC) {
        return Err(Flaw("it does not begin like one"));
    }
    let mut rest = opened(octets).ok_or(Flaw("the checksum of its head is wrong"))?;
    take(&mut rest, MAGIC.len())?;
    let version = u16::from_le_bytes(array(&mut rest)?);
    let reserved = u16::from_le_bytes(array(&mut rest)?);
    let format = u32::from_le_bytes(array(&mut rest)?);
    if version != VERSION || reserved != 0 || u64::from(format) != CATALOG_FORMAT {
        return Err(Flaw("another version of mailrace wrote it; run that version"));
    }
    match number(&mut rest)? == expected {
        true => Ok(()),
        false => Err(Flaw("its name has another number than its head")),
    }
}

/// What stands before the rows of a block: their length in bytes and their number.
pub(super) fn block_head(length: u32, rows: u32) -> [u8; BLOCK_HEAD] {
    let mut octets = Vec::with_capacity(BLOCK_HEAD);
    octets.extend_from_slice(&length.to_le_bytes());
    octets.extend_from_slice(&rows.to_le_bytes());
    sealed(octets)
}

pub(super) fn read_block_head(octets: &[u8; BLOCK_HEAD]) -> Result<(u32, u32), Flaw> {
    let mut rest = opened(octets).ok_or(Flaw("the head of a block is damaged"))?;
    Ok((u32::from_le_bytes(array(&mut rest)?), u32::from_le_bytes(array(&mut rest)?)))
}

/// What follows the last block, before the checksum of the whole.
pub(super) fn tail(rows: u64, blocks: u64) -> [u8; TAIL] {
    let mut octets = [0; TAIL];
    octets[..8].copy_from_slice(&rows.to_le_bytes());
    octets[8..].copy_from_slice(&blocks.to_le_bytes());
    octets
}

fn sealed<const N: usize>(mut octets: Vec<u8>) -> [u8; N] {
    let checksum = xxh3_64(&octets);
    octets.extend_from_slice(&checksum.to_le_bytes());
    octets.try_into().expect("the fields fill it")
}

/// The octets before the checksum, if that is right.
fn opened(octets: &[u8]) -> Option<&[u8]> {
    let (octets, checksum) = octets.split_last_chunk::<CHECKSUM>()?;
    (xxh3_64(octets) == u64::from_le_bytes(*checksum)).then_some(octets)
}
