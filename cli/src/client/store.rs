//! The session store: what `request` leaves behind for `credentials`, `env` and `release`.
//!
//! One file for each transaction, for its owner alone, locked while it is changed. It holds secrets: the key that answers are
//! sealed to, and the session of the deploy role. `release` removes it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use daypass::ids::TransactionId;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{
    access::{Grant, Key, Request, RoleSession},
    daypass::Deployment,
    secret::Secret,
};
use crate::{
    error::{Error, Kind},
    settings::World,
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
    pub key: Key,
    /// The latest session of the role.
    pub role: RoleSession,
    /// The access key ids of all sessions of the role, so that none of them is taken for credentials to ask with.
    pub own: Vec<String>,
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

const VERSION: u32 = 1;

impl Session {
    /// Goes on with the next session of the role.
    pub fn go_on(&mut self, grant: Grant, role: RoleSession) {
        self.own.push(role.access_key_id.clone());
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
            access_key_ids: self.own.clone(),
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
            own: access_key_ids,
            key: Key::stored(&secrets.age_key)?,
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

/// The folder.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

/// A file of it that nobody else reads or changes meanwhile.
pub struct Locked {
    file: File,
    path: PathBuf,
}

impl Store {
    /// `$DAYPASS_STATE_DIR`, else `$XDG_RUNTIME_DIR/daypass`, else `$XDG_STATE_HOME/daypass`, else `~/.local/state/daypass`.
    ///
    /// # Errors
    /// When there is no such place.
    pub fn of(world: &dyn World) -> Result<Self, Error> {
        let below = |variable: &str, rest: &str| Some(Path::new(&world.variable(variable)?).join(rest));
        let folder = below("DAYPASS_STATE_DIR", "")
            .or_else(|| below("XDG_RUNTIME_DIR", "daypass"))
            .or_else(|| below("XDG_STATE_HOME", "daypass"))
            .or_else(|| below("HOME", ".local/state/daypass"));
        let none = || Error::usage("there is no place to keep the session in").remedy("set DAYPASS_STATE_DIR or HOME");
        folder.map(Self).ok_or_else(none)
    }

    /// Locks the file of a transaction; nothing when there is none. Waits for whoever has it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn lock(&self, transaction: TransactionId) -> Result<Option<Locked>, Error> {
        self.locked(&format!("{transaction}.json"), false)
    }

    /// Locks the file of a transaction that begins.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self, transaction: TransactionId) -> Result<Locked, Error> {
        self.made(&format!("{transaction}.json"))
    }

    /// Locks what stands for all requests that are alike: it names their transaction.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn lock_request(&self, digest: &str) -> Result<Locked, Error> {
        self.made(&format!("{digest}.request"))
    }

    fn made(&self, name: &str) -> Result<Locked, Error> {
        self.locked(name, true)?.ok_or_else(|| unusable(&self.0.join(name), &io::ErrorKind::NotFound.into()))
    }

    fn locked(&self, name: &str, create: bool) -> Result<Option<Locked>, Error> {
        let path = self.0.join(name);
        let failed = |error| unusable(&path, &error);
        if create {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        }
        loop {
            let opened =
                OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(&path);
            let file = match opened {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !create => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            file.lock().map_err(failed)?;
            // Whoever had the lock may have replaced the file, or removed it: then this one is nobody's any more.
            let (ours, there) = (file.metadata().map_err(failed)?, fs::metadata(&path));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
                if ours.mode() & 0o077 != 0 {
                    return Err(Error::usage(format!("{} can be read by others", path.display()))
                        .remedy("remove it; it is made anew for its owner alone"));
                }
                return Ok(Some(Locked { file, path }));
            }
        }
    }
}

impl Locked {
    /// The text in it; empty for a new one.
    ///
    /// # Errors
    /// When it cannot be read.
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
            Error::new(Kind::Failed, format!("{path} is no session of this version of `daypass`"))
                .remedy("give the role back with `daypass release ID`, remove the file, and ask for a new one")
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
        let next = self.path.with_added_extension("next");
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            file.write_all(text)?;
            // Ours before anybody can open it, so that the lock goes on.
            file.lock()?;
            fs::rename(&next, &self.path)?;
            Ok(file)
        })();
        self.file = written.map_err(|error| self.failed(&error))?;
        Ok(())
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(|error| self.failed(&error))
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
        os::unix::fs::PermissionsExt,
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    use uuid::Uuid;

    use super::*;
    use crate::settings::Made;

    /// A store of this test's own, which is removed with it.
    struct Temporary(Store);

    impl Temporary {
        fn new() -> Self {
            Self(Store(temp_dir().join(format!("daypass-store-{}", Uuid::new_v4()))))
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.0);
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
            "account": "payments-dev", "account_id": "222222222222", "email": "alex@example.com", "branch": "main",
        });
        let grant = serde_json::json!({
            "transaction_id": transaction, "iam_role_arn": "arn", "role_name": "name", "role_ttl_hours": 1.5,
            "expires_at": "2026-11-23T11:00:00Z", "persona": "Product_Admin", "status": "provisioned",
        });
        Session {
            deployment: serde_json::from_value(deployment).unwrap(),
            request: serde_json::from_value(request).unwrap(),
            duration: Some(Duration::from_mins(15)),
            grant: serde_json::from_value(grant).unwrap(),
            key: Key::generate(),
            own: vec!["ASIA".to_owned()],
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
        let file = store.0.0.join(format!("{id}.json"));
        assert_eq!((mode(&store.0.0), mode(&file)), (0o700, 0o600));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(store.0.lock(id).err().unwrap().reason().ends_with("can be read by others"));
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
        assert_eq!(fs::read_dir(&store.0.0).unwrap().count(), 0, "nothing is left");
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

    #[test]
    fn what_is_no_session_is_said_to_be_none() {
        let (store, id) = (Temporary::new(), id());
        store.0.create(id).unwrap().write(b"{\"version\":2}").unwrap();
        let error = store.0.lock(id).unwrap().unwrap().session().err().unwrap();
        assert!(error.reason().contains("is no session of this version of `daypass`"), "{}", error.reason());
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
            assert_eq!(Store::of(&Made::with(&all[from..])).unwrap().0, Path::new(expected));
        }
        assert!(Store::of(&Made::default()).is_err());
    }
}
