//! What a verified token has to do with the request.

use daypass::{
    contract::{Proof, Transaction, UserClaim},
    issuer::{ClaimName, Provider},
};
use url::Url;

use crate::{
    NotProven,
    rules::{Issuer, Rules, Wanted},
    token::{Claims, LEEWAY},
};

/// Checks that `claims` are of the run that sent the request, as the rules want it.
///
/// # Errors
/// [`NotProven`] with the first thing that does not fit.
pub fn bind(rules: &Rules, issuer: &Issuer, claims: &Claims, transaction: &Transaction) -> Result<(), NotProven> {
    check_rules(issuer, claims)?;
    check_run(issuer, claims, transaction)?;
    check_environment(rules, issuer, claims, transaction)
}

/// Whose run `claims` are of, whether or not it is accepted.
///
/// # Errors
/// [`NotProven::Missing`] when they do not say.
pub fn proof(issuer: &Issuer, claims: &Claims, token_id: String) -> Result<Proof, NotProven> {
    let names = issuer.claim_names();
    let text = |name: ClaimName| name.and_then(|name| claims.text(&name)).filter(|text| !text.is_empty());
    Ok(Proof {
        issuer: issuer.url.as_str().to_owned(),
        provider: Some(issuer.provider),
        subject: required(claims, "sub")?,
        token_id,
        token_ends_at: claims.expires_at.plus(LEEWAY).unix_seconds(),
        user: user(issuer, claims)?,
        repository: text(names.repository),
        repository_id: text(names.repository_id),
        run_id: text(names.run_id),
        run_attempt: text(names.run_attempt),
        job_id: text(names.job_id),
        actor_id: text(names.actor_id),
        workflow_ref: text(names.workflow_ref),
        ref_protected: text(names.ref_protected).and_then(|text| text.parse().ok()),
        environment: text(names.environment),
        event: text(names.event),
    })
}

/// Checks that a renewal comes from the job that the request came from: what was proven stays proven. Where the issuer tells
/// no jobs apart, it is the run; where it tells no runs apart, whom the token is for. (What the first version has recorded
/// knows no job, either.)
///
/// # Errors
/// [`NotProven::OtherRun`] with the first claim that says that it is another one.
pub fn renew(issuer: &Issuer, first: &Proof, renewal: &Proof) -> Result<(), NotProven> {
    let names = issuer.claim_names();
    let by_id = first.repository_id.is_some() || renewal.repository_id.is_some();
    let repository = |proof: &Proof| if by_id { proof.repository_id.clone() } else { proof.repository.clone() };
    let by_run = first.run_id.is_some() || renewal.run_id.is_some();
    let run = |proof: &Proof| if by_run { proof.run_id.clone() } else { Some(proof.subject.clone()) };
    let job = |proof: &Proof| first.job_id.as_ref().and(proof.job_id.clone());
    let same = [
        ("run", Some("iss".into()), Some(first.issuer.clone()), Some(renewal.issuer.clone())),
        ("run", if by_id { names.repository_id } else { names.repository }, repository(first), repository(renewal)),
        ("run", if by_run { names.run_id } else { Some("sub".into()) }, run(first), run(renewal)),
        ("job", names.job_id, job(first), job(renewal)),
    ];
    let other = same.into_iter().find(|(_, _, first, renewal)| first != renewal);
    other.map_or(Ok(()), |(what, claim, of_request, of_renewal)| {
        let told = |value: Option<String>| value.unwrap_or_else(|| "missing".to_owned());
        let claim = claim.map_or_else(|| "repository".to_owned(), ClaimText::into_owned);
        Err(NotProven::OtherRun { what, claim, of_request: told(of_request), of_renewal: told(of_renewal) })
    })
}

type ClaimText = std::borrow::Cow<'static, str>;

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
    if let Some(claim) = &issuer.claim_names().repository {
        let value = required(claims, claim)?;
        if transaction.repository.as_ref().is_some_and(|it| !it.eq_ignore_ascii_case(&value)) {
            return Err(NotProven::Other { field: "repository", claim: claim.to_string(), value });
        }
    }
    if let Some(expected) = issuer.branch_ref(&transaction.branch) {
        let (value, kind) = (required(claims, "ref")?, required(claims, "ref_type")?);
        if value != expected || kind != "branch" {
            let claim = "ref".to_owned();
            return Err(NotProven::Other { field: "branch", claim, value: format!("the {kind} {value}") });
        }
    }
    check_run_url(issuer, claims, transaction)
}

/// The URL is one of the run's pages: of its server, and at its path or below. It has to be written in the one way that every
/// program reads alike: what a browser would mend, another one takes for another host or path.
fn check_run_url(issuer: &Issuer, claims: &Claims, transaction: &Transaction) -> Result<(), NotProven> {
    let Some(url) = &transaction.run_url else { return Ok(()) };
    let pages = match issuer.provider {
        Provider::Github => {
            vec![format!("/{}/actions/runs/{}", required(claims, "repository")?, required(claims, "run_id")?)]
        }
        Provider::Gitlab => {
            let project = required(claims, "project_path")?;
            let page = |kind: &str, id: &str| Ok(format!("/{project}/-/{kind}/{}", required(claims, id)?));
            vec![page("pipelines", "pipeline_id")?, page("jobs", "job_id")?]
        }
        Provider::Other => return Ok(()),
    };
    let expected = || {
        let server = issuer.server.as_ref().map_or("", Url::as_str).trim_end_matches('/');
        let claim = issuer.claim_names().run_id.map(ClaimText::into_owned).unwrap_or_default();
        NotProven::Other { field: "run_url", claim, value: format!("{server}{}", pages[0]) }
    };
    let text = url;
    let url: Url = text.parse().map_err(|_| expected())?;
    let is_below = |page: &String| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        let rest = url.path().strip_prefix(page.as_str());
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && rest.chars().all(is_plain)))
    };
    let same_server = issuer.server.as_ref().is_some_and(|server| {
        (server.scheme(), server.host(), server.port_or_known_default())
            == (url.scheme(), url.host(), url.port_or_known_default())
    });
    if url.as_str() == text
        && same_server
        && url.username().is_empty()
        && url.password().is_none()
        && pages.iter().any(is_below)
    {
        Ok(())
    } else {
        Err(expected())
    }
}

/// The run is in the environment that ours wants.
fn check_environment(
    rules: &Rules,
    issuer: &Issuer,
    claims: &Claims,
    transaction: &Transaction,
) -> Result<(), NotProven> {
    let Some(ours) = &transaction.environment else { return Ok(()) };
    let wanted = match issuer.environments.get(ours) {
        Some(Wanted::One(names)) => names.clone(),
        None if rules.require_proof_in(ours) => vec![ours.clone()],
        Some(Wanted::Any(_)) | None => return Ok(()),
    };
    // An issuer that has no name for it does not say.
    let claim = issuer.claim_names().environment.ok_or_else(|| NotProven::Missing("environment".to_owned()))?;
    let value = required(claims, &claim)?;
    if wanted.contains(&value) {
        Ok(())
    } else {
        Err(NotProven::Rule { claim: claim.into_owned(), value, allowed: wanted.join(", ") })
    }
}
