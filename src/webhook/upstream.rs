//! What a verdict may have to ask the API server. `crate::cluster::rights` asks a real one.
//!
//! Each question costs a round trip, so it is asked only when the verdict hangs on the answer. No answer is no verdict.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use crate::core::breakglass::Glass;
use crate::core::who::User;

/// Answers to questions about rights and parents.
pub trait Upstream: Send + Sync + 'static {
    /// May this user break glass on objects of this sync (`namespace/name`)?
    fn may_break_glass<'a>(&'a self, who: &'a Requester, sync: &'a str) -> BoxFuture<'a, Result<bool, Unanswered>>;

    /// The break-glass stamped on this object, expired or not. A review of `scale` does not show the object it scales.
    fn glass<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Glass>, Unanswered>>;

    /// The object itself, for rules that look at all of it; `None` if there is none.
    fn object<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Value>, Unanswered>>;
}

/// Who asks, as the API server authenticated them; all of it, because RBAC may be asked about them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "UserInfo")]
pub struct Requester {
    /// Name and groups.
    pub user: User,
    /// Unique id, if the authenticator knows one.
    pub uid: Option<String>,
    /// Whatever else the authenticator said.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Where the API server serves an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural resource name.
    pub resource: String,
    /// Namespace; `None` for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// The API server did not answer a question a verdict hangs on.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// About a right.
    #[error("failed to ask whether \"{user}\" may break glass on GitSync {sync}")]
    Right {
        /// Who.
        user: String,
        /// On what.
        sync: String,
        /// Why there was no answer.
        source: BoxError,
    },
    /// About the parent of a scale.
    #[error("failed to read {resource} {name}")]
    Parent {
        /// Plural resource name.
        resource: String,
        /// Name.
        name: String,
        /// Why there was no answer.
        source: BoxError,
    },
}

/// An error of whatever client is behind the trait.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `userInfo`, in the API server's spelling.
#[derive(Deserialize)]
struct UserInfo {
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    extra: Option<BTreeMap<String, Vec<String>>>,
}

// === impl Requester ===

impl From<UserInfo> for Requester {
    fn from(UserInfo { username, groups, uid, extra }: UserInfo) -> Self {
        let user = User { name: username, groups: groups.unwrap_or_default() };
        Self { user, uid, extra: extra.unwrap_or_default() }
    }
}
