//! What Holdfast asked the API server, as the API server wrote it down: the steps of a sync.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::world::Person;

/// Reads on where it left off.
pub struct Trace {
    file: PathBuf,
    offset: u64,
}

/// What a request was to the sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Read,
    DryRun,
    Write,
    Delete,
    Status,
}

// === impl Trace ===

impl Trace {
    /// Everything from now on.
    pub fn from_now(file: PathBuf) -> Result<Self> {
        let offset = if file.exists() { file.metadata()?.len() } else { 0 };
        Ok(Self { file, offset })
    }

    /// What Holdfast has asked since the last time. A line that is still being written is left for the next.
    pub fn more(&mut self) -> Result<Vec<Value>> {
        let mut text = String::new();
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.offset))?;
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        self.offset += whole as u64;
        // Of an API server that was killed in the middle of a line there is only half of it.
        let requests = text[..whole].lines().filter_map(|line| serde_json::from_str(line).ok());
        Ok(requests.filter(is_holdfasts).collect())
    }
}

fn is_holdfasts(request: &Value) -> bool {
    request["user"]["username"] == Person::Holdfast.name()
}

/// Which step of a sync it is, if it is one: nothing of what every start does, and no Event.
pub fn step(request: &Value) -> Option<Step> {
    const OURS: [&str; 6] = ["configmaps", "namespaces", "customresourcedefinitions", "relics", "roles", "gitsyncs"];
    let of = &request["objectRef"];
    let is_ours = OURS.iter().any(|resource| of["resource"] == *resource);
    let is_dry_run = request["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun=All"));
    match request["verb"].as_str()? {
        _ if !is_ours => None,
        "get" | "list" => Some(Step::Read),
        "create" | "patch" | "update" if is_dry_run => Some(Step::DryRun),
        "patch" if of["subresource"] == "status" => Some(Step::Status),
        "create" | "patch" | "update" => Some(Step::Write),
        "delete" => Some(Step::Delete),
        _ => None,
    }
}

/// Who was written or deleted by it, if anybody was.
pub fn written(request: &Value) -> Option<String> {
    let succeeded = request["responseStatus"]["code"].as_u64().is_some_and(|code| code < 300);
    let of = &request["objectRef"];
    let text = |field: &str| of[field].as_str().unwrap_or_default();
    let is_write = matches!(step(request)?, Step::Write | Step::Delete) && text("resource") != "gitsyncs";
    // The API server says of a Namespace that it is in itself.
    let namespace = if text("resource") == "namespaces" { "" } else { text("namespace") };
    (succeeded && is_write).then(|| format!("{}/{namespace}/{}", text("resource"), text("name")))
}
