//! The session store: what `request` leaves behind for `credentials`, `env` and `release`.
//!
//! One file for each transaction, for its owner alone, locked while it is changed. It holds secrets: the key that answers are
//! sealed to, and the session of the deploy role. `release` removes it.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, MetadataExt},
    },
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use daypass::{
    contract::{Grant, Request},
    ids::TransactionId,
};
use ring::digest::{SHA256, digest};
use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, fstat, openat, renameat, statat, unlinkat},
    io::Errno,
    process::geteuid,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{deployment::Deployment, holders, role_session::RoleSession, run_key::RunKey, secret::Secret};
use crate::{
    error::{Error, Kind},
    output::Output,
    world::World,
};

/// A granted request with all that belongs to it.
pub struct Session {
    /// Where it was granted.
    pub deployment: Deployment,
    /// What was asked for.
    pub request: Request,
    /// How long sessions of the role last, if not the default.
    pub duration: Option<Duration>,
    /// What was granted.
    pub grant: Grant,
    /// The key that answers are sealed to.
    pub key: RunKey,
    /// The latest session of the role.
    pub role: RoleSession,
    /// The access key ids of all sessions of the role, so that none of them is taken for credentials to ask with.
    pub role_key_ids: Vec<String>,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    deployment: Deployment,
    request: Request,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session_duration_seconds: Option<u64>,
    grant: Grant,
    access_key_ids: Vec<String>,
    secrets: Secrets,
}

/// The one place where secrets are written out: a file that only its owner can read.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Secrets {
    age_key: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    #[zeroize(skip)]
    expires_at: daypass::timestamp::Timestamp,
    #[zeroize(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renew_at: Option<daypass::timestamp::Timestamp>,
}

const VERSION: u32 = 2;

impl Session {
    /// Goes on with the next session of the role.
    pub fn go_on(&mut self, grant: Grant, role: RoleSession) {
        self.role_key_ids.push(role.access_key_id.clone());
        (self.grant, self.role) = (grant, role);
    }

    fn to_json(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let role = &self.role;
        let written = Written {
            version: VERSION,
            deployment: self.deployment.clone(),
            request: self.request.clone(),
            session_duration_seconds: self.duration.map(|duration| duration.as_secs()),
            grant: self.grant.clone(),
            access_key_ids: self.role_key_ids.clone(),
            secrets: Secrets {
                age_key: self.key.secret().expose().to_owned(),
                access_key_id: role.access_key_id.clone(),
                secret_access_key: role.secret_access_key.expose().to_owned(),
                session_token: role.session_token.expose().to_owned(),
                expires_at: role.expires_at,
                renew_at: role.renew_at,
            },
        };
        serde_json::to_vec(&written).map(Zeroizing::new)
    }

    fn from_json(bytes: &[u8]) -> Option<Self> {
        let written: Written =
            serde_json::from_slice(bytes).ok().filter(|written: &Written| written.version == VERSION)?;
        let Written { deployment, request, session_duration_seconds, grant, access_key_ids, secrets, .. } = written;
        Some(Self {
            deployment,
            request,
            duration: session_duration_seconds.map(Duration::from_secs),
            grant,
            role_key_ids: access_key_ids,
            key: RunKey::stored(&secrets.age_key)?,
            role: RoleSession {
                access_key_id: secrets.access_key_id.clone(),
                secret_access_key: Secret::new(&secrets.secret_access_key),
                session_token: Secret::new(&secrets.session_token),
                expires_at: secrets.expires_at,
                renew_at: secrets.renew_at,
            },
        })
    }
}

/// The folder. It belongs to this user, and nobody else can write to it: then nobody else has put there what is in it.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    output: Output,
}

/// A file of it that nobody else reads or changes meanwhile.
pub struct Locked {
    file: File,
    folder: OwnedFd,
    name: String,
    path: PathBuf,
}

/// How the names of keys end that belong to a token.
const KEY: &str = ".key";
/// Daypass believes no token that is valid for longer.
const LONGEST_TOKEN: Duration = Duration::from_hours(24);

/// How long another process may have a file. A request takes six minutes at most, and what follows it a minute or two.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// How often a file may have been replaced while its lock was waited for.
const REPLACED: usize = 1000;
/// After so long a wait is told.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

