//! The issuers of identity tokens that a deployment believes, as its configuration (`cdk/daypass.config.json`) lists them.

use std::collections::BTreeMap;

use daypass::{
    issuer::{ClaimNames, Provider},
    persona::{Environment, Repository},
    text::Quoted,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use wildmatch::WildMatch;

/// All issuers of a deployment.
#[derive(Debug)]
pub struct Issuers(Vec<Issuer>);

/// What matters here of the configuration. The CDK app judges the whole of it.
#[derive(Deserialize)]
struct Configuration {
    github: Option<IgnoredAny>,
    identity_tokens: Option<IdentityTokens>,
}

#[derive(Deserialize)]
struct IdentityTokens {
    issuers: Option<Vec<Issuer>>,
}

#[derive(Debug, Deserialize)]
struct Issuer {
    provider: Provider,
    url: Option<String>,
    #[serde(default)]
    claims: BTreeMap<String, Vec<String>>,
    /// For an environment of ours, a list of the issuer's own that a run has to be in one of; or `any`: it need not be in one.
    #[serde(default)]
    environments: BTreeMap<String, Value>,
    #[serde(default)]
    names: ClaimNames,
}

/// Why no run of a repository can get a role in an account, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Obstacle {
    pub message: String,
    pub remedy: String,
}

impl Issuers {
    /// The issuers of the configuration, with the defaults that the CDK app fills in (`cdk/lib/config.ts`).
    ///
    /// # Errors
    /// What keeps the configuration from being read.
    pub fn parse(json: &str) -> Result<Self, String> {
        let Configuration { github, identity_tokens } =
            serde_json::from_str(json).map_err(|error| error.to_string())?;
        let default = Issuer {
            provider: Provider::Github,
            url: None,
            claims: BTreeMap::new(),
            environments: BTreeMap::new(),
            names: ClaimNames::default(),
        };
        match (identity_tokens.and_then(|it| it.issuers), github) {
            (Some(issuers), _) => Ok(Self(issuers)),
            (None, Some(_)) => Ok(Self(vec![default])),
            (None, None) => Err("neither `identity_tokens.issuers` nor `github` is there".to_owned()),
        }
    }

    /// Whether the deployment believes nobody, and so requires no identity token anywhere.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The URLs of the issuers whose runs of the repository can get a role in an account of the environment.
    ///
    /// # Errors
    /// [`Obstacle`] when there is none: the first requirement that no issuer meets.
    pub fn of(&self, repository: &Repository, environment: &Environment) -> Result<Vec<&str>, Obstacle> {
        let mut left: Vec<&Issuer> = self.0.iter().collect();
        for Requirement { is_met, message, remedy } in requirements(repository, environment) {
            left.retain(|issuer| is_met(issuer));
            if left.is_empty() {
                return Err(Obstacle { message, remedy });
            }
        }
        let mut urls: Vec<&str> = left.into_iter().map(Issuer::url).collect();
        urls.sort_unstable();
        urls.dedup();
        Ok(urls)
    }
}

/// Something that an issuer of the repository has to meet, and what to say when none does.
struct Requirement<'a> {
    is_met: Box<dyn Fn(&Issuer) -> bool + 'a>,
    message: String,
    remedy: String,
}

