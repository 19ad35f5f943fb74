//! The API server, asked.

pub mod rights;