impl Store {
    /// `$DAYPASS_STATE_DIR`, else `$XDG_RUNTIME_DIR/daypass`, else `$XDG_STATE_HOME/daypass`, else `~/.local/state/daypass`.
    pub fn of(world: &dyn World, output: &Output) -> Result<Self, Error> {
        let below = |variable: &str, rest: &str| Some(Path::new(&world.variable(variable)?).join(rest));
        let folder = below("DAYPASS_STATE_DIR", "")
            .or_else(|| below("XDG_RUNTIME_DIR", "daypass"))
            .or_else(|| below("XDG_STATE_HOME", "daypass"))
            .or_else(|| below("HOME", ".local/state/daypass"));
        let none = || Error::usage("there is no place to keep the session in").remedy("set DAYPASS_STATE_DIR or HOME");
        folder.map(|path| Self { path, output: output.clone() }).ok_or_else(none)
    }

    /// Locks the file of a transaction; nothing when there is none. Waits for whoever has it.
    ///
    /// # Errors
    /// When it cannot be opened, is not this user's alone, or somebody has it for too long.
    pub fn lock(&self, transaction: TransactionId) -> Result<Option<Locked>, Error> {
        self.locked(&format!("{transaction}.json"), false)
    }

    /// Locks the file of a transaction that begins.
    pub fn create(&self, transaction: TransactionId) -> Result<Locked, Error> {
        self.made(&format!("{transaction}.json"))
    }

    /// Locks what stands for all requests that are alike: it names their transaction.
    pub fn lock_request(&self, digest: &str) -> Result<Locked, Error> {
        self.made(&format!("{digest}.request"))
    }

    /// The key that answers to whoever has this identity token are sealed to: the same one in each process of a job that gets a token
    /// only once, and may have sent it before. It is of no use without the token, and kept as long as a token may be valid.
    pub fn key_for(&self, token: &Secret) -> Result<RunKey, Error> {
        let mut file = self.made(&key_name(token))?;
        file.forget_old_keys().map_err(|error| file.failed(&error))?;
        if let Some(key) = std::str::from_utf8(&file.text()?).ok().and_then(RunKey::stored) {
            return Ok(key);
        }
        let key = RunKey::generate();
        file.write(key.secret().expose().as_bytes())?;
        Ok(key)
    }

    /// Keeps the key of this token, for the next process that has the token.
    pub fn keep_key(&self, token: &Secret, key: &RunKey) -> Result<(), Error> {
        self.made(&key_name(token))?.write(key.secret().expose().as_bytes())
    }

    /// Takes the key of this token away.
    pub fn hide_key(&self, token: &Secret) -> Result<(), Error> {
        self.locked(&key_name(token), false)?.map_or(Ok(()), Locked::remove)
    }

    fn made(&self, name: &str) -> Result<Locked, Error> {
        self.locked(name, true)?.ok_or_else(|| unusable(&self.path.join(name), &io::ErrorKind::NotFound.into()))
    }

    /// The folder, opened: what is done in it is done in this one, whatever its path leads to meanwhile.
    fn folder(&self, create: bool) -> Result<Option<OwnedFd>, Error> {
        let failed = |error: io::Error| unusable(&self.path, &error);
        if create {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(failed)?;
        }
        // With a slash behind it, a link would be followed.
        let path: PathBuf = self.path.components().collect();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) if !create => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let found = fstat(&folder).map_err(|error| failed(error.into()))?;
        if found.st_uid != geteuid().as_raw() || found.st_mode & 0o022 != 0 {
            return Err(Error::usage(format!(
                "{} belongs to another user, or another user can write to it",
                path.display()
            ))
            .remedy("set DAYPASS_STATE_DIR to a folder of this user alone (mode 0700)"));
        }
        Ok(Some(folder))
    }

    fn locked(&self, name: &str, create: bool) -> Result<Option<Locked>, Error> {
        let Some(folder) = self.folder(create)? else { return Ok(None) };
        let path = self.path.join(name);
        let failed = |error: io::Error| unusable(&path, &error);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let flags = if create { flags | OFlags::CREATE } else { flags };
        for _ in 0..REPLACED {
            let file = match openat(&folder, name, flags, OWNER_ALONE) {
                Ok(file) => File::from(file),
                Err(Errno::NOENT) if !create => return Ok(None),
                Err(error) => return Err(failed(error.into())),
            };
            let ours = file.metadata().map_err(failed)?;
            if !ours.is_file() || ours.uid() != geteuid().as_raw() || ours.mode() & 0o077 != 0 {
                return Err(Error::usage(format!("{} is not a file that only this user can access", path.display()))
                    .remedy("remove it; `daypass` creates it again, for this user only"));
            }
            self.wait_for(&file, &path)?;
            // Whoever had the lock may have replaced the file, or removed it: then this one is nobody's any more.
            let there = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
            if there.is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.dev(), ours.ino())) {
                return Ok(Some(Locked { file, folder, name: name.to_owned(), path }));
            }
        }
        Err(Error::new(Kind::TryAgain, format!("{} is replaced repeatedly", path.display()))
            .remedy("find the processes that write it, and try again"))
    }

    /// Waits until nobody else has the file: not for a process that waits for this one, and not without end.
    fn wait_for(&self, file: &File, path: &Path) -> Result<(), Error> {
        let (began, mut told) = (Instant::now(), None);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unusable(path, &error)),
            }
            if holders::waits_for_this_process(file) {
                return Err(holders::round());
            }
            if began.elapsed() > LONGEST_WAIT {
                let minutes = LONGEST_WAIT.as_secs() / 60;
                let reason = format!("another `daypass` has locked {} for more than {minutes} minutes", path.display());
                return Err(Error::new(Kind::TryAgain, reason).remedy("find out what it does, end it, and try again"));
            }
            if began.elapsed() > PATIENCE && told.is_none() {
                told = Some(self.output.progress("waiting for another `daypass` that uses the same session"));
            }
            sleep(POLL);
        }
    }
}