fn requirements<'a>(repository: &'a Repository, environment: &'a Environment) -> Vec<Requirement<'a>> {
    let requirement = |is_met: Box<dyn Fn(&Issuer) -> bool + 'a>, message: String, remedy: &str| Requirement {
        is_met,
        message,
        remedy: remedy.to_owned(),
    };
    let (provider, name) = (repository.provider(), environment.name());
    let mut all = vec![requirement(
        Box::new(move |it| it.provider == provider),
        format!("the configuration has no issuer of the provider `{}`", provider.as_str()),
        "add the issuer to the configuration's `identity_tokens.issuers`, or remove the repository",
    )];
    if let Some(url) = repository.issuer() {
        all.push(requirement(
            Box::new(move |it| it.url() == url),
            format!("the configuration has no issuer {}", Quoted(url)),
            "write the URL of `identity_tokens.issuers`, letter by letter",
        ));
    }
    if let Some(id) = repository.id() {
        all.push(requirement(
            Box::new(|it| it.claim_names().repository_id.is_some()),
            "the issuer's tokens have no id of the repository".to_owned(),
            "name the claim in the issuer's `names.repository_id`, or leave the id out here",
        ));
        all.push(requirement(
            Box::new(move |it| it.admits(it.claim_names().repository_id.as_deref(), id)),
            format!("the issuer's `claims` admit no repository of the id {}", Quoted(id)),
            "add the id to the rule in `claims`, or remove the repository",
        ));
    } else {
        all.push(requirement(
            Box::new(|it| it.claim_names().repository.is_some()),
            "the issuer's tokens have no name of the repository".to_owned(),
            "name the claim in the issuer's `names.repository`",
        ));
    }
    if environment.requires_protected_ref() {
        all.push(requirement(
            Box::new(|it| it.claim_names().ref_protected.is_some()),
            format!("the issuer's tokens do not say whether a ref is protected, but {name} requires that"),
            "name the claim in the issuer's `names.ref_protected`, or set `protected_ref` of the environment to false",
        ));
    }
    all.push(Requirement {
        is_met: Box::new(move |it| it.claim_names().environment.is_some() || !it.wants_environment(environment)),
        message: format!("the issuer's tokens do not have the issuer's environment of a run, but {name} requires one"),
        remedy: format!(
            "name the claim in the issuer's `names.environment`, or set its `environments.{name}` to `any`"
        ),
    });
    all
}

impl Issuer {
    fn url(&self) -> &str {
        let default = match self.provider {
            Provider::Github => "https://token.actions.githubusercontent.com",
            Provider::Gitlab => "https://gitlab.com",
            Provider::Other => "",
        };
        self.url.as_deref().unwrap_or(default)
    }

    fn claim_names(&self) -> ClaimNames {
        match self.provider {
            Provider::Other => self.names.clone(),
            known => known.claim_names(),
        }
    }

    /// Whether the rule for the claim, if there is one, admits the value.
    fn admits(&self, claim: Option<&str>, value: &str) -> bool {
        let patterns = claim.and_then(|claim| self.claims.get(claim));
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| WildMatch::new(pattern).matches(value)))
    }

    /// Whether a run has to be in an environment of the issuer's own to get a role in an account of the environment.
    fn wants_environment(&self, environment: &Environment) -> bool {
        match self.environments.get(environment.name()) {
            Some(wanted) => wanted.is_array(),
            None => environment.requires_proof(),
        }
    }
}

#[cfg(test)]
mod tests {
    use daypass::persona::Personas;
    use serde_json::json;

    use super::*;

    const OTHER: &str = "https://ci.example.com";

    fn issuers(list: &Value) -> Issuers {
        Issuers::parse(&json!({"identity_tokens": {"issuers": list}}).to_string()).unwrap()
    }

    /// Who can get a role as `repository` in an environment that is as `environment` says.
    fn of(issuers: &Issuers, repository: &Value, environment: &Value) -> Result<Vec<String>, String> {
        let mut file: Value = serde_json::from_str(include_str!("../../../../personas.json")).unwrap();
        file["accounts"][1]["repositories"] = json!([repository]);
        file["environments"]["production"] = environment.clone();
        file["environments"]["production"]["branches"] = json!(["*"]);
        let personas = Personas::parse(&file.to_string()).unwrap();
        let account = &personas.accounts()[1];
        let found = issuers.of(&account.repositories()[0], account.environment());
        found.map(|urls| urls.into_iter().map(str::to_owned).collect()).map_err(|it| it.message)
    }

