//! The time of an fdatasync, measured as the log writes: 64 KiB with O_DIRECT to space that was
//! written before.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::finding::Finding;
use crate::limits::BLOCK;

/// Bytes of a write: a small batch.
const WRITE: usize = 64 << 10;

/// Bytes of the file. It is written twice; only the second time is measured.
const SIZE: usize = 16 << 20;

/// Time after which the measurement ends.
const TIME: Duration = Duration::from_secs(10);

/// Expected median time: a client that waits for each OK then sends 200 batches per second. A
/// rotating disk takes 8 to 15 ms.
const MEDIAN: Duration = Duration::from_millis(5);

/// Expected 99th percentile: users notice longer delays.
const TAIL: Duration = Duration::from_millis(100);

/// Measured times.
pub(super) struct Facts {
    /// Whether the file system has O_DIRECT.
    pub direct: bool,
    /// Time of each write with its fdatasync, ascending; never empty.
    pub times: Vec<Duration>,
}

impl Facts {
    /// Writes at most 32 MiB to an unnamed file in this folder, so that nothing can be left behind.
    pub(super) fn measure(folder: &Path) -> io::Result<Facts> {
        let file = tempfile::tempfile_in(folder)?;
        let octets = vec![0; WRITE + BLOCK];
        let start = octets.as_ptr().align_offset(BLOCK);
        let write = &octets[start..start + WRITE];
        let direct = direct(&file, write)?;
        let begun = Instant::now();
        for offset in (0..SIZE).step_by(WRITE) {
            file.write_all_at(write, offset as u64)?;
        }
        file.sync_all()?;
        let mut times = Vec::new();
        for offset in (0..SIZE).step_by(WRITE) {
            let before = Instant::now();
            file.write_all_at(write, offset as u64)?;
            file.sync_data()?;
            times.push(before.elapsed());
            if begun.elapsed() > TIME {
                break;
            }
        }
        times.sort_unstable();
        Ok(Facts { direct, times })
    }

    fn at(&self, in_a_hundred: usize) -> Duration {
        self.times[(self.times.len() - 1) * in_a_hundred / 100]
    }
}

/// Switches to O_DIRECT. Returns whether the file system supports it; some accept the flag and
/// refuse the first write.
fn direct(file: &File, octets: &[u8]) -> io::Result<bool> {
    let before = fcntl_getfl(file)?;
    if fcntl_setfl(file, before | OFlags::DIRECT).is_err() {
        return Ok(false);
    }
    match file.write_all_at(octets, 0) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
            fcntl_setfl(file, before)?;
            Ok(false)
        }
        written => written.map(|()| true),
    }
}

/// Checks the measurement.
pub(super) fn check(measured: &io::Result<Facts>) -> Vec<Finding> {
    match measured {
        Ok(facts) => vec![direct_io(facts.direct), fdatasync(facts)],
        Err(error) => {
            let found = format!("cannot write a file there to measure it: {error}");
            vec![Finding::unknown("O_DIRECT", &*found), Finding::unknown("fdatasync", found)]
        }
    }
}

fn direct_io(direct: bool) -> Finding {
    if direct {
        return Finding::fine("O_DIRECT", "can be used");
    }
    Finding::to_do(
        "O_DIRECT",
        "not supported by this file system",
        "segments go through the page cache: one more copy of all mail",
        "use ext4 or XFS",
    )
}

fn fdatasync(facts: &Facts) -> Finding {
    let (median, tail) = (facts.at(50), facts.at(99));
    let each = 1.0 / median.as_secs_f64().max(1e-6);
    let found = format!(
        "64 KiB durable in {} (p50), {} (p99), {} samples; a client that waits for each OK gets at \
         most {each:.0} per second",
        show(median),
        show(tail),
        facts.times.len()
    );
    if median <= MEDIAN && tail <= TAIL {
        return Finding::fine("fdatasync", found);
    }
    Finding::to_do(
        "fdatasync",
        found,
        format!(
            "mail is acknowledged after it; a disk for mail should reach {} (p50) and {} (p99)",
            show(MEDIAN),
            show(TAIL)
        ),
        "try again when nothing else writes; then use a solid-state disk, ideally with power-loss \
         protection; large batches suffer least",
    )
}

fn show(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..10_000 => format!("{micros} µs"),
        micros => format!("{} ms", micros / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn facts(micros: impl IntoIterator<Item = u64>) -> Facts {
        Facts { direct: true, times: micros.into_iter().map(Duration::from_micros).collect() }
    }

    #[test]
    fn half_and_nearly_all_are_judged() {
        let fine = fdatasync(&facts(1..=200));
        assert_eq!(fine.verdict, Verdict::Fine);
        assert!(fine.found.contains("100 µs (p50), 198 µs (p99)"), "{fine:?}");
        assert!(fine.found.contains("at most 10000 per second"), "{fine:?}");
        assert_eq!(fdatasync(&facts([6000; 100])).verdict, Verdict::ToDo);
        let tail = (0..100).map(|n| if n < 98 { 100 } else { 200_000 });
        assert_eq!(fdatasync(&facts(tail)).verdict, Verdict::ToDo);
        assert_eq!(fdatasync(&facts([0])).verdict, Verdict::Fine);
        assert_eq!(direct_io(false).verdict, Verdict::ToDo);
        let failed = check(&Err(io::ErrorKind::StorageFull.into()));
        assert!(failed.iter().all(|finding| finding.verdict == Verdict::Unknown));
    }

    #[test]
    fn nothing_stays_of_a_measurement() {
        let folder = tempfile::tempdir().unwrap();
        let facts = Facts::measure(folder.path()).unwrap();
        assert!(!facts.times.is_empty() && facts.times.is_sorted());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(Facts::measure(&folder.path().join("nowhere")).is_err());
    }
}
