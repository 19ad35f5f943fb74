//! From drift to writes: what to send so that the cluster equals Git again, and nothing else changes.
//!
//! One forced server-side apply of the manifest does almost all of it: it sets what was changed, adds what was removed, takes
//! ownership back and removes what we own and Git no longer says. It does *not* remove what others added, so additions by
//! people are first taken over: their ownership is moved to our entry by a JSON patch, and the apply then drops them. (Removing the
//! values themselves would not do: a removed default comes back, still owned by the person, and is removed again for ever.)
//!
//! # Exclusions hold when healing too: strip or adopt
//! Leaving an excluded field out of the apply *resets* it if we alone own it (`replicas` falls to 1). So a field that has
//! another owner is left out, and one that has none is sent as it is live. Replicas outside of an autoscaler's range are set to
//! its nearest bound: Git's number would be a jump that neither Git nor the autoscaler asked for.

mod body;

use json_patch::Patch;
use serde_json::{Map, Value, json};

use self::body::{find_in_body, put, take_out};
use super::adoption::{Adoption, COPIES, Share, is_foreign, is_former};
use super::compare::{Deviation, Kind, Scope};
use super::declaration::{Declaration, Node, Shape};
use super::exclude::Exclusions;
use super::fields::{Entry, Fields};
use super::names::{FIELD_MANAGER, TRACKING_ID};
use super::path::{MergeKey, Path, Step};
use super::snapshot::Managed;
use super::state::State;
use super::undeclared::{IsPerson, Look, part_that_stays, undeclared};
use super::value::{is_nothing, same};

/// The body of the apply that makes the object what Git says. `live` is the object after [`before_apply`]'s patch, or `None`
/// when there is no object yet: everything is sent then, exclusions or not.
pub fn to_apply(managed: &Managed, live: Option<&State<'_>>) -> Value {
    let mut body = managed.manifest.value();
    if let Some(live) = live {
        let exclusions = &*managed.excluded(live);
        strip_or_adopt(managed, exclusions, live, &mut body);
        keep_what_is_not_ours_to_reset(managed, exclusions, live, &mut body);
    }
    body
}

/// The body of an apply that heals all but additions, which are sent as they are: an API server need not let go of them. (Of
/// an operator's sidecar whose image a person changed, the image is the person's, and a container needs one.)
pub fn to_apply_all_but(managed: &Managed, live: &State<'_>, drift: &[Deviation]) -> Value {
    let mut body = to_apply(managed, Some(live));
    for steps in drift.iter().filter(|found| is_addition(found)).map(|found| found.path.steps()) {
        if let Some(value) = Path::new(steps.to_vec()).find(live.object) {
            put(&mut body, steps, value.clone(), managed.declaration.depth_of(steps));
        }
    }
    body
}

/// Does healing it mean to take something away that Git does not declare?
pub fn is_addition(found: &Deviation) -> bool {
    matches!(found.kind, Kind::Added | Kind::Leftover)
}

