//! Exclusions: paths that are somebody else's business, by rule.
//!
//! They are subtracted from the *result* of a comparison (`drift = deviations − exclusions`). Objects are never mutilated before
//! comparing, so messages and patches always see them whole, and excluding more can only ever remove drift.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::compare::Deviation;
use super::object::ObjectKey;
use super::path::{MergeKey, Path, Step};

/// One rule, as meant: which objects, and which of their places.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Objects the rule speaks of.
    pub objects: Selector,
    /// Places to leave alone. Empty means the whole object.
    pub pointers: Vec<Pointer>,
}

/// Globs (`*` for any run of characters) over an object's identity; an absent one matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// API group; the core group is the empty string.
    pub group: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Namespace; never matches cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
}

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
}

/// The places of one object that rules exclude, resolved against its manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exclusions(Vec<Excluded>);

/// A place that is excluded, and the rule it is excluded by, in words.
#[derive(Debug, Clone, PartialEq)]
struct Excluded {
    pattern: Pattern,
    by: Arc<str>,
}

/// A path in which some steps match more than one child. Covers everything below it, too.
type Pattern = Vec<Any>;

#[derive(Debug, Clone, PartialEq)]
enum Any {
    Step,
    Field(String),
    Element(MergeKey),
    Member(Value),
}

// === impl Rule ===

impl Rule {
    fn places(&self, pointer: &Pointer, manifest: &Value, keys: KeysAt<'_>) -> Vec<Excluded> {
        let by: Arc<str> = format!("{pointer} of {}", self.objects).into();
        let patterns = pointer.resolve(manifest, keys).into_iter();
        patterns.map(|pattern| Excluded { pattern, by: by.clone() }).collect()
    }
}

// === impl Selector ===

impl Selector {
    /// Does the selector match this object?
    pub fn matches(&self, key: &ObjectKey) -> bool {
        let Self { group, kind, namespace, name } = self;
        let fits = |pattern: &Option<String>, text: &str| pattern.as_deref().is_none_or(|pattern| glob(pattern, text));
        fits(group, &key.group)
            && fits(kind, &key.kind)
            && fits(name, &key.name)
            && (namespace.is_none() || key.namespace.as_deref().is_some_and(|text| fits(namespace, text)))
    }
}

impl fmt::Display for Selector {
    /// `kind=Deployment, name=web`: what a rule says of objects, in the words it is written in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, kind, namespace, name } = self;
        let said = [("group", group), ("kind", kind), ("namespace", namespace), ("name", name)];
        let said: Vec<_> =
            said.iter().filter_map(|(field, glob)| glob.as_ref().map(|glob| format!("{field}={glob:?}"))).collect();
        if said.is_empty() { write!(f, "every object") } else { write!(f, "{}", said.join(" ")) }
    }
}

// === impl Pointer ===

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

impl std::str::FromStr for Pointer {
    type Err = BadPointer;

    fn from_str(text: &str) -> Result<Self, BadPointer> {
        let rest = text.strip_prefix('/').ok_or_else(|| BadPointer::NoSlash(text.to_owned()))?;
        let segment = |segment: &str| unescape(segment).ok_or_else(|| BadPointer::BadEscape(text.to_owned()));
        rest.split('/').map(segment).collect::<Result<_, _>>().map(Self)
    }
}

impl Pointer {
    /// Resolves the pointer against a manifest: a number under a list becomes the merge key of Git's element at that
    /// position, so that `containers/0` keeps meaning it after a sidecar was put before it. A position below `*` means
    /// another key under each of Git's elements, so the pointer becomes several patterns.
    fn resolve(&self, manifest: &Value, keys: KeysAt<'_>) -> Vec<Pattern> {
        let mut starts = vec![Resolving { pattern: Pattern::new(), place: Some((Vec::new(), manifest)) }];
        for (at, segment) in self.0.iter().enumerate() {
            let positions_follow = self.0[at + 1..].iter().any(|segment| segment.parse::<usize>().is_ok());
            starts = starts.into_iter().flat_map(|start| start.down(segment, positions_follow, keys)).collect();
        }
        starts.into_iter().map(|resolved| resolved.pattern).collect()
    }
}

/// A pointer on its way down a manifest.
struct Resolving<'v> {
    pattern: Pattern,
    /// The path so far and Git's node there, as long as the pointer leads to one place in Git.
    place: Option<(Vec<Step>, &'v Value)>,
}

// === impl Resolving ===

