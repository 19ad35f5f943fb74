//! Loopback ports, one for each name, remembered so that a restarted process comes back where its clients look for it.
//!
//! They are taken from below the range the kernel hands to outgoing connections. A port from that range could be taken
//! while its server restarts, even by a client of that very server: connecting over and over to a closed loopback port,
//! it sooner or later connects to itself and then holds the port.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

use anyhow::{Context, Result};

use super::layout::{Layout, write_atomically};

const RANGE: std::ops::Range<u16> = 15_000..30_000;

/// The port of `name`: the one it had, or a free one.
pub fn port(layout: &Layout, name: &str) -> Result<u16> {
    let file = layout.run().join(format!("{name}.port"));
    if let Some(port) = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(port);
    }
    let port = find().context("no free port on loopback")?;
    write_atomically(&file, port.to_string())?;
    Ok(port)
}

/// Lets `name` have another port next time, if somebody else sits on the one it has. Says whether that was so.
pub fn give_up_if_taken(layout: &Layout, name: &str) -> Result<bool> {
    let taken = !is_free(port(layout, name)?);
    if taken {
        std::fs::remove_file(layout.run().join(format!("{name}.port"))).context("failed to forget a port")?;
    }
    Ok(taken)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Starts at a random place, so that two worlds starting at once do not walk the same way.
fn find() -> Option<u16> {
    let length = RANGE.end - RANGE.start;
    let start = u16::try_from(RandomState::new().hash_one(std::process::id()) % u64::from(length)).ok()?;
    (0..length).map(|step| RANGE.start + (start + step) % length).find(|&port| is_free(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let layout = Layout::create(folder.path()).expect("a fresh folder can be laid out");
        (folder, layout)
    }

    #[test]
    fn a_name_keeps_its_port() {
        let (_folder, layout) = layout();
        let first = port(&layout, "etcd").expect("some port is free");
        assert!(RANGE.contains(&first));
        assert_eq!(first, port(&layout, "etcd").expect("it is remembered"));
    }

    #[test]
    fn a_port_is_given_up_only_when_somebody_else_has_it() {
        let (_folder, layout) = layout();
        let first = port(&layout, "etcd").expect("some port is free");
        assert!(!give_up_if_taken(&layout, "etcd").expect("the port file can be read"));
        let _squatter = TcpListener::bind(("127.0.0.1", first)).expect("it was free");
        assert!(give_up_if_taken(&layout, "etcd").expect("the port file can be removed"));
        assert_ne!(first, port(&layout, "etcd").expect("another port is free"));
    }
}
