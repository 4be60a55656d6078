//! `daypass groups`: the groups of Identity Center that personas.json wants.

mod difference;
mod store;
