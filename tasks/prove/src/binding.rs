//! What a verified token has to do with the request.

use daypass::contract::{Proof, Transaction, UserClaim};

use crate::{
    NotProven,
    rules::{Issuer, Provider},
    token::{Claims, LEEWAY},
};

/// Checks that `claims` are of the run that sent the request, as the rules want it.
///
/// # Errors
/// [`NotProven`] with the first thing that does not fit.
pub fn bind(issuer: &Issuer, claims: &Claims, transaction: &Transaction) -> Result<(), NotProven> {
    check_rules(issuer, claims)?;
    check_run(issuer, claims, transaction)?;
    check_environment(issuer, claims, transaction)
}

/// Whose run `claims` are of, whether or not it is accepted.
///
/// # Errors
/// [`NotProven::Missing`] when they do not say.
pub fn proof(issuer: &Issuer, claims: &Claims, token_id: String) -> Result<Proof, NotProven> {
    let names = issuer.provider.names();
    let text = |name: Option<&str>| name.and_then(|name| claims.text(name));
    Ok(Proof {
        issuer: issuer.url.as_str().to_owned(),
        subject: required(claims, "sub")?,
        token_id,
        token_ends_at: claims.expires_at.plus(LEEWAY).unix_seconds(),
        user: user(issuer, claims)?,
        repository: text(names.repository),
        repository_id: text(names.repository_id),
        run_id: text(names.run_id),
        run_attempt: text(names.run_attempt),
        actor_id: text(names.actor_id),
        workflow_ref: text(names.workflow_ref),
    })
}

/// Checks that a renewal comes from the run that the request came from: what was proven stays proven.
///
/// # Errors
/// [`NotProven::OtherRun`] when it comes from another one.
pub fn renew(first: &Proof, renewal: &Proof) -> Result<(), NotProven> {
    if run(first) == run(renewal) {
        return Ok(());
    }
    let of = first.repository.as_ref().unwrap_or(&first.issuer);
    Err(NotProven::OtherRun { run: run(first).2.to_owned(), of: of.clone() })
}

/// Which run a proof is of: issuer, repository and run. An attempt of it is the same run. Where the issuer tells no runs
/// apart, the subject has to do.
fn run(proof: &Proof) -> (&str, Option<&str>, &str) {
    let repository = proof.repository_id.as_deref().or(proof.repository.as_deref());
    (&proof.issuer, repository, proof.run_id.as_deref().unwrap_or(&proof.subject))
}

fn required(claims: &Claims, claim: &str) -> Result<String, NotProven> {
    claims.text(claim).filter(|text| !text.is_empty()).ok_or_else(|| NotProven::Missing(claim.to_owned()))
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

/// Whose run it is. Whether that is the person whom the request names is authn's to see.
fn user(issuer: &Issuer, claims: &Claims) -> Result<UserClaim, NotProven> {
    let rule = &issuer.person;
    let name = required(claims, &rule.claim)?;
    let value = rule.value.replace("{}", &name);
    Ok(UserClaim { claim: rule.claim.clone(), name, attribute: rule.attribute, value })
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
