//! Stories about the gateway, told to a real one on free ports with a folder of its own.

mod access;
mod buckets;
mod clients;
mod durability;
mod harness;
mod jobs;
mod services;
mod system;
