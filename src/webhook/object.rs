//! An object inside a review: text below its sections, and metadata read just as far as verdicts go.
//!
//! Most of a Kubernetes object is nobody's question. `status` belongs to controllers, `managedFields` is often longer than
//! everything else together, and the annotation in which a client-side `kubectl apply` keeps a copy of the object is a
//! document inside a string. None of them is built here; sections are only found, so that equal ones can be passed over.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::review::Text;
use crate::core::names::LAST_APPLIED;

/// One of the two objects of a review.
#[derive(Debug)]
pub(super) struct Object<'a> {
    /// Its metadata.
    pub metadata: Metadata<'a>,
    /// The other top-level fields as they are written; identity and `status` are not among them.
    pub sections: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// Object metadata.
#[derive(Debug, Default)]
pub(super) struct Metadata<'a> {
    /// All that people and Git write, and what is not in the other fields.
    pub fields: Map<String, Value>,
    /// Who owns which fields.
    pub managed_fields: Option<&'a RawValue>,
    /// The value of [`LAST_APPLIED`].
    pub last_applied: Option<&'a RawValue>,
}

/// Metadata that the API server writes for every object and nobody can declare.
const SERVER_WRITTEN: [&str; 5] = ["uid", "resourceVersion", "generation", "creationTimestamp", "selfLink"];

// === impl Object ===

impl<'a> Object<'a> {
    /// `metadata.name`; empty while it is still to be generated.
    pub(super) fn name(&self) -> &str {
        self.metadata.fields.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// A section as it is written.
    pub(super) fn section(&self, name: &str) -> Option<&'a str> {
        self.sections.iter().find(|(section, _)| section == name).map(|(_, raw)| raw.get())
    }

    /// Is it on its way out already?
    pub(super) fn is_terminating(&self) -> bool {
        self.metadata.fields.contains_key("deletionTimestamp")
    }

    /// Does the object carry this annotation?
    pub(super) fn has_annotation(&self, name: &str) -> bool {
        self.metadata.fields.get("annotations").is_some_and(|annotations| annotations.get(name).is_some())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

// === impl ObjectVisitor ===

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object { metadata: Metadata::default(), sections: Vec::new() };
        let mut has_metadata = false;
        while let Some(Text(name)) = map.next_key()? {
            // Said twice, it could be compared as the one and stored as the other.
            if object.sections.iter().any(|(known, _)| *known == name) || (has_metadata && name == "metadata") {
                return Err(Error::custom(format_args!("{name} is there twice")));
            }
            match &*name {
                "metadata" => (has_metadata, object.metadata) = (true, map.next_value()?),
                "apiVersion" | "kind" | "status" => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => object.sections.push((name, map.next_value()?)),
            }
        }
        Ok(object)
    }
}

// === impl Metadata ===

impl<'de: 'a, 'a> Deserialize<'de> for Metadata<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

// === impl MetadataVisitor ===

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("object metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata<'de>, A::Error> {
        let mut metadata = Metadata::default();
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "managedFields" => metadata.managed_fields = map.next_value()?,
                "annotations" => {
                    if let Some(Annotations { values, last_applied }) = map.next_value()? {
                        metadata.fields.insert("annotations".to_owned(), Value::Object(values));
                        metadata.last_applied = last_applied;
                    }
                }
                name if SERVER_WRITTEN.contains(&name) => {
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    metadata.fields.insert(name.into_owned(), map.next_value()?);
                }
            }
        }
        Ok(metadata)
    }
}

#[derive(Default)]
struct Annotations<'a> {
    values: Map<String, Value>,
    last_applied: Option<&'a RawValue>,
}

// === impl Annotations ===

impl<'de: 'a, 'a> Deserialize<'de> for Annotations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

// === impl AnnotationsVisitor ===

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations<'de>, A::Error> {
        let mut annotations = Annotations::default();
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                LAST_APPLIED => annotations.last_applied = Some(map.next_value()?),
                _ => {
                    annotations.values.insert(name.into_owned(), map.next_value()?);
                }
            }
        }
        Ok(annotations)
    }
}
