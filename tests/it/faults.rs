//! Bots that fail.
