//! The verdict on an edit, in the order of the decision table.
//!
//! A verdict is a value: what is to happen and why, a closed enum that metrics, records, tests and messages are all read off.
//! The edges only translate (`webhook::review` in, HTTP out).

mod marks;
mod verdict;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::breakglass::{self, Glass, Limits, Refused};
use super::compare::{Deviation, Kind, Scope, compare};
use super::drift::{Change, failed_rules, introduced};
use super::exclude::RuleError;
use super::fields::{Entry, fields_that_differ};
use super::guard::{Guard, Tool};
use super::names::FIELD_MANAGER;
use super::object::ObjectKey;
use super::observe::observed;
use super::ownership::{is_forged, is_wiped};
use super::snapshot::{Managed, Mode, Snapshot, Sync, Undeclared};
use super::state::State;
use super::undeclared::{Look, undeclared};
use super::who::{Class, Identities, User};
pub use marks::is_mark;
use marks::{claims_to_be_managed, exempts_itself, forges_mark, is_finalizer, moves_finalizers, moves_owners};
pub use verdict::{Judgement, Verdict, Why};

/// An edit of one object, as an admission review shows it.
pub struct Edit<'a> {
    /// Which object. For `scale`, the parent's.
    pub key: &'a ObjectKey,
    /// Who asks.
    pub user: &'a User,
    /// What they do.
    pub action: Action<'a>,
    /// The field manager they chose, if they chose one.
    pub manager: Option<&'a str>,
    /// May this user break glass on this object's sync? Asked of RBAC only when something hangs on it.
    pub may_break_glass: bool,
    /// When.
    pub now: Timestamp,
}

/// What an edit does.
pub enum Action<'a> {
    /// Makes the object.
    Create(State<'a>),
    /// Changes it, within these sections. Labels, annotations and owner references are always there, in scope or not:
    /// marks and break-glass are read off them.
    Update(State<'a>, State<'a>, Scope<'a>),
    /// Changes `spec.replicas` through the scale subresource: the `Scale`s, or the objects they scale. What break-glass the parent carries is known from elsewhere.
    Scale(State<'a>, State<'a>, Option<Glass>),
    /// Deletes it.
    Delete(State<'a>),
    /// Deletes it through the eviction subresource, which does not show it; likewise with the break-glass it carries.
    Evict(Option<Glass>),
}

/// What the judge knows besides the edit.
pub struct Court<'a> {
    /// The desired state.
    pub snapshot: &'a Snapshot,
    /// Who is who.
    pub identities: &'a Identities,
    /// How long a break-glass may last.
    pub limits: &'a Limits,
    /// Is nobody refused, and only noted who would have been?
    pub observe_only: bool,
}

/// The rules a `DriftPolicy` can change.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who is who.
    pub identities: Identities,
    /// How long a break-glass may last.
    pub limits: Limits,
    /// Is nobody refused, and nothing undone? What would have been is told.
    pub observe_only: bool,
    /// What is guarded for other tools.
    pub guards: Arc<[Guard]>,
}

/// Judges an edit.
pub fn judge(edit: &Edit<'_>, court: &Court<'_>) -> Judgement {
    let judgement = enforced(edit, court);
    if court.observe_only { observed(judgement) } else { judgement }
}

fn enforced(edit: &Edit<'_>, court: &Court<'_>) -> Judgement {
    let class = court.identities.class(edit.user);
    if class == Class::Ourselves {
        return ourselves(edit, court);
    }
    let Some(managed) = court.snapshot.get(edit.key) else { return unmanaged(edit, class, court) };
    if managed.sync.mode == Mode::Off {
        return Judgement::of(Verdict::Allow, Why::Off);
    }
    let case = Case { edit, class, managed, court };
    let judgement = case.judge();
    Judgement { failed: case.failed_rules(&judgement), ..judgement }
}

