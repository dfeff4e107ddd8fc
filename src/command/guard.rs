//! What keeps secrets from others on the machine: no core dumps, no permissions for others.

use rustix::fs::Mode;
use rustix::io;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask,
};

/// Files and folders that are made from now on are their owner's alone, whatever the shell or the
/// service manager has set.
pub(super) fn only_for_owner() {
    umask(Mode::from_raw_mode(0o077));
}

/// No core dump from now on: it would hold mail, passwords and keys. The limit alone does not do,
/// for a program that takes dumps from the kernel, like systemd-coredump, gets them all the same;
/// so the process is marked as one that is not to be dumped, which keeps debuggers of other users
/// than root away as well.
pub(super) fn no_core_dumps() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_this_process_is_dumped() {
        no_core_dumps().unwrap();
        let limit = rustix::process::getrlimit(Resource::Core);
        assert_eq!(limit, Rlimit { current: Some(0), maximum: Some(0) });
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