/// The patch to send before the apply: takes over what people added in `drift`, adopts what another tool kept before us, empties
/// what an apply could not empty, and removes these annotations. `None` when there is nothing to do. Conditional on the judged
/// `resourceVersion`, so a stale patch fails instead of overwriting.
pub fn before_apply(
    managed: &Managed,
    live: &State<'_>,
    drift: &[Deviation],
    is_person: IsPerson<'_>,
    remove: &[&'static str],
) -> Option<Patch> {
    let mut operations = Vec::new();
    let adopting = is_foreign(live);
    let share = |entry: &Entry<'_>, fields: &Value| {
        (adopting && is_former(entry)).then(|| {
            let exclusions = &*managed.excluded(live);
            Adoption { declaration: &managed.declaration, exclusions, live: live.object }.share(fields)
        })
    };
    if let Some(owners) = owners_before_us(live).or_else(|| taken_over(live, drift, is_person, &share)) {
        operations.push(json!({"op": "add", "path": "/metadata/managedFields", "value": owners}));
    }
    for (path, empty) in to_be_emptied(&managed.declaration, live, drift) {
        operations.push(json!({"op": "replace", "path": path.pointer_in(live.object)?, "value": empty}));
    }
    let stays = |name: &str| managed.declaration.find(&Path::of_fields(&["metadata", "annotations", name])).is_some();
    let copies = COPIES.into_iter().filter(|name| adopting && !stays(name));
    for name in remove.iter().copied().chain(copies).filter(|name| live.annotation(name).is_some()) {
        let pointer = Path::of_fields(&["metadata", "annotations", name]).pointer_in(live.object)?;
        operations.push(json!({"op": "remove", "path": pointer}));
    }
    if operations.is_empty() {
        return None;
    }
    let judged = live.object.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    operations.insert(0, json!({"op": "test", "path": "/metadata/resourceVersion", "value": judged}));
    serde_json::from_value(Value::Array(operations)).ok()
}

/// What is excluded and not as Git has it: left out if somebody else owns it, else sent as it is live.
fn strip_or_adopt(managed: &Managed, exclusions: &Exclusions, live: &State<'_>, body: &mut Value) {
    if exclusions.is_empty() {
        return;
    }
    let mut excluded = Excluded { exclusions, live, body, steps: Vec::new() };
    for (name, node) in &managed.declaration.sections {
        excluded.below(Step::Field(name.clone()), node, Some(live.object));
    }
}

/// A walk along the declaration that makes the body of an apply say nothing new about excluded places.
struct Excluded<'a> {
    exclusions: &'a Exclusions,
    live: &'a State<'a>,
    body: &'a mut Value,
    steps: Vec<Step>,
}

// === impl Excluded ===

impl Excluded<'_> {
    fn below(&mut self, step: Step, node: &Node, above: Option<&Value>) {
        let value = above.and_then(|above| step.find(above));
        self.steps.push(step);
        self.node(node, value);
        self.steps.pop();
    }

    fn node(&mut self, node: &Node, value: Option<&Value>) {
        match &node.shape {
            Shape::Fields(fields) => {
                for (name, node) in fields {
                    self.below(Step::Field(name.clone()), node, value);
                }
            }
            Shape::Elements(elements) => elements.iter().for_each(|(key, node)| self.element(key, node, value)),
            Shape::Members(members) => members.iter().for_each(|member| self.member(member, value)),
            Shape::Open(_) if value.is_some() => {}
            Shape::Open(empty) => self.leaf(same(&empty.value(), value.unwrap_or(&Value::Null)), value),
            Shape::Leaf(declared) => {
                self.leaf(declared.same(value.unwrap_or(&Value::Null)), value);
                self.parts(&declared.into(), value);
            }
            Shape::Nothing => self.leaf(is_nothing(value), value),
        }
    }

    /// An element that is gone is made anew as a whole, or not at all: half a container is not one.
    fn element(&mut self, key: &MergeKey, node: &Node, list: Option<&Value>) {
        let step = Step::Key(key.clone());
        if list.is_some_and(|list| step.find(list).is_some()) {
            self.below(step, node, list);
        } else {
            self.leave_out(step);
        }
    }

    fn member(&mut self, member: &Value, list: Option<&Value>) {
        let step = Step::Value(member.clone());
        if list.is_none_or(|list| step.find(list).is_none()) {
            self.leave_out(step);
        }
    }

    /// What is gone and excluded stays gone.
    fn leave_out(&mut self, step: Step) {
        self.steps.push(step);
        if self.exclusions.cover(&Path::new(self.steps.clone())) {
            take_out(self.body, &self.steps);
        }
        self.steps.pop();
    }

    /// Of a value that is compared whole, excluded parts are sent as they are live.
    fn parts(&mut self, declared: &Value, value: Option<&Value>) {
        let path = Path::new(self.steps.clone());
        let in_parts = !is_nothing(Some(declared)) && self.exclusions.reach_below(&path);
        let Some(value) = value.filter(|_| in_parts && !self.exclusions.cover(&path)) else { return };
        let adopted = self.exclusions.adopt(&path, declared, value);
        if adopted != *declared {
            put(self.body, path.steps(), adopted, path.steps().len());
        }
    }

    fn leaf(&mut self, in_sync: bool, value: Option<&Value>) {
        let path = Path::new(self.steps.clone());
        if in_sync {
            return;
        }
        if !self.exclusions.cover(&path) {
            if let Some(value) = self.exclusions.instead_of_git(&path) {
                put(self.body, path.steps(), value.clone(), path.steps().len());
            }
            return;
        }
        match value {
            Some(value) if !others_own(self.live, &path) => {
                put(self.body, path.steps(), value.clone(), path.steps().len());
            }
            _ => {
                take_out(self.body, path.steps());
            }
        }
    }
}

