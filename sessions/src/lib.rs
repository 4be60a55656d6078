//! Work in other accounts: sessions of roles there, and turns to change a role that others change as well.

mod role_session;
mod turns;

pub use self::{
    role_session::{Provisioner, ProvisionerError, ReaderSession, TargetRefused, identity_center},
    turns::Turns,
};
