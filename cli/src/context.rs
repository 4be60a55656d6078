//! What every command works with: the output, and the world that its settings come from.

use std::{env, future::Future, process::ExitCode};

use daypass::ids::TransactionId;

use crate::{
    client::{identity_token, store::Store},
    error::{Error, Kind},
    output::Output,
    process::Process,
    settings::{Flags, Key, Origin, Settings, TRANSACTION_VARIABLE, Use, unknown_variables},
    world::World,
};

/// One run of the command.
pub struct Context {
    pub output: Output,
    pub world: &'static dyn World,
}

impl Context {
    /// Of this process.
    pub fn new(output: Output) -> Self {
        Self { output, world: &Process }
    }

    /// Resolves the settings. From here on errors link to the documentation of the deployment.
    ///
    /// # Errors
    /// When the configuration file is invalid, or a value that others follow from.
    pub fn settings(&mut self, flags: &Flags) -> Result<Settings, Error> {
        let settings = Settings::resolve(flags, self.world)?;
        self.output.link_to(settings.text(Key::DocsUrl));
        for unknown in unknown_variables(env::vars_os().map(|(name, _)| name)) {
            self.output.note(&unknown);
        }
        Ok(settings)
    }

    /// The same for a command that requests a role and can use so much of its lifetime.
    ///
    /// # Errors
    /// As [`Context::settings`], and when a duration is invalid.
    pub fn settings_of_request(&mut self, flags: &Flags, used: Use) -> Result<Settings, Error> {
        let mut settings = self.settings(flags)?;
        settings.complete_the_lifetime(used)?;
        Ok(settings)
    }

    /// The session store.
    ///
    /// # Errors
    /// When there is no folder for it.
    pub fn store(&self) -> Result<Store, Error> {
        Store::of(self.world, &self.output)
    }

    /// The transaction of the command line, else that of the environment.
    ///
    /// # Errors
    /// When the environment's is no transaction id.
    pub fn transaction(&self, named: Option<TransactionId>) -> Result<Option<TransactionId>, Error> {
        let Some(text) = self.world.variable(TRANSACTION_VARIABLE).filter(|_| named.is_none()) else {
            return Ok(named);
        };
        text.parse().map(Some).map_err(|error| Error::usage(format!("{TRANSACTION_VARIABLE}: {error}")))
    }

    /// The same where one has to be given.
    ///
    /// # Errors
    /// As [`Context::transaction`], and when none is given.
    pub fn required_transaction(&self, named: Option<TransactionId>) -> Result<TransactionId, Error> {
        self.transaction(named)?.ok_or_else(|| {
            Error::usage("no transaction is given")
                .remedy(format!("give its id, or set {TRANSACTION_VARIABLE}; `daypass request` prints it"))
        })
    }

    /// Prints the values that nobody has set: those that CI or git say, and the lifetime that follows from them.
    pub fn tell_what_was_found(&self, settings: &Settings) {
        let found =
            [Key::Email, Key::Branch, Key::Repository, Key::RunUrl, Key::JobTimeout].into_iter().filter_map(|key| {
                let setting = settings.get(key)?;
                let (Origin::Ci(_, source) | Origin::Git(source)) = &setting.origin else { return None };
                Some(format!("{} {} ({source})", key.name(), setting.value))
            });
        let mut found: Vec<_> = found.collect();
        found.extend(identity_token::ready(self.world).map(|(variable, _)| format!("identity token ({variable})")));
        let place = settings.system.map_or_else(String::new, |system| format!(" in {}", system.name()));
        if !found.is_empty() {
            self.output.note(&format!("found{place}: {}", found.join(", ")));
        }
        if let Some(ttl) = settings.get(Key::Ttl).filter(|ttl| matches!(ttl.origin, Origin::From(_))) {
            self.output.note(&format!("asking for {} (ttl {})", ttl.value, ttl.origin));
        }
    }

    /// The exit code of the command, whose error is printed.
    pub fn end(&self, ended: Result<ExitCode, Error>) -> ExitCode {
        ended.unwrap_or_else(|error| {
            self.output.explain(&error);
            error.code()
        })
    }
}

/// Runs a command that waits for others. One thread: there is little to do.
///
/// # Errors
/// Those of the command, and when the runtime does not start.
pub fn block_on<T>(task: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::new(Kind::Failed, format!("the runtime does not start: {error}")))?.block_on(task)
}
