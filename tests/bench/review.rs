//! `review`: what one admission review costs, whole: over TLS, with keep-alive, judged, answered and recorded.
//!
//! Two floors are measured in the same run, behind the same server and the same TLS: one that takes the body off the wire and
//! never looks at it, and one that parses it into a document, which is where every webhook written the usual way begins. Open
//! Policy Agent answers the same review by a rule on the whole `spec`, behind Go's own server.
//! Each server is a process of its own, so that its CPU time is its own too. With one connection, client and server are on one
//! core, and then each on its own ([`cores`]); with many, the server is never asleep, and it makes no difference.

mod client;
mod cores;
pub mod server;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use futures::future::try_join_all;
use serde_json::Value;

use self::client::Connection;
use self::cores::Cores;
use self::server::{Running, Which};
use super::material;
use super::measure::{Samples, machine, micros};
use super::peers;
use super::results::{Figure, Results};

/// Rounds, in which the servers take turns: what the neighbours do then falls on all of them.
const ROUNDS: usize = 15;

/// Reviews per server and round, one after the other.
const REVIEWS: u32 = 400;

/// Reviews before the first round.
const WARM_UP: u32 = 1000;

/// The same for one that is slower by far.
const FEW_REVIEWS: u32 = 50;

/// Connections for throughput: one, about as many as are ever busy of those an API server keeps, and a crowd of API servers.
const CONNECTIONS: [usize; 3] = [1, 16, 256];

/// Clients that open a connection for each review, as an API server does after a restart: so many at once.
const NEWCOMERS: usize = 16;

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
    one_by_one(results, &review).await?;
    at_once(results, &review).await
}

/// What a review takes when there is one at a time, on one core with whoever asks, and apart from it.
async fn one_by_one(results: &mut Results, review: &Bytes) -> Result<()> {
    let (opa, cores) = (peers::opa()?, Cores::given()?);
    cores.other()?;
    let mut lanes = ours(review).await?;
    cores.first()?;
    lanes.extend(ours(review).await?);
    if let Some(program) = opa {
        lanes.push(Lane::opa(&mut Command::new(program), review).await?);
    } else {
        results.forget("opa_spec_cpu_us");
        println!("  without opa_spec_cpu_us (Go is not installed: see go.dev/dl)");
    }
    let verdict = denial(&lanes[0].answer)?;
    let spent = take_turns(&mut lanes).await?;
    cores.any()?;
    let peers = [
        format!("{} KB UPDATE, {verdict}, record written to the null device", review.len() / 1000),
        "parsed into serde_json::Value and allowed".to_owned(),
        "body taken off the wire, not looked at, allowed".to_owned(),
        "Open Policy Agent, embedded in a Go program: denied because the spec is another".to_owned(),
    ];
    for (suffix, place, lanes, spent) in [
        ("", "on one core with the client", &lanes[OURS..], &spent[OURS..]),
        ("_apart", "on a core of its own", &lanes[..OURS], &spent[..OURS]),
    ] {
        for (((name, what), samples), lane) in NAMES.iter().zip(&peers).zip(spent).zip(lanes) {
            results.set(&format!("{name}{suffix}_cpu_us"), cpu_figure(samples, what, place, lane.reviews));
        }
    }
    Ok(())
}

/// What it takes when there are many.
async fn at_once(results: &mut Results, review: &Bytes) -> Result<()> {
    let lanes = ours(review).await?;
    for connections in CONNECTIONS {
        for (name, lane) in NAMES.iter().zip(&lanes).take(2) {
            let (rate, cpu) = lane.throughput(connections).await?;
            results.set(&format!("{name}_rps_{connections}"), rate);
            results.set(&format!("{name}_{connections}_cpu_us"), cpu);
        }
    }
    for (name, lane) in NAMES.iter().zip(&lanes).take(2) {
        let (rate, cpu) = lane.newcomers().await?;
        results.set(&format!("{name}_new_rps"), rate);
        results.set(&format!("{name}_new_cpu_us"), cpu);
    }
    Ok(())
}

/// Ours, the two floors, and what is measured beside them.
const NAMES: [&str; 4] = ["review", "floor_parse", "floor_raw", "opa_spec"];
const OURS: usize = 3;

/// What is ours of it, and the floors.
async fn ours(review: &Bytes) -> Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    for which in [Which::Product, Which::Parse, Which::Raw] {
        lanes.push(Lane::open(which, review).await?);
    }
    Ok(lanes)
}