fn key_name(token: &Secret) -> String {
    let digest = digest(&SHA256, token.expose().as_bytes());
    format!("{}{KEY}", BASE64_URL_SAFE_NO_PAD.encode(digest))
}

const OWNER_ALONE: Mode = Mode::RUSR.union(Mode::WUSR);

impl Locked {
    /// The text in it; empty for a new one.
    pub fn text(&mut self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut bytes = Zeroizing::new(Vec::new());
        self.file.read_to_end(&mut bytes).map_err(|error| self.failed(&error))?;
        Ok(bytes)
    }

    /// The session in it.
    ///
    /// # Errors
    /// When there is none, or of another version of this command.
    pub fn session(&mut self) -> Result<Session, Error> {
        Session::from_json(&self.text()?).ok_or_else(|| {
            let path = self.path.display();
            Error::new(Kind::Failed, format!("{path} is not a session of this version of `daypass`"))
                .remedy("release the role with `daypass release ID`, remove the file, and request a new role")
        })
    }

    /// Writes a session.
    ///
    /// # Errors
    /// When it cannot be written; then the former one is still there.
    pub fn put(&mut self, session: &Session) -> Result<(), Error> {
        let json = session.to_json().map_err(|error| self.failed(&error.into()))?;
        self.write(&json)
    }

    /// Replaces the text. Whoever is interrupted leaves the former one.
    ///
    /// # Errors
    /// When it cannot be written; then the former one is still there.
    pub fn write(&mut self, text: &[u8]) -> Result<(), Error> {
        let written = self.replaced(text);
        self.file = written.map_err(|error| self.failed(&error))?;
        Ok(())
    }