/// Our own writes carry our field manager, and deletions of ours never get here. So whatever else comes under our account is
/// somebody else's doing, by impersonation or with a stolen token: nobody refuses it, but it does not go unnoticed.
fn ourselves(edit: &Edit<'_>, court: &Court<'_>) -> Judgement {
    let is_ours = edit.manager == Some(FIELD_MANAGER) || court.snapshot.get(edit.key).is_none();
    if is_ours { Judgement::of(Verdict::Allow, Why::Ourselves) } else { Judgement::of(Verdict::Note, Why::InOurGuise) }
}

/// An edit of an object Git does not declare. Two things are still ours: a namespace that holds managed objects, and marks
/// that would make the object look managed.
fn unmanaged(edit: &Edit<'_>, class: Class, court: &Court<'_>) -> Judgement {
    let guarded = matches!(class, Class::Automation | Class::Person);
    match &edit.action {
        Action::Delete(old) if edit.key.kind == "Namespace" && edit.key.group.is_empty() => {
            delete_namespace(edit, old, guarded, court)
        }
        Action::Create(new) if guarded && claims_to_be_managed(edit.key, None, new) => {
            Judgement::of(Verdict::Deny, Why::Forged)
        }
        Action::Update(old, new, _) if guarded && claims_to_be_managed(edit.key, Some(old), new) => {
            Judgement::of(Verdict::Deny, Why::Forged)
        }
        _ => Judgement::of(Verdict::Allow, Why::Unmanaged),
    }
}

fn delete_namespace(edit: &Edit<'_>, old: &State<'_>, guarded: bool, court: &Court<'_>) -> Judgement {
    match court.snapshot.held_by(&edit.key.name) {
        0 => Judgement::of(Verdict::Allow, Why::Unmanaged),
        _ if is_terminating(old) => Judgement::of(Verdict::Allow, Why::Terminating),
        held if guarded => Judgement::of(Verdict::Deny, Why::NamespaceDelete(held)),
        _ => Judgement::of(Verdict::Note, Why::Controller),
    }
}

/// An edit of a managed object under judgement.
struct Case<'a> {
    edit: &'a Edit<'a>,
    class: Class,
    managed: &'a Managed,
    court: &'a Court<'a>,
}

/// What an edit has to do with break-glass.
enum Emergency {
    None,
    /// This very edit opens one, with the right to.
    Opened(Glass),
    /// One is open on the object, whoever opened it.
    Open(Glass),
    /// This edit closes one.
    Closed,
}

// === impl Case ===

