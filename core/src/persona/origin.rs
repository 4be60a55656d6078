//! From where an account is deployed to: which repositories, and from refs of which kind.

use std::fmt;

use wildmatch::WildMatch;

use super::Account;
use crate::{contract::Proof, issuer::Provider, text::Quoted};

/// A repository whose runs may deploy to an account.
#[derive(Clone, Debug)]
pub struct Repository {
    provider: Provider,
    /// Where several issuers are of one kind: which of them.
    issuer: Option<String>,
    which: Which,
}

#[derive(Clone, Debug)]
enum Which {
    /// The one of this id. The name is for people: nobody compares it.
    Id { id: String, name: String },
    /// Each whose name the pattern matches, in lower case.
    Named(WildMatch),
}

impl Repository {
    pub(super) fn new(provider: Provider, issuer: Option<String>, id: Option<String>, name: &str) -> Self {
        let which = match id {
            Some(id) => Which::Id { id, name: name.to_owned() },
            None => Which::Named(WildMatch::new(&name.to_lowercase())),
        };
        Self { provider, issuer, which }
    }

    /// The kind of its issuer.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The issuer's URL, where only one of its kind is meant.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The id that is compared; without one, names are.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match &self.which {
            Which::Id { id, .. } => Some(id),
            Which::Named(_) => None,
        }
    }

    /// The pattern, in lower case, that is held against names where there is no id.
    #[must_use]
    pub fn name_pattern(&self) -> Option<String> {
        match &self.which {
            Which::Id { .. } => None,
            Which::Named(pattern) => Some(pattern.to_string()),
        }
    }

    /// Whether it is told by a name, though its issuer knows it by an id: somebody else may have the name one day.
    #[must_use]
    pub fn goes_by_name_alone(&self) -> bool {
        self.provider.numbers_repositories() && matches!(self.which, Which::Named(_))
    }

    pub(super) fn is_the_same(&self, other: &Self) -> bool {
        let same = match (&self.which, &other.which) {
            (Which::Id { id, .. }, Which::Id { id: other, .. }) => id == other,
            (Which::Named(name), Which::Named(other)) => name == other,
            _ => false,
        };
        same && (self.provider, &self.issuer) == (other.provider, &other.issuer)
    }

    fn is_of(&self, run: &Origin<'_>) -> bool {
        let issuer = self.issuer.as_ref().is_none_or(|issuer| issuer == run.issuer);
        let repository = match &self.which {
            Which::Id { id, .. } => run.repository_id == Some(id),
            Which::Named(pattern) => run.repository.is_some_and(|it| pattern.matches(&it.to_lowercase())),
        };
        issuer && repository && run.provider == Some(self.provider)
    }
}

/// Where a run comes from, as far as its issuer says.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The issuer's URL.
    pub issuer: &'a str,
    /// The kind of the issuer.
    pub provider: Option<Provider>,
    pub repository_id: Option<&'a str>,
    /// The repository, by name.
    pub repository: Option<&'a str>,
    /// Whether the ref of the run is protected.
    pub ref_protected: Option<bool>,
}

impl<'a> From<&'a Proof> for Origin<'a> {
    fn from(proof: &'a Proof) -> Self {
        Self {
            issuer: &proof.issuer,
            provider: proof.provider,
            repository_id: proof.repository_id.as_deref(),
            repository: proof.repository.as_deref(),
            ref_protected: proof.ref_protected,
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let provider = self.provider.as_str();
        match &self.which {
            Which::Id { id, name } => write!(f, "{} ({provider}, id {id}", Quoted(name))?,
            Which::Named(pattern) => write!(f, "{} ({provider}", Quoted(&pattern.to_string()))?,
        }
        if let Some(issuer) = &self.issuer {
            write!(f, ", of {}", Quoted(issuer))?;
        }
        f.write_str(")")
    }
}

/// Why a run may not deploy to an account, though it is the person's. The texts name the token's claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Nobody has said which repositories may.
    #[error(
        "account `{account}` has no `repositories`, so no run may deploy to it; the platform team can add the run's \
         repository to personas.json: {repository}"
    )]
    NoRepositories {
        account: String,
        /// The run's.
        repository: String,
    },
    #[error(
        "the identity token's {claim} is {repository}, but account `{account}` accepts deployments only from \
         {allowed}; the platform team can add it to personas.json"
    )]
    Repository {
        /// What the issuer calls the repository.
        claim: String,
        /// The run's.
        repository: String,
        account: String,
        /// The account's.
        allowed: String,
    },
    /// The ref can be changed by anybody who may write to the repository.
    #[error(
        "the identity token's {claim} is `false`: the ref of the run is not protected, but {environment} requires \
         that; protect the ref, or deploy from a protected one"
    )]
    NotProtected {
        /// What the issuer calls it.
        claim: String,
        environment: String,
    },
    /// The issuer does not say.
    #[error(
        "the identity token does not say whether the ref of the run is protected ({claim}), but {environment} requires \
         that; use an issuer that says so"
    )]
    ProtectionUnknown {
        /// What the issuer would call it.
        claim: String,
        environment: String,
    },
}

impl Account {
    /// Whether a run may deploy to the account, by where it comes from: its repository, and the protection of its ref. What the
    /// issuer does not say is refused.
    ///
    /// # Errors
    /// [`OriginError`] with the first thing that does not fit.
    pub fn check_origin<'a>(&self, run: impl Into<Origin<'a>>) -> Result<(), OriginError> {
        let run = run.into();
        self.check_repository(&run)?;
        let environment = &self.environment;
        let names = run.provider.unwrap_or(Provider::Other).claim_names();
        let claim = || Quoted(names.ref_protected.as_deref().unwrap_or("ref_protected")).to_string();
        match run.ref_protected {
            _ if !environment.requires_protected_ref => Ok(()),
            Some(true) => Ok(()),
            Some(false) => Err(OriginError::NotProtected { claim: claim(), environment: environment.name.clone() }),
            None => Err(OriginError::ProtectionUnknown { claim: claim(), environment: environment.name.clone() }),
        }
    }

    fn check_repository(&self, run: &Origin<'_>) -> Result<(), OriginError> {
        let account = self.name.clone();
        if self.repositories.is_empty() {
            return if self.environment.requires_proof {
                Err(OriginError::NoRepositories { account, repository: repository_of(run) })
            } else {
                Ok(())
            };
        }
        if self.repositories.iter().any(|it| it.is_of(run)) {
            return Ok(());
        }
        let names = run.provider.unwrap_or(Provider::Other).claim_names();
        let by_id = self.repositories.iter().any(|it| it.id().is_some());
        let (id, name) = (names.repository_id.as_deref(), names.repository.as_deref());
        let claim = if by_id { id.unwrap_or("repository_id") } else { name.unwrap_or("repository") };
        let allowed = self.repositories.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let by_name = || run.repository.map_or_else(|| "missing".to_owned(), |name| Quoted(name).to_string());
        let (claim, repository) = (Quoted(claim).to_string(), if by_id { repository_of(run) } else { by_name() });
        Err(OriginError::Repository { claim, repository, account, allowed })
    }
}

/// The repository of a run, as far as its issuer says.
fn repository_of(run: &Origin<'_>) -> String {
    match (run.repository_id, run.repository) {
        (Some(id), Some(name)) => format!("{} ({})", Quoted(id), Quoted(name)),
        (Some(id), None) => Quoted(id).to_string(),
        (None, Some(name)) => format!("missing ({})", Quoted(name)),
        (None, None) => "missing".to_owned(),
    }
}
