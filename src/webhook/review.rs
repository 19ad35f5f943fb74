//! An `AdmissionReview` as it arrives: read once, borrowed from the body.
//!
//! Only the envelope is taken apart here; the two objects stay text below their sections ([`Object`]). Everything the API
//! server sends and no verdict needs is skipped without being built.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::object::Object;
use crate::core::who::User;

/// The part of a review that is a question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review<'a> {
    /// Names the question; the answer repeats it.
    #[serde(borrow)]
    pub uid: Text<'a>,
    /// The kind `object` has: with `matchPolicy: Equivalent` the registered one, not the one the client used.
    #[serde(borrow)]
    pub kind: Kind<'a>,
    /// Likewise the resource.
    #[serde(borrow)]
    pub resource: Resource<'a>,
    /// `scale`, `status`…; empty for the object itself.
    #[serde(borrow, default)]
    pub sub_resource: Text<'a>,
    /// Absent when an object of a collection is deleted, and when a name is still to be generated.
    #[serde(borrow, default)]
    pub name: Text<'a>,
    /// Empty for cluster-scoped objects, except that a Namespace is said to be in itself.
    #[serde(borrow, default)]
    pub namespace: Text<'a>,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub user_info: UserInfo,
    /// After; absent on delete.
    #[serde(borrow, default)]
    pub object: Option<Object<'a>>,
    /// Before; absent on create.
    #[serde(borrow, default)]
    pub old_object: Option<Object<'a>>,
    /// Will the outcome be thrown away?
    #[serde(default)]
    pub dry_run: Option<bool>,
    /// The options of the request.
    #[serde(borrow, default)]
    pub options: Option<Options<'a>>,
}

/// A string that is copied only if it has escapes in it.
#[derive(Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Group and kind. The version is not part of an object's identity.
#[derive(Debug, Deserialize)]
pub struct Kind<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
}

/// Where the API server serves objects.
#[derive(Debug, Deserialize)]
pub struct Resource<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Text<'a>,
    /// Version.
    #[serde(borrow, default)]
    pub version: Text<'a>,
    /// Plural name.
    #[serde(borrow)]
    pub resource: Text<'a>,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// Makes an object.
    Create,
    /// Changes one.
    Update,
    /// Deletes one.
    Delete,
    /// Opens a stream into one (exec, proxy).
    Connect,
}

/// Who asks, as the API server authenticated them; all of it, for asking RBAC about them.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct UserInfo {
    /// Name and groups.
    #[serde(flatten)]
    pub user: UserName,
    /// Unique id, if the authenticator knows one.
    #[serde(default)]
    pub uid: Option<String>,
    /// Whatever else the authenticator said.
    #[serde(default)]
    pub extra: Option<BTreeMap<String, Vec<String>>>,
}

/// Of the options, the only thing that matters.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options<'a> {
    /// The field manager the client chose.
    #[serde(borrow, default)]
    pub field_manager: Option<Text<'a>>,
}