impl Resolving<'_> {
    fn down(self, segment: &str, positions_follow: bool, keys: KeysAt<'_>) -> Vec<Self> {
        if segment != "*" {
            return vec![self.to(segment, keys)];
        }
        let each = if positions_follow { self.each_in_git(keys) } else { Vec::new() };
        let pattern = self.pattern.into_iter().chain([Any::Step]).collect();
        each.into_iter().chain([Self { pattern, place: None }]).collect()
    }

    fn to(&self, segment: &str, keys: KeysAt<'_>) -> Self {
        let below = self.place.as_ref().and_then(|(path, node)| {
            let child = child_as_written(node, segment)?;
            let step = match (node, child) {
                (Value::Array(_), Value::Object(_)) => Step::Key(keys(path, child)?),
                (Value::Array(_), member) => Step::Value(member.clone()),
                _ => Step::Field(segment.into()),
            };
            Some((step, child))
        });
        let any = below.as_ref().map_or_else(|| Any::Field(segment.to_owned()), |(step, _)| Any::of(step));
        let place =
            below.zip(self.place.as_ref()).map(|((step, child), (path, _))| ([&path[..], &[step]].concat(), child));
        Self { pattern: [&self.pattern[..], &[any]].concat(), place }
    }

    fn each_in_git(&self, keys: KeysAt<'_>) -> Vec<Self> {
        let names: Vec<String> = match self.place.as_ref().map(|(_, node)| node) {
            Some(Value::Object(fields)) => fields.keys().cloned().collect(),
            Some(Value::Array(elements)) => (0..elements.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        names.iter().map(|name| self.to(name, keys)).collect()
    }
}

/// Tells the merge key of a manifest's list element, given the path of its list.
pub type KeysAt<'a> = &'a dyn Fn(&[Step], &Value) -> Option<MergeKey>;

// === impl Exclusions ===

impl Exclusions {
    /// The union of all rules that speak of this object.
    pub fn resolve<'r>(
        rules: impl IntoIterator<Item = &'r Rule>,
        key: &ObjectKey,
        manifest: &Value,
        keys: KeysAt<'_>,
    ) -> Self {
        let matching = rules.into_iter().filter(|rule| rule.objects.matches(key));
        let excluded = matching.flat_map(|rule| match rule.pointers.as_slice() {
            [] => vec![Excluded { pattern: Pattern::new(), by: format!("the whole of {}", rule.objects).into() }],
            pointers => pointers.iter().flat_map(|pointer| rule.places(pointer, manifest, keys)).collect(),
        });
        Self(excluded.collect())
    }

    /// Is this place, or one above it, excluded?
    pub fn cover(&self, path: &Path) -> bool {
        self.covering(path).is_some()
    }

    /// The rule that excludes this place, or one above it, in words.
    pub fn covering(&self, path: &Path) -> Option<&str> {
        self.0.iter().find(|excluded| covers(&excluded.pattern, path)).map(|excluded| &*excluded.by)
    }

    /// Is this element of the list at `path` excluded as a whole? For where nothing tells its merge key.
    pub fn cover_element(&self, path: &Path, element: &Value) -> bool {
        self.0.iter().any(|Excluded { pattern, .. }| match pattern.split_last() {
            Some((last, above)) => {
                above.len() == path.steps().len() && fits(above, path) && last.matches_element(element)
            }
            None => false,
        })
    }

    /// Is something strictly below this place excluded, and it itself is not?
    pub fn reach_below(&self, path: &Path) -> bool {
        self.0.iter().any(|Excluded { pattern, .. }| pattern.len() > path.steps().len() && fits(pattern, path))
    }

    /// `deviations − exclusions`.
    pub fn subtract_from(&self, deviations: &mut Vec<Deviation>) {
        if !self.0.is_empty() {
            deviations.retain(|deviation| !self.cover(&deviation.path));
        }
    }

    /// Is nothing excluded?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

// === impl Any ===

impl Any {
    fn matches(&self, step: &Step) -> bool {
        match (self, step) {
            (Self::Step, _) => true,
            (Self::Field(name), step) => step.is_field(name),
            (Self::Element(key), Step::Key(other)) => key == other,
            (Self::Member(value), Step::Value(other)) => value == other,
            (Self::Element(_) | Self::Member(_), _) => false,
        }
    }

    fn matches_element(&self, element: &Value) -> bool {
        match self {
            Self::Step => true,
            Self::Field(_) => false,
            Self::Element(key) => key.matches(element),
            Self::Member(value) => value == element,
        }
    }

    fn of(step: &Step) -> Self {
        match step {
            Step::Field(name) => Self::Field(name.to_string()),
            Step::Key(key) => Self::Element(key.clone()),
            Step::Value(value) => Self::Member(value.clone()),
        }
    }
}

fn covers(pattern: &[Any], path: &Path) -> bool {
    pattern.len() <= path.steps().len() && fits(pattern, path)
}

/// Do the two agree as far as both go?
fn fits(pattern: &[Any], path: &Path) -> bool {
    pattern.iter().zip(path.steps()).all(|(any, step)| any.matches(step))
}

fn child_as_written<'v>(node: &'v Value, segment: &str) -> Option<&'v Value> {
    match node {
        Value::Object(fields) => fields.get(segment),
        Value::Array(elements) => elements.get(segment.parse::<usize>().ok()?),
        _ => None,
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

/// Does `text` match `pattern`, in which `*` stands for any run of characters?
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests;
