//! Renewals: credentials that are issued anew for a transaction that goes on.

use daypass::{
    contract::{Proof, Renewal, RenewalRefused, Renewed, Renewing, Status, Transaction},
    ids::TransactionId,
};

use crate::{
    RecordError, Recorded, Writer,
    item::{NewRenewal, RENEWALS, RecordedProof, RecordedTransaction},
    table::{Change, Store, read},
};

/// How often a write is tried that others overtake: by then they are too many at once, and the machine tries again.
const ROUNDS: usize = 4;

/// How often a transaction can be renewed. A lease of a week has room for it every 50 minutes (202 times). An item has
/// 400 KB, and the one that records the end holds a copy of this one: it must never be too long for that.
/// Source: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>.
pub const MOST_RENEWALS: usize = 250;
/// How many refused renewals are recorded, for the same reason; what comes after them is in the machine's log only.
pub const MOST_REFUSALS: usize = 50;

impl<S: Store> Writer<'_, S> {
    /// Looks a transaction up for a renewal.
    pub async fn renewing(&self, renewal: Renewal) -> Result<Recorded, RecordError> {
        let id = renewal.transaction_id;
        let (item, it) = self.transaction(id).await?;
        self.check_renewable(id, &it)?;
        let fields = item.iter().filter(|(name, _)| Transaction::FIELDS.contains(&name.as_str()));
        let transaction = Transaction { recipient: renewal.recipient, ..read(fields)? };
        let proof = item.iter().filter(|(name, _)| RecordedProof::ATTRIBUTES.contains(&name.as_str()));
        let proof = read::<RecordedProof>(proof)?.whole();
        Ok(Recorded::Renewing(Box::new(Renewing { transaction, proof })))
    }

    /// Credentials were issued anew: the answer is what the pipeline gets, once this is recorded.
    pub async fn renewed(&self, it: Renewed) -> Result<Recorded, RecordError> {
        let id = it.transaction.transaction_id;
        let entry = NewRenewal {
            group_id: Some(&it.authorization.group_id),
            credentials_expire_at: Some(it.credentials_expire_at),
            ..self.entry(&it.transaction.recipient, it.proof.as_ref())
        };
        for _ in 0..ROUNDS {
            let (_, recorded) = self.transaction(id).await?;
            if !self.has_recorded(&recorded) {
                self.check_renewable(id, &recorded)?;
                let change = Change::of(&id).append(RENEWALS, recorded.renewals.len(), &entry)?;
                if !self.table.change(change.if_status(&[Status::Provisioned])).await? {
                    continue;
                }
            }
            return Ok(Recorded::Provisioned(Box::new(it.transaction.into())));
        }
        Err(RecordError::Contended(id))
    }

    /// They were not, and whoever looks into it later finds out why; whatever has become of the transaction.
    pub async fn renewal_refused(&self, it: &RenewalRefused) -> Result<Recorded, RecordError> {
        let id = it.renewal.transaction_id;
        let entry = NewRenewal {
            error: Some(&it.error),
            reason: Some(&it.reason),
            proof: it.proof.as_ref(),
            ..self.entry(&it.renewal.recipient, it.proof.as_ref())
        };
        for _ in 0..ROUNDS {
            let (_, recorded) = self.transaction(id).await?;
            let (_, refused) = counts(&recorded);
            if self.has_recorded(&recorded)
                || refused >= MOST_REFUSALS
                || self.table.change(Change::of(&id).append(RENEWALS, recorded.renewals.len(), &entry)?).await?
            {
                return Ok(Recorded::Status { transaction_id: id, status: recorded.status });
            }
        }
        Err(RecordError::Contended(id))
    }

    fn entry<'a>(&'a self, recipient: &'a str, proof: Option<&'a Proof>) -> NewRenewal<'a> {
        NewRenewal {
            at: self.now,
            execution_arn: self.execution_arn,
            recipient,
            token_id: proof.map(|it| &*it.token_id),
            proof: None,
            run_attempt: proof.and_then(|it| it.run_attempt.as_deref()),
            group_id: None,
            credentials_expire_at: None,
            error: None,
            reason: None,
        }
    }

    /// Whether this execution has come this way before.
    fn has_recorded(&self, it: &RecordedTransaction) -> bool {
        it.renewals.iter().any(|renewal| renewal.execution_arn == self.execution_arn)
    }

    /// Whether there is a role, with time left, and room to record that it was used.
    fn check_renewable(&self, id: TransactionId, it: &RecordedTransaction) -> Result<(), RecordError> {
        let (granted, _) = counts(it);
        if it.status != Status::Provisioned {
            Err(RecordError::NotProvisioned { id, status: it.status })
        } else if it.expires_at <= self.now {
            Err(RecordError::LeaseEnded { id, at: it.expires_at })
        } else if granted >= MOST_RENEWALS {
            Err(RecordError::RenewedOften { id, times: granted })
        } else {
            Ok(())
        }
    }
}

/// How many renewals were granted, and refused.
fn counts(it: &RecordedTransaction) -> (usize, usize) {
    let refused = it.renewals.iter().filter(|renewal| renewal.error.is_some()).count();
    (it.renewals.len() - refused, refused)
}
