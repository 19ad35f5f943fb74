//! What several test programs share: a model of the API server, and desired state made of plain values.

#![allow(dead_code)] // each test program uses its part of this

pub mod api_server;
pub mod desired;
pub mod kinds;
