//! The agent's standing tasks: staying a member, asking for work, keeping ready what is wanted, volumes included.

mod keep;
mod member;
mod poll;
mod volumes;

pub(crate) use keep::keep_ready;
pub(crate) use member::stay_member;
pub(crate) use poll::ask_for_work;
pub(crate) use volumes::keep_volumes;
