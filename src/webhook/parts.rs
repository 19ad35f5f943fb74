//! What of the two objects gets parsed: as little as the verdict can depend on.
//!
//! A section that is the same text before and after cannot introduce anything, so it is left out on both sides and the judge
//! is told so by its scope; and of those that are not, whatever [does not differ](crate::core::difference). Metadata is always
//! whole and in scope: marks, stamps and owner references live there.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::object::{Field, Metadata, Object};
use super::review::{Operation, Unreadable};
use crate::core::declaration::Declaration;
use crate::core::difference;
use crate::core::names::LAST_APPLIED;
use crate::core::state::{Member, State};
use crate::core::text::Outline;

/// What an edit does to an object, with the object on the sides it has.
#[derive(Debug)]
pub(super) enum Sides<T> {
    /// Only afterwards.
    Create(T),
    /// Before and after.
    Update(T, T),
    /// Only before.
    Delete(T),
}

/// Both sides of an edit, parsed as far as it matters.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// What there is before and after.
    pub sides: Sides<Side<'a>>,
    sections: Vec<Cow<'a, str>>,
}

/// One side.
#[derive(Debug)]
pub(super) struct Side<'a> {
    value: Value,
    /// What both sides have in common of the metadata is not in the value.
    common: Vec<Member<'a>>,
    managed_fields: Option<&'a str>,
}

/// How far to look.
#[derive(Debug, Clone, Copy)]
pub(super) enum Look<'d> {
    /// Metadata says it all.
    Metadata,
    /// Metadata, and whatever is not the same text on both sides, given what Git declares.
    Differences(&'d Declaration),
    /// Everything, because an exclusion rule looks at everything; what differs is in scope as before.
    Everything,
}

// === impl Sides ===

impl<T> Sides<T> {
    /// The sides an operation has; `None` if the review lacks one, or if it is a `CONNECT`, which has none.
    pub(super) fn of(operation: Operation, old: Option<T>, new: Option<T>) -> Option<Self> {
        match operation {
            Operation::Create => Some(Self::Create(new?)),
            Operation::Update => Some(Self::Update(old?, new?)),
            Operation::Delete => Some(Self::Delete(old?)),
            Operation::Connect => None,
        }
    }

    /// Before.
    pub(super) fn before(&self) -> Option<&T> {
        match self {
            Self::Create(_) => None,
            Self::Update(old, _) | Self::Delete(old) => Some(old),
        }
    }

    /// After.
    pub(super) fn after(&self) -> Option<&T> {
        match self {
            Self::Create(new) | Self::Update(_, new) => Some(new),
            Self::Delete(_) => None,
        }
    }

    fn try_map<U, E>(self, mut read: impl FnMut(T) -> Result<U, E>) -> Result<Sides<U>, E> {
        Ok(match self {
            Self::Create(new) => Sides::Create(read(new)?),
            Self::Update(old, new) => Sides::Update(read(old)?, read(new)?),
            Self::Delete(old) => Sides::Delete(read(old)?),
        })
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// Parses what matters of both objects.
    pub(super) fn read(objects: Sides<Object<'a>>, look: Look<'_>) -> Result<Self, Unreadable> {
        let (old, new) = (objects.before(), objects.after());
        let only_metadata = matches!(look, Look::Metadata);
        let sections = if only_metadata { Vec::new() } else { differing(old, new) };
        let skip_last_applied = only_metadata || last_applied(old) == last_applied(new);
        let sides = match (look, objects) {
            (Look::Differences(declaration), Sides::Update(old, new)) => {
                let [before, after] = differences(declaration, &sections, [&old, &new])?;
                let common = common(&old.metadata, &new.metadata);
                let side = |object, content| Side::new(object, content, &common, skip_last_applied);
                Sides::Update(side(old, before)?, side(new, after)?)
            }
            (look, objects) => {
                let wanted = (!matches!(look, Look::Everything)).then_some(sections.as_slice());
                objects.try_map(|object| Side::whole(object, wanted, skip_last_applied))?
            }
        };
        Ok(Self { sides, sections })
    }

    /// The replicas of a `Scale`, put where the object itself has them.
    pub(super) fn move_replicas_to(&mut self, path: &[String]) {
        let [section, ..] = path else { return };
        let Sides::Update(old, new) = &mut self.sides else { return };
        for side in [old, new] {
            side.move_replicas_to(path);
        }
        self.sections.push(Cow::Owned(section.clone()));
    }

    /// The sections in which the two sides may differ.
    pub(super) fn scope(&self) -> Vec<&str> {
        std::iter::once("metadata").chain(self.sections.iter().map(|name| &**name)).collect()
    }
}

// === impl Side ===

impl<'a> Side<'a> {
    fn whole(object: Object<'a>, wanted: Option<&[Cow<'a, str>]>, skip_last_applied: bool) -> Result<Self, Unreadable> {
        let mut content = Map::new();
        for (name, outline) in object.sections.iter().filter(|(name, _)| wanted.is_none_or(|all| all.contains(name))) {
            content.insert(name.to_string(), parse(name, outline.text)?);
        }
        Self::new(object, content, &[], skip_last_applied)
    }

