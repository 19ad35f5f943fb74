//! A small model of what the API server does with ownership: enough to heal in memory, and checked against a real one by
//! the cluster tests.
//!
//! It follows structured-merge-diff (`merge/update.go`, `typed/compare.go`) in these points: an Update moves what it adds or
//! changes to its manager and takes what it removes from everybody; an Apply merges, takes over what it changes, owns exactly
//! what it says, and removes what it said before, says no longer, and nobody else owns. Left out: versions and conversion,
//! conflicts (every apply is forced), and that a *struct* field falls with its last owned child even if something unowned
//! is left in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::kinds::{Merge, defaults, key_default, merge_of};

/// One step of a path, as `fieldsV1` spells it.
type Spelled = String;
type Place = Vec<Spelled>;
type Owned = BTreeSet<Place>;
/// Everything at every place of an object. Lists of which elements merge are `None`, as are maps with something in them.
type Places = BTreeMap<Place, Option<Value>>;

/// Who writes: manager, operation, subresource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Writer {
    manager: String,
    operation: &'static str,
    subresource: String,
}

/// A server-side apply of `config` by `manager`, forced. `live` is `None` when there is no object yet.
pub fn apply(live: Option<&Value>, config: &Value, manager: &str) -> Value {
    let empty = json!({});
    let live = live.unwrap_or(&empty);
    let writer = Writer::new(manager, "Apply", "");
    let mut owners = owners(live);
    let before = owners.get(&writer).cloned().unwrap_or_default();
    let said = claims(config);
    let mut object = merge("", live, &without_owners(config));
    owners.insert(writer.clone(), said.clone());
    for place in before.difference(&said) {
        // Who changed a part of a list element does not hold the element.
        let is_element = place.last().is_some_and(|step| step.starts_with("k:"));
        let held =
            owners.values().flatten().any(|owned| if is_element { owned == place } else { owned.starts_with(place) });
        if !held && !is_key_of_kept_element(place, &owners) {
            remove(&mut object, place);
        }
    }
    let mut object = merge("", &object, &without_owners(config)); // empties it says stay, though their content went
    let changes = Changes::between(live, &object);
    for (owner, owned) in &mut owners {
        if *owner != writer {
            changes.take_from(owned);
        }
    }
    defaulted(live, &mut object, &mut owners, &Writer::new(manager, "Update", ""));
    finish(live, &object, &owners)
}

/// An update (or patch, or edit) of `live` to `wanted` by `manager`, perhaps through a subresource. Ownership that `wanted`
/// carries itself is believed, as the API server believes it: an emptied list wipes every owner.
pub fn update(live: &Value, wanted: &Value, manager: &str, subresource: &str) -> Value {
    let writer = Writer::new(manager, "Update", subresource);
    let mut object = without_nulls(wanted);
    let mut owners = owners(if object.pointer("/metadata/managedFields").is_some() { &object } else { live });
    let changes = Changes::between(live, &object);
    for owned in owners.values_mut() {
        changes.take_from(owned);
    }
    owners.entry(writer.clone()).or_default().extend(changes.made);
    defaulted(live, &mut object, &mut owners, &writer);
    finish(live, &object, &owners)
}

/// What a webhook writes into an object after ownership was settled: owned by nobody.
pub fn inject(live: &Value, added: &Value) -> Value {
    finish(live, &merge("", added, live), &owners(live))
}

/// The same by a webhook that also changes what is there: who owned it still does.
pub fn rewrite(live: &Value, wanted: &Value) -> Value {
    finish(live, wanted, &owners(live))
}

/// Every leaf of an object by its place: what an edit or a heal may change. Empty maps are leaves, empty lists and nulls are
/// nothing.
pub fn leaves(object: &Value) -> BTreeMap<Place, Value> {
    let places = places(object).into_iter().filter_map(|(place, value)| Some((place, value?)));
    places.filter(|(_, value)| !is_nothing(value)).collect()
}

