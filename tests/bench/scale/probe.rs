//! What Holdfast takes, as seen from outside: memory from `/proc`, requests from the API server's own metrics.

use std::fmt;

use anyhow::{Context, Result};
use kube::Client;

use super::super::world::World;

/// Requests that are no writes of objects, whatever their verb: questions about rights, and leases.
const NO_OBJECTS: [&str; 6] = [
    "leases",
    "subjectaccessreviews",
    "selfsubjectaccessreviews",
    "localsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "tokenreviews",
];

/// Megabytes of a process.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: f64,
    /// The most it ever was.
    pub peak: f64,
}

/// Requests the API server answered, whoever asked.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// That wrote.
    pub writes: f64,
    /// That only said what they would write.
    pub dry_runs: f64,
    /// Lists.
    pub lists: f64,
    /// Single objects that were read.
    pub gets: f64,
}

// === impl Memory ===

impl Memory {
    /// Of the Holdfast of this world.
    pub fn of(world: &World) -> Result<Self> {
        let environment = world.environment()?;
        let pid = environment.iter().find(|(name, _)| *name == "HOLDFAST_PID").context("a world knows its Holdfast")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.1)).context("Holdfast does not run")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
            anyhow::Ok(kilobytes / 1024.0)
        };
        Ok(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} MB resident, at most {:.0}", self.resident, self.peak)
    }
}

// === impl Calls ===

impl Calls {
    /// Since the API server started.
    pub async fn so_far(client: &Client) -> Result<Self> {
        let request =
            axum::http::Request::get("/metrics").body(Vec::new()).context("a request without a body is valid")?;
        let page = client.request_text(request).await.context("the API server has no metrics")?;
        let mut calls = Self { writes: 0.0, dry_runs: 0.0, lists: 0.0, gets: 0.0 };
        for line in page.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
            let label =
                |name: &str| line.split_once(&format!("{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
            let (verb, resource) = (label("verb").unwrap_or_default(), label("resource").unwrap_or_default());
            let count: f64 = line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default();
            match verb {
                _ if NO_OBJECTS.contains(&resource) => {}
                "APPLY" | "PATCH" | "POST" | "PUT" | "DELETE" if label("dry_run") == Some("All") => {
                    calls.dry_runs += count;
                }
                "APPLY" | "PATCH" | "POST" | "PUT" | "DELETE" => calls.writes += count,
                "LIST" => calls.lists += count,
                "GET" => calls.gets += count,
                _ => {}
            }
        }
        Ok(calls)
    }

    /// What came after.
    pub fn since(self, before: &Self) -> Self {
        Self {
            writes: self.writes - before.writes,
            dry_runs: self.dry_runs - before.dry_runs,
            lists: self.lists - before.lists,
            gets: self.gets - before.gets,
        }
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, dry_runs, lists, gets } = self;
        write!(f, "{writes} writes, {dry_runs} dry runs, {lists} lists, {gets} gets")
    }
}

/// One of Holdfast's own numbers, summed over its labels.
pub async fn metric(world: &World, name: &str) -> Result<f64> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let page = client.get(world.metrics_url()?).send().await?.error_for_status()?.text().await?;
    let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let values = page.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(values.sum())
}
