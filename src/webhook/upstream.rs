//! What a verdict may have to ask the API server. `crate::cluster::rights` asks a real one.
//!
//! Each question costs a round trip, so it is asked only when the verdict hangs on the answer. No answer is no verdict.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde::Deserialize;
use serde_json::Value;

use crate::core::breakglass::Glass;
use crate::core::guard::Guard;
use crate::core::names::GROUP;
use crate::core::snapshot;
use crate::core::who::User;

/// Answers to questions about rights and parents.
pub trait Upstream: Send + Sync + 'static {
    /// Has this user this right?
    fn may<'a>(&'a self, who: &'a Requester, right: &'a Right) -> BoxFuture<'a, Result<bool, Unanswered>>;

    /// The break-glass stamped on this object, expired or not. A review of `scale` does not show the object it scales.
    fn glass<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Glass>, Unanswered>>;

    /// What the API server would make of this manifest alone, beside whatever defaults it knows; `None` if it would not take it.
    fn pristine<'a>(
        &'a self,
        place: &'a Place,
        manifest: &'a Value,
    ) -> BoxFuture<'a, Result<Option<Value>, Unanswered>>;

    /// Where a custom resource keeps the replicas its `scale` subresource speaks of (`spec`, `count`); `None` if no definition
    /// says so.
    fn replicas_path<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Vec<String>>, Unanswered>>;

    /// The object itself, for rules that look at all of it; `None` if there is none.
    fn object<'a>(&'a self, place: &'a Place) -> BoxFuture<'a, Result<Option<Value>, Unanswered>>;

    /// An object in this namespace that a tool keeps, by this guard; `None` if there is none.
    fn kept<'a>(&'a self, guard: &'a Guard, namespace: &'a str) -> BoxFuture<'a, Result<Option<Kept>, Unanswered>>;

    /// The names of the GitSyncs in this namespace, but those that are on their way out.
    fn syncs_in<'a>(&'a self, namespace: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unanswered>>;
}

/// An object that a tool keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Plural resource name.
    pub plural: String,
    /// Its metadata, with version and kind.
    pub object: Value,
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

/// A right RBAC may grant: one of our verbs on one of our objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The verb.
    pub verb: &'static str,
    /// Plural resource name.
    pub resource: &'static str,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name; empty for all of them.
    pub name: String,
}

/// The verb on `gitsyncs` that lets a user open and use a break-glass on the objects of that sync; on `driftpolicies`, on what is
/// guarded for other tools.
pub const BREAK_GLASS_VERB: &str = "break-glass";
/// The verb on `gitsyncs` that lets a user pause that sync.
pub const SUSPEND_VERB: &str = "suspend";
/// The verb on `gitsyncs` and `driftpolicies` that lets a user make them guard less.
pub const LOOSEN_VERB: &str = "loosen";

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
    #[error("failed to ask whether \"{user}\" has the verb {right}")]
    Right {
        /// Who.
        user: String,
        /// Which.
        right: Right,
        /// Why there was no answer.
        source: BoxError,
    },
    /// About the defaults of an object.
    #[error("failed to ask what a {resource} is made of by default")]
    Defaults {
        /// Plural resource name.
        resource: String,
        /// Why there was no answer.
        source: BoxError,
    },
    /// About the definition of a custom resource.
    #[error("failed to read where {resource} keep their replicas")]
    Definition {
        /// Plural resource name and group.
        resource: String,
        /// Why there was no answer.
        source: BoxError,
    },
    /// About what a namespace holds.
    #[error("failed to find out what namespace {namespace} holds that guard {guard} is about")]
    Namespace {
        /// Which.
        namespace: String,
        /// Whose objects.
        guard: String,
        /// Why there was no answer.
        source: BoxError,
    },
    /// About the GitSyncs in a namespace.
    #[error("failed to find out which GitSyncs namespace {namespace} holds")]
    Syncs {
        /// Which.
        namespace: String,
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

// === impl Right ===

impl Right {
    /// To break glass on the objects of this sync, or of the tool in its place.
    pub fn break_glass(sync: &snapshot::Sync) -> Self {
        let (resource, name) = sync.door();
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        Self { verb: BREAK_GLASS_VERB, resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { verb, resource, namespace, name } = self;
        let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let name = if name.is_empty() { "*" } else { name };
        write!(f, "\"{verb}\" on {resource}.{GROUP} \"{namespace}{name}\"")
    }
}

// === impl Place ===

impl Place {
    /// Groups of custom resources have a dot in them; of the built-in ones only some, and nothing there is scaled.
    pub(crate) fn may_be_custom(&self) -> bool {
        self.group.contains('.')
    }
}

// === impl Requester ===

impl From<UserInfo> for Requester {
    fn from(UserInfo { username, groups, uid, extra }: UserInfo) -> Self {
        let user = User { name: username, groups: groups.unwrap_or_default() };
        Self { user, uid, extra: extra.unwrap_or_default() }
    }
}
