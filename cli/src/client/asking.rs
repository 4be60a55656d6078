//! The credentials of the environment that Daypass may be asked with. Those of a deploy role may not: they are marked where `daypass`
//! puts them into an environment, and what they take the place of is kept beside them.

use aws_credential_types::Credentials;

use crate::world::World;

/// Marks the credentials of a deploy role in an environment: the id of the key, or the address of the endpoint.
pub const OWN: &str = "DAYPASS_ROLE_CREDENTIALS";

/// How the names of the kept ones begin. A command that has a role has none of them.
pub const KEPT: &str = "DAYPASS_ASKING_";

/// The variables that may be a deploy role's.
const MARKED: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// Each variable of credentials, and the one that keeps it.
const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "DAYPASS_ASKING_ACCESS_KEY_ID"),
    ("AWS_SECRET_ACCESS_KEY", "DAYPASS_ASKING_SECRET_ACCESS_KEY"),
    ("AWS_SESSION_TOKEN", "DAYPASS_ASKING_SESSION_TOKEN"),
];

/// Whether the credentials of the environment are a deploy role's: marked, or with a key id that is in `role_key_ids`.
pub fn is_own(world: &dyn World, role_key_ids: &[String]) -> bool {
    let mark = world.variable(OWN);
    let is_own = |value: String| role_key_ids.contains(&value) || mark.as_ref() == Some(&value);
    // Keys count more than an endpoint.
    MARKED.into_iter().find_map(|name| world.variable(name)).is_some_and(is_own)
}

/// What keeps the environment's credentials, when others are put in their place: variables and their values, which are secret.
pub fn kept(world: &dyn World, role_key_ids: &[String]) -> Vec<(&'static str, String)> {
    if is_own(world, role_key_ids) {
        return Vec::new();
    }
    KEYS.into_iter().filter_map(|(name, kept)| Some((kept, world.variable(name)?))).collect()
}

/// The credentials that were kept.
pub fn restored(world: &dyn World) -> Option<Credentials> {
    let [id, secret, token] = KEYS.map(|(_, kept)| world.variable(kept));
    Some(Credentials::new(id?, secret?, token, None, "daypass-asking"))
}

/// There are no other credentials than the deploy role's own.
#[derive(Debug, thiserror::Error)]
#[error(
    "the AWS credentials in the environment belong to the deploy role, which may not call Daypass, and there are no \
     others"
)]
pub struct OnlyOwn;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::FakeWorld;

    #[test]
    fn a_deploy_roles_credentials_are_known_by_their_mark_or_their_id() {
        let world = FakeWorld::with;
        let id = ("AWS_ACCESS_KEY_ID", "ASIAROLE");
        let url = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/x");
        assert!(is_own(&world(&[id, (OWN, id.1)]), &[]));
        assert!(is_own(&world(&[url, (OWN, url.1)]), &[]));
        assert!(is_own(&world(&[id]), &["ASIAOTHER".to_owned(), id.1.to_owned()]));
        for variables in [&[][..], &[id], &[url], &[(OWN, id.1)], &[id, url, (OWN, url.1)], &[id, (OWN, "ASIAOLD")]] {
            assert!(!is_own(&world(variables), &["ASIAOTHER".to_owned()]), "{variables:?}");
        }
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let before = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "wJalr")];
        let kept = kept(&FakeWorld::with(&before), &[]);
        let found: Vec<_> = kept.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let restored = restored(&FakeWorld::with(&found)).unwrap();
        let found = (restored.access_key_id(), restored.secret_access_key(), restored.session_token());
        assert_eq!(found, ("AKIA", "wJalr", None));
        assert!(kept.iter().all(|(name, _)| name.starts_with(KEPT)));
        // The role's own are in the place of these already.
        let after = [("AWS_ACCESS_KEY_ID", "ASIA"), (OWN, "ASIA"), ("AWS_SECRET_ACCESS_KEY", "x")];
        assert_eq!(super::kept(&FakeWorld::with(&after), &[]), []);
        assert!(super::restored(&FakeWorld::default()).is_none());
    }
}
