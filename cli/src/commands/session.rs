//! A session that is stored: made by a request, renewed when it is time, and shared by all processes that name it.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use daypass::{contract::Request, error::ErrorName, ids::TransactionId};
use ring::digest::{SHA256, digest};

use super::request_of;
use crate::{
    client::{
        Client,
        calls::lease_ended,
        deployment::Deployment,
        release::{Release, unreleased},
        store::{Locked, Session, Store},
        time::now,
    },
    context::Context,
    error::{Error, Kind},
    settings::{self, Settings},
    signals::Signals,
};

/// Asks for a role, becomes it, and stores the session.
///
/// # Errors
/// When it is not granted, or cannot be assumed; then it has been given back.
pub async fn begin(
    transaction: TransactionId,
    settings: &Settings,
    context: &Context,
    store: &Store,
) -> Result<Session, Error> {
    let deployment = Deployment::of(settings)?;
    let request = request_of(settings)?;
    let duration = settings.duration(settings::Key::SessionDuration)?;
    context.tell_what_was_found(settings);
    let client = Client::connect(deployment.clone(), settings, &[], context).await?;
    let key = client.key(&Ok(store.clone()));
    let proof = client.identity_token().await?;
    // From here on nothing but SIGKILL ends this process before the session is kept, or the role has been given back.
    let mut signals = Signals::listen()?;
    // Before anything is granted: what cannot be kept is not asked for.
    let mut file = store.create(transaction)?;
    if !file.text()?.is_empty() {
        return Err(Error::usage(format!("a session of {transaction} exists here already"))
            .remedy("use it, release it, or request with another id")
            .about(transaction));
    }
    let begun = async {
        let asked = client.request(transaction, &request, settings.ttl_is_derived(), &key, proof.as_deref());
        let (granted, uninterrupted) = signals.outlasted(asked, &context.output, "Daypass's answer").await;
        let (grant, pipeline) = granted?;
        let kept = async {
            uninterrupted?;
            let role = signals.unless(client.assume(&grant, request.email.as_str(), &pipeline, duration)).await?;
            let role_key_ids = vec![role.access_key_id.clone()];
            let session = Session { deployment, request, duration, grant, key, role, role_key_ids };
            file.put(&session)?;
            Ok(session)
        };
        let kept: Result<Session, Error> = kept.await;
        if kept.is_err() {
            // Nobody can use it.
            match client.releases().release(transaction).await {
                Ok(Release::Ended(_)) => {}
                Ok(Release::Taken(taken)) => context.output.warn(&taken.line()),
                Err(error) => context.output.warn(&unreleased(transaction, &error)),
            }
        }
        kept
    };
    let begun: Result<Session, Error> = begun.await;
    if begun.is_err()
        && let Err(error) = file.remove()
    {
        context.output.warn(&error.line());
    }
    begun
}

/// The session of a transaction, renewed if it is time.
///
/// # Errors
/// When there is none, or it has ended and there is no other.
pub async fn of_transaction(
    transaction: TransactionId,
    settings: &Settings,
    context: &Context,
    store: &Store,
) -> Result<Session, Error> {
    let Some(file) = store.lock(transaction)? else {
        return Err(Error::new(Kind::Failed, format!("no session of {transaction} exists here"))
            .remedy("`daypass request` creates one in DAYPASS_STATE_DIR, for the same user on the same machine")
            .about(transaction));
    };
    refreshed(file, settings, context).await
}

/// The session of whichever transaction an equal request has begun; a new one if there is none.
pub async fn of_request(settings: &Settings, context: &Context, store: &Store) -> Result<Session, Error> {
    let alike = digest_of(&Deployment::of(settings)?, &request_of(settings)?);
    // Whoever else asks for the same waits here, and finds the session.
    let mut pointer = store.lock_request(&alike)?;
    let named = std::str::from_utf8(&pointer.text()?).ok().and_then(|id| id.parse::<TransactionId>().ok());
    let mut former = None;
    if let Some((id, file)) = named.and_then(|id| Some((id, store.lock(id).transpose()?))) {
        match Box::pin(refreshed(file?, settings, context)).await {
            Err(error) if error.kind() == Kind::Failed => {
                context.output.note(&format!("requesting a new role: {}", error.reason()));
                if let Err(error) = give_up(id, settings, context, store).await {
                    context.output.warn(&unreleased(id, &error));
                }
                former = Some(id);
            }
            found => return found,
        }
    }
    let transaction = Client::new_transaction()?;
    let session = match Box::pin(begin(transaction, settings, context, store)).await {
        Ok(session) => session,
        Err(error) => {
            if former.is_none() && named.is_none() {
                // It names nothing.
                let _ = pointer.remove();
            }
            return Err(beside(former, error));
        }
    };
    if let Err(error) = pointer.write(transaction.to_string().as_bytes()) {
        // Nobody would find the session again, and the next equal request would have a role more.
        if let Err(error) = give_up(transaction, settings, context, store).await {
            context.output.warn(&unreleased(transaction, &error));
        }
        return Err(error.about(transaction));
    }
    Ok(session)
}

