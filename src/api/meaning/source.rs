//! `spec.source`: which repository, which commit, which folder.

use std::time::Duration;

use super::{super::Source, Faults, duration_at};

const REPO_URL: &str = "spec.source.repoURL";
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Where the manifests are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlan {
    /// `http`, `https` or `file`; never with credentials, so it may be shown anywhere.
    pub url: String,
    /// Branch, tag, SHA or `HEAD`.
    pub revision: String,
    /// Folder inside the repository, `/`-separated, without leading, trailing or doubled slashes; empty for the whole of it.
    pub path: String,
    /// How often to ask for a new commit.
    pub interval: Duration,
}

// === readers ===

pub(super) fn read(typed: &Source, faults: &mut Faults) -> SourcePlan {
    let Source { repo_url, target_revision, path, interval } = typed;
    SourcePlan {
        url: url(repo_url, faults),
        revision: revision(target_revision, faults),
        path: folder(path, faults),
        interval: every(interval, faults),
    }
}

fn url(typed: &str, faults: &mut Faults) -> String {
    if let Some((reason, remedy)) = url_fault(typed) {
        faults.add(REPO_URL, reason, remedy);
    }
    typed.to_owned()
}

fn url_fault(typed: &str) -> Option<(String, &'static str)> {
    if typed.is_empty() {
        return Some(("is empty".to_owned(), "name a repository, such as https://github.com/org/manifests.git"));
    }
    if typed.contains(char::is_whitespace) {
        return Some((format!("{typed:?} contains white space"), "remove it"));
    }
    match typed.split_once("://") {
        Some(("http" | "https", rest)) => authority_fault(rest),
        Some(("file", rest)) => (!rest.starts_with('/')).then(|| {
            (format!("{typed:?} has no absolute path"), "write three slashes, such as file:///srv/manifests.git")
        }),
        Some((scheme, _)) => Some(scheme_fault(scheme)),
        None if typed.contains('@') && typed.contains(':') => Some(scheme_fault("ssh")),
        None => Some((format!("{typed:?} has no scheme"), "write the whole URL, starting with https://")),
    }
}

/// The value is not repeated where it may hold a password.
fn authority_fault(rest: &str) -> Option<(String, &'static str)> {
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        let remedy =
            "remove them: everyone who may read GitSyncs would see them. Private repositories are not supported yet";
        return Some(("carries credentials".to_owned(), remedy));
    }
    authority.is_empty().then(|| ("names no host".to_owned(), "write it as https://host/path"))
}

fn scheme_fault(scheme: &str) -> (String, &'static str) {
    let remedy = "use the repository's https:// URL, or file:// for one on this machine";
    match scheme {
        "ssh" | "git+ssh" | "ssh+git" => ("ssh is not supported yet".to_owned(), remedy),
        _ => (format!("scheme {scheme:?} is not supported"), remedy),
    }
}

fn revision(typed: &str, faults: &mut Faults) -> String {
    let readable =
        !typed.is_empty() && !typed.starts_with('-') && !typed.contains(|c: char| c.is_whitespace() || c.is_control());
    if !readable {
        let remedy = "write a branch, a tag, a full commit SHA or HEAD";
        faults.add("spec.source.targetRevision", format!("{typed:?} names no revision"), remedy);
    }
    typed.to_owned()
}

fn folder(typed: &str, faults: &mut Faults) -> String {
    let parts: Vec<&str> = typed.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let inside = !typed.starts_with('/') && !parts.contains(&"..") && !typed.contains(['\\', '\0']);
    if !inside {
        let remedy = "write a path relative to the repository's root, without '..'; '.' is all of it";
        faults.add("spec.source.path", format!("{typed:?} does not stay inside the repository"), remedy);
    }
    parts.join("/")
}

fn every(typed: &str, faults: &mut Faults) -> Duration {
    let interval = duration_at("spec.source.interval", typed, faults);
    if Duration::ZERO < interval && interval < SHORTEST_INTERVAL {
        faults.add("spec.source.interval", format!("{typed:?} is too often for a Git server"), "write at least 1s");
    }
    interval
}
