//! Where a rule points, as it is written: a JSON pointer, or a field path in the spelling messages use.
//!
//! Both become segments, and segments become patterns against what Git declares: a position means Git's element there, so
//! that `containers/0` keeps meaning it after a sidecar was put before it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use serde_json::Value;

use super::pattern::{Any, Pattern};
use crate::core::declaration::{Declaration, Shape};
use crate::core::fields::Fields;
use crate::core::path::{MergeKey, Path, Step};

/// A JSON pointer (RFC 6901) in which a segment `*` stands for any element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

/// A rule that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPointer {
    /// It must start with a slash; `""` would be the whole object, which a rule without pointers says better.
    #[error("\"{0}\" is not a JSON pointer: it must start with \"/\" (RFC 6901), for example /spec/replicas")]
    NoSlash(String),
    /// `~` only ever stands before `0` or `1`.
    #[error("\"{0}\" is not a JSON pointer: \"~\" must be written \"~0\", and \"/\" inside a name \"~1\" (RFC 6901)")]
    BadEscape(String),
    /// It leads deeper than any object goes.
    #[error("a JSON pointer has at most {DEEPEST} segments; this one leads deeper than any object goes")]
    TooDeep,
}

/// Steps in a place: no object is nested deeper, or the API server's JSON could not be read.
pub(super) const DEEPEST: usize = 128;

/// One step of a place as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Segment {
    /// `*`.
    Any,
    /// A field's name, or, under a list, a position.
    Named(String),
    /// Elements that have these fields.
    Having(Vec<(String, Value)>),
    /// The member of a set that equals this.
    Member(Value),
}

/// What a place is resolved against.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// What Git says, as written.
    pub manifest: &'a Value,
    /// What the API server makes of it.
    pub declaration: &'a Declaration,
}

// === impl Pointer ===

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

impl FromStr for Pointer {
    type Err = BadPointer;

    fn from_str(text: &str) -> Result<Self, BadPointer> {
        let rest = text.strip_prefix('/').ok_or_else(|| BadPointer::NoSlash(text.to_owned()))?;
        let segment = |segment: &str| unescape(segment).ok_or_else(|| BadPointer::BadEscape(text.to_owned()));
        if rest.split('/').count() > DEEPEST {
            return Err(BadPointer::TooDeep);
        }
        rest.split('/').map(segment).collect::<Result<_, _>>().map(Self)
    }
}

impl Pointer {
    /// The patterns it means.
    pub(super) fn resolve(&self, ground: Ground<'_>) -> Vec<Pattern> {
        let segment = |text: &String| if text == "*" { Segment::Any } else { Segment::Named(text.clone()) };
        resolve(&self.0.iter().map(segment).collect::<Vec<_>>(), ground)
    }
}

fn unescape(segment: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = segment.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(text)
}

/// The patterns these segments mean. A position or key below `*` means another element under each of Git's, so one place
/// may become several patterns.
pub(super) fn resolve(segments: &[Segment], ground: Ground<'_>) -> Vec<Pattern> {
    let start = Resolving { pattern: Pattern::new(), place: Some((Vec::new(), ground.manifest)) };
    let mut found = vec![start];
    for (at, segment) in segments.iter().enumerate() {
        let hangs_on_git = segments[at + 1..].iter().any(Segment::hangs_on_git);
        found = found.into_iter().flat_map(|it| it.down(segment, hangs_on_git, ground.declaration)).collect();
    }
    found.into_iter().map(|resolved| resolved.pattern).collect()
}

// === impl Segment ===

impl Segment {
    /// Does it mean something else under each of Git's elements?
    fn hangs_on_git(&self) -> bool {
        match self {
            Self::Named(name) => name.parse::<usize>().is_ok(),
            Self::Having(_) => true,
            Self::Any | Self::Member(_) => false,
        }
    }
}

/// A place on its way down a manifest.
struct Resolving<'v> {
    pattern: Pattern,
    /// The path so far and Git's node there, as long as it leads to one place in Git.
    place: Option<(Vec<Step>, &'v Value)>,
}

// === impl Resolving ===

