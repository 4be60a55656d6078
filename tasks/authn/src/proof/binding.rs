//! What a verified token has to do with the request, and with the person whom the request names.

use daypass::contract::{Proof, Transaction};

use super::{
    NotProven,
    rules::{Attribute, Issuer, Provider},
    token::Claims,
};
use crate::user::User;

/// Checks that `claims` are of the run that sent the request, and that the run is the user's; returns what they prove.
///
/// # Errors
/// [`NotProven`] with the first thing that does not fit.
pub fn bind(
    issuer: &Issuer,
    claims: &Claims,
    token_id: String,
    transaction: &Transaction,
    user: &User,
) -> Result<Proof, NotProven> {
    check_rules(issuer, claims)?;
    check_person(issuer, claims, transaction, user)?;
    check_run(issuer, claims, transaction)?;
    check_environment(issuer, claims, transaction)?;
    let names = issuer.provider.names();
    let text = |name: Option<&str>| name.and_then(|name| claims.text(name));
    Ok(Proof {
        issuer: issuer.url.as_str().to_owned(),
        subject: required(claims, "sub")?,
        token_id,
        repository: text(names.repository),
        repository_id: text(names.repository_id),
        run_id: text(names.run_id),
        run_attempt: text(names.run_attempt),
        actor_id: text(names.actor_id),
        workflow_ref: text(names.workflow_ref),
    })
}

fn required(claims: &Claims, claim: &str) -> Result<String, NotProven> {
    claims.text(claim).ok_or_else(|| NotProven::Missing(claim.to_owned()))
}

/// The deployment's own rules: who owns the repository, which workflow it is, where it runs.
fn check_rules(issuer: &Issuer, claims: &Claims) -> Result<(), NotProven> {
    for (claim, patterns) in &issuer.claims {
        let value = required(claims, claim)?;
        if !patterns.iter().any(|pattern| pattern.matches(&value)) {
            let allowed = patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(NotProven::Rule { claim: claim.clone(), value, allowed });
        }
    }
    Ok(())
}

fn check_person(
    issuer: &Issuer,
    claims: &Claims,
    transaction: &Transaction,
    user: &User,
) -> Result<(), NotProven> {
    let rule = &issuer.person;
    let name = required(claims, &rule.claim)?;
    let expected = rule.value.replace("{}", &name);
    let of_user: Vec<&str> = match rule.attribute {
        Attribute::Email => vec![transaction.email.as_str()],
        Attribute::UserName => user.user_name.iter().map(String::as_str).collect(),
        Attribute::ProfileUrl => user.profile_url.iter().map(|url| url.trim_end_matches('/')).collect(),
        Attribute::NickName => user.nick_name.iter().map(String::as_str).collect(),
        Attribute::ExternalId => user.external_ids.iter().map(String::as_str).collect(),
    };
    // Addresses and names at GitHub and GitLab are the same in whatever case.
    if name.is_empty() || !of_user.iter().any(|it| it.eq_ignore_ascii_case(&expected)) {
        let (claim, attribute) = (rule.claim.clone(), rule.attribute.name());
        return Err(NotProven::OtherPerson { claim, name, attribute });
    }
    Ok(())
}

/// Repository, branch and URL of the run, as far as the issuer tells them.
fn check_run(issuer: &Issuer, claims: &Claims, transaction: &Transaction) -> Result<(), NotProven> {
    let names = issuer.provider.names();
    if let Some(claim) = names.repository {
        let value = required(claims, claim)?;
        if transaction.repository.as_ref().is_some_and(|it| !it.eq_ignore_ascii_case(&value)) {
            return Err(NotProven::Other { field: "repository", value });
        }
    }
    if let Some(expected) = issuer.provider.branch_ref(&transaction.branch) {
        let (value, kind) = (required(claims, "ref")?, required(claims, "ref_type")?);
        if value != expected || kind != "branch" {
            return Err(NotProven::Other { field: "branch", value: format!("the {kind} {value}") });
        }
    }
    if let (Provider::Github, Some(url)) = (issuer.provider, &transaction.run_url) {
        let run = format!("/{}/actions/runs/{}", required(claims, "repository")?, required(claims, "run_id")?);
        let is_of_run = url.split_once(&run).is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('/'));
        if !is_of_run {
            return Err(NotProven::Other { field: "run_url", value: run });
        }
    }
    Ok(())
}

fn check_environment(issuer: &Issuer, claims: &Claims, transaction: &Transaction) -> Result<(), NotProven> {
    let wanted = transaction.environment.as_ref().and_then(|name| issuer.environments.get(name));
    let Some(wanted) = wanted else { return Ok(()) };
    let value = required(claims, "environment")?;
    if wanted.contains(&value) {
        Ok(())
    } else {
        Err(NotProven::Rule { claim: "environment".to_owned(), value, allowed: wanted.join(", ") })
    }
}