impl Case<'_> {
    fn judge(&self) -> Judgement {
        match &self.edit.action {
            Action::Delete(old) => self.delete(old),
            Action::Create(new) => self.create(new),
            Action::Update(old, new, scope) => self.update(old, new, *scope),
            Action::Evict(glass) => {
                let emergency = glass.clone().map_or(Emergency::None, Emergency::Open);
                self.remove(&State::whole(&self.managed.manifest.value()), emergency)
            }
            Action::Scale(old, new, glass) => {
                let emergency = glass.clone().map_or(Emergency::None, Emergency::Open);
                let owned = self.owned_by_scaler(old, new);
                self.weigh(self.introduced(old, &State::whole(&owned), Scope::Only(&["spec"])), emergency, Why::Drift)
            }
        }
    }

    /// A `Scale` does not show who owns what; afterwards, whoever scales owns the replicas. Those who do not say by which
    /// manager go by a name that only the API server knows (`kubectl scale` is `kubectl`): rules by manager do not know them.
    fn owned_by_scaler(&self, old: &State<'_>, new: &State<'_>) -> Value {
        let replicas = json!({"f:spec": fields_that_differ(&old.object["spec"], &new.object["spec"])});
        let entry = |manager: &str| json!({"manager": manager, "operation": "Update", "subresource": "scale", "fieldsV1": replicas});
        let mut object = new.object.clone();
        object["metadata"]["managedFields"] = self.edit.manager.map(entry).into_iter().collect();
        object
    }

    /// Only what is brought in could have been excluded.
    fn failed_rules(&self, judgement: &Judgement) -> Vec<RuleError> {
        match &self.edit.action {
            _ if judgement.introduced.is_empty() => Vec::new(),
            Action::Create(state)
            | Action::Update(_, state, _)
            | Action::Scale(_, state, _)
            | Action::Delete(state) => failed_rules(self.managed, state),
            Action::Evict(_) => failed_rules(self.managed, &State::whole(&self.managed.manifest.value())),
        }
    }

    fn delete(&self, old: &State<'_>) -> Judgement {
        if is_terminating(old) {
            return Judgement::of(Verdict::Allow, Why::Terminating);
        }
        self.remove(old, breakglass::open(old, self.edit.now).map_or(Emergency::None, Emergency::Open))
    }

    fn remove(&self, old: &State<'_>, emergency: Emergency) -> Judgement {
        let mut gone = vec![Deviation::whole(Kind::Missing, self.managed)];
        self.managed.excluded(old).subtract_from(&mut gone);
        self.weigh(gone, emergency, Why::Delete)
    }

    /// Anybody may put back what Git says, and without the marks: adding those is our part. Whoever creates an object owns its
    /// defaults, so what was *added* to Git's object can only be told where the defaults are known.
    fn create(&self, new: &State<'_>) -> Judgement {
        let Managed { declaration, .. } = self.managed;
        let exclusions = &*self.managed.excluded(new);
        let mut found = compare(declaration, new, Scope::Whole);
        if declaration.pristine.is_some() && self.managed.sync.undeclared != Undeclared::Allow {
            let is_person = |entry: &Entry<'_>| self.is_person(entry);
            let look = Look { is_person: &is_person, scope: Scope::Whole, before: None, exclusions };
            found.extend(undeclared(declaration, new, &look));
        }
        exclusions.subtract_from(&mut found);
        found.retain(|deviation| !is_mark(&deviation.path) || deviation.kind == Kind::Changed);
        let exempts = self.class != Class::Controller && exempts_itself(&self.managed.manifest, None, new);
        match if exempts { Err(Why::Marks) } else { self.emergency(None, new) } {
            Ok(emergency) => self.weigh(found, emergency, Why::Drift),
            Err(why) => Judgement { introduced: found, ..Judgement::of(Verdict::Deny, why) },
        }
    }

    fn update(&self, old: &State<'_>, new: &State<'_>, scope: Scope<'_>) -> Judgement {
        let mut introduced = self.introduced(old, new, scope);
        if is_terminating(old) {
            introduced.retain(|deviation| !is_finalizer(&deviation.path));
        }
        let guarded = self.class != Class::Controller;
        let tampering = guarded.then(|| self.tampering(old, new, scope, &introduced)).flatten();
        match self.emergency(Some(old), new).and_then(|emergency| tampering.map_or(Ok(emergency), Err)) {
            Ok(emergency) => self.weigh(introduced, emergency, Why::Drift),
            Err(why) => Judgement { introduced, ..Judgement::of(Verdict::Deny, why) },
        }
    }

    fn introduced(&self, old: &State<'_>, new: &State<'_>, scope: Scope<'_>) -> Vec<Deviation> {
        introduced(self.managed, &Change { old, new, scope, is_person: &|entry| self.is_person(entry) })
    }

    /// People are known here by who they are; in the cluster, afterwards, only by the tool they used.
    fn is_person(&self, entry: &Entry<'_>) -> bool {
        let theirs = self.class == Class::Person && self.edit.manager.is_none_or(|manager| manager == entry.manager);
        theirs || self.court.identities.is_interactive(entry)
    }

    /// What nobody may do to a managed object, whatever the mode and the emergency.
    fn tampering(&self, old: &State<'_>, new: &State<'_>, scope: Scope<'_>, introduced: &[Deviation]) -> Option<Why> {
        let git = &*self.managed.manifest;
        let lost = |deviation: &Deviation| deviation.kind == Kind::Removed && self.court.observe_only;
        let touched = |deviation: &Deviation| is_mark(&deviation.path) && !lost(deviation);
        let forged = introduced.iter().any(touched) || forges_mark(old, new, &self.edit.user.name);
        if forged || exempts_itself(git, Some(old), new) {
            return Some(Why::Marks);
        }
        let impostor = self.edit.manager == Some(FIELD_MANAGER);
        let version = Some(&*git.api_version);
        let wiped = |tool: &Tool| is_wiped(old, new, scope, &|entry| tool.wrote(entry));
        if impostor || is_forged(old, new, scope, version) || self.managed.sync.tool.as_deref().is_some_and(wiped) {
            return Some(Why::Ownership);
        }
        if moves_owners(old, new) {
            return Some(Why::OwnerReferences);
        }
        let person = self.class == Class::Person;
        (person && !is_terminating(old) && moves_finalizers(git, old, new)).then_some(Why::Finalizers)
    }

    /// What the edit has to do with break-glass, or why one is refused. Controllers have no emergencies.
    fn emergency(&self, old: Option<&State<'_>>, new: &State<'_>) -> Result<Emergency, Why> {
        if self.class == Class::Controller {
            return Ok(Emergency::None);
        }
        let Edit { user, now, .. } = self.edit;
        match breakglass::change(old, new, self.court.limits).map_err(Why::Refused)? {
            breakglass::Change::Open(_) if !self.edit.may_break_glass => Err(Why::Refused(self.no_right())),
            breakglass::Change::Open(request) => {
                let glass = breakglass::check_stamps(&request, new, &user.name, *now);
                glass.map(Emergency::Opened).map_err(Why::Refused)
            }
            breakglass::Change::Forged => Err(Why::Refused(Refused::ForgedStamps)),
            breakglass::Change::Close => Ok(Emergency::Closed),
            breakglass::Change::None => Ok(breakglass::open(new, *now).map_or(Emergency::None, Emergency::Open)),
        }
    }

    fn no_right(&self) -> Refused {
        let (resource, name) = self.managed.sync.door();
        Refused::NoRight { user: self.edit.user.name.clone(), resource, name: name.to_owned() }
    }

    fn weigh(&self, introduced: Vec<Deviation>, emergency: Emergency, offence: Why) -> Judgement {
        let (verdict, why) = match emergency {
            Emergency::Opened(glass) => (Verdict::Note, Why::BreakGlass(glass)),
            Emergency::Closed if introduced.is_empty() => (Verdict::Note, Why::BreakGlassClosed),
            _ if introduced.is_empty() => (Verdict::Allow, Why::EqualsGit),
            _ if self.class == Class::Controller => (Verdict::Note, Why::Controller),
            Emergency::Open(glass) if self.edit.may_break_glass => (Verdict::Note, Why::BreakGlass(glass)),
            _ if self.managed.sync.suspended_at(self.edit.now).is_some() => (Verdict::Mark, Why::Suspended),
            _ => (self.by_mode(&introduced), offence),
        };
        Judgement { introduced, ..Judgement::of(verdict, why) }
    }

    fn by_mode(&self, introduced: &[Deviation]) -> Verdict {
        let Sync { mode, undeclared, .. } = *self.managed.sync;
        let only_added = introduced.iter().all(|deviation| deviation.kind == Kind::Added);
        match mode {
            Mode::Deny if only_added && undeclared == Undeclared::Warn => Verdict::Warn,
            Mode::Deny => Verdict::Deny,
            Mode::Warn => Verdict::Warn,
            Mode::Annotate => Verdict::Mark,
            Mode::Off => Verdict::Allow,
        }
    }
}

fn is_terminating(old: &State<'_>) -> bool {
    old.object.pointer("/metadata/deletionTimestamp").is_some()
}
