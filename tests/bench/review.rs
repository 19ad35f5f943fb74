//! `review`: what one admission review costs, whole: over TLS, with keep-alive, judged, answered and recorded.
//!
//! Two floors are measured in the same run, behind the same server and the same TLS: one that takes the body off the wire and
//! never looks at it, and one that parses it into a document, which is where every webhook written the usual way begins.
//! Each server is a process of its own, so that its CPU time is its own too.

mod client;
pub mod server;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use futures::future::try_join_all;
use serde_json::Value;

use self::client::Connection;
use self::server::{Running, Which};
use super::material;
use super::measure::{Samples, machine, micros};
use super::results::{Figure, Results};

/// Rounds, in which the servers take turns: what the neighbours do then falls on all of them.
const ROUNDS: usize = 15;

/// Reviews per server and round, one after the other.
const REVIEWS: u32 = 400;

/// Reviews before the first round.
const WARM_UP: u32 = 1000;

/// Connections for throughput: of the 25 an API server keeps, about as many as are ever busy.
const CONNECTIONS: usize = 16;

/// Rounds of throughput, and how long each is.
const RUSHES: usize = 5;
const RUSH: Duration = Duration::from_secs(1);

/// Measures the product and the floors.
pub fn run(results: &mut Results) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(results))
}

async fn measure(results: &mut Results) -> Result<()> {
    let review = Bytes::from(material::bytes("admission_update.json")?);
    let product = Lane::open(Which::Product, &review).await?;
    let parse = Lane::open(Which::Parse, &review).await?;
    let raw = Lane::open(Which::Raw, &review).await?;
    let verdict = denial(&product.answer)?;

    let mut lanes = [product, parse, raw];
    let spent = take_turns(&mut lanes).await?;
    let what = format!("{} KB UPDATE, {verdict}, record written to the null device", review.len() / 1000);
    let floors = ["parsed into serde_json::Value and allowed", "body taken off the wire, not looked at, allowed"];
    let names = ["review_cpu_us", "floor_parse_cpu_us", "floor_raw_cpu_us"];
    for ((name, what), samples) in names.into_iter().zip([&*what, floors[0], floors[1]]).zip(&spent) {
        results.set(name, cpu_figure(samples, what));
    }
    for (name, lane) in [("review_rps_16", &lanes[0]), ("floor_parse_rps_16", &lanes[1])] {
        results.set(name, lane.throughput().await?);
    }
    Ok(())
}

fn cpu_figure(samples: &Samples, what: &str) -> Figure {
    let how = format!("TLS 1.3, HTTP/1.1 keep-alive, one connection, {REVIEWS} reviews a sample");
    Figure::new(
        samples.median(),
        "us",
        format!("{what}; CPU time of the server, {how}, median of {samples}; {}", machine()),
    )
}

/// A faster answer that is not the full refusal would be no achievement.
fn denial(answer: &[u8]) -> Result<String> {
    let answer: Value = serde_json::from_slice(answer).context("the answer is no JSON")?;
    let (allowed, message) = (&answer["response"]["allowed"], &answer["response"]["status"]["message"]);
    let message = message.as_str().unwrap_or_default();
    let complete = ["replicas", "deployment.yaml", "break-glass"].iter().all(|part| message.contains(part));
    ensure!(allowed == false && complete, "the answer is not the full refusal: {answer}");
    Ok(format!("denied with a message of {} characters", message.chars().count()))
}

async fn take_turns(lanes: &mut [Lane; 3]) -> Result<[Samples; 3]> {
    let mut spent = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (lane, spent) in lanes.iter_mut().zip(&mut spent) {
            spent.push(lane.one_after_the_other().await?);
        }
    }
    Ok(spent.map(|samples| samples.into_iter().collect()))
}

/// A server, and a connection to it.
struct Lane {
    server: Running,
    connection: Connection,
    review: Bytes,
    answer: Bytes,
}

// === impl Lane ===

impl Lane {
    async fn open(which: Which, review: &Bytes) -> Result<Self> {
        let server = Running::start(which)?;
        let mut connection = Connection::open(&server).await?;
        let mut answer = Bytes::new();
        for _ in 0..WARM_UP {
            answer = connection.ask(review).await?;
        }
        Ok(Self { server, connection, review: review.clone(), answer })
    }

    /// CPU microseconds of the server per review.
    async fn one_after_the_other(&mut self) -> Result<f64> {
        let before = self.server.cpu()?;
        for _ in 0..REVIEWS {
            self.connection.ask(&self.review).await?;
        }
        Ok(micros(self.server.cpu()?.saturating_sub(before)) / f64::from(REVIEWS))
    }

    /// Reviews per second, the client on the same machine.
    async fn throughput(&self) -> Result<Figure> {
        let mut connections = try_join_all((0..CONNECTIONS).map(|_| Connection::open(&self.server))).await?;
        let (mut rates, mut spent) = (Vec::new(), Vec::new());
        for _ in 0..RUSHES {
            let (started, before) = (Instant::now(), self.server.cpu()?);
            let answered =
                try_join_all(connections.iter_mut().map(|connection| rush(connection, &self.review))).await?;
            let answered = f64::from(answered.iter().sum::<u32>());
            rates.push(answered / started.elapsed().as_secs_f64());
            spent.push(micros(self.server.cpu()?.saturating_sub(before)) / answered);
        }
        let (rates, spent): (Samples, Samples) = (rates.into_iter().collect(), spent.into_iter().collect());
        let how = format!(
            "reviews per second, {CONNECTIONS} connections, client on the same cores (wall time, median of {rates})"
        );
        Ok(Figure::new(
            rates.median(),
            "count",
            format!("{how}; server {:.0} us CPU each; {}", spent.median(), machine()),
        ))
    }
}

async fn rush(connection: &mut Connection, review: &Bytes) -> Result<u32> {
    let until = Instant::now() + RUSH;
    let mut answered = 0;
    while Instant::now() < until {
        connection.ask(review).await?;
        answered += 1;
    }
    Ok(answered)
}