/// Is there anything at this place?
pub fn value_at(object: &Value, place: &[Spelled]) -> Option<Value> {
    let found = step_down(object, place)?;
    (!is_nothing(found)).then(|| found.clone())
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

// === impl Writer ===

impl Writer {
    fn new(manager: &str, operation: &'static str, subresource: &str) -> Self {
        Self { manager: manager.to_owned(), operation, subresource: subresource.to_owned() }
    }
}

/// What a write did to an object.
struct Changes {
    made: Owned,
    removed: Owned,
}

// === impl Changes ===

impl Changes {
    fn between(old: &Value, new: &Value) -> Self {
        let (old, new) = (places(old), places(new));
        let differs = |(place, value): &(&Place, &Option<Value>)| match old.get(*place) {
            None => true,
            Some(before) => {
                let is_element = place.last().is_some_and(|step| step.starts_with("k:"));
                before != *value && (is_element || (before.is_some() && value.is_some()))
            }
        };
        Self {
            made: new.iter().filter(differs).map(|(place, _)| place.clone()).collect(),
            removed: old.keys().filter(|place| !new.contains_key(*place)).cloned().collect(),
        }
    }

    fn take_from(&self, owned: &mut Owned) {
        owned.retain(|place| !self.made.contains(place) && !self.removed.contains(place));
    }
}

// --- what is where ---

fn places(object: &Value) -> Places {
    let mut found = Places::new();
    each_place("", object, &mut Vec::new(), &mut found);
    found.retain(|place, _| !place.is_empty() && is_tracked(place));
    found
}

/// Identity, server-written metadata and ownership itself are nobody's.
fn is_tracked(place: &[Spelled]) -> bool {
    const SERVERS: [&str; 9] = [
        "f:name",
        "f:namespace",
        "f:uid",
        "f:resourceVersion",
        "f:generation",
        "f:creationTimestamp",
        "f:managedFields",
        "f:selfLink",
        "f:generateName",
    ];
    match place {
        [root] => !matches!(root.as_str(), "f:apiVersion" | "f:kind" | "f:metadata"),
        [root, field, ..] => root != "f:metadata" || !SERVERS.contains(&field.as_str()),
        [] => false,
    }
}

fn each_place(name: &str, value: &Value, at: &mut Place, found: &mut Places) {
    let mut below = |step: Spelled, name: &str, child: &Value| {
        at.push(step);
        each_place(name, child, at, found);
        at.pop();
    };
    match (merge_of(name, value), value) {
        (Merge::Granular, Value::Object(fields)) if !fields.is_empty() => {
            fields.iter().for_each(|(name, child)| below(format!("f:{name}"), name, child));
            found.insert(at.clone(), None);
        }
        (Merge::Keyed(keys), Value::Array(elements)) if !elements.is_empty() => {
            let mut twice = BTreeMap::<Spelled, Vec<Value>>::new();
            for element in elements {
                let key = spell_key(keys, element);
                below(key.clone(), "", element);
                twice.entry(key).or_default().push(element.clone());
            }
            for (key, elements) in twice.into_iter().filter(|(_, elements)| elements.len() > 1) {
                found.insert([&at[..], &[key]].concat(), Some(Value::Array(elements)));
            }
        }
        (Merge::Set, Value::Array(members)) if !members.is_empty() => {
            for member in members {
                below(format!("v:{member}"), "", member);
            }
        }
        _ => {
            found.insert(at.clone(), Some(value.clone()));
        }
    }
}

fn spell_key(keys: &[&str], element: &Value) -> Spelled {
    let field = |name: &&str| Some(((*name).to_owned(), element.get(*name).cloned().or_else(|| key_default(name))?));
    format!("k:{}", Value::Object(keys.iter().filter_map(field).collect()))
}

/// What an apply of this claims: leaves and list elements, not the maps on the way.
fn claims(config: &Value) -> Owned {
    let is_claim = |(place, value): (Place, Option<Value>)| {
        let is_element = place.last().is_some_and(|step| step.starts_with("k:"));
        (value.is_some() || is_element).then_some(place)
    };
    places(config).into_iter().filter_map(is_claim).collect()
}

fn step_down<'v>(object: &'v Value, place: &[Spelled]) -> Option<&'v Value> {
    place.iter().try_fold(object, |node, step| match step.split_once(':')? {
        ("f", name) => node.get(name),
        _ => node.as_array()?.get(position(node.as_array()?, step)?),
    })
}

