//! The file `losses`: damage that the operator has accepted with `mailrace verify --repair`. A
//! start goes on without it, as with `--quarantine`, and still refuses any other damage.
//!
//! The file stands beside the catalog, because the catalog may be deleted. Little-endian:
//!
//! ```text
//! magic    "mrlosses"
//! version  u16  1
//! rows     u32
//! row      segment u64, offset u64, length of the rest u32, the rest as in the table `damaged`
//! checksum u64  XXH3-64 of everything before it
//! ```

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::codec::{Fields, Row};
use super::damaged::Known;
use super::error::Rot;
use crate::reactor::{Access, files};

/// Name of the file in the data folder.
pub(crate) const LOSSES: &str = "losses";

const MAGIC: &[u8; 8] = b"mrlosses";
const VERSION: u16 = 1;

/// Largest file that is read, in bytes: a million lost messages. A larger one is not ours.
const LENGTH: u64 = 256 << 20;

/// Why the file cannot be used.
#[derive(Debug, Error)]
pub enum LossesError {
    /// The file is not what was written.
    #[error(
        "{path} is damaged: {rot}. Run `mailrace verify --repair` to write it again, or delete it: \
         then a start refuses the damage that it recorded", path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        rot: Rot,
    },
    /// A newer mailrace wrote it.
    #[error("{path} was written by a newer mailrace. Upgrade", path = .0.display())]
    Newer(PathBuf),
    /// It cannot be read.
    #[error("{path}: {error}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// Reads the file in this data folder. Without a file, nothing is accepted.
pub(super) fn read(data: &Path) -> Result<Vec<Known>, LossesError> {
    let path = data.join(LOSSES);
    let octets = match load(&path) {
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(octets)) => octets,
        Err(error) => return Err(LossesError::Io { path, error }),
    };
    match decode(&octets) {
        Ok(Some(rows)) => Ok(rows),
        Ok(None) => Err(LossesError::Newer(path)),
        Err(rot) => Err(LossesError::Damaged { path, rot }),
    }
}

fn load(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if !files::exists(path)? {
        return Ok(None);
    }
    let file = files::open(path, Access::Read)?;
    let length = file.length()?;
    if length > LENGTH {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut octets = vec![0; length as usize];
    let read = file.read_at(&mut octets, 0)?;
    octets.truncate(read);
    Ok(Some(octets))
}

/// The rows; `None` when a newer mailrace wrote them.
fn decode(octets: &[u8]) -> Result<Option<Vec<Known>>, Rot> {
    let mut fields = Fields::open(octets)?;
    if fields.octets(MAGIC.len())? != MAGIC {
        return Err(Rot("it does not begin like such a file"));
    }
    if fields.u16()? != VERSION {
        return Ok(None);
    }
    let count = fields.u32()?;
    let mut rows = Vec::new();
    for _ in 0..count {
        let (segment, offset, length) = (fields.u64()?, fields.u64()?, fields.u32()?);
        rows.push(Known::decode((segment, offset), fields.octets(length as usize)?)?);
    }
    fields.end()?;
    Ok(Some(rows))
}

/// Replaces the file, or removes it if nothing is lost. Durable on return.
pub(super) fn write(data: &Path, rows: &[Known]) -> io::Result<()> {
    let path = data.join(LOSSES);
    if rows.is_empty() {
        if files::exists(&path)? {
            files::remove(&path)?;
        }
        return files::sync_folder(data);
    }
    let mut out = Row::default();
    out.octets(MAGIC);
    out.u16(VERSION);
    out.u32(u32::try_from(rows.len()).map_err(io::Error::other)?);
    for known in rows {
        let (segment, offset) = known.place();
        let rest = known.encode();
        out.u64(segment);
        out.u64(offset);
        out.u32(u32::try_from(rest.len()).map_err(io::Error::other)?);
        out.octets(&rest);
    }
    let octets = out.seal();
    if octets.len() as u64 > LENGTH {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let unfinished = path.with_extension("new");
    let file = files::open(&unfinished, Access::Create)?;
    file.set_length(0)?;
    file.write_all_at(&octets, 0)?;
    file.sync_all()?;
    files::rename(&unfinished, &path)?;
    files::sync_folder(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Damage, Epoch, Fragment, LogId, Lost, LostFrames, Lsn, SegmentId};

    fn rows() -> Vec<Known> {
        let fragment = Fragment { segment: SegmentId(3), offset: 4224, length: 10 };
        let hole = LostFrames { until: Some(Lsn(9)), given: 7, logs: 2 };
        let kinds = [Lost::Octets(vec![fragment]), Lost::Frames(hole), Lost::File];
        let row = |lost| Known {
            damage: Damage {
                file: SegmentId(3),
                stripped: false,
                offset: 4224,
                epoch: Epoch(1),
                log: LogId(1),
                lsn: Lsn(8),
                what: "rot".into(),
                messages: Vec::new(),
                lost,
            },
        };
        kinds.map(row).into()
    }

    #[test]
    fn rows_come_back_and_an_empty_list_is_no_file() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(read(data.path()).unwrap(), []);
        write(data.path(), &rows()).unwrap();
        assert_eq!(read(data.path()).unwrap(), rows());
        write(data.path(), &[]).unwrap();
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    }

    #[test]
    fn every_octet_counts() {
        let data = tempfile::tempdir().unwrap();
        write(data.path(), &rows()).unwrap();
        let path = data.path().join(LOSSES);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut octets = whole.clone();
            octets[at] ^= 1;
            assert!(decode(&octets).is_err(), "octet {at}");
            assert!(decode(&octets[..at]).is_err(), "{at} octets");
        }
        std::fs::write(&path, &whole[..20]).unwrap();
        let error = read(data.path()).unwrap_err().to_string();
        assert!(error.contains("verify --repair"), "{error}");
    }
}
