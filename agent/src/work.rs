//! The agent's standing tasks: staying a member, asking for work, keeping ready what is wanted.

mod keep;
mod member;
mod poll;

pub(crate) use keep::keep_ready;
pub(crate) use member::stay_member;
pub(crate) use poll::ask_for_work;
