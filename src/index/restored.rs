//! The file `restored`: the restores of backups that this data folder comes from.
//!
//! Clients may have seen mail that came after the backup, under UIDs, mod-sequences and EMAILIDs
//! that a restored server would give to other mail. So a replay that leaves the epochs of a backup
//! gives every mailbox a new UIDVALIDITY and skips numbers, as behind lost frames. The log cannot
//! say so: it is that of the backup. With this file, every replay does the same at the same place,
//! even if the catalog is deleted later.
//!
//! ```text
//! magic    "mrrestor"
//! version  u16  1
//! rows     u32
//! row      epoch u32, the last of the backup; time u64, in seconds since 1970 UTC
//! checksum u64  XXH3-64 of everything before it
//! ```

use std::io;
use std::path::Path;

use super::codec::{Fields, Row};
use super::error::Rot;
use crate::reactor::{Access, files};
use crate::store::Epoch;

/// Name of the file in the data folder.
pub(crate) const RESTORED: &str = "restored";

/// How many UIDs, mod-sequences and EMAILIDs are skipped: the bound for a hole of unknown size.
pub(super) const SKIPPED: u32 = 1 << 24;

const MAGIC: &[u8; 8] = b"mrrestor";
const VERSION: u16 = 1;

/// Largest file that is read, in bytes: more restores than there are epochs to restore.
const LENGTH: u64 = 1 << 20;

/// A restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// The highest epoch in the backup.
    pub epoch: Epoch,
    /// When it was restored, in seconds since 1970 UTC.
    pub at: u64,
}

/// The restores, in order. Without a file there were none.
pub(super) fn read(data: &Path) -> io::Result<Vec<Restored>> {
    let path = data.join(RESTORED);
    if !files::exists(&path)? {
        return Ok(Vec::new());
    }
    let file = files::open(&path, Access::Read)?;
    let mut octets = vec![0; file.length()?.min(LENGTH) as usize];
    let read = file.read_at(&mut octets, 0)?;
    decode(&octets[..read]).map_err(|Rot(what)| io::Error::new(io::ErrorKind::InvalidData, what))
}

fn decode(octets: &[u8]) -> Result<Vec<Restored>, Rot> {
    let mut fields = Fields::open(octets)?;
    if fields.octets(MAGIC.len())? != MAGIC {
        return Err(Rot("it does not begin like such a file"));
    }
    if fields.u16()? != VERSION {
        return Err(Rot("a newer mailrace wrote it"));
    }
    let mut rows = Vec::new();
    for _ in 0..fields.u32()? {
        rows.push(Restored { epoch: Epoch(fields.u32()?), at: fields.u64()? });
    }
    fields.end()?;
    rows.sort_by_key(|row| row.epoch);
    Ok(rows)
}

/// Adds a restore to the file. Durable on return.
pub(crate) fn note_restored(data: &Path, restored: Restored) -> io::Result<()> {
    let mut rows = read(data)?;
    rows.push(restored);
    let mut out = Row::default();
    out.octets(MAGIC);
    out.u16(VERSION);
    out.u32(u32::try_from(rows.len()).map_err(io::Error::other)?);
    for row in rows {
        out.u32(row.epoch.0);
        out.u64(row.at);
    }
    let path = data.join(RESTORED);
    let unfinished = path.with_extension("new");
    let file = files::open(&unfinished, Access::Create)?;
    file.set_length(0)?;
    file.write_all_at(&out.seal(), 0)?;
    file.sync_all()?;
    files::rename(&unfinished, &path)?;
    files::sync_folder(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_are_added_and_every_octet_counts() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(read(data.path()).unwrap(), []);
        let rows = [(3, 1_700_000_000), (9, 1_800_000_000)];
        let rows = rows.map(|(epoch, at)| Restored { epoch: Epoch(epoch), at });
        rows.into_iter().for_each(|row| note_restored(data.path(), row).unwrap());
        assert_eq!(read(data.path()).unwrap(), rows);
        let mut octets = std::fs::read(data.path().join(RESTORED)).unwrap();
        for at in 0..octets.len() {
            octets[at] ^= 1;
            assert!(decode(&octets).is_err(), "octet {at}");
            assert!(decode(&octets[..at]).is_err(), "{at} octets");
            octets[at] ^= 1;
        }
    }
}