/// What we own and Git no longer declares would be removed by the apply, and reset to a default. Where that is excluded, or
/// left alone for good, we go on sending the live value until somebody else owns it. A list element that goes, goes whole.
fn keep_what_is_not_ours_to_reset(managed: &Managed, exclusions: &Exclusions, live: &State<'_>, body: &mut Value) {
    let Managed { declaration, .. } = managed;
    let Some(ours) = live.owners().find(Entry::is_ours) else { return };
    let look = Look { is_person: &|_| false, scope: Scope::Whole, before: None, exclusions };
    let mut going = undeclared(declaration, live, &look);
    exclusions.subtract_from(&mut going);
    each_owned(ours.fields, &mut Vec::new(), &mut |steps| {
        let path = Path::new(steps.to_vec());
        let kept = path.find(live.object).and_then(|value| part_that_stays(exclusions, &path, value));
        let goes = going.iter().any(|place| place.path.covers(&path));
        let declared = declaration.depth_of(steps);
        let down = |node, (at, step): (usize, &Step)| find_in_body(node, step, at < declared);
        let said = || steps.iter().enumerate().try_fold(&*body, down).is_some();
        if let Some(value) = kept.filter(|_| !goes && !others_own(live, &path) && !said()) {
            put(body, steps, value, declared);
        }
    });
}

/// Does anybody but us own this very leaf?
fn others_own(live: &State<'_>, path: &Path) -> bool {
    live.owners()
        .filter(|entry| !entry.is_ours() && entry.manager != FIELD_MANAGER)
        .any(|entry| entry.fields.at(path).is_some())
}

/// What Git declares empty and nothing but drift fills. An apply that says `{}` and removes the last field leaves `null` there: a
/// CRD's schema refuses that, and where there is no schema it stays.
fn to_be_emptied(declaration: &Declaration, live: &State<'_>, drift: &[Deviation]) -> Vec<(Path, Value)> {
    let undeclared = drift.iter().filter(|found| is_addition(found));
    let mut parents: Vec<Path> = Vec::new();
    for (_, above) in undeclared.clone().filter_map(|found| found.path.steps().split_last()) {
        let parent = Path::new(above.to_vec());
        if !parents.contains(&parent) && declaration.find(&parent).is_some_and(Node::is_empty) {
            parents.push(parent);
        }
    }
    let goes = |parent: &Path| undeclared.clone().filter(|found| found.path.is_child_of(parent)).count();
    let emptied = parents.into_iter().filter_map(|parent| match parent.find(live.object)? {
        Value::Object(fields) if fields.len() == goes(&parent) => Some((parent, json!({}))),
        Value::Array(elements) if elements.len() == goes(&parent) => Some((parent, json!([]))),
        _ => None,
    });
    emptied.collect()
}

