//! An `AdmissionReview` as it arrives: read once, borrowed from the body.
//!
//! Only the envelope is taken apart here; the two objects stay text below their sections ([`Object`]). Everything the API
//! server sends and no verdict needs is skipped without being built.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;

use super::object::Object;
use super::upstream::Requester;
use crate::core::text::{Malformed, Reader};

/// The part of a review that is a question.
#[derive(Debug)]
pub(super) struct Review<'a> {
    /// Names the question; the answer repeats it.
    pub uid: Text<'a>,
    /// The kind `object` has: with `matchPolicy: Equivalent` the registered one, not the one the client used.
    pub kind: Kind<'a>,
    /// Likewise the resource.
    pub resource: Resource<'a>,
    /// `scale`, `status`…; empty for the object itself.
    pub sub_resource: Text<'a>,
    /// Absent when an object of a collection is deleted, and when a name is still to be generated.
    pub name: Text<'a>,
    /// Empty for cluster-scoped objects, except that a Namespace is said to be in itself.
    pub namespace: Text<'a>,
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub user_info: Requester,
    /// After; absent on delete.
    pub object: Option<Object<'a>>,
    /// Before; absent on create.
    pub old_object: Option<Object<'a>>,
    /// Will the outcome be thrown away?
    pub dry_run: bool,
    /// The options of the request.
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

/// What has been read so far of what is around a review.
#[derive(Default)]
struct Envelope<'a> {
    api_version: Option<Text<'a>>,
    kind: Option<Text<'a>>,
    request: Option<Draft<'a>>,
}

/// What has been read so far of a review.
#[expect(clippy::option_option, reason = "what is `null` has been read, and must not be there twice either")]
#[derive(Default)]
struct Draft<'a> {
    uid: Option<Text<'a>>,
    kind: Option<Kind<'a>>,
    resource: Option<Resource<'a>>,
    sub_resource: Option<Text<'a>>,
    name: Option<Text<'a>>,
    namespace: Option<Text<'a>>,
    operation: Option<Operation>,
    user_info: Option<Requester>,
    object: Option<Option<Object<'a>>>,
    old_object: Option<Option<Object<'a>>>,
    dry_run: Option<Option<bool>>,
    options: Option<Option<Options<'a>>>,
}

/// The body is not a review this can answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// JSON is UTF-8.
    #[error("failed to read the body as UTF-8")]
    NotUtf8(#[from] simdutf8::compat::Utf8Error),
    /// Not JSON, or not of the shape of a review.
    #[error("failed to read the body as an AdmissionReview")]
    NotAReview(#[from] Malformed),
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
        let mut reader = Reader::new(simdutf8::compat::from_utf8(body)?);
        let mut envelope = Envelope::default();
        reader.open()?;
        while let Some(name) = reader.member()? {
            envelope.member(&name, &mut reader)?;
        }
        reader.end()?;
        let missing = |name: &str| reader.malformed(&format!("missing field `{name}`"));
        let Text(api_version) = envelope.api_version.ok_or_else(|| missing("apiVersion"))?;
        let Text(kind) = envelope.kind.ok_or_else(|| missing("kind"))?;
        let review = envelope.request.ok_or_else(|| missing("request"))?.finish(&missing)?;
        if api_version != "admission.k8s.io/v1" || kind != "AdmissionReview" {
            let (api_version, kind) = (api_version.into_owned(), kind.into_owned());
            return Err(Unreadable::AnotherKind { api_version, kind });
        }
        if review.uid.is_empty() { Err(Unreadable::NoUid) } else { Ok(review) }
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
        self.dry_run
    }

    fn is_namespace(&self) -> bool {
        self.kind.group.is_empty() && self.kind.kind == "Namespace"
    }
}

// === impl Envelope ===

impl<'a> Envelope<'a> {
    fn member(&mut self, name: &str, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        match name {
            "apiVersion" => once(&mut self.api_version, name, reader, Reader::read),
            "kind" => once(&mut self.kind, name, reader, Reader::read),
            "request" => once(&mut self.request, name, reader, Draft::read),
            _ => reader.raw(None).map(drop),
        }
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut draft = Self::default();
        reader.open()?;
        while let Some(name) = reader.member()? {
            draft.member(&name, reader)?;
        }
        Ok(draft)
    }

    fn member(&mut self, name: &str, reader: &mut Reader<'a>) -> Result<(), Malformed> {
        match name {
            "uid" => once(&mut self.uid, name, reader, Reader::read),
            "kind" => once(&mut self.kind, name, reader, Reader::read),
            "resource" => once(&mut self.resource, name, reader, Reader::read),
            "subResource" => once(&mut self.sub_resource, name, reader, Reader::read),
            "name" => once(&mut self.name, name, reader, Reader::read),
            "namespace" => once(&mut self.namespace, name, reader, Reader::read),
            "operation" => once(&mut self.operation, name, reader, Reader::read),
            "userInfo" => once(&mut self.user_info, name, reader, Reader::read),
            "object" => once(&mut self.object, name, reader, |reader| object(reader, self.old_object.as_ref())),
            "oldObject" => once(&mut self.old_object, name, reader, |reader| object(reader, self.object.as_ref())),
            "dryRun" => once(&mut self.dry_run, name, reader, Reader::read),
            "options" => once(&mut self.options, name, reader, Reader::read),
            _ => reader.raw(None).map(drop),
        }
    }

    fn finish(self, missing: &dyn Fn(&str) -> Malformed) -> Result<Review<'a>, Malformed> {
        Ok(Review {
            uid: self.uid.ok_or_else(|| missing("uid"))?,
            kind: self.kind.ok_or_else(|| missing("kind"))?,
            resource: self.resource.ok_or_else(|| missing("resource"))?,
            sub_resource: self.sub_resource.unwrap_or_default(),
            name: self.name.unwrap_or_default(),
            namespace: self.namespace.unwrap_or_default(),
            operation: self.operation.ok_or_else(|| missing("operation"))?,
            user_info: self.user_info.ok_or_else(|| missing("userInfo"))?,
            object: self.object.flatten(),
            old_object: self.old_object.flatten(),
            dry_run: self.dry_run.flatten().unwrap_or_default(),
            options: self.options.flatten(),
        })
    }
}

/// An object, or `null`; beside the other one, if that was read before.
fn object<'a>(reader: &mut Reader<'a>, twin: Option<&Option<Object<'a>>>) -> Result<Option<Object<'a>>, Malformed> {
    if reader.peek() == Some(b'n') {
        return reader.read::<()>().map(|()| None);
    }
    Object::read(reader, twin.and_then(Option::as_ref)).map(Some)
}

/// What is said twice could be understood in two ways.
fn once<'a, T>(
    slot: &mut Option<T>,
    name: &str,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    if slot.is_some() {
        return Err(reader.malformed(&format!("duplicate field `{name}`")));
    }
    *slot = Some(read(reader)?);
    Ok(())
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
