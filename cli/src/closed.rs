//! Keeps other processes of the same user out of this one.

use crate::error::Error;

/// From here on no process of the same user can read this one's memory or environment, where the means to get identity tokens
/// are, nor attach to it: not what was started before, and not the command that is run with a role. It leaves no core dump either.
/// What a process is started with is its own again. Kept out is also root in a container, as long as it has none of `CAP_SYS_PTRACE`,
/// `CAP_SYS_ADMIN` and `CAP_PERFMON`; root of a machine is not. Nor is anybody kept from another process that has the same
/// environment, such as the shell that has started this one.
#[cfg(target_os = "linux")]
pub fn close() -> Result<(), Error> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    use crate::error::Kind;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| Error::new(Kind::Failed, format!("this process cannot be closed to others: {error}")))
}

/// Elsewhere there is no such thing: on macOS only a debugger that the system trusts can attach, but `ps` shows environments.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
pub fn close() -> Result<(), Error> {
    Ok(())
}
