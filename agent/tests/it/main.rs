//! The whole agent against a gateway made for tests, and a real container engine.

mod gateway;
mod node;

mod membership;
mod outages;
mod runs;