fn cpu_figure(samples: &Samples, what: &str, place: &str, reviews: u32) -> Figure {
    let how = format!("TLS 1.3, HTTP/1.1 keep-alive, one connection, {reviews} reviews a sample");
    Figure::new(
        samples.median(),
        "us",
        format!("{what}; CPU time of the server {place}, {how}, median of {samples}; {}", machine()),
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

async fn take_turns(lanes: &mut [Lane]) -> Result<Vec<Samples>> {
    let mut spent = vec![Vec::new(); lanes.len()];
    for _ in 0..ROUNDS {
        for (lane, spent) in lanes.iter_mut().zip(&mut spent) {
            spent.push(lane.one_after_the_other().await?);
        }
    }
    Ok(spent.into_iter().map(|samples| samples.into_iter().collect()).collect())
}

/// A server, and a connection to it.
struct Lane {
    server: Running,
    connection: Connection,
    review: Bytes,
    answer: Bytes,
    /// In one sample.
    reviews: u32,
}

// === impl Lane ===

impl Lane {
    async fn open(which: Which, review: &Bytes) -> Result<Self> {
        Self::to(Running::start(which)?, review, REVIEWS).await
    }

    async fn opa(program: &mut Command, review: &Bytes) -> Result<Self> {
        let lane = Self::to(Running::program(program)?, review, FEW_REVIEWS).await?;
        let answer: Value = serde_json::from_slice(&lane.answer)?;
        ensure!(answer["response"]["allowed"] == false, "Open Policy Agent did not refuse: {answer}");
        Ok(lane)
    }

    async fn to(server: Running, review: &Bytes, reviews: u32) -> Result<Self> {
        let mut connection = Connection::open(&server).await?;
        let mut answer = Bytes::new();
        for _ in 0..WARM_UP.min(reviews * 5) {
            answer = connection.ask(review).await?;
        }
        Ok(Self { server, connection, review: review.clone(), answer, reviews })
    }

    /// CPU microseconds of the server per review.
    async fn one_after_the_other(&mut self) -> Result<f64> {
        let before = self.server.cpu()?;
        for _ in 0..self.reviews {
            self.connection.ask(&self.review).await?;
        }
        Ok(micros(self.server.cpu()?.saturating_sub(before)) / f64::from(self.reviews))
    }

    /// Reviews per second, the client on the same machine.
    async fn throughput(&self, connections: usize) -> Result<(Figure, Figure)> {
        let mut open = try_join_all((0..connections).map(|_| Connection::open(&self.server))).await?;
        let (mut rates, mut spent) = (Vec::new(), Vec::new());
        for _ in 0..RUSHES {
            let (started, before) = (Instant::now(), self.server.cpu()?);
            let answered = try_join_all(open.iter_mut().map(|connection| rush(connection, &self.review))).await?;
            let answered = f64::from(answered.iter().sum::<u32>());
            rates.push(answered / started.elapsed().as_secs_f64());
            spent.push(micros(self.server.cpu()?.saturating_sub(before)) / answered);
        }
        Ok(rate(rates, spent, &format!("{connections} connections, kept alive")))
    }

    /// The same with a connection, and so a handshake, for each review.
    async fn newcomers(&self) -> Result<(Figure, Figure)> {
        let (mut rates, mut spent) = (Vec::new(), Vec::new());
        for _ in 0..RUSHES {
            let (started, before) = (Instant::now(), self.server.cpu()?);
            let answered = try_join_all((0..NEWCOMERS).map(|_| self.rush_anew())).await?;
            let answered = f64::from(answered.iter().sum::<u32>());
            rates.push(answered / started.elapsed().as_secs_f64());
            spent.push(micros(self.server.cpu()?.saturating_sub(before)) / answered);
        }
        Ok(rate(rates, spent, &format!("{NEWCOMERS} clients, a new connection for each review")))
    }

    async fn rush_anew(&self) -> Result<u32> {
        let until = Instant::now() + RUSH;
        let mut answered = 0;
        while Instant::now() < until {
            Connection::open(&self.server).await?.ask(&self.review).await?;
            answered += 1;
        }
        Ok(answered)
    }
}

/// Reviews per second, and what each took of the server.
fn rate(rates: Vec<f64>, spent: Vec<f64>, how: &str) -> (Figure, Figure) {
    let (rates, spent): (Samples, Samples) = (rates.into_iter().collect(), spent.into_iter().collect());
    let place = format!("{how}, client on the same cores");
    let rate = format!("reviews per second, {place} (wall time, median of {rates}); {}", machine());
    let cpu = format!("CPU time of the server, {place}, median of {spent}; {}", machine());
    (Figure::new(rates.median(), "count", rate), Figure::new(spent.median(), "us", cpu))
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
