//! The whole queue on a real database, with agents that speak the protocol but run nothing.

mod crashes;
mod grants;
mod house;
mod limits;
mod outcomes;
mod random;
