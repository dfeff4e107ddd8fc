//! The file system of the data folder.

use std::fs;
use std::path::Path;

use super::finding::Finding;

/// A line of /proc/self/mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Mount point.
    pub point: String,
    /// Type of the file system, like `ext4`.
    pub kind: String,
    /// Source, like `/dev/sda1`.
    pub source: String,
    /// Options of the mount and of the file system.
    pub options: Vec<String>,
    /// Device numbers.
    pub device: (u32, u32),
}

impl Mount {
    /// The mount of a path.
    pub(super) fn of(path: &Path) -> Option<Mount> {
        find(&fs::read_to_string("/proc/self/mountinfo").ok()?, path)
    }
}

/// The innermost mount above a path. Of several at one mount point the last hides the others.
fn find(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(parse);
    let above = mounts.filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.len())
}

/// `36 35 98:0 / /point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue`
fn parse(line: &str) -> Option<Mount> {
    let (mount, system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let point = unescape(fields.nth(1)?);
    let options = fields.next()?;
    let mut system = system.split(' ');
    let (kind, source) = (system.next()?.to_owned(), unescape(system.next()?));
    let mut all: Vec<String> = Vec::new();
    for option in options.split(',').chain(system.next().unwrap_or_default().split(',')) {
        if !option.is_empty() && !all.iter().any(|have| have == option) {
            all.push(option.to_owned());
        }
    }
    Some(Mount {
        point,
        kind,
        source,
        options: all,
        device: (major.parse().ok()?, minor.parse().ok()?),
    })
}

/// Undoes octal escapes, such as `\040` for a space.
fn unescape(text: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, code) {
            (b'\\', Some(code)) => {
                octets.push(code);
                rest = &after[3..];
            }
            _ => {
                octets.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// All checks of the file system.
pub(super) fn check(mount: Option<&Mount>) -> Vec<Finding> {
    let Some(mount) = mount else {
        let found = "/proc does not show what is mounted there";
        return vec![Finding::unknown("file system", found), Finding::unknown("mount", found)];
    };
    vec![kind(mount), options(mount)]
}

fn kind(mount: &Mount) -> Finding {
    let found = format!("{} on {}", mount.kind, mount.point);
    let (why, remedy) = match mount.kind.as_str() {
        "ext4" | "xfs" => return Finding::fine("file system", found),
        "tmpfs" | "ramfs" | "devtmpfs" => {
            ("it is in memory: all mail is lost at the next boot", "use a folder on a disk")
        }
        "overlay" | "aufs" => (
            "it is a container's own layer: mail goes with the container, and writes are slower",
            "mount a volume at the data folder",
        ),
        "btrfs" | "zfs" | "bcachefs" => (
            "it copies on write, so that segments written ahead gain nothing, and each fdatasync \
             writes metadata trees",
            "use ext4 or XFS; on btrfs chattr +C on the empty data folder helps",
        ),
        network
            if network.starts_with("nfs")
                || network.starts_with("fuse")
                || ["cifs", "smb3", "9p", "virtiofs", "ceph", "glusterfs", "lustre"]
                    .contains(&network) =>
        {
            (
                "each fdatasync depends on a program or machine that mailrace cannot verify",
                "use ext4 or XFS on a disk of this machine",
            )
        }
        _ => return Finding::unknown("file system", format!("{found}: not measured")),
    };
    Finding::to_do("file system", found, why, remedy)
}

fn options(mount: &Mount) -> Finding {
    let found = mount.options.join(",");
    let has = |option: &str| mount.options.iter().any(|have| have == option);
    let (why, remedy) = if has("ro") {
        ("nothing can be written", "check the kernel log, then mount -o remount,rw")
    } else if has("nobarrier") || has("barrier=0") {
        (
            "the disk is not told to flush its cache: a power loss can lose acknowledged mail",
            "mount it without nobarrier",
        )
    } else if has("data=journal") {
        ("all mail is written twice", "mount it without data=journal")
    } else if has("sync") {
        ("each write waits for the disk, not just one per batch", "mount it without sync")
    } else {
        return Finding::fine("mount", found);
    };
    Finding::to_do("mount", found, why, format!("{remedy} ({})", mount.point))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const MOUNTINFO: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resuid=65534
30 22 0:5 / /srv rw shared:5 - tmpfs tmpfs rw,size=1k
31 30 7:3 / /srv/a\\040b rw,noatime - xfs /dev/loop3 rw,attr2
32 22 0:40 / /srv rw - overlay overlay rw,lowerdir=/x:/y
nonsense
33 22 x:y / /mnt rw - ext4 /dev/vdb rw
";

    #[test]
    fn the_innermost_and_last_mount_counts() {
        let kind = |path: &str| find(MOUNTINFO, Path::new(path)).map(|mount| mount.kind);
        assert_eq!(kind("/home/x").as_deref(), Some("ext4"));
        assert_eq!(kind("/srv/mail").as_deref(), Some("overlay"));
        assert_eq!(kind("/srv/a b/data").as_deref(), Some("xfs"));
        assert_eq!(kind("/srvx").as_deref(), Some("ext4"));
        assert_eq!(kind("relative"), None);
        let found = find(MOUNTINFO, Path::new("/srv/a b")).unwrap();
        assert_eq!((found.device, found.source.as_str()), ((7, 3), "/dev/loop3"));
        assert_eq!(found.options, ["rw", "noatime", "attr2"]);
    }

    fn mount(kind: &str, options: &str) -> Mount {
        Mount {
            point: "/srv".into(),
            kind: kind.into(),
            source: "/dev/x".into(),
            options: options.split(',').map(str::to_owned).collect(),
            device: (8, 1),
        }
    }

    #[test]
    fn file_systems_are_told_apart() {
        for (name, verdict) in [
            ("ext4", Verdict::Fine),
            ("xfs", Verdict::Fine),
            ("tmpfs", Verdict::ToDo),
            ("overlay", Verdict::ToDo),
            ("btrfs", Verdict::ToDo),
            ("nfs4", Verdict::ToDo),
            ("fuse.sshfs", Verdict::ToDo),
            ("hammer", Verdict::Unknown),
        ] {
            assert_eq!(kind(&mount(name, "rw")).verdict, verdict, "{name}");
        }
        assert!(check(None).iter().all(|finding| finding.verdict == Verdict::Unknown));
    }

    #[test]
    fn options_that_break_promises_are_told() {
        for (list, verdict) in [
            ("rw,noatime,discard", Verdict::Fine),
            ("rw,relatime,nobarrier", Verdict::ToDo),
            ("rw,barrier=0", Verdict::ToDo),
            ("rw,data=journal", Verdict::ToDo),
            ("rw,sync", Verdict::ToDo),
            ("ro,relatime", Verdict::ToDo),
            ("rw,errors=remount-ro", Verdict::Fine),
        ] {
            assert_eq!(options(&mount("ext4", list)).verdict, verdict, "{list}");
        }
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(unescape(r"a\040b\134c\0"), "a b\\c\\0");
        assert_eq!(unescape(r"\999\"), r"\999\");
    }
}
