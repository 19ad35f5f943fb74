//! Why an object is, or is not, what Git says: every declared place with both values, its owners, its rule and the verdict.
//!
//! Values in, values out; `table` prints it.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::finding::{Judging, owners};
use super::places::{Leaf, beside, leaves};
use crate::core::breakglass;
use crate::core::compare::{Deviation, Kind};
use crate::core::exclude::Exclusions;
use crate::core::judge::is_mark;
use crate::core::mask::Mask;
use crate::core::object::ObjectKey;
use crate::core::path::Path;
use crate::core::say::link;
use crate::core::snapshot::Managed;
use crate::core::state::State;

/// What there is to know of one object.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Which object.
    #[serde(flatten)]
    pub object: ObjectKey,
    /// Does Git declare it?
    pub managed: bool,
    /// Where, if it does.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Declared>,
    /// The verdict on the object, in a sentence.
    pub summary: String,
    /// Every declared place, in Git's order.
    pub fields: Vec<Field>,
    /// What stands there besides and was written by somebody.
    pub undeclared: Vec<Field>,
}

/// Where Git declares an object, and what holds for it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Declared {
    /// The GitSync, as `namespace/name`.
    pub sync: String,
    /// The repository.
    pub repository: String,
    /// What the GitSync follows.
    pub target: String,
    /// The commit.
    pub revision: String,
    /// File in it.
    pub file: String,
    /// Line of the object.
    pub line: u32,
    /// Where a browser shows it, if the host is a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// What admission does about manual edits.
    pub admission: String,
    /// What is done about undeclared fields that people add.
    pub undeclared_fields: String,
}

/// One place. Values of Secrets are masked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Where.
    #[serde(serialize_with = "in_words")]
    pub path: Path,
    /// Git's value, as the API server reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<Value>,
    /// The cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// Line in Git's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The field managers that own it.
    pub owners: Vec<String>,
    /// What is thought of it.
    pub verdict: Verdict,
    /// The rule that makes it somebody else's business, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded: Option<String>,
}

/// What is thought of one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// It is what Git says.
    InSync,
    /// It is not, and that is drift.
    Drift,
    /// It is not, and a rule says that this is somebody else's business.
    Excluded,
    /// It is not, and a break-glass is open.
    BreakGlass,
    /// Git does not say anything about it, and whoever wrote it may.
    LeftAlone,
}

/// An object and what is found of it.
pub(super) struct Case<'a> {
    pub managed: &'a Managed,
    pub live: Option<&'a Value>,
    pub judging: Judging<'a>,
}

// === impl Explanation ===

impl Explanation {
    /// Of an object Git does not declare, and why that is so.
    pub(super) fn unmanaged(object: ObjectKey, why: String) -> Self {
        Self { object, managed: false, declared: None, summary: why, fields: Vec::new(), undeclared: Vec::new() }
    }

    /// Of an object Git declares.
    pub(super) fn of(case: &Case<'_>) -> Self {
        let Managed { manifest, sync, .. } = case.managed;
        let deviations = case.deviations();
        let (file, line) = (&manifest.origin.file, manifest.origin.lines.line);
        let mut mask = Mask::new(&manifest.key);
        let fields = case.fields(&deviations, &mut mask);
        let undeclared = case.undeclared(&deviations, &mut mask);
        Self {
            object: manifest.key.clone(),
            managed: true,
            declared: Some(Declared {
                sync: sync.name.clone(),
                repository: sync.repository.clone(),
                target: sync.target.clone(),
                revision: sync.revision.clone(),
                file: file.to_string(),
                line,
                link: link(&sync.repository, &sync.revision, file, line),
                admission: format!("{:?}", sync.mode),
                undeclared_fields: format!("{:?}", sync.undeclared),
            }),
            summary: case.summary(&deviations),
            fields,
            undeclared,
        }
    }
}

// === impl Case ===

