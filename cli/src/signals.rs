//! The signals that end a job, and whom they have reached.

use std::{fs::File, future::poll_fn, io, task::Poll};

use rustix::{
    process::{Pid, Signal, getpgrp, kill_process},
    termios::tcgetpgrp,
};
use tokio::{
    process::Child,
    signal::unix::{self, SignalKind, signal},
};

/// Whatever ends a process that does not listen, and lets it: those that a fault of its own raises, and real-time signals, are not
/// here.
const FATAL: &[Signal] = &[
    Signal::INT,
    Signal::TERM,
    Signal::HUP,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::XCPU,
    Signal::XFSZ,
    #[cfg(target_os = "linux")]
    Signal::IO,
    #[cfg(target_os = "linux")]
    Signal::POWER,
    #[cfg(target_os = "linux")]
    Signal::STKFLT,
];

/// Signals that are listened to. As long as it lives, none of them ends this process.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        let listener = |fatal: &Signal| Ok((*fatal, signal(SignalKind::from_raw(fatal.as_raw()))?));
        FATAL.iter().map(listener).collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the next one. That a file has become too large is told by the write that it fails, and ends nothing.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, listener) in &mut self.0 {
                if listener.poll_recv(context).is_ready() && *signal != Signal::XFSZ {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Hands a signal on to a command that runs, unless it has got it already.
pub fn forward(signal: Signal, child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid.filter(|_| !came_from_the_terminal(signal)) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

/// Whether a signal came to the command as well. Ctrl-C and Ctrl-\ go to the whole foreground of a terminal, and the command
/// is in the same process group as this process. Who sends one of them is not told; in the foreground it is the terminal.
fn came_from_the_terminal(signal: Signal) -> bool {
    let foreground = || Some(tcgetpgrp(File::open("/dev/tty").ok()?).ok()? == getpgrp());
    (signal == Signal::INT || signal == Signal::QUIT) && foreground().unwrap_or(false)
}

/// The exit code that stands for a signal, as shells have it.
pub fn code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
