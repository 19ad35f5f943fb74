//! Exclusions: paths that are somebody else's business, by rule.
//!
//! They are subtracted from the *result* of a comparison (`drift = deviations − exclusions`). Objects are never mutilated before
//! comparing, so messages and patches always see them whole, and excluding more can only ever remove drift.

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
pub struct Exclusions(Vec<Pattern>);

/// A path in which some steps match more than one child. Covers everything below it, too.
type Pattern = Vec<Any>;

#[derive(Debug, Clone, PartialEq)]
enum Any {
    Step,
    Field(String),
    Element(MergeKey),
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

// === impl Pointer ===

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
    /// position, so that `containers/0` keeps meaning it after a sidecar was put before it.
    fn resolve(&self, manifest: &Value, keys: KeysAt<'_>) -> Pattern {
        let mut pattern = Pattern::new();
        let mut node = Some(manifest);
        let mut path = Vec::new();
        for segment in &self.0 {
            let element = node.and_then(Value::as_array).zip(segment.parse().ok());
            let key = element.and_then(|(list, index): (_, usize)| keys(&path, list.get(index)?));
            let step = match (segment.as_str(), key) {
                ("*", _) => Any::Step,
                (_, Some(key)) => Any::Element(key),
                (name, None) => Any::Field(name.to_owned()),
            };
            node = node.and_then(|node| child_as_written(node, segment));
            path.extend(step.to_step());
            pattern.push(step);
        }
        pattern
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
        let patterns = matching.flat_map(|rule| match rule.pointers.as_slice() {
            [] => vec![Pattern::new()],
            pointers => pointers.iter().map(|pointer| pointer.resolve(manifest, keys)).collect(),
        });
        Self(patterns.collect())
    }

    /// Is this place, or one above it, excluded?
    pub fn cover(&self, path: &Path) -> bool {
        self.0.iter().any(|pattern| covers(pattern, path))
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
            (Self::Element(_), _) => false,
        }
    }

    fn to_step(&self) -> Option<Step> {
        match self {
            Self::Step => None,
            Self::Field(name) => Some(Step::Field(name.as_str().into())),
            Self::Element(key) => Some(Step::Key(key.clone())),
        }
    }
}

fn covers(pattern: &[Any], path: &Path) -> bool {
    pattern.len() <= path.steps().len() && pattern.iter().zip(path.steps()).all(|(any, step)| any.matches(step))
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
