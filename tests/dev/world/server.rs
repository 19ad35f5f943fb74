//! Starting a server: on ports of its own, once, and only done when it answers.

use std::process::Command;

use anyhow::{Context, Result};

use super::layout::Layout;
use super::ports;
use super::process::Process;

const ATTEMPTS: usize = 3;

/// What starting something came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// It was started.
    Now,
    /// It ran already.
    Before,
}

/// Starts the process `name` on the ports of `names`, unless it runs. A port is free when chosen but cannot be reserved:
/// if the server dies and somebody else has its port by then, it gets another.
pub async fn start<const N: usize>(
    layout: &Layout,
    name: &'static str,
    names: [&str; N],
    command: impl Fn([u16; N]) -> Result<Command>,
    probe: impl AsyncFn([u16; N]) -> Result<()>,
) -> Result<Start> {
    let process = Process::new(layout, name);
    let start = if process.running().is_some() { Start::Before } else { Start::Now };
    for attempt in 1.. {
        if process.running().is_none() {
            give_up_taken(layout, names)?;
            process.spawn(&mut command(ports_of(layout, names)?)?)?;
        }
        let ports = ports_of(layout, names)?;
        match process.ready(|| probe(ports)).await {
            Err(_) if attempt < ATTEMPTS && process.running().is_none() && give_up_taken(layout, names)? => {}
            outcome => return outcome.map(|()| start),
        }
    }
    unreachable!("the last attempt returns")
}

/// The simplest probe: somebody accepts connections.
pub async fn answers([port]: [u16; 1]) -> Result<()> {
    tokio::net::TcpStream::connect(("127.0.0.1", port)).await.context("nobody listens yet")?;
    Ok(())
}

fn ports_of<const N: usize>(layout: &Layout, names: [&str; N]) -> Result<[u16; N]> {
    let mut ports = [0; N];
    for (port, name) in ports.iter_mut().zip(names) {
        *port = ports::port(layout, name)?;
    }
    Ok(ports)
}

fn give_up_taken<const N: usize>(layout: &Layout, names: [&str; N]) -> Result<bool> {
    names.into_iter().try_fold(false, |any, name| Ok(ports::give_up_if_taken(layout, name)? || any))
}
