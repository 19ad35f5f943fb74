//! The admission edge without an API server: recorded reviews through the router, and the same router behind real sockets.

mod desk;
mod ending;
mod garbage;
mod guards;
mod leave;
mod limits;
mod odd;
mod rotation;
mod teams;
mod tls;
mod unread;
mod verdicts;
