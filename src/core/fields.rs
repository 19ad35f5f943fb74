//! `fieldsV1`, the API server's own record of which paths a field manager owns.
//!
//! The format (`f:` fields, `k:` keyed elements, `v:` set values, `.` the node itself) carries merge keys spelled out, which
//! is why nothing here needs a schema. See structured-merge-diff, `fieldpath/serialize.go`.

use serde_json::Value;

use super::names::FIELD_MANAGER;
use super::path::{MergeKey, Path, Step};

/// A node of `fieldsV1`: the owned paths at and below one place.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(&'a Value);

/// One field manager's entry in `metadata.managedFields`.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The name the client chose; identifies a tool at best, never a person.
    pub manager: &'a str,
    /// Was it written by server-side apply (`Apply`) or by any other write (`Update`)?
    pub applied: bool,
    /// The subresource it was written through (`scale`, `status`); empty for the object itself.
    pub subresource: &'a str,
    /// The API version it was written through (`apps/v1`), whose shape its paths have; empty if the entry does not say.
    pub version: &'a str,
    /// When that manager last changed what it owns (RFC 3339, seconds).
    pub time: Option<&'a str>,
    /// What it owns.
    pub fields: Fields<'a>,
}

// === impl Entry ===

impl<'a> Entry<'a> {
    /// Reads one element of `managedFields`; `None` for the empty entries a wipe leaves behind.
    pub fn read(entry: &'a Value) -> Option<Self> {
        let text = |name| entry.get(name).and_then(Value::as_str);
        Some(Self {
            manager: text("manager")?,
            applied: text("operation") == Some("Apply"),
            subresource: text("subresource").unwrap_or_default(),
            version: text("apiVersion").unwrap_or_default(),
            time: text("time"),
            fields: Fields(entry.get("fieldsV1")?),
        })
    }

    /// Do its paths have the shape of this version? Those of an entry that does not say may.
    pub fn is_of(&self, version: &str) -> bool {
        self.version.is_empty() || self.version == version
    }

    /// Is this the entry of our own applies: the fields we own?
    pub fn is_ours(&self) -> bool {
        self.manager == FIELD_MANAGER && self.applied && self.subresource.is_empty()
    }
}

/// The entries of an object, in the order the API server keeps them.
pub fn entries(object: &Value) -> impl Iterator<Item = Entry<'_>> {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Entry::read)
}

/// Our own entry, if the object has one.
pub fn ours(object: &Value) -> Option<Entry<'_>> {
    entries(object).find(Entry::is_ours)
}

/// The fields of a map that differ from those before, as `fieldsV1` spells them.
pub fn fields_that_differ(old: &Value, new: &Value) -> Value {
    let fields = new.as_object().into_iter().flatten().filter(|(name, new)| old.get(name) != Some(new));
    let spelled = fields.map(|(name, new)| (format!("f:{name}"), fields_that_differ(&old[name.as_str()], new)));
    Value::Object(spelled.collect())
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Treats a JSON value as a `fieldsV1` node.
    pub fn new(node: &'a Value) -> Self {
        Self(node)
    }

    /// As it is spelled.
    pub fn node(self) -> &'a Value {
        self.0
    }

    /// The children with the step that leads to each. Index steps (`i:`) are left out: the API server no longer writes them.
    pub fn children(self) -> impl Iterator<Item = (Step, Self)> {
        let members = self.0.as_object().into_iter().flatten();
        members.filter_map(|(name, below)| Some((step(name)?, Self(below))))
    }

    /// The child under the plain field `name`.
    pub fn field(self, name: &str) -> Option<Self> {
        self.0.get(format!("f:{name}")).map(Self)
    }

    /// The child one step down.
    pub fn child(self, wanted: &Step) -> Option<Self> {
        match wanted {
            Step::Field(name) => self.field(name),
            Step::Key(key) => match key.spelled() {
                Some(spelled) => self.0.get(format!("k:{spelled}")).map(Self),
                None => self.scan(wanted),
            },
            Step::Value(_) => self.scan(wanted),
        }
    }

    /// The slow way, for what may be spelled in more than one way.
    fn scan(self, wanted: &Step) -> Option<Self> {
        self.children().find(|(step, _)| step == wanted).map(|(_, below)| below)
    }

    /// The node at `path`, if anything is owned at or below it.
    pub fn at(self, path: &Path) -> Option<Self> {
        path.steps().iter().try_fold(self, Self::child)
    }

    /// How the member that leads one step down is spelled here; key fields may stand in any order in it.
    pub fn member_name(self, wanted: &Step) -> Option<String> {
        let members = self.0.as_object()?;
        members.keys().find(|name| step(name).as_ref() == Some(wanted)).cloned()
    }

    /// Owns this very node and nothing below it: a leaf, compared whole.
    pub fn is_leaf(self) -> bool {
        self.0.as_object().is_none_or(serde_json::Map::is_empty)
    }

    /// Owns the node itself, not only things below it.
    pub fn owns_itself(self) -> bool {
        self.is_leaf() || self.0.get(".").is_some()
    }
}

/// Reads one member name of a `fieldsV1` node; `None` for `.` and for what is not a step down.
pub(super) fn step(name: &str) -> Option<Step> {
    let (kind, rest) = name.split_once(':')?;
    match kind {
        "f" => Some(Step::Field(rest.into())),
        "k" => MergeKey::parse(rest).map(Step::Key),
        "v" => serde_json::from_str(rest).ok().map(Step::Value),
        _ => None,
    }
}
