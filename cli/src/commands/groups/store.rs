//! The groups of an identity store: as much of its API as is needed, and nothing that is about people.

use aws_sdk_identitystore::Client;
use daypass_aws::AwsError;
use daypass_identity_center::IdentityStore;

use super::difference::{ExistingGroup, Wanted};

/// The most groups or members that the API gives at a time.
const PAGE: i32 = 100;

/// What came of making or deleting a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// This call did it.
    Here,
    /// Somebody else had done it by then.
    Elsewhere,
}

/// One identity store.
pub struct GroupStore {
    client: Client,
    id: String,
}

impl GroupStore {
    /// The store `id`, which `client` may change.
    pub fn new(client: Client, id: String) -> Self {
        Self { client, id }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub async fn groups(&self) -> Result<Vec<ExistingGroup>, AwsError> {
        let request = self.client.list_groups().identity_store_id(&self.id).max_results(PAGE);
        let mut pages = request.into_paginator().items().send();
        let mut groups = Vec::new();
        while let Some(group) = pages.next().await {
            let group = group.map_err(AwsError::of("identitystore:ListGroups"))?;
            let issuers = group.external_ids().iter().map(|it| it.issuer().to_owned()).collect();
            let name = group.display_name.unwrap_or_default();
            groups.push(ExistingGroup { id: group.group_id, name, revision: group.revision, issuers, members: None });
        }
        Ok(groups)
    }

    /// How many members the group has; one that is gone has none.
    pub async fn members(&self, group: &ExistingGroup) -> Result<usize, AwsError> {
        let request = self.client.list_group_memberships().identity_store_id(&self.id).group_id(&group.id);
        let mut pages = request.max_results(PAGE).into_paginator().items().send();
        let mut members = 0;
        while let Some(member) = pages.next().await {
            match member.map_err(AwsError::of("identitystore:ListGroupMemberships")) {
                Ok(_) => members += 1,
                Err(error) if error.is_not_found() => return Ok(0),
                Err(error) => return Err(error),
            }
        }
        Ok(members)
    }

    /// Makes the group, if nobody is faster.
    pub async fn create(&self, wanted: &Wanted) -> Result<Done, AwsError> {
        let request = self.client.create_group().identity_store_id(&self.id).display_name(&wanted.name);
        let answer = request.description(wanted.description()).send().await;
        let Err(error) = answer.map_err(AwsError::of("identitystore:CreateGroup")) else { return Ok(Done::Here) };
        // The name may be taken; but a conflict is also what others' changes to the store can bring.
        let store = IdentityStore::new(self.client.clone(), self.id.clone());
        if error.code() == Some("ConflictException") && store.group_id(&wanted.name).await?.is_some() {
            return Ok(Done::Elsewhere);
        }
        Err(error)
    }

    /// Deletes the group, as long as nobody changes it meanwhile.
    pub async fn delete(&self, group: &ExistingGroup) -> Result<Done, AwsError> {
        let request = self.client.delete_group().identity_store_id(&self.id).group_id(&group.id);
        let revision = Some(group.revision.clone()).filter(|revision| !revision.is_empty());
        match request.set_revision(revision).send().await.map_err(AwsError::of("identitystore:DeleteGroup")) {
            Ok(_) => Ok(Done::Here),
            Err(error) if error.is_not_found() => Ok(Done::Elsewhere),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