/// Begins the end of a transaction whose session is of no use any more: before another is asked for, which this one could be in
/// the way of.
async fn give_up(
    transaction: TransactionId,
    settings: &Settings,
    context: &Context,
    store: &Store,
) -> Result<(), Error> {
    // Without a session its lease has ended.
    let Some(mut file) = store.lock(transaction)? else { return Ok(()) };
    let (deployment, role_key_ids) = known(Some(&mut file), settings)?;
    let client = Client::connect(deployment, settings, &role_key_ids, context).await?;
    match client.releases().release(transaction).await? {
        Release::Ended(_) => file.remove()?,
        Release::Taken(taken) => context.output.warn(&taken.line()),
    }
    Ok(())
}

/// The same error, with the former transaction where that may be the reason.
fn beside(former: Option<TransactionId>, error: Error) -> Error {
    match former {
        Some(former) if error.is(ErrorName::QuotaExceeded) => error.and(&format!(
            "the previous role, of {former}, may still be open: `daypass release --wait {former}` waits until it is \
             gone"
        )),
        _ => error,
    }
}

/// A digest of the request. It leaves out the CI run, so that all jobs of a run share one session.
fn digest_of(deployment: &Deployment, request: &Request) -> String {
    let what = serde_json::json!([deployment, request]).to_string();
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, what.as_bytes()))
}

async fn refreshed(mut file: Locked, settings: &Settings, context: &Context) -> Result<Session, Error> {
    let mut session = file.session()?;
    let transaction = session.grant.transaction_id;
    if session.grant.expires_at <= now() {
        file.remove()?;
        return Err(lease_ended(&session.grant));
    }
    let client = Client::connect(session.deployment.clone(), settings, &session.role_key_ids, context).await?;
    if session.role.renew_at.is_none_or(|at| now() < at) && now() < session.role.expires_at {
        client.check(&session.role, transaction).await?;
        return Ok(session);
    }
    match client.renew(transaction, &session.key, session.request.email.as_str(), session.duration).await {
        Ok((grant, role)) => {
            session.go_on(grant, role);
            if let Err(error) = file.put(&session) {
                context.output.warn(&format!("the renewed session cannot be stored: {}", error.line()));
            }
            Ok(session)
        }
        Err(error) if now() < session.role.expires_at => {
            let ends = session.role.expires_at;
            context
                .output
                .warn(&format!("the session could not be renewed, it ends at {ends}: {}", Error::reason(&error)));
            Ok(session)
        }
        Err(error) => Err(error),
    }
}

/// Where a transaction was granted, and the sessions that came of it. What is set counts more than what is stored; a stored
/// session that cannot be read tells nothing.
///
/// # Errors
/// When neither says where Daypass is.
pub fn known(stored: Option<&mut Locked>, settings: &Settings) -> Result<(Deployment, Vec<String>), Error> {
    let session = stored.and_then(|file| file.session().ok());
    let role_key_ids = session.as_ref().map_or_else(Vec::new, |session| session.role_key_ids.clone());
    let deployment = match session {
        Some(session) if settings.get(settings::Key::DeprovisionArn).is_none() => session.deployment,
        _ => Deployment::of(settings)?,
    };
    Ok((deployment, role_key_ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::release::tests::ID;

    #[test]
    fn a_quota_may_be_used_up_by_the_request_before() {
        let refused = |name| Error::named(name, "failed", "so it is");
        let quota = || refused("Daypass.QuotaExceeded");
        let said = beside(Some(ID.parse().unwrap()), quota());
        assert!(
            said.line().contains(&format!("{ID}, may still be open: `daypass release --wait {ID}`")),
            "{}",
            said.line()
        );
        assert_eq!((said.kind(), said.reason()), (Kind::TryAgain, "so it is"));
        assert_eq!(beside(None, quota()), quota());
        let other = || refused("Daypass.NotAMember");
        assert_eq!(beside(Some(ID.parse().unwrap()), other()), other());
    }
}