impl Resolving<'_> {
    fn down(self, segment: &Segment, hangs_on_git: bool, declaration: &Declaration) -> Vec<Self> {
        let some = match segment {
            Segment::Any if hangs_on_git => self.children(declaration, &|_| true),
            Segment::Having(fields) => self.children(declaration, &|child| has(child, fields)),
            Segment::Named(name) => return vec![self.to(name, declaration)],
            Segment::Any | Segment::Member(_) => Vec::new(),
        };
        let any = match segment {
            Segment::Having(fields) => Any::Having(fields.clone()),
            Segment::Member(value) => Any::Member(value.clone()),
            Segment::Any | Segment::Named(_) => Any::Step,
        };
        let all = Self { pattern: self.pattern.into_iter().chain([any]).collect(), place: None };
        some.into_iter().chain([all]).collect()
    }

    /// Git's child of this name, or at this position.
    fn to(&self, name: &str, declaration: &Declaration) -> Self {
        let below = self.place.as_ref().and_then(|(path, node)| {
            let child = child_as_written(node, name)?;
            Some((step_to(path, node, name, child, declaration), child))
        });
        let Some((step, child)) = below else {
            return Self { pattern: [&self.pattern[..], &[Any::Field(name.to_owned())]].concat(), place: None };
        };
        let path = self.place.as_ref().map(|(path, _)| [&path[..], std::slice::from_ref(&step)].concat());
        Self { pattern: [&self.pattern[..], &[Any::of(&step)]].concat(), place: path.map(|path| (path, child)) }
    }

    fn children(&self, declaration: &Declaration, wanted: &dyn Fn(&Value) -> bool) -> Vec<Self> {
        let names: Vec<String> = match self.place.as_ref().map(|(_, node)| node) {
            Some(Value::Object(fields)) => {
                fields.iter().filter(|(_, child)| wanted(child)).map(|(name, _)| name.clone()).collect()
            }
            Some(Value::Array(elements)) => {
                let positions = elements.iter().enumerate().filter(|(_, child)| wanted(child));
                positions.map(|(index, _)| index.to_string()).collect()
            }
            _ => Vec::new(),
        };
        names.iter().map(|name| self.to(name, declaration)).collect()
    }
}

fn has(child: &Value, fields: &[(String, Value)]) -> bool {
    fields.iter().all(|(name, value)| child.get(name) == Some(value))
}

/// The step to a child of Git's: what a position means depends on how the list merges. In a list that is compared whole it is
/// just a position.
fn step_to(path: &[Step], node: &Value, name: &str, child: &Value, declaration: &Declaration) -> Step {
    let plain = || Step::Field(name.into());
    if !node.is_array() {
        return plain();
    }
    match declaration.find(&Path::new(path.to_vec())).map(|node| &node.shape) {
        Some(Shape::Elements(_)) => declaration.key_of(path, child).map_or_else(plain, Step::Key),
        Some(Shape::Members(_)) => Step::Value(child.clone()),
        _ => plain(),
    }
}

/// The step to the element at `index` of a *live* list at `path`; `names` are the key fields its owners know it by.
pub(super) fn live_step(path: &Path, list: &[Value], index: usize, around: &Around<'_>) -> Option<Step> {
    let element = list.get(index)?;
    let keyed = |names: &[String]| MergeKey::of(element, names).map(Step::Key);
    Some(match &*around.known(path, list) {
        List::Keyed(names) => keyed(names)?,
        List::Set => Step::Value(element.clone()),
        List::Whole => Step::Field(index.to_string().into()),
    })
}

/// How a live list merges, as far as what Git declares and `managedFields` tell.
pub(super) enum List {
    Keyed(Vec<String>),
    Set,
    Whole,
}

/// What tells how lists merge.
pub(super) struct Around<'a> {
    declaration: &'a Declaration,
    owners: Vec<Fields<'a>>,
    /// Lists that were asked for already, by where they lie: expressions find many elements of one list.
    known: RefCell<HashMap<*const Value, Rc<List>>>,
}

// === impl Around ===

impl<'a> Around<'a> {
    pub fn new(declaration: &'a Declaration, owners: Vec<Fields<'a>>) -> Self {
        Self { declaration, owners, known: RefCell::default() }
    }

    fn known(&self, path: &Path, list: &[Value]) -> Rc<List> {
        self.known.borrow_mut().entry(list.as_ptr()).or_insert_with(|| Rc::new(self.list(path))).clone()
    }

    fn list(&self, path: &Path) -> List {
        let names = |key: &MergeKey| key.fields().map(|(name, _)| name.to_owned()).collect();
        match self.declaration.find(path).map(|node| &node.shape) {
            Some(Shape::Elements(elements)) if !elements.is_empty() => return List::Keyed(names(&elements[0].0)),
            Some(Shape::Members(_)) => return List::Set,
            Some(Shape::Leaf(_)) => return List::Whole,
            _ => {}
        }
        let owned = self.owners.iter().filter_map(|owned| owned.at(path));
        let first = owned.flat_map(|fields| fields.children().map(|(step, _)| step).collect::<Vec<_>>()).next();
        match first {
            Some(Step::Key(key)) => List::Keyed(names(&key)),
            Some(Step::Value(_)) => List::Set,
            _ => List::Whole,
        }
    }
}

fn child_as_written<'v>(node: &'v Value, segment: &str) -> Option<&'v Value> {
    match node {
        Value::Object(fields) => fields.get(segment),
        Value::Array(elements) => elements.get(segment.parse::<usize>().ok()?),
        _ => None,
    }
}
