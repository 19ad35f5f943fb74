//! An `AdmissionReview` as it arrives: read once, borrowed from the body.
//!
//! Only the envelope is taken apart here; the two objects stay text below their sections ([`Object`]). Everything the API
//! server sends and no verdict needs is skipped without being built.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;

use super::object::Object;
use super::upstream::Requester;

/// The part of a review that is a question.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Review<'a> {
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
    pub user_info: Requester,
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
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Group and kind. The version is not part of an object's identity.
#[derive(Debug, Deserialize)]
pub(super) struct Kind<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Text<'a>,
    /// Kind.
    #[serde(borrow)]
    pub kind: Text<'a>,
}

/// Where the API server serves objects.
#[derive(Debug, Deserialize)]
pub(super) struct Resource<'a> {
    /// API group; empty for the core group.
    #[serde(borrow, default)]
    pub group: Text<'a>,
    /// Version.
    #[serde(borrow, default)]
    pub version: Text<'a>,
    /// Plural name.
    #[serde(borrow, rename = "resource")]
    pub plural: Text<'a>,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Operation {
    /// Makes an object.
    Create,
    /// Changes one.
    Update,
    /// Deletes one.
    Delete,
    /// Opens a stream into one (exec, proxy).
    Connect,
}

/// Of the options, the only thing that matters.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Options<'a> {
    /// The field manager the client chose.
    #[serde(borrow, default)]
    pub field_manager: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(borrow)]
    api_version: Text<'a>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    request: Review<'a>,
}

/// The body is not a review this can answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// JSON is UTF-8.
    #[error("failed to read the body as UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
    /// Not JSON, or not of the shape of a review.
    #[error("failed to read the body as an AdmissionReview")]
    NotAReview(#[from] serde_json::Error),
    /// Some other kind, or a version nobody registered.
    #[error("expected an AdmissionReview of admission.k8s.io/v1, got {kind} of {api_version}")]
    AnotherKind {
        /// As sent.
        api_version: String,
        /// As sent.
        kind: String,
    },
    /// An answer has to name the question.
    #[error("the review has no uid")]
    NoUid,
    /// A create without the new object, a delete without the old one.
    #[error("the review lacks an object that its operation has")]
    NoObject,
    /// A section of one of the objects is not a JSON value this can hold (too deep, a number out of range).
    #[error("failed to read {section} of the object")]
    Section {
        /// Which.
        section: String,
        /// Why.
        source: serde_json::Error,
    },
}

// === impl Review ===

impl<'a> Review<'a> {
    /// Reads the body of a request.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Unreadable> {
        let Envelope { api_version, kind, request } = serde_json::from_str(std::str::from_utf8(body)?)?;
        if api_version != "admission.k8s.io/v1" || kind != "AdmissionReview" {
            let (api_version, kind) = (api_version.0.into_owned(), kind.0.into_owned());
            return Err(Unreadable::AnotherKind { api_version, kind });
        }
        if request.uid.is_empty() { Err(Unreadable::NoUid) } else { Ok(request) }
    }

    /// The object's name; a deletion of a whole collection names its objects only in themselves.
    pub(super) fn object_name(&self) -> &str {
        let objects = [&self.object, &self.old_object];
        let named = || objects.into_iter().flatten().map(Object::name).find(|name| !name.is_empty());
        if self.name.is_empty() { named().unwrap_or_default() } else { &self.name }
    }

    /// The namespace the object lives in. Of a Namespace, the API server says that it lives in itself.
    pub(super) fn object_namespace(&self) -> Option<&str> {
        let cluster_scoped = self.namespace.is_empty() || self.is_namespace();
        (!cluster_scoped).then_some(&*self.namespace)
    }

    /// Would a whole namespace go?
    pub(super) fn deletes_a_namespace(&self) -> bool {
        self.operation == Operation::Delete && self.is_namespace() && self.sub_resource.is_empty()
    }

    /// The field manager the client chose.
    pub(super) fn manager(&self) -> Option<&str> {
        let manager = self.options.as_ref()?.field_manager.as_deref()?;
        (!manager.is_empty()).then_some(manager)
    }

    /// Is this of no consequence?
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run.unwrap_or_default()
    }

    fn is_namespace(&self) -> bool {
        self.kind.group.is_empty() && self.kind.kind == "Namespace"
    }
}

// === impl Text ===

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}
