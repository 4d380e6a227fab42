//! The two ways.
