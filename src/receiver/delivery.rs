//! What was pushed where, in the words of GitHub, GitLab, Gitea, or our own.

use serde::Deserialize;

use crate::api::meaning::version_range;
use crate::git::place_of;

/// A push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The places of the repository; hosts name it by several URLs.
    pub(super) repositories: Vec<String>,
    /// `refs/heads/main`; absent if the sender does not say.
    reference: Option<String>,
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "ref")]
    reference: Option<String>,
    repository: Option<Repository>,
    project: Option<Repository>,
}

/// `{"repository": "https://…"}` is what a person writes by hand.
#[derive(Deserialize)]
#[serde(untagged)]
enum Repository {
    Url(String),
    Fields(Box<Fields>),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    clone_url: Option<String>,
    ssh_url: Option<String>,
    html_url: Option<String>,
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
    web_url: Option<String>,
    default_branch: Option<String>,
}

// === impl Delivery ===

impl Delivery {
    /// Reads a body; `None` if it tells of no repository, as a ping does not always.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let Payload { reference, repository, project } = serde_json::from_slice(body).ok()?;
        let mut default_branch = None;
        let mut urls = Vec::new();
        for named in [repository, project].into_iter().flatten() {
            match named {
                Repository::Url(url) => urls.push(url),
                Repository::Fields(fields) => {
                    let Fields {
                        clone_url,
                        ssh_url,
                        html_url,
                        git_http_url,
                        git_ssh_url,
                        web_url,
                        default_branch: branch,
                    } = *fields;
                    urls.extend(
                        [clone_url, ssh_url, html_url, git_http_url, git_ssh_url, web_url].into_iter().flatten(),
                    );
                    default_branch = default_branch.or(branch);
                }
            }
        }
        let mut repositories: Vec<_> = urls.iter().filter_map(|url| place_of(url)).collect();
        repositories.sort();
        repositories.dedup();
        (!repositories.is_empty()).then_some(Self { repositories, reference, default_branch })
    }

    /// May it have moved what a sync follows? A commit id never moves.
    pub(super) fn concerns(&self, revision: &str) -> bool {
        let Some(reference) = self.reference.as_deref() else { return true };
        if version_range(revision).is_some() {
            return reference.starts_with("refs/tags/");
        }
        let branch = reference.strip_prefix("refs/heads/");
        if revision == "HEAD" {
            return branch.is_some_and(|branch| self.default_branch.as_deref().is_none_or(|default| default == branch));
        }
        let short = branch.or_else(|| reference.strip_prefix("refs/tags/"));
        reference == revision || short == Some(revision)
    }
}
