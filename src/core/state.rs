//! One state of an object, however it reached us: whole from a watch, or the parts of a review that could matter.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;
use serde_json::Value;

use super::fields::Entry;
use super::names::FIELD_MANAGER;
use super::text::{Malformed, Reader};

/// An object and who owns its fields.
///
/// The webhook hands over objects whose unchanged sections were never parsed, and `managedFields` as raw text: most verdicts
/// need neither, and building documents nobody reads is most of what a slow webhook does.
#[derive(Debug)]
pub struct State<'a> {
    /// The object, or as much of it as was worth parsing.
    pub object: &'a Value,
    common: &'a [Member<'a>],
    raw_owners: Option<&'a str>,
    owners: OnceCell<Value>,
}

/// A member of an object's metadata, with its name.
pub type Member<'a> = (Cow<'a, str>, Arc<Value>);

// === impl State ===

impl<'a> State<'a> {
    /// A whole object, `managedFields` included.
    pub fn whole(object: &'a Value) -> Self {
        Self { object, common: &[], raw_owners: None, owners: OnceCell::new() }
    }

    /// An object whose `managedFields` are still text (the JSON array).
    pub fn with_raw_owners(object: &'a Value, managed_fields: &'a str) -> Self {
        Self { raw_owners: Some(managed_fields), ..Self::whole(object) }
    }

    /// With members of its metadata that are not in the object: both sides of an edit have them in common, so that nothing can
    /// have come in there, and they were read once.
    #[must_use]
    pub fn beside(self, common: &'a [Member<'a>]) -> Self {
        Self { common, ..self }
    }

    /// The entries of `managedFields`, parsed when first asked for. Unreadable ones count as none: the API server wrote
    /// them, and a guard that errs here errs towards "nobody owns this", which protects.
    pub fn owners(&self) -> impl Iterator<Item = Entry<'_>> {
        let list = match self.raw_owners {
            None => self.object.pointer("/metadata/managedFields"),
            Some(raw) => Some(self.owners.get_or_init(|| serde_json::from_str(raw).unwrap_or_default())),
        };
        list.and_then(Value::as_array).into_iter().flatten().filter_map(Entry::read)
    }

    /// Is our own entry among the owners? Without it the API server no longer knows which fields came from Git.
    pub fn has_our_entry(&self) -> bool {
        self.owners().any(|entry| entry.is_ours())
    }

    /// Our own entry, with what it owns still text: nearly always it is the same text before and after an edit.
    pub fn our_entry(&self) -> Option<OurEntry<'_>> {
        match self.raw_owners {
            None => {
                let list = self.object.pointer("/metadata/managedFields").and_then(Value::as_array)?;
                let ours = list.iter().find(|entry| Entry::read(entry).is_some_and(|entry| entry.is_ours()))?;
                let api_version = ours.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
                Some(OurEntry { api_version: api_version.into(), fields: ours.get("fieldsV1")?.to_string().into() })
            }
            Some(raw) if !names_us(raw) => None,
            Some(raw) => our_entry_in(raw).ok()?,
        }
    }

    /// Do we own what is ours in the version this state is in? What is written down in another goes when that version does.
    pub fn is_owned_as_it_is(&self) -> bool {
        let version = self.object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        self.owners().any(|entry| entry.is_ours() && (entry.version.is_empty() || entry.version == version))
    }

    /// `metadata.name`, for any name of a field.
    pub fn metadata(&self, name: &str) -> Option<&'a Value> {
        let in_object = self.object.get("metadata").and_then(|metadata| metadata.get(name));
        in_object.or_else(|| self.common.iter().find(|(known, _)| known == name).map(|(_, value)| &**value))
    }

    /// `metadata.annotations[name]`.
    pub fn annotation(&self, name: &str) -> Option<&'a str> {
        self.metadata("annotations")?.get(name)?.as_str()
    }

    /// `metadata.labels[name]`.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.metadata("labels")?.get(name)?.as_str()
    }
}

/// Our entry in `managedFields`.
#[derive(Debug, PartialEq, Eq)]
pub struct OurEntry<'a> {
    /// The version its paths are of.
    pub api_version: Cow<'a, str>,
    /// What it owns, as `fieldsV1` spells it.
    pub fields: Cow<'a, str>,
}

/// Whose entry it is, and what it owns as text.
#[derive(Default)]
struct Label<'a> {
    manager: Cow<'a, str>,
    operation: Cow<'a, str>,
    subresource: Cow<'a, str>,
    api_version: Cow<'a, str>,
    fields: Option<&'a str>,
}

/// The first of these entries that is ours. What the others own is not looked into.
fn our_entry_in(managed_fields: &str) -> Result<Option<OurEntry<'_>>, Malformed> {
    let mut reader = Reader::new(managed_fields);
    reader.open_list()?;
    while reader.element()? {
        let label = Label::read(&mut reader)?;
        if label.is_ours() {
            let Label { api_version, fields, .. } = label;
            return Ok(fields.map(|fields| OurEntry { api_version, fields: fields.into() }));
        }
    }
    Ok(None)
}

/// May one of these entries, as text, be ours? An escape may spell anything.
fn names_us(managed_fields: &str) -> bool {
    static TEXTS: LazyLock<[Finder<'_>; 2]> = LazyLock::new(|| [FIELD_MANAGER, "\\u"].map(Finder::new));
    TEXTS.iter().any(|text| text.find(managed_fields.as_bytes()).is_some())
}

// === impl Label ===

impl<'a> Label<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut label = Self::default();
        reader.open()?;
        while let Some(name) = reader.member()? {
            match &*name {
                "manager" => label.manager = reader.text()?,
                "operation" => label.operation = reader.text()?,
                "subresource" => label.subresource = reader.text()?,
                "apiVersion" => label.api_version = reader.text()?,
                "fieldsV1" => label.fields = Some(reader.raw(None)?),
                _ => _ = reader.raw(None)?,
            }
        }
        Ok(label)
    }

    fn is_ours(&self) -> bool {
        self.manager == FIELD_MANAGER && self.operation == "Apply" && self.subresource.is_empty()
    }
}
