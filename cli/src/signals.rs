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

use crate::{
    error::{Error, Kind},
    output::Output,
};

/// Whatever ends a process that does not listen, and lets it. Not here: what a fault of its own raises, and real-time signals, which
/// could not be handed on.
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
    Signal::ABORT,
    Signal::TRAP,
    Signal::SYS,
    #[cfg(target_os = "linux")]
    Signal::IO,
    #[cfg(target_os = "linux")]
    Signal::POWER,
    #[cfg(target_os = "linux")]
    Signal::STKFLT,
];

/// Signals that are listened to. From the first of these on, none of them ends this process.
pub struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Listens from now on.
    pub fn listen() -> Result<Self, Error> {
        let listener = |fatal: &Signal| Ok((*fatal, signal(SignalKind::from_raw(fatal.as_raw()))?));
        let ignored = ignored();
        let heeded = FATAL.iter().filter(|signal| ignored & (1 << (signal.as_raw() - 1)) == 0);
        let listeners: io::Result<_> = heeded.map(listener).collect();
        listeners.map(Self).map_err(|error| Error::new(Kind::Failed, format!("no signals: {error}")))
    }

    /// Does something to its end, whatever signal comes, and tells whether one came: `waiting_for` is told to whoever sent it.
    pub async fn outlasted<T>(
        &mut self,
        task: impl Future<Output = T>,
        output: &Output,
        waiting_for: &str,
    ) -> (T, Result<(), Error>) {
        let mut task = Box::pin(task);
        let mut uninterrupted = Ok(());
        loop {
            tokio::select! {
                biased;
                signal = self.next() => {
                    if uninterrupted.is_ok() {
                        output.note(&format!("interrupted; waiting for {waiting_for}"));
                    }
                    uninterrupted = Err(interrupted(signal));
                }
                done = &mut task => return (done, uninterrupted),
            }
        }
    }

    /// Does something unless a signal comes, which is an error then.
    pub async fn unless<T>(&mut self, task: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            signal = self.next() => Err(interrupted(signal)),
            done = task => done,
        }
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

/// The signals that this process has been started to ignore, as by `nohup`: a bit for each (`proc_pid_status(5)`). Only Linux tells.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn interrupted(signal: Signal) -> Error {
    let number = signal.as_raw();
    Error::new(Kind::Interrupted(number), format!("interrupted by signal {number}"))
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