impl Case<'_> {
    fn deviations(&self) -> Vec<Deviation> {
        match self.live {
            Some(live) => self.judging.deviations(self.managed, live),
            None => vec![Deviation::whole(Kind::Missing, self.managed)],
        }
    }

    /// Every declared place. Our own marks are only mentioned where they are wrong.
    fn fields(&self, deviations: &[Deviation], mask: &mut Mask<'_>) -> Vec<Field> {
        let mut fields = Vec::new();
        for Leaf { path, line, git } in leaves(&self.managed.declaration) {
            let deviates = deviations.iter().any(|deviation| deviation.path.covers(&path));
            if deviates || !is_mark(&path) {
                fields.push(self.field(path, Some((line, git)), deviations, mask));
            }
        }
        fields
    }

    /// Undeclared places: those that deviate, and those that do not because whoever wrote them may.
    fn undeclared(&self, deviations: &[Deviation], mask: &mut Mask<'_>) -> Vec<Field> {
        let Some(live) = self.live else { return Vec::new() };
        let undeclared = deviations.iter().filter(|found| matches!(found.kind, Kind::Added | Kind::Leftover));
        let mut paths: Vec<_> = undeclared.map(|deviation| deviation.path.clone()).collect();
        for path in beside(&self.managed.declaration, live) {
            if !paths.iter().any(|known| known.covers(&path)) {
                paths.push(path);
            }
        }
        paths.into_iter().map(|path| self.field(path, None, deviations, mask)).collect()
    }

    fn field(
        &self,
        path: Path,
        declared: Option<(u32, Value)>,
        deviations: &[Deviation],
        mask: &mut Mask<'_>,
    ) -> Field {
        let deviation = deviations.iter().find(|deviation| deviation.path.covers(&path));
        let deviates = deviation.is_some();
        let live = self.live.and_then(|live| path.find(live));
        let (at, git) = declared.unzip();
        let exclusions = self.exclusions();
        let excluded = deviation.and_then(|deviation| exclusions.excusing(deviation));
        let excluded = excluded.or_else(|| exclusions.covering(&path)).map(str::to_owned);
        Field {
            verdict: match (deviates, &excluded) {
                (false, _) if git.is_none() => Verdict::LeftAlone,
                (false, _) => Verdict::InSync,
                (true, Some(_)) => Verdict::Excluded,
                (true, None) if self.is_open() => Verdict::BreakGlass,
                (true, None) => Verdict::Drift,
            },
            git: git.map(|git| mask.value(&path, &git)),
            live: live.map(|live| mask.value(&path, live)),
            line: at,
            owners: self.live.map(|live| owners(live, &path, |_| true)).unwrap_or_default(),
            excluded,
            path,
        }
    }

    /// What is excluded of the object as it is.
    fn exclusions(&self) -> Cow<'_, Exclusions> {
        match self.live {
            Some(live) => Cow::Owned(self.managed.excluded(&State::whole(live)).into_owned()),
            None => Cow::Borrowed(&self.managed.exclusions),
        }
    }

    fn is_open(&self) -> bool {
        self.live.is_some_and(|live| breakglass::open(&State::whole(live), self.judging.now).is_some())
    }

    fn summary(&self, deviations: &[Deviation]) -> String {
        let (sync, exclusions) = (&self.managed.sync, self.exclusions());
        let drift = deviations.iter().filter(|deviation| exclusions.excusing(deviation).is_none()).count();
        let standing = self.judging.standing(sync, self.live).map(|note| format!("; {note}")).unwrap_or_default();
        let healed = if standing.is_empty() { "; it would be healed" } else { "" };
        match (self.live, drift, deviations.len()) {
            (None, 0, _) => "not in the cluster, which a rule excludes".to_owned(),
            (None, ..) => format!("not in the cluster{standing}{}", healed.replace("healed", "created")),
            (Some(_), 0, 0) => format!("in sync{standing}"),
            (Some(_), 0, excluded) => format!("in sync; differs in {excluded} excluded place(s){standing}"),
            (Some(_), drift, _) if !exclusions.failed().is_empty() => {
                let failed = exclusions.failed().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                format!("differs in {drift} place(s), and whether that is drift is not known: {failed}")
            }
            (Some(_), drift, _) => format!("drift in {drift} place(s){healed}{standing}"),
        }
    }
}

fn in_words<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}
