//! Daypass as its users have it: the machines, the tokens, the role.

pub mod access;
pub mod asking;
pub mod aws;
pub mod daypass;
pub mod envelope;
pub mod holders;
pub mod identity_token;
pub mod machine;
pub mod profiles;
pub mod release;
pub mod renewal;
pub mod secret;
pub mod store;
