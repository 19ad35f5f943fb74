//! `spec.source`: which repository, which commit, which folder.

use std::time::Duration;

use semver::VersionReq;

use super::{
    super::{Source, VerifyMode},
    Faults, duration_at,
};

const REPO_URL: &str = "spec.source.repoURL";
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Where the manifests are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlan {
    /// `https`, `http`, `ssh` or `file`; never with credentials, so it may be shown anywhere.
    pub url: String,
    /// Branch, tag, SHA, `HEAD` or a range of versions.
    pub revision: String,
    /// Folder inside the repository, `/`-separated, without leading, trailing or doubled slashes; empty for the whole of it.
    pub path: String,
    /// How often to ask for a new commit.
    pub interval: Duration,
    /// The name of the Secret with the credentials.
    pub secret: Option<String>,
    /// Whose signature commits must bear, if any.
    pub verify: Option<VerifyPlan>,
}

/// What must be signed, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VerifyPlan {
    /// What must be signed.
    pub mode: VerifyMode,
    /// The name of the Secret with the public keys.
    pub secret: String,
}

/// The range of versions a revision stands for, if that is what it is: it says so (`semver:1.x`), or begins as no name of a
/// branch does (`>=1.2 <2`, `^1.4`). Spaces mean the same as commas.
pub fn version_range(revision: &str) -> Option<Result<VersionReq, semver::Error>> {
    let range = revision.strip_prefix("semver:");
    let range = range.or_else(|| revision.starts_with(['>', '<', '=', '^', '~']).then_some(revision))?;
    let mut listed = String::new();
    for word in range.replace(',', " ").split_whitespace() {
        let continues = listed.is_empty() || listed.ends_with(['>', '<', '=', '^', '~']);
        listed.push_str(if continues { "" } else { ", " });
        listed.push_str(word);
    }
    Some(VersionReq::parse(&listed))
}

// === readers ===

pub(super) fn read(typed: &Source, faults: &mut Faults) -> SourcePlan {
    let Source { repo_url, target_revision, path, interval, secret_ref, verify } = typed;
    SourcePlan {
        url: url(repo_url, faults),
        revision: revision(target_revision, faults),
        path: folder(path, faults),
        interval: every(interval, faults),
        secret: secret_ref.as_ref().map(|secret| secret_name("spec.source.secretRef.name", &secret.name, faults)),
        verify: verify.as_ref().map(|verify| VerifyPlan {
            mode: verify.mode,
            secret: secret_name("spec.source.verify.secretRef.name", &verify.secret_ref.name, faults),
        }),
    }
}

fn secret_name(field: &str, typed: &str, faults: &mut Faults) -> String {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if typed.is_empty() || typed.len() > 253 || !typed.bytes().all(fits) {
        let remedy = "name a Secret in the namespace of this GitSync";
        faults.add(field, format!("{typed:?} cannot be the name of a Secret"), remedy);
    }
    typed.to_owned()
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
        Some(("ssh", rest)) => ssh_fault(rest.split('/').next().unwrap_or_default(), rest.contains('/')),
        Some((scheme, _)) => {
            let remedy = "use an https:// or ssh:// URL, or file:// for a repository on this machine";
            Some((format!("scheme {scheme:?} is not supported"), remedy))
        }
        None if typed.split_once(':').is_some_and(|(place, _)| place.contains('@') && !place.contains('/')) => {
            let (place, path) = typed.split_once(':').unwrap_or_default();
            ssh_fault(place, !path.is_empty())
        }
        None => Some((format!("{typed:?} has no scheme"), "write the whole URL, starting with https://")),
    }
}

/// The value is not repeated where it may hold a password.
fn authority_fault(rest: &str) -> Option<(String, &'static str)> {
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        let remedy = "remove them: everyone who may read GitSyncs would see them. Put them into a Secret and name it in source.secretRef";
        return Some(("carries credentials".to_owned(), remedy));
    }
    authority.is_empty().then(|| ("names no host".to_owned(), "write it as https://host/path"))
}

/// Whoever logs in with a key needs no password, so what looks like one is a mistake with a secret in it.
fn ssh_fault(place: &str, has_path: bool) -> Option<(String, &'static str)> {
    let (user, host) = place.rsplit_once('@').unwrap_or(("git", place));
    if user.contains(':') {
        return Some(("carries credentials".to_owned(), "remove them, and name a Secret in source.secretRef"));
    }
    let remedy = "write it as ssh://git@host/path or git@host:path";
    if user.is_empty() || user.starts_with('-') || host.is_empty() || host.starts_with(['-', ':']) {
        return Some(("names no user and host".to_owned(), remedy));
    }
    (!has_path).then(|| ("names no path".to_owned(), remedy))
}

fn revision(typed: &str, faults: &mut Faults) -> String {
    if let Some(range) = version_range(typed) {
        if let Err(reason) = range {
            let remedy = "write a range such as \">=1.2 <2\", \"^1.4\" or \"semver:1.x\"";
            faults.add("spec.source.targetRevision", format!("{typed:?} is no range of versions: {reason}"), remedy);
        }
        return typed.to_owned();
    }
    let readable =
        !typed.is_empty() && !typed.starts_with('-') && !typed.contains(|c: char| c.is_whitespace() || c.is_control());
    if !readable {
        let remedy = "write a branch, a tag, a full commit SHA, HEAD or a range of versions";
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
