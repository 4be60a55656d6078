//! The groups of an identity store: as much of its API as is needed, and nothing that is about people.

use aws_sdk_identitystore::{Client, types::AttributeOperation};
use aws_smithy_types::Document;
use daypass_aws::AwsError;
use daypass_identity_center::IdentityStore;

use super::difference::{ExistingGroup, Renamed, Wanted};

/// The most groups or members that the API gives at a time.
const PAGE: i32 = 100;

/// What came of making, renaming or deleting a group.
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
            let (name, description) = (group.display_name.unwrap_or_default(), group.description.unwrap_or_default());
            let (id, revision) = (group.group_id, group.revision);
            groups.push(ExistingGroup { id, name, description, revision, issuers, members: None });
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

    /// Renames the group, as long as nobody changes it meanwhile. Its members and assignments are those of its id.
    pub async fn rename(&self, renamed: &Renamed) -> Result<Done, AwsError> {
        let Renamed { group, wanted } = renamed;
        let request = self.client.update_group().identity_store_id(&self.id).group_id(&group.id);
        let request = request.set_revision(revision(group)).operations(set("displayName", wanted.name.clone()));
        let request = match renamed.description() {
            Some(description) => request.operations(set("description", description)),
            None => request,
        };
        let answer = request.send().await.map_err(AwsError::of("identitystore:UpdateGroup"));
        let Err(error) = answer else { return Ok(Done::Here) };
        let store = IdentityStore::new(self.client.clone(), self.id.clone());
        if error.code() == Some("ConflictException") && store.group_id(&wanted.name).await?.as_ref() == Some(&group.id)
        {
            return Ok(Done::Elsewhere);
        }
        Err(error)
    }

    /// Deletes the group, as long as nobody changes it meanwhile.
    pub async fn delete(&self, group: &ExistingGroup) -> Result<Done, AwsError> {
        let request = self.client.delete_group().identity_store_id(&self.id).group_id(&group.id);
        match request.set_revision(revision(group)).send().await.map_err(AwsError::of("identitystore:DeleteGroup")) {
            Ok(_) => Ok(Done::Here),
            Err(error) if error.is_not_found() => Ok(Done::Elsewhere),
            Err(error) => Err(error),
        }
    }
}

/// What a group was when it was read, so that it is changed only if it still is.
fn revision(group: &ExistingGroup) -> Option<String> {
    Some(group.revision.clone()).filter(|revision| !revision.is_empty())
}

#[expect(clippy::expect_used, reason = "it has its path, and needs nothing else")]
fn set(attribute: &str, value: String) -> AttributeOperation {
    let operation = AttributeOperation::builder().attribute_path(attribute).attribute_value(Document::String(value));
    operation.build().expect("an operation")
}

#[cfg(test)]
mod tests;