/// `managedFields` for an object that has none: somebody wiped them. On an apply to such an object the API server makes up an
/// owner of all there is (`before-first-apply`), and what that one co-owns could never leave the object with Git again.
fn owners_before_us(live: &State<'_>) -> Option<Value> {
    let nobody = live.owners().next().is_none();
    nobody
        .then(|| json!([our_entry(live, &json!({"f:metadata": {"f:annotations": {format!("f:{TRACKING_ID}"): {}}}}))]))
}

fn our_entry(live: &State<'_>, fields: &Value) -> Value {
    json!({
        "manager": FIELD_MANAGER, "operation": "Apply", "fieldsType": "FieldsV1",
        "apiVersion": live.object.get("apiVersion"), "fieldsV1": fields,
    })
}

/// How a former tool's entry is taken apart; `None` for everybody else's.
type Shares<'a> = &'a dyn Fn(&Entry<'_>, &Value) -> Option<Share>;

/// `managedFields` with everything people added in `drift` moved from their entries to ours, and former tools' entries taken
/// apart.
fn taken_over(live: &State<'_>, drift: &[Deviation], is_person: IsPerson<'_>, share: Shares<'_>) -> Option<Value> {
    let added: Vec<_> = drift.iter().filter(|found| is_addition(found)).collect();
    let mut entries = live.object.pointer("/metadata/managedFields")?.as_array()?.clone();
    let mut taken = Value::Object(Map::new());
    for raw in &mut entries {
        let Some(entry) = Entry::read(raw) else { continue };
        let (share, is_person) = (share(&entry, &raw["fieldsV1"]), is_person(&entry));
        let fields = &mut raw["fieldsV1"];
        if let Some(Share { ours, theirs }) = share {
            unite(&mut taken, Value::Object(ours));
            *fields = Value::Object(theirs);
        } else if is_person {
            added.iter().for_each(|found| move_owned(fields, &mut taken, found.path.steps()));
        }
    }
    if taken.as_object().is_none_or(Map::is_empty) {
        return None;
    }
    entries.retain(|entry| entry.get("fieldsV1").is_some_and(|fields| !Fields::new(fields).is_leaf()));
    match entries.iter_mut().find(|entry| Entry::read(entry).is_some_and(|entry| entry.is_ours())) {
        Some(ours) => unite(&mut ours["fieldsV1"], taken),
        None => entries.push(our_entry(live, &taken)),
    }
    Some(Value::Array(entries))
}

/// Moves what is owned at and below `steps` from one `fieldsV1` node to another. A parent that owns nothing any more goes too:
/// left behind empty, it would read as a leaf.
fn move_owned(from: &mut Value, to: &mut Value, steps: &[Step]) {
    let Some((first, rest)) = steps.split_first() else { return };
    let Some(name) = Fields::new(from).member_name(first) else { return };
    let (Some(from), Some(to)) = (from.as_object_mut(), to.as_object_mut()) else { return };
    let Some(mut below) = from.remove(&name) else { return };
    let target = to.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
    if rest.is_empty() {
        unite(target, below);
        return;
    }
    move_owned(&mut below, target, rest);
    if target.as_object().is_none_or(Map::is_empty) {
        to.remove(&name);
    }
    if below.as_object().is_some_and(|below| !below.is_empty()) {
        from.insert(name, below);
    }
}

/// The union of two `fieldsV1` nodes.
fn unite(into: &mut Value, other: Value) {
    if let (Some(into), Value::Object(other)) = (into.as_object_mut(), other) {
        for (name, below) in other {
            unite(into.entry(name).or_insert_with(|| Value::Object(Map::new())), below);
        }
    }
}

/// Calls `visit` for every leaf of a `fieldsV1` node.
fn each_owned(fields: Fields<'_>, steps: &mut Vec<Step>, visit: &mut dyn FnMut(&[Step])) {
    if fields.is_leaf() {
        visit(steps);
    }
    for (step, below) in fields.children() {
        steps.push(step);
        each_owned(below, steps, visit);
        steps.pop();
    }
}
