//! Daypass as its users have it: the machines, the tokens, the role.

pub mod asking;
pub mod aws;
pub mod calls;
pub mod deployment;
pub mod documents;
pub mod envelope;
pub mod holders;
pub mod identity_token;
pub mod machine;
pub mod profiles;
pub mod release;
pub mod renewal;
pub mod role_session;
pub mod run_key;
pub mod secret;
pub mod store;
pub mod time;

pub use calls::Client;
