//! What a Service is in a cluster: one address, behind which whoever is ready answers.
//!
//! Readiness is asked for ten times a second. Whoever says no gets no new connections and finishes those it has; whoever says nothing
//! at all, because it is dead or stands still, loses them, so that a test need not wait for the API server to notice.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, timeout};

use crate::world::World;

/// How one that is behind the address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Ready,
    /// It answers, and wants no more.
    Leaving,
    Silent,
}

#[derive(Clone)]
struct Backend {
    address: SocketAddr,
    health: watch::Receiver<Health>,
}

const PATIENCE: Duration = Duration::from_millis(500);

/// Listens for the rest of the program; answers with the address.
pub async fn start(world: &World, replicas: usize) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let backends = (0..replicas).map(|number| backend(world, number)).collect::<Result<Vec<_>>>()?;
    tokio::spawn(balance(listener, backends));
    Ok(address)
}

fn backend(world: &World, number: usize) -> Result<Backend> {
    let replica = world.replica(number);
    let url = replica.webhook_url()?;
    let address = url.strip_prefix("https://").context("a URL")?.parse()?;
    let probe = replica.metrics_url()?.replace("/metrics", "/readyz");
    let (sender, health) = watch::channel(Health::Silent);
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    tokio::spawn(async move {
        let mut pause = interval(Duration::from_millis(100));
        loop {
            pause.tick().await;
            let found = match client.get(&probe).send().await {
                Ok(answer) if answer.status().is_success() => Health::Ready,
                Ok(_) => Health::Leaving,
                Err(_) => Health::Silent,
            };
            sender.send_if_modified(|health| std::mem::replace(health, found) != found);
        }
    });
    Ok(Backend { address, health })
}

async fn balance(listener: TcpListener, backends: Vec<Backend>) {
    let turn = Arc::new(AtomicUsize::new(0));
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(carry(client, backends.clone(), turn.fetch_add(1, Ordering::Relaxed)));
    }
}

/// To the next that is ready; nobody is there if none is.
async fn carry(mut client: TcpStream, backends: Vec<Backend>, turn: usize) {
    for step in 0..backends.len() {
        let Backend { address, mut health } = backends[(turn + step) % backends.len()].clone();
        if *health.borrow() != Health::Ready {
            continue;
        }
        let Ok(Ok(mut server)) = timeout(PATIENCE, TcpStream::connect(address)).await else { continue };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = health.wait_for(|health| *health == Health::Silent) => {}
        }
        return;
    }
}