    #[test]
    fn issuers_have_the_defaults_of_the_cdk_app() {
        let github = json!({"provider": "github", "id": "1", "name": "o/r"});
        let gitlab = json!({"provider": "gitlab", "id": "1", "name": "o/r"});
        let default = Issuers::parse(r#"{"github": {"owner": "octo"}, "colour": 1}"#).unwrap();
        let actions = vec!["https://token.actions.githubusercontent.com".to_owned()];
        assert_eq!(of(&default, &github, &json!({})), Ok(actions));
        assert!(of(&default, &gitlab, &json!({})).is_err());
        let listed = issuers(&json!([{"provider": "gitlab"}]));
        assert_eq!(of(&listed, &gitlab, &json!({})), Ok(vec!["https://gitlab.com".to_owned()]));
        assert!(of(&listed, &github, &json!({})).is_err(), "a list replaces the default");
        assert!(issuers(&json!([])).is_empty() && !default.is_empty());
        for wrong in ["", "[]", "{}", r#"{"identity_tokens": {}}"#, r#"{"identity_tokens": {"issuers": [{}]}}"#] {
            assert!(Issuers::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_issuer_has_to_tell_what_the_account_is_judged_by() {
        let other = |names: Value, environments: Value| {
            let claims = json!({"org": ["example"]});
            issuers(&json!([{
                "provider": "other", "url": OTHER, "claims": claims, "names": names, "environments": environments,
            }]))
        };
        let by_name = json!({"provider": "other", "name": "payments-*"});
        let by_id = json!({"provider": "other", "id": "7", "name": "payments"});
        let open = json!({"identity_token": "optional"});
        let unprotected = json!({"protected_ref": false});
        let yes = || Ok(vec![OTHER.to_owned()]);
        let missing = |issuers: &Issuers, repository: &Value, environment: &Value, what: &str| {
            let message = of(issuers, repository, environment).unwrap_err();
            assert!(message.contains(what), "{what}: {message}");
        };
        let nothing = other(json!({}), json!({}));
        missing(&nothing, &by_name, &open, "no name of the repository");
        missing(&nothing, &by_id, &open, "no id of the repository");
        let both = other(json!({"repository": "pipeline", "repository_id": "pipeline_id"}), json!({}));
        assert_eq!(of(&both, &by_name, &open), yes());
        assert_eq!(of(&both, &by_id, &open), yes());
        missing(&both, &by_name, &json!({}), "whether a ref is protected");
        missing(&both, &by_name, &unprotected, "environment of a run");
        let with = |environment: Value| other(json!({"repository": "pipeline"}), json!({"production": environment}));
        assert_eq!(of(&with(json!("any")), &by_name, &unprotected), yes());
        missing(&with(json!(["live"])), &by_name, &open, "environment of a run");
        let all = json!({"repository": "pipeline", "ref_protected": "protected", "environment": "stage"});
        assert_eq!(of(&other(all, json!({})), &by_name, &json!({})), yes());
    }

    #[test]
    fn rules_that_are_about_the_id_count() {
        let repository = json!({"provider": "gitlab", "id": "28", "name": "example/payments"});
        let with = |claims: Value| issuers(&json!([{"provider": "gitlab", "claims": claims}]));
        assert!(of(&with(json!({"namespace_id": ["11"], "project_id": ["2?"]})), &repository, &json!({})).is_ok());
        let message = of(&with(json!({"project_id": ["29", "3*"]})), &repository, &json!({})).unwrap_err();
        assert!(message.contains("admit no repository of the id `28`"), "{message}");
    }

    #[test]
    fn each_issuer_counts_that_could_be_meant() {
        let two = issuers(&json!([
            {"provider": "gitlab", "url": "https://gitlab.example.com"},
            {"provider": "github"},
            {"provider": "gitlab"},
            {"provider": "gitlab", "url": "https://gitlab.com"},
        ]));
        let repository = |issuer: Value| {
            let mut repository = json!({"provider": "gitlab", "id": "28", "name": "example/payments"});
            if issuer.is_string() {
                repository["issuer"] = issuer;
            }
            repository
        };
        let both = vec!["https://gitlab.com".to_owned(), "https://gitlab.example.com".to_owned()];
        assert_eq!(of(&two, &repository(Value::Null), &json!({})), Ok(both.clone()));
        assert_eq!(of(&two, &repository(json!(both[1])), &json!({})), Ok(vec![both[1].clone()]));
        let message = of(&two, &repository(json!("https://gitlab.com/")), &json!({})).unwrap_err();
        assert!(message.contains("no issuer `https://gitlab.com/`"), "{message}");
    }
}
