//! The processes that wait for this one: whoever has started it, and who has started that.

use std::{collections::BTreeSet, fs::File, os::unix::fs::MetadataExt};

use crate::error::Error;

/// Whether whoever has the lock on this file waits for the end of this process, because it has started it, or has started who has:
/// then the lock is never given. What stands between them, a shell, a wrapper, another program that gets credentials, does not
/// count. Only Linux tells.
pub fn waits_for_this_process(file: &File) -> bool {
    let Ok(inode) = file.metadata().map(|it| it.ino()) else { return false };
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return false };
    let holders: BTreeSet<u32> = locks.lines().filter_map(|line| held(line, inode)).collect();
    !holders.is_empty() && ancestors().any(|pid| holders.contains(&pid))
}

/// What there is to say then.
pub fn round() -> Error {
    Error::usage("`daypass` needs AWS credentials to call Daypass, and they come from `daypass` itself")
        .remedy("set `aws_profile` (DAYPASS_AWS_PROFILE) to a profile that does not lead back to `daypass credentials`")
}

/// The process that a line of `/proc/locks` (`proc_locks(5)`) says has the file; those that wait have `->` in theirs.
fn held(line: &str, inode: u64) -> Option<u32> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, _, process, file, ..] = words[..] else { return None };
    (file.rsplit(':').next() == Some(inode.to_string().as_str())).then(|| process.parse().ok())?
}

/// As many processes of this name, each waiting for the next one, are a profile that leads back to this command: an `exec` in an `exec`
/// is two.
const MOST: usize = 8;

/// Whether this command has been started by itself again and again, by way of whichever other programs. Only Linux tells.
pub fn goes_round() -> bool {
    let own = process(std::process::id()).map(|(name, _)| name);
    own.is_some_and(|own| ancestors().filter_map(process).filter(|(name, _)| *name == own).count() >= MOST)
}

/// The process that has started this one, who has started that, and so on.
fn ancestors() -> impl Iterator<Item = u32> {
    let first = std::os::unix::process::parent_id();
    std::iter::successors(Some(first), |pid| Some(process(*pid)?.1)).take_while(|pid| *pid > 1)
}

/// Name and parent of a process: the second and the fourth field of `/proc/<pid>/stat` (`proc_pid_stat(5)`). The name is in parentheses,
/// and may have any in it.
fn process(pid: u32) -> Option<(String, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    Some((name.to_owned(), rest.split_whitespace().nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_who_has_the_file() {
        let line = "12: FLOCK  ADVISORY  WRITE 4711 fe:00:1835023 0 EOF";
        assert_eq!(held(line, 1_835_023), Some(4711));
        assert_eq!(held(line, 835_023), None);
        assert_eq!(held("12: -> FLOCK  ADVISORY  WRITE 4712 fe:00:1835023 0 EOF", 1_835_023), None, "it waits");
        assert_eq!(held("1: POSIX  ADVISORY  WRITE 4711 fe:00:1835023 0 EOF", 1_835_023), None);
        for text in ["", "x", "12: FLOCK", "12: FLOCK ADVISORY WRITE x fe:00:7 0 EOF"] {
            assert_eq!(held(text, 7), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn ancestors_end_with_the_first_process() {
        let all: Vec<u32> = ancestors().collect();
        assert_eq!(all.first(), Some(&std::os::unix::process::parent_id()));
        assert!(all.len() < 1000 && !all.contains(&std::process::id()), "{all:?}");
    }
}
