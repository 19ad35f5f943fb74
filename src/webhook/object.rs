//! An object inside a review: text below its sections, and metadata read just as far as verdicts go.
//!
//! Most of a Kubernetes object is nobody's question. `status` belongs to controllers, `managedFields` is often longer than
//! everything else together, and the annotation in which a client-side `kubectl apply` keeps a copy of the object is a
//! document inside a string. None of them is built here; sections are only found, so that equal ones can be passed over. And what
//! is the same text as in the other object of the review is not even looked through again.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::core::names::LAST_APPLIED;
use crate::core::text::{Malformed, Outline, Reader};

/// One of the two objects of a review.
#[derive(Debug, Default)]
pub(super) struct Object<'a> {
    /// Its metadata.
    pub metadata: Metadata<'a>,
    /// The other top-level fields as they are written; identity and `status` are not among them.
    pub sections: Vec<(Cow<'a, str>, Outline<'a>)>,
    status: Option<&'a str>,
}

/// Object metadata.
#[derive(Debug, Default)]
pub(super) struct Metadata<'a> {
    /// All that people and Git write, and what is not in the other fields.
    pub fields: Vec<Field<'a>>,
    /// Who owns which fields.
    pub managed_fields: Option<&'a str>,
    /// The value of [`LAST_APPLIED`].
    pub last_applied: Option<&'a str>,
}

/// A field of an object's metadata. What is the same text in both objects of a review is the same value, too, read once.
#[derive(Debug)]
pub(super) struct Field<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value, without what stands in other fields of [`Metadata`].
    pub value: Arc<Value>,
    text: &'a str,
}

/// Metadata that the API server writes for every object and nobody can declare.
const SERVER_WRITTEN: [&str; 5] = ["uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"];

// === impl Object ===

impl<'a> Object<'a> {
    /// Reads an object, beside the other one of the review if that was read before.
    pub(super) fn read(reader: &mut Reader<'a>, twin: Option<&Self>) -> Result<Self, Malformed> {
        let (mut object, mut has_metadata) = (Self::default(), false);
        reader.open()?;
        while let Some(name) = reader.member()? {
            // Said twice, it could be compared as the one and stored as the other.
            if object.outline(&name).is_some() || (has_metadata && name == "metadata") {
                return Err(reader.malformed(&format!("{name} is there twice")));
            }
            match &*name {
                "metadata" => {
                    has_metadata = true;
                    object.metadata = Metadata::read(reader, twin.map(|twin| &twin.metadata))?;
                }
                "status" => object.status = Some(reader.raw(twin.and_then(|twin| twin.status))?),
                "apiVersion" | "kind" => _ = reader.raw(None)?,
                _ => {
                    let outline = reader.outline(twin.and_then(|twin| twin.outline(&name)))?;
                    object.sections.push((name, outline));
                }
            }
        }
        Ok(object)
    }

    /// `metadata.name`; empty while it is still to be generated.
    pub(super) fn name(&self) -> &str {
        self.metadata.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// A section as it is written.
    pub(super) fn section(&self, name: &str) -> Option<&'a str> {
        self.outline(name).map(|outline| outline.text)
    }

    /// A section taken apart, unless it is the same text as in the other object.
    pub(super) fn outline(&self, name: &str) -> Option<&Outline<'a>> {
        self.sections.iter().find(|(section, _)| section == name).map(|(_, outline)| outline)
    }

    /// Is it on its way out already?
    pub(super) fn is_terminating(&self) -> bool {
        self.metadata.get("deletionTimestamp").is_some()
    }

    /// Does the object carry this annotation?
    pub(super) fn has_annotation(&self, name: &str) -> bool {
        self.metadata.get("annotations").is_some_and(|annotations| annotations.get(name).is_some())
    }

    /// The value of this annotation, if it is a text.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.get("annotations")?.get(name)?.as_str()
    }
}

// === impl Metadata ===

impl<'a> Metadata<'a> {
    fn read(reader: &mut Reader<'a>, twin: Option<&Self>) -> Result<Self, Malformed> {
        let mut metadata = Self::default();
        reader.open()?;
        while let Some(name) = reader.member()? {
            match &*name {
                "managedFields" => {
                    let raw = reader.raw(twin.and_then(|twin| twin.managed_fields))?;
                    metadata.managed_fields = Some(raw).filter(|raw| *raw != "null");
                }
                "annotations" if reader.peek() == Some(b'n') => reader.read::<()>()?,
                _ if SERVER_WRITTEN.contains(&&*name) => _ = reader.raw(None)?,
                _ => metadata.field(name, reader, twin)?,
            }
        }
        Ok(metadata)
    }

    /// One of its fields, but for `managedFields`.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.find(name).map(|field| &*field.value)
    }

    fn find(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn field(&mut self, name: Cow<'a, str>, reader: &mut Reader<'a>, twin: Option<&Self>) -> Result<(), Malformed> {
        if self.find(&name).is_some() {
            return Err(reader.malformed(&format!("{name} is there twice")));
        }
        let known = twin.and_then(|twin| Some((twin, twin.find(&name)?)));
        if let Some((twin, Field { value, text, .. })) = known
            && let Some(text) = reader.jump(text)
        {
            self.last_applied = if name == "annotations" { twin.last_applied } else { self.last_applied };
            self.fields.push(Field { name, value: value.clone(), text });
            return Ok(());
        }
        let (value, text) = reader
            .spelled(|reader| if name == "annotations" { self.annotations(reader, twin) } else { reader.read() })?;
        self.fields.push(Field { name, value: Arc::new(value), text });
        Ok(())
    }

    fn annotations(&mut self, reader: &mut Reader<'a>, twin: Option<&Self>) -> Result<Value, Malformed> {
        let mut annotations = Map::new();
        reader.open()?;
        while let Some(name) = reader.member()? {
            match &*name {
                LAST_APPLIED => self.last_applied = Some(reader.raw(twin.and_then(|twin| twin.last_applied))?),
                _ => _ = annotations.insert(name.into_owned(), reader.read()?),
            }
        }
        Ok(Value::Object(annotations))
    }
}
