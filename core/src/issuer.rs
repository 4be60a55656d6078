//! The systems that issue identity tokens to CI jobs, and what their tokens call things.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A kind of issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// GitHub Actions. Source: <https://docs.github.com/en/actions/reference/security/oidc>.
    Github,
    /// GitLab CI. Source: <https://docs.gitlab.com/ci/secrets/id_token_authentication>.
    Gitlab,
    /// Any other. Its tokens prove the person; what else they prove, the configuration says by the names of their claims.
    Other,
}

/// What a claim is called. An issuer that does not say such a thing has no name for it.
pub type ClaimName = Option<Cow<'static, str>>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimNames {
    pub repository: ClaimName,
    /// The repository, by the id that a rename does not change.
    pub repository_id: ClaimName,
    /// The run, or the pipeline.
    pub run_id: ClaimName,
    pub run_attempt: ClaimName,
    /// The one job of the run that has the token.
    pub job_id: ClaimName,
    /// Who triggered the run, by id.
    pub actor_id: ClaimName,
    /// The definition that the job runs.
    pub workflow_ref: ClaimName,
    /// Whether the issuer protects the ref: `true` or `false`.
    pub ref_protected: ClaimName,
    /// The issuer's own environment that the job is in.
    pub environment: ClaimName,
    /// What has started the run.
    pub event: ClaimName,
}

impl Provider {
    /// The name that configurations know it by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Other => "other",
        }
    }

    /// The provider of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Github, Self::Gitlab, Self::Other].into_iter().find(|it| it.as_str() == name)
    }

    /// What its tokens call things. Of another issuer nothing is known.
    #[must_use]
    pub fn claim_names(self) -> ClaimNames {
        let name = |name| Some(Cow::Borrowed(name));
        match self {
            Self::Github => ClaimNames {
                repository: name("repository"),
                repository_id: name("repository_id"),
                run_id: name("run_id"),
                run_attempt: name("run_attempt"),
                job_id: name("check_run_id"),
                actor_id: name("actor_id"),
                workflow_ref: name("job_workflow_ref"),
                ref_protected: name("ref_protected"),
                environment: name("environment"),
                event: name("event_name"),
            },
            Self::Gitlab => ClaimNames {
                repository: name("project_path"),
                repository_id: name("project_id"),
                run_id: name("pipeline_id"),
                run_attempt: name("job_id"),
                job_id: name("job_id"),
                actor_id: name("user_id"),
                workflow_ref: name("ci_config_ref_uri"),
                ref_protected: name("ref_protected"),
                environment: name("environment"),
                event: name("pipeline_source"),
            },
            Self::Other => ClaimNames::default(),
        }
    }

    /// Whether its repositories have an id that a rename does not change, which is a number.
    #[must_use]
    pub const fn numbers_repositories(self) -> bool {
        matches!(self, Self::Github | Self::Gitlab)
    }
}