fn position(elements: &[Value], step: &str) -> Option<usize> {
    let (kind, json) = step.split_once(':')?;
    let wanted: Value = serde_json::from_str(json).ok()?;
    elements.iter().position(|element| match kind {
        "k" => wanted.as_object().is_some_and(|key| {
            key.iter()
                .all(|(name, value)| element.get(name).cloned().or_else(|| key_default(name)).as_ref() == Some(value))
        }),
        _ => *element == wanted,
    })
}

/// The key fields of an element stay as long as somebody owns something else in it.
fn is_key_of_kept_element(place: &[Spelled], owners: &BTreeMap<Writer, Owned>) -> bool {
    let Some(([element @ .., key], field)) = place.split_last().map(|(field, above)| (above, field)) else {
        return false;
    };
    let is_key =
        key.starts_with("k:") && field.strip_prefix("f:").is_some_and(|field| key.contains(&format!("\"{field}\":")));
    let element = [element, std::slice::from_ref(key)].concat();
    is_key && owners.values().flatten().any(|owned| owned.starts_with(&element))
}

// --- writing ---

fn merge(name: &str, live: &Value, config: &Value) -> Value {
    match (merge_of(name, config), live, config) {
        (Merge::Granular, Value::Object(live), Value::Object(config)) => {
            let mut merged = live.clone();
            for (name, value) in config {
                let below =
                    live.get(name).map_or_else(|| with_key_defaults(name, value), |live| merge(name, live, value));
                merged.insert(name.clone(), below);
            }
            Value::Object(merged)
        }
        (Merge::Keyed(keys), Value::Array(live), Value::Array(config)) => merge_elements(keys, live, config),
        (Merge::Set, Value::Array(live), Value::Array(config)) => {
            let new = config.iter().filter(|member| !live.contains(member));
            Value::Array(live.iter().chain(new).cloned().collect())
        }
        _ => with_key_defaults(name, config),
    }
}

/// Elements that are there keep their place, new ones follow; of those that are there twice only the applied one remains.
fn merge_elements(keys: &[&str], live: &[Value], config: &[Value]) -> Value {
    let key = |element: &Value| spell_key(keys, element);
    let mut merged: Vec<Value> = Vec::new();
    for element in live {
        let twice = live.iter().filter(|other| key(other) == key(element)).count() > 1;
        match config.iter().find(|wanted| key(wanted) == key(element)) {
            Some(_) if merged.iter().any(|other| key(other) == key(element)) => {}
            Some(wanted) if twice => merged.push(with_defaults_of(keys, wanted)),
            Some(wanted) => merged.push(merge("", element, wanted)),
            None => merged.push(element.clone()),
        }
    }
    let new = config.iter().filter(|wanted| !live.iter().any(|element| key(element) == key(wanted)));
    merged.extend(new.map(|wanted| with_defaults_of(keys, wanted)).collect::<Vec<_>>());
    Value::Array(merged)
}

fn with_defaults_of(keys: &[&str], element: &Value) -> Value {
    let mut element = with_key_defaults("", element);
    for key in keys {
        if let (None, Some(default)) = (element.get(*key), key_default(key)) {
            element[*key] = default;
        }
    }
    element
}

fn with_key_defaults(name: &str, value: &Value) -> Value {
    match (merge_of(name, value), value) {
        (Merge::Granular, Value::Object(fields)) => {
            fields.iter().map(|(name, value)| (name.clone(), with_key_defaults(name, value))).collect()
        }
        (Merge::Keyed(keys), Value::Array(elements)) => {
            elements.iter().map(|element| with_defaults_of(keys, element)).collect()
        }
        _ => value.clone(),
    }
}

/// Takes a place out, and what held nothing else with it.
fn remove(node: &mut Value, place: &[Spelled]) -> bool {
    let Some((step, rest)) = place.split_first() else { return true };
    match (step.strip_prefix("f:"), node) {
        (Some(name), Value::Object(fields)) => {
            let emptied = fields.get_mut(name).is_some_and(|below| remove(below, rest));
            emptied && fields.remove(name).is_some() && fields.is_empty()
        }
        (None, Value::Array(elements)) => {
            let emptied = position(elements, step).filter(|at| remove(&mut elements[*at], rest));
            emptied.map(|at| elements.remove(at)).is_some() && elements.is_empty()
        }
        _ => false,
    }
}