    fn replaced(&self, text: &[u8]) -> io::Result<File> {
        self.sweep()?;
        let next = format!("{}{}", self.unfinished(), Uuid::new_v4());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.folder, &next, flags, OWNER_ALONE)?);
        let written = (|| {
            file.write_all(text)?;
            // Ours before anybody can open it, so that the lock goes on.
            file.lock()?;
            Ok(renameat(&self.folder, &next, &self.folder, &self.name)?)
        })();
        if written.is_err() {
            let _ = unlinkat(&self.folder, &next, AtFlags::empty());
        }
        written.map(|()| file)
    }

    /// How the names of texts begin that were not finished.
    fn unfinished(&self) -> String {
        format!(".{}.", self.name)
    }

    /// Removes what others have left who were interrupted: they had this lock.
    fn sweep(&self) -> io::Result<()> {
        let begins = self.unfinished();
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_bytes().starts_with(begins.as_bytes()) {
                unlinkat(&self.folder, entry.file_name(), AtFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Removes the keys of tokens that have expired.
    fn forget_old_keys(&self) -> io::Result<()> {
        let oldest = SystemTime::now().checked_sub(LONGEST_TOKEN).and_then(|then| then.duration_since(UNIX_EPOCH).ok());
        for entry in Dir::read_from(&self.folder)? {
            let entry = entry?;
            if !entry.file_name().to_bytes().ends_with(KEY.as_bytes()) {
                continue;
            }
            // Another process may have removed it.
            let Ok(found) = statat(&self.folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let written = u64::try_from(found.st_mtime).unwrap_or_default();
            if oldest.is_some_and(|oldest| written < oldest.as_secs()) {
                let _ = unlinkat(&self.folder, entry.file_name(), AtFlags::empty());
            }
        }
        Ok(())
    }

    /// Removes it.
    pub fn remove(self) -> Result<(), Error> {
        let removed = self.sweep().and_then(|()| Ok(unlinkat(&self.folder, &self.name, AtFlags::empty())?));
        removed.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Error {
        unusable(&self.path, error)
    }
}

fn unusable(file: &Path, error: &io::Error) -> Error {
    Error::new(Kind::Failed, format!("{} cannot be used: {error}", file.display()))
        .remedy("set DAYPASS_STATE_DIR to a folder that this user can write to")
}

#[cfg(test)]
mod tests {
    use std::{
        env::temp_dir,
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    use uuid::Uuid;

    use super::*;
    use crate::world::FakeWorld;

    /// A store of this test's own, which is removed with it.
    struct Temporary(Store);

    impl Temporary {
        fn new() -> Self {
            let path = temp_dir().join(format!("daypass-store-{}", Uuid::new_v4()));
            Self(Store { path, output: Output::silent() })
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.path);
        }
    }

    fn id() -> TransactionId {
        Uuid::new_v4().to_string().parse().unwrap()
    }

    fn session(transaction: TransactionId) -> Session {
        let deployment = serde_json::json!({
            "provision": null, "renew": null, "invoker_role": null, "token_key": null, "token_audience": null,
            "deprovision": "arn:aws:states:us-east-1:111111111111:stateMachine:daypass-deprovision",
        });
        let request = serde_json::json!({
            "target_aws_account": "payments-dev", "target_aws_account_id": "222222222222", "email": "alex@example.com", "branch": "main",
        });
        let grant = serde_json::json!({
            "transaction_id": transaction, "iam_role_arn": "arn:aws:iam::222222222222:role/daypass/name", "role_name": "name", "role_ttl_hours": 1.5,
            "expires_at": "2026-11-23T11:00:00Z", "persona": "Product_Admin", "status": "provisioned",
        });
        Session {
            deployment: serde_json::from_value(deployment).unwrap(),
            request: serde_json::from_value(request).unwrap(),
            duration: Some(Duration::from_mins(15)),
            grant: serde_json::from_value(grant).unwrap(),
            key: RunKey::generate(),
            role_key_ids: vec!["ASIA".to_owned()],
            role: RoleSession {
                access_key_id: "ASIA".to_owned(),
                secret_access_key: Secret::new("wJalr"),
                session_token: Secret::new("FwoGZ"),
                expires_at: "2026-11-23T10:00:00Z".parse().unwrap(),
                renew_at: Some("2026-11-23T09:50:00Z".parse().unwrap()),
            },
        }
    }

    #[test]
    fn what_is_put_is_there_for_its_owner_alone() {
        let (store, id) = (Temporary::new(), id());
        let put = session(id);
        store.0.create(id).unwrap().put(&put).unwrap();
        let found = store.0.lock(id).unwrap().unwrap().session().unwrap();
        assert_eq!((&found.grant, &found.request, &found.role), (&put.grant, &put.request, &put.role));
        assert_eq!((found.duration, found.deployment), (put.duration, put.deployment));
        assert_eq!(found.key.recipient(), put.key.recipient());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = store.0.path.join(format!("{id}.json"));
        assert_eq!((mode(&store.0.path), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(store.0.lock(id).err().unwrap().reason().ends_with("is not a file that only this user can access"));
    }

    #[test]
    fn what_is_removed_is_gone_also_for_whoever_waits() {
        let (store, id) = (Temporary::new(), id());
        assert!(store.0.lock(id).unwrap().is_none());
        let mut file = store.0.create(id).unwrap();
        file.put(&session(id)).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| store.0.lock(id).unwrap().is_none());
            file.remove().unwrap();
            assert!(waiting.join().unwrap());
        });
        assert_eq!(fs::read_dir(&store.0.path).unwrap().count(), 0, "nothing is left");
    }

    /// Many change one file, each on top of what the one before has written.
    #[test]
    fn one_at_a_time() {
        const WRITERS: u32 = 8;
        const CHANGES: u32 = 25;
        let (store, inside) = (Temporary::new(), AtomicU32::new(0));
        let change = || {
            let mut file = store.0.lock_request("x").unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "somebody else is inside");
            let text = file.text().unwrap();
            let count: u32 = std::str::from_utf8(&text).unwrap().parse().unwrap_or(0);
            file.write((count + 1).to_string().as_bytes()).unwrap();
            inside.fetch_sub(1, Ordering::SeqCst);
        };
        thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| (0..CHANGES).for_each(|_| change()));
            }
        });
        let text = store.0.lock_request("x").unwrap().text().unwrap();
        assert_eq!(text.as_slice(), (WRITERS * CHANGES).to_string().as_bytes());
    }

    /// What others could have prepared: a folder of theirs or open to them, links, texts under names that can be guessed.
    #[test]
    fn nothing_is_kept_where_others_can_be() {
        let (store, id) = (Temporary::new(), id());
        let path = &store.0.path;
        let refused = |what: &str| {
            for said in [store.0.create(id).err(), store.0.lock_request("x").err()] {
                let said = said.unwrap_or_else(|| panic!("{what} is taken"));
                assert!(
                    said.line().contains("DAYPASS_STATE_DIR") || said.line().contains("remove it"),
                    "{}",
                    said.line()
                );
            }
        };
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        fs::create_dir(path).unwrap();
        for open in [0o777, 0o1777, 0o775, 0o702] {
            mode(path, open);
            refused(&format!("mode {open:o}"));
        }
        assert_eq!(fs::read_dir(path).unwrap().count(), 0, "nothing was made");
        mode(path, 0o755);
        let (json, request) = (path.join(format!("{id}.json")), path.join("x.request"));
        let (target, folder) = (path.join("own file"), path.join("folder"));
        fs::write(&target, "precious").unwrap();
        mode(&target, 0o600);
        for name in [&json, &request] {
            symlink(&target, name).unwrap();
        }
        refused("a link");
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        for name in [&json, &request] {
            fs::remove_file(name).unwrap();
            fs::create_dir(name).unwrap();
        }
        refused("a folder");
        fs::create_dir(&folder).unwrap();
        symlink(&folder, path.join("link")).unwrap();
        let linked = Store { path: path.join("link/"), output: Output::silent() };
        assert!(linked.create(id).is_err(), "a link to a folder");
    }

    #[test]
    fn a_token_has_one_key_until_it_has_expired() {
        let store = Temporary::new();
        let key = |token: &str| store.0.key_for(&Secret::new(token)).unwrap().recipient();
        let first = key("one");
        assert_eq!(key("one"), first);
        assert_ne!(key("other"), first);
        let (token, hidden) = (Secret::new("one"), store.0.key_for(&Secret::new("one")).unwrap());
        store.0.hide_key(&token).unwrap();
        store.0.hide_key(&token).unwrap();
        assert_eq!(fs::read_dir(&store.0.path).unwrap().count(), 1, "there is the other one");
        store.0.keep_key(&token, &hidden).unwrap();
        assert_eq!(key("one"), first);
        let names: Vec<_> = fs::read_dir(&store.0.path).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(names.len() == 2 && names.iter().all(|name| !name.to_string_lossy().contains("one")), "{names:?}");
        let old = SystemTime::now() - LONGEST_TOKEN - Duration::from_mins(1);
        for name in &names {
            File::options().write(true).open(name).unwrap().set_modified(old).unwrap();
        }
        assert_ne!(key("other"), first);
        assert_ne!(key("one"), first, "it is forgotten");
    }

    #[test]
    fn what_was_not_finished_is_removed() {
        let (store, id) = (Temporary::new(), id());
        let mut file = store.0.create(id).unwrap();
        let left = store.0.path.join(format!(".{id}.json.{}", Uuid::new_v4()));
        let other = store.0.path.join(".x.request.1");
        for file in [&left, &other] {
            fs::write(file, "half").unwrap();
        }
        file.put(&session(id)).unwrap();
        assert!(!left.exists() && other.exists(), "that of others is theirs");
        fs::write(&left, "half").unwrap();
        file.remove().unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn what_is_no_session_is_said_to_be_none() {
        let (store, id) = (Temporary::new(), id());
        store.0.create(id).unwrap().write(b"{\"version\":2}").unwrap();
        let error = store.0.lock(id).unwrap().unwrap().session().err().unwrap();
        assert!(error.reason().contains("is not a session of this version of `daypass`"), "{}", error.reason());
    }

    #[test]
    fn where_it_is() {
        let all = [
            ("DAYPASS_STATE_DIR", "/state"),
            ("XDG_RUNTIME_DIR", "/run/1"),
            ("XDG_STATE_HOME", "/xdg"),
            ("HOME", "/home/alex"),
        ];
        let expected = ["/state", "/run/1/daypass", "/xdg/daypass", "/home/alex/.local/state/daypass"];
        for (from, expected) in expected.into_iter().enumerate() {
            assert_eq!(Store::of(&FakeWorld::with(&all[from..]), &Output::silent()).unwrap().path, Path::new(expected));
        }
        assert!(Store::of(&FakeWorld::default(), &Output::silent()).is_err());
    }
}
