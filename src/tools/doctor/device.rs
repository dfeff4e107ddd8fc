//! The disk below the file system: scheduler and write cache.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use super::finding::Finding;
use super::mount::Mount;

/// Facts about the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// Like `nvme0n1`.
    pub name: String,
    /// Like `[none] mq-deadline bfq`.
    pub scheduler: Option<String>,
    /// `write back` or `write through`.
    pub cache: Option<String>,
}

impl Facts {
    /// Reads the facts; `None` when the mount is not on a disk, or /sys is missing.
    pub(super) fn of(mount: &Mount) -> Option<Facts> {
        let (major, minor) = numbers(mount)?;
        let place = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        Facts::at(&fs::canonicalize(place).ok()?)
    }

    /// Reads a folder of /sys. The queue of a partition is in the parent folder.
    fn at(place: &Path) -> Option<Facts> {
        let disk = [place, place.parent()?].into_iter().find(|disk| disk.join("queue").is_dir())?;
        let read = |name: &str| {
            let text = fs::read_to_string(disk.join("queue").join(name)).ok()?;
            Some(text.trim().to_owned())
        };
        Some(Facts {
            name: disk.file_name()?.to_string_lossy().into_owned(),
            scheduler: read("scheduler"),
            cache: read("write_cache"),
        })
    }
}

/// Device numbers. Some file systems, such as btrfs, have made-up numbers; then those of the
/// mount's source count.
fn numbers(mount: &Mount) -> Option<(u32, u32)> {
    if mount.device.0 != 0 {
        return Some(mount.device);
    }
    let device = fs::metadata(&mount.source).ok()?.rdev();
    (device != 0).then(|| (major(device), minor(device)))
}

/// All checks of the disk.
pub(super) fn check(facts: Option<&Facts>) -> Vec<Finding> {
    let Some(facts) = facts else {
        let found = "/sys shows no disk under this file system";
        return vec![Finding::unknown("scheduler", found), Finding::unknown("write cache", found)];
    };
    vec![scheduler(facts), cache(facts)]
}

fn scheduler(facts: &Facts) -> Finding {
    let name = &facts.name;
    let Some(setting) = &facts.scheduler else {
        return Finding::fine("scheduler", format!("{name} offers no choice"));
    };
    let chosen =
        setting.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    match chosen {
        // A log is a single writer: no difference was measured.
        Some("bfq") => Finding::fine(
            "scheduler",
            format!("bfq on {name}; it suits slow disks shared by programs, none suits fast ones"),
        ),
        Some(other) => Finding::fine("scheduler", format!("{other} on {name}")),
        // Disks without a choice show `none` without brackets.
        None => Finding::fine("scheduler", format!("{setting} on {name}")),
    }
}

fn cache(facts: &Facts) -> Finding {
    let name = &facts.name;
    match facts.cache.as_deref() {
        Some("write back") => Finding::fine(
            "write cache",
            format!("{name} has one, which each fdatasync flushes; see the time below"),
        ),
        Some("write through") => Finding::fine(
            "write cache",
            format!(
                "{name} reports none that needs flushing; true of disks with power-loss \
                 protection, and of others only if nobody has changed the setting"
            ),
        ),
        _ => Finding::unknown("write cache", format!("{name} does not report it")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn facts(scheduler: Option<&str>, cache: Option<&str>) -> Facts {
        Facts {
            name: "sda".into(),
            scheduler: scheduler.map(str::to_owned),
            cache: cache.map(str::to_owned),
        }
    }

    #[test]
    fn the_scheduler_in_brackets_counts() {
        for (setting, verdict) in [
            (Some("[none] mq-deadline kyber bfq"), Verdict::Fine),
            (Some("none [mq-deadline]"), Verdict::Fine),
            (Some("none mq-deadline [bfq]"), Verdict::Fine),
            (Some("none"), Verdict::Fine),
            (None, Verdict::Fine),
        ] {
            assert_eq!(scheduler(&facts(setting, None)).verdict, verdict, "{setting:?}");
        }
        let found = |setting| scheduler(&facts(Some(setting), None)).found;
        assert!(found("none mq-deadline [bfq]").starts_with("bfq on sda; it suits"));
        assert_eq!(found("none [mq-deadline]"), "mq-deadline on sda");
    }

    #[test]
    fn a_cache_is_told() {
        assert!(cache(&facts(None, Some("write back"))).found.contains("each fdatasync"));
        assert!(cache(&facts(None, Some("write through"))).found.contains("changed the setting"));
        assert_eq!(cache(&facts(None, None)).verdict, Verdict::Unknown);
        assert!(check(None).iter().all(|finding| finding.verdict == Verdict::Unknown));
    }

    #[test]
    fn a_partition_has_the_queue_of_its_disk() {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("sda");
        fs::create_dir_all(disk.join("queue")).unwrap();
        fs::create_dir(disk.join("sda1")).unwrap();
        fs::write(disk.join("queue/scheduler"), "[none]\n").unwrap();
        fs::write(disk.join("queue/write_cache"), "write back\n").unwrap();
        let expected = Some(facts(Some("[none]"), Some("write back")));
        assert_eq!(Facts::at(&disk), expected);
        assert_eq!(Facts::at(&disk.join("sda1")), expected);
        assert_eq!(Facts::at(sys.path()), None);
    }
}