    fn new(
        object: Object<'a>,
        mut content: Map<String, Value>,
        common: &[Arc<Value>],
        skip_last_applied: bool,
    ) -> Result<Self, Unreadable> {
        let Metadata { fields, managed_fields, last_applied } = object.metadata;
        let is_common = |field: &Field<'_>| common.iter().any(|value| Arc::ptr_eq(value, &field.value));
        let (common, own): (Vec<_>, Vec<_>) = fields.into_iter().partition(is_common);
        let own = own.into_iter().map(|Field { name, value, .. }| (name.into_owned(), Arc::unwrap_or_clone(value)));
        let mut metadata: Map<_, _> = own.collect();
        if let Some(raw) = last_applied.filter(|_| !skip_last_applied)
            && let Some(Value::Object(annotations)) = metadata.get_mut("annotations")
        {
            annotations.insert(LAST_APPLIED.to_owned(), parse("metadata", raw)?);
        }
        content.insert("metadata".to_owned(), Value::Object(metadata));
        let common = common.into_iter().map(|Field { name, value, .. }| (name, value)).collect();
        Ok(Self { value: Value::Object(content), common, managed_fields })
    }

    fn move_replicas_to(&mut self, path: &[String]) {
        let Some(fields) = self.value.as_object_mut() else { return };
        let replicas = fields.remove("spec").and_then(|mut spec| spec.get_mut("replicas").map(Value::take));
        if let (Some(replicas), [section, below @ ..]) = (replicas, path) {
            let wrap = |inner: Value, name: &String| Value::Object(Map::from_iter([(name.clone(), inner)]));
            fields.insert(section.clone(), below.iter().rev().fold(replicas, wrap));
        }
    }

    /// This side as the core reads it.
    pub(super) fn state(&self) -> State<'_> {
        let state = match self.managed_fields {
            Some(raw) => State::with_raw_owners(&self.value, raw),
            None => State::whole(&self.value),
        };
        state.beside(&self.common)
    }
}

pub(super) fn parse(section: &str, text: &str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map_err(|source| unreadable(section, source))
}

/// The sections that are not the same text on both sides, as far as they differ.
fn differences(
    declaration: &Declaration,
    sections: &[Cow<'_, str>],
    objects: [&Object<'_>; 2],
) -> Result<[Map<String, Value>; 2], Unreadable> {
    let mut sides = [Map::new(), Map::new()];
    for name in sections {
        let values = match objects.map(|object| object.outline(name)) {
            [Some(old), Some(new)] => {
                let parsed = difference::parse(declaration.section(name), old, new);
                parsed.map_err(|source| unreadable(name, source))?.map(Some)
            }
            [old, new] => {
                let whole = |one: Option<&Outline<'_>>| one.map(|one| parse(name, one.text)).transpose();
                [whole(old)?, whole(new)?]
            }
        };
        for (side, value) in sides.iter_mut().zip(values) {
            side.extend(value.map(|value| (name.to_string(), value)));
        }
    }
    Ok(sides)
}

fn unreadable(section: &str, source: serde_json::Error) -> Unreadable {
    Unreadable::Section { section: section.to_owned(), source }
}

/// The values of metadata that both have.
fn common(old: &Metadata<'_>, new: &Metadata<'_>) -> Vec<Arc<Value>> {
    let is_new = |value: &Arc<Value>| new.fields.iter().any(|field| Arc::ptr_eq(&field.value, value));
    old.fields.iter().map(|field| field.value.clone()).filter(is_new).collect()
}

fn last_applied<'a>(object: Option<&Object<'a>>) -> Option<&'a str> {
    object?.metadata.last_applied
}

/// The sections that are not the same text on both sides.
fn differing<'a>(old: Option<&Object<'a>>, new: Option<&Object<'a>>) -> Vec<Cow<'a, str>> {
    let text = |object: Option<&Object<'a>>, name: &str| object.and_then(|object| object.section(name));
    let names = |object: Option<&'_ Object<'a>>| {
        let sections = object.map_or(&[][..], |object| object.sections.as_slice());
        sections.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let changed = names(new).into_iter().filter(|name| text(old, name) != text(new, name));
    let gone = names(old).into_iter().filter(|name| text(new, name).is_none());
    changed.chain(gone).collect()
}
