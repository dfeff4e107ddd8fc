//! Keeps secrets from other users of the machine: no core dumps, private files.

use rustix::fs::Mode;
use rustix::io;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask,
};

/// Makes files and folders that are created from now on private to their owner, whatever umask the
/// shell or the service manager has set.
pub(super) fn only_for_owner() {
    umask(Mode::from_raw_mode(0o077));
}

/// Disables core dumps, which would contain mail, passwords and keys. The limit alone is not
/// enough, because programs that receive dumps from the kernel, such as systemd-coredump, ignore
/// it. So the process is also marked as not dumpable, which keeps debuggers of users other than
/// root away too.
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
