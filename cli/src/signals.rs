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

/// Signals that are listened to. As long as it lives, none of them ends this process.
pub struct Signals([(Signal, unix::Signal); 8]);

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Self> {
        Ok(Self([
            (Signal::INT, signal(SignalKind::interrupt())?),
            (Signal::TERM, signal(SignalKind::terminate())?),
            (Signal::HUP, signal(SignalKind::hangup())?),
            (Signal::QUIT, signal(SignalKind::quit())?),
            // They end a process as well, if nobody listens.
            (Signal::USR1, signal(SignalKind::user_defined1())?),
            (Signal::USR2, signal(SignalKind::user_defined2())?),
            (Signal::ALARM, signal(SignalKind::alarm())?),
            (Signal::XCPU, signal(SignalKind::from_raw(Signal::XCPU.as_raw()))?),
        ]))
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (signal, listener) in &mut self.0 {
                if listener.poll_recv(context).is_ready() {
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