/// Fills in defaults, which are booked on the writer if they were not there before.
fn defaulted(live: &Value, object: &mut Value, owners: &mut BTreeMap<Writer, Owned>, writer: &Writer) {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    for (place, value) in defaults(kind) {
        let (last, above) = place.split_last().expect("a default has a place");
        let parent = above.iter().try_fold(&mut *object, |node, name| node.get_mut(*name));
        let Some(parent) =
            parent.and_then(Value::as_object_mut).filter(|parent| parent.get(*last).is_none_or(Value::is_null))
        else {
            continue;
        };
        parent.insert((*last).to_owned(), json!(value));
        let spelled: Place = place.iter().map(|name| format!("f:{name}")).collect();
        if value_at(live, &spelled) != Some(json!(value)) {
            for owned in owners.values_mut() {
                owned.remove(&spelled);
            }
            owners.entry(writer.clone()).or_default().insert(spelled);
        }
    }
}

/// What is null is stored as nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

// --- managedFields ---

fn without_owners(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        metadata.remove("resourceVersion");
    }
    config
}

fn owners(object: &Value) -> BTreeMap<Writer, Owned> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let read = |entry: &Value| {
        let operation = if entry.get("operation")? == "Apply" { "Apply" } else { "Update" };
        let subresource = entry.get("subresource").and_then(Value::as_str).unwrap_or_default();
        let mut owned = Owned::new();
        read_owned(entry.get("fieldsV1")?, &mut Vec::new(), &mut owned);
        Some((Writer::new(entry.get("manager")?.as_str()?, operation, subresource), owned))
    };
    entries.into_iter().flatten().filter_map(read).collect()
}

fn read_owned(fields: &Value, at: &mut Place, owned: &mut Owned) {
    let Some(members) = fields.as_object() else { return };
    if !at.is_empty() && (members.is_empty() || members.contains_key(".")) {
        owned.insert(at.clone());
    }
    for (name, below) in members.iter().filter(|(name, _)| *name != ".") {
        at.push(name.clone());
        read_owned(below, at, owned);
        at.pop();
    }
}

fn write_owned(owned: &Owned) -> Value {
    let mut root = json!({});
    for place in owned {
        let node = place.iter().fold(&mut root, |node, step| {
            let fields = node.as_object_mut().expect("every node is made as a map");
            fields.entry(step.clone()).or_insert_with(|| json!({}))
        });
        node["."] = json!({});
    }
    drop_leaf_dots(&mut root);
    root
}

/// A node without children is spelled `{}`, not `{".": {}}`.
fn drop_leaf_dots(node: &mut Value) {
    let Some(fields) = node.as_object_mut() else { return };
    if fields.len() == 1 {
        fields.remove(".");
    }
    fields.values_mut().for_each(drop_leaf_dots);
}

/// The object with its ownership, and a new version if anything at all is new. A write that changes nothing is invisible.
fn finish(live: &Value, object: &Value, owners: &BTreeMap<Writer, Owned>) -> Value {
    let mut object = with_key_defaults("", object);
    let entries: Vec<_> =
        owners.iter().filter(|(_, owned)| !owned.is_empty()).map(|(writer, owned)| entry(writer, owned)).collect();
    let metadata = object.as_object_mut().map(|object| object.entry("metadata").or_insert_with(|| json!({})));
    let metadata = metadata.and_then(Value::as_object_mut).expect("objects have metadata");
    metadata.insert("managedFields".to_owned(), Value::Array(entries));
    if let Some(version) = live.pointer("/metadata/resourceVersion") {
        metadata.insert("resourceVersion".to_owned(), version.clone());
    }
    if object != *live {
        let version = live.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("0");
        let next = version.parse::<u64>().expect("the model counts versions") + 1;
        object["metadata"]["resourceVersion"] = json!(next.to_string());
    }
    object
}

fn entry(writer: &Writer, owned: &Owned) -> Value {
    let Writer { manager, operation, subresource } = writer;
    let mut entry = Map::from_iter([
        ("manager".to_owned(), json!(manager)),
        ("operation".to_owned(), json!(operation)),
        ("fieldsType".to_owned(), json!("FieldsV1")),
        ("fieldsV1".to_owned(), write_owned(owned)),
    ]);
    if !subresource.is_empty() {
        entry.insert("subresource".to_owned(), json!(subresource));
    }
    Value::Object(entry)
}
