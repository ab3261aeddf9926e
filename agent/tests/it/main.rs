//! The whole agent against a gateway made for tests, and a real container engine.
