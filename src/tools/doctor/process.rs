//! Limits of this process: locked memory, descriptors, cores, huge pages.

use rustix::process::{Resource, getrlimit};
use rustix::thread::sched_getaffinity;

use super::finding::Finding;
use super::kernel::line;
use crate::limits::{ARENA, CONNECTIONS};
use crate::reactor::Locked;
use crate::tools::show_size;

/// Descriptors beside those of connections: open segments, the catalog, rings.
const FILES: u64 = 512;

/// Limits of this process.
pub(super) struct Facts {
    /// What the limit on locked memory allows to all reactors; `None` without io_uring.
    pub locked: Option<Locked>,
    /// Limit on locked memory in bytes; `None` is unlimited.
    pub memlock: Option<u64>,
    /// Hard limit on descriptors; `None` is unlimited.
    pub nofile: Option<u64>,
    /// Number of reactors that a server would start.
    pub reactors: usize,
    /// Numbers of the allowed cores.
    pub cores: Option<Vec<usize>>,
    /// The setting of transparent huge pages, like `always [madvise] never`.
    pub huge: Option<String>,
}

impl Facts {
    /// Reads the limits.
    pub(super) fn here(reactors: usize, locked: Option<Locked>) -> Facts {
        let cores = sched_getaffinity(None).ok();
        Facts {
            locked,
            memlock: getrlimit(Resource::Memlock).current,
            nofile: getrlimit(Resource::Nofile).maximum,
            reactors,
            cores: cores.map(|set| (0..1024).filter(|&core| set.is_set(core)).collect()),
            huge: line("/sys/kernel/mm/transparent_hugepage/enabled"),
        }
    }
}

/// All checks of the process.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    vec![
        memlock(facts),
        nofile(facts.nofile),
        cores(facts.reactors, facts.cores.as_deref()),
        huge(facts.huge.as_deref()),
    ]
}

fn memlock(facts: &Facts) -> Finding {
    let wanted = show_size((ARENA * facts.reactors) as u64);
    let limit = facts.memlock.map_or("no limit".into(), show_size);
    let reactors = facts.reactors;
    let Some(locked) = facts.locked else {
        return Finding::unknown("locked memory", "cannot be checked without io_uring");
    };
    if locked.registered {
        let found = format!("{wanted} can be registered for {reactors} reactors");
        return Finding::fine("locked memory", found);
    }
    let found = format!("{limit} for this process; {reactors} reactors register {wanted}");
    let unregistered = "without registered buffers the kernel looks up their pages for each \
         operation (the cost was below the noise when measured)";
    let why = if locked.reactors < reactors {
        let there_are = locked.reactors;
        format!("only {there_are} reactors start, because there is no room for more rings")
    } else if locked.usual_rings {
        unregistered.to_owned()
    } else {
        format!("the rings of {reactors} reactors are smaller than usual; {unregistered}")
    };
    Finding::to_do("locked memory", found, why, MEMLOCK)
}

/// Remedy for a low limit on locked memory.
pub(super) const MEMLOCK: &str = "\
    LimitMEMLOCK=infinity in the unit (tuning/systemd/mailrace.service has it), --ulimit \
    memlock=-1 for a container, memlock in /etc/security/limits.conf for a shell";

fn nofile(limit: Option<u64>) -> Finding {
    let wanted = CONNECTIONS as u64 + FILES;
    match limit {
        None => Finding::fine("descriptors", "no limit"),
        Some(limit) if limit >= wanted => {
            Finding::fine("descriptors", format!("up to {limit} for this process"))
        }
        Some(limit) => Finding::to_do(
            "descriptors",
            format!("up to {limit} for this process"),
            format!(
                "{CONNECTIONS} connections and the files need {wanted}; with fewer descriptors a \
                 server takes fewer connections (see --connections)"
            ),
            "LimitNOFILE=20000 in the unit (tuning/systemd/mailrace.service has it), --ulimit \
             nofile=20000 for a container",
        ),
    }
}

fn cores(reactors: usize, allowed: Option<&[usize]>) -> Finding {
    let Some(allowed) = allowed else {
        return Finding::unknown("cores", "the system does not report the allowed cores");
    };
    if (0..reactors).all(|core| allowed.contains(&core)) {
        let found = format!("{}, with one pinned reactor each", allowed.len());
        return Finding::fine("cores", found);
    }
    let list: Vec<String> = allowed.iter().map(usize::to_string).collect();
    Finding::to_do(
        "cores",
        format!("this process may use {}", list.join(", ")),
        "reactors are pinned to cores from number 0 on; a reactor whose core is not allowed runs \
         unpinned",
        "allow the service cores from 0 on (AllowedCPUs=, --cpuset-cpus), or accept it: mailrace \
         works unpinned too",
    )
}

fn huge(setting: Option<&str>) -> Finding {
    match setting {
        None => Finding::unknown("huge pages", "/sys does not show the setting"),
        // No difference was measured.
        Some(setting) if setting.contains("[never]") => {
            let found = format!("{setting}: the arena has pages of 4 KiB, which is harmless");
            Finding::fine("huge pages", found)
        }
        Some(setting) => Finding::fine("huge pages", setting),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    const ALL: Locked = Locked { registered: true, reactors: 2, usual_rings: true };

    fn facts() -> Facts {
        Facts {
            locked: Some(ALL),
            memlock: Some(8 << 20),
            nofile: Some(20_000),
            reactors: 2,
            cores: Some(vec![0, 1]),
            huge: Some("always [madvise] never".into()),
        }
    }

    #[test]
    fn a_good_process_has_nothing_to_do() {
        assert!(check(&facts()).iter().all(|finding| finding.verdict == Verdict::Fine));
    }

    #[test]
    fn each_limit_is_told() {
        let none = Facts { locked: None, cores: None, huge: None, ..facts() };
        let verdicts = |facts: &Facts| check(facts).into_iter().map(|f| f.verdict).collect();
        let verdicts: Vec<Verdict> = verdicts(&none);
        assert_eq!(verdicts, [Verdict::Unknown, Verdict::Fine, Verdict::Unknown, Verdict::Unknown]);
        let poor = Facts {
            locked: Some(Locked { registered: false, ..ALL }),
            nofile: Some(1024),
            cores: Some(vec![4, 5]),
            ..facts()
        };
        let found = check(&poor);
        assert!(found[..3].iter().all(|finding| finding.verdict == Verdict::ToDo), "{found:?}");
        assert!(found[0].found.contains("8 MiB"), "{:?}", found[0]);
        assert!(found[2].found.contains("4, 5"), "{:?}", found[2]);
        let why = |locked| format!("{:?}", memlock(&Facts { locked: Some(locked), ..facts() }));
        let unregistered = Locked { registered: false, ..ALL };
        assert!(why(Locked { usual_rings: false, ..unregistered }).contains("smaller than usual"));
        assert!(why(Locked { reactors: 1, ..unregistered }).contains("only 1 reactors"));
        assert_eq!(nofile(None).verdict, Verdict::Fine);
        let small = huge(Some("always madvise [never]"));
        assert!(small.verdict == Verdict::Fine && small.found.contains("4 KiB"), "{small:?}");
    }
}
