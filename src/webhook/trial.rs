//! One review before the judge: everything the verdict can depend on, and the questions that may have to be asked first.
//!
//! A verdict is first sought assuming that nobody may break glass. Only if that one is not a pass, and a break-glass is in
//! play, is the API server asked, and the edit judged again with the answer: nearly every review is decided without a
//! round trip.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::aside;
use super::object::Object;
use super::parts::{Look, Parts, Side, Sides};
use super::review::{Resource, Review, Unreadable};
use super::subject::Subject;
use super::upstream::{Place, Requester, Right, Unanswered, Upstream};
use crate::api::{Emergency, GuardedGlass};
use crate::core::breakglass::{self, Glass, Refused, stamped};
use crate::core::compare::Scope;
use crate::core::declaration::Declaration;
use crate::core::exclude::Surroundings;
use crate::core::judge::{Action, Court, Edit, Judgement, Rules, Verdict, Why, judge};
use crate::core::names::BREAK_GLASS;
use crate::core::object::ObjectKey;
use crate::core::snapshot::{Managed, Mode, Snapshot, Undeclared};
use crate::core::stamp::{self, Stamps, Write};
use crate::core::state::State;
use crate::core::undeclared::differs_undeclared;
use crate::core::who::Class;
use crate::evidence::record;

/// An edit ready to be judged.
pub(super) struct Trial<'a> {
    /// Which object.
    pub key: ObjectKey,
    /// What Git declares for it, if it does.
    pub managed: Option<Arc<Managed>>,
    /// Who asks.
    pub requester: Requester,
    /// Which tool they say they use.
    pub manager: Option<String>,
    /// When.
    pub now: Timestamp,
    /// Whose edits and objects there are.
    pub around: Arc<Surroundings>,
    parts: Parts<'a>,
    /// As what the object is served.
    resource: Resource<'a>,
    through: Through,
    /// Is a break-glass annotation on either side?
    has_break_glass: bool,
    snapshot: Arc<Snapshot>,
    rules: Arc<Rules>,
}

/// By which way the object is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Through {
    /// Itself.
    Itself,
    /// Its `scale` subresource.
    Scale,
    /// Its `eviction` subresource.
    Eviction,
}

/// What the API server said about an emergency.
#[derive(Default)]
struct Asked {
    may_break_glass: bool,
    of_parent: Option<Glass>,
}

// === impl Trial ===

impl<'a> Trial<'a> {
    /// Prepares a review; `None` if it is about nothing of ours.
    pub(super) fn open(
        review: Review<'a>,
        snapshot: Arc<Snapshot>,
        rules: Arc<Rules>,
        around: Arc<Surroundings>,
        now: Timestamp,
    ) -> Result<Option<Self>, Unreadable> {
        let (key, through) = match Subject::of(&review, &snapshot) {
            Subject::NotOurs => return Ok(None),
            Subject::Object(key) => (key, Through::Itself),
            Subject::Scale(key) => (key, Through::Scale),
            Subject::Eviction(key) => (key, Through::Eviction),
        };
        let only_metadata = review.sub_resource == "status";
        let tool = review.manager().map(str::to_owned);
        let Review { operation, user_info: requester, object, old_object, resource, .. } = review;
        let objects = Sides::of(operation, old_object, object).ok_or(Unreadable::NoObject)?;
        let managed = snapshot.get(&key).cloned();
        let has_break_glass = has_break_glass(&objects);
        let look = if only_metadata { Look::Metadata } else { look(managed.as_deref()) };
        let parts = Parts::read(objects, look)?;
        Ok(Some(Self {
            key,
            managed,
            requester,
            manager: tool,
            now,
            around,
            resource,
            parts,
            through,
            has_break_glass,
            snapshot,
            rules,
        }))
    }

    /// A custom resource may keep its replicas anywhere; a `Scale` does not say where. They are compared in the version they are
    /// declared in.
    pub(super) async fn locate_replicas(&mut self, upstream: &dyn Upstream) -> Result<(), Unanswered> {
        let Some(managed) = self.managed.as_ref().filter(|_| self.through == Through::Scale) else { return Ok(()) };
        let place = self.place();
        if !place.may_be_custom() {
            return Ok(());
        }
        let version = managed.manifest.api_version.rsplit('/').next().unwrap_or_default().to_owned();
        let declared = Place { version, ..place };
        if let Some(path) = upstream.replicas_path(&declared).await? {
            self.parts.move_replicas_to(&path);
        }
        Ok(())
    }

    /// The verdict, after asking whatever it hangs on.
    pub(super) async fn verdict(&self, upstream: &dyn Upstream) -> Result<Judgement, Unanswered> {
        let learned = self.learn_defaults(upstream).await?;
        let snapshot = learned.as_ref().unwrap_or(&self.snapshot);
        let scaled = self.scaled_whole(upstream).await?;
        let judge = |asked| self.judge(snapshot, asked, scaled.as_ref());
        let judge = |asked| if self.takes_long() { aside::work(|| judge(asked)) } else { judge(asked) };
        let judgement = judge(Asked::default());
        match &self.managed {
            Some(managed) if !passes(judgement.verdict) => match self.emergency(managed, upstream).await? {
                Some(asked) => Ok(judge(asked)),
                None => Ok(judgement),
            },
            _ => Ok(judgement),
        }
    }

    /// What break-glass stamps the edit needs. Objects that are not guarded have no emergencies, and neither have those who
    /// are never denied.
    pub(super) fn stamps(&self) -> Result<Stamps, Refused> {
        let Some(new) = self.parts.sides.after().filter(|_| self.has_break_glass && self.is_guarded()) else {
            return Ok(Stamps::Untouched);
        };
        let old = self.parts.sides.before().map(|old| old.state());
        stamp::stamps(old.as_ref(), &new.state(), &self.rules.limits, &self.requester.user.name, self.now)
    }

    /// Can the verdict be one that leaves a mark? Asked before judging. Whom no pause can reach, in no mode that marks, is not.
    pub(super) fn may_be_marked(&self) -> bool {
        let marks = |mode| matches!(mode, Mode::Annotate | Mode::Deny);
        let suspended = |managed: &Managed| managed.sync.suspended_at(self.now).is_some();
        let may = |managed: &Managed| managed.sync.tool.is_none() && (marks(managed.sync.mode) || suspended(managed));
        self.managed.as_deref().is_some_and(may)
    }

    /// The mark this judgement leaves on the object. What is being deleted takes no mark, and a `Scale` has no place for one.
    ///
    /// What would be refused is marked as well: `/validate`, asked a moment later or by another replica, may know already that the
    /// sync is paused, and what it then lets pass must not be without its mark. If it does refuse, nothing of this is stored.
    pub(super) fn mark(&self, judgement: &Judgement) -> Option<Write> {
        let Judgement { verdict, why, .. } = judgement;
        let may_pass = *verdict == Verdict::Mark || (*verdict == Verdict::Deny && *why == Why::Drift);
        let new = self.parts.sides.after().filter(|_| may_pass && self.through == Through::Itself)?;
        let old = self.parts.sides.before().map(|old| old.state());
        stamp::mark(old.as_ref(), &new.state(), &self.requester.user.name, &judgement.introduced, self.now)
    }

    /// Does this very edit open a break-glass?
    pub(super) fn opens_break_glass(&self) -> bool {
        let Some(new) = self.parts.sides.after().filter(|_| self.has_break_glass) else { return false };
        let old = self.parts.sides.before().map(|old| old.state());
        let change = breakglass::change(old.as_ref(), &new.state(), &self.rules.limits);
        matches!(change, Ok(breakglass::Change::Open(_)))
    }

    /// What this edit, which has passed, makes of the break-glass of an object that a guard protects. One that is prolonged takes the
    /// place of the one before.
    pub(super) fn emergencies_of_a_guard(&self, kind: record::Kind) -> Vec<Emergency> {
        let tool = self.managed.as_deref().and_then(|managed| Some((managed, managed.sync.tool.as_deref()?)));
        let Some((managed, tool)) = tool else { return Vec::new() };
        let glass = |side: Option<&Side<'_>>| stamped(&side?.state());
        let name = |glass: &Glass| GuardedGlass::name(&self.key, glass.until);
        let (opens, closes) = (kind == record::Kind::BreakGlassOpened, kind == record::Kind::BreakGlassClosed);
        let before = glass(self.parts.sides.before()).filter(|_| opens || closes);
        let after = glass(self.parts.sides.after()).filter(|_| opens);
        let closed = before.map(|glass| Emergency { name: name(&glass), open: None });
        let place = (&*managed.manifest.api_version, &self.key);
        let opened = after.map(|glass| Emergency {
            name: name(&glass),
            open: Some(GuardedGlass::new(&tool.guard, place, glass, self.now)),
        });
        closed.into_iter().chain(opened).collect()
    }

    /// Has the object, as it would be stored, any annotations?
    pub(super) fn is_annotated(&self) -> bool {
        let new = self.parts.sides.after();
        new.is_some_and(|new| new.state().metadata("annotations").is_some())
    }

    /// What is done, as admission calls it.
    pub(super) fn verb(&self) -> &'static str {
        match self.parts.sides {
            Sides::Create(_) if self.through == Through::Eviction => "DELETE",
            Sides::Create(_) => "CREATE",
            Sides::Update(..) => "UPDATE",
            Sides::Delete(_) => "DELETE",
        }
    }

    /// A person who creates an object owns its defaults, and what they added can only be told from those where they are known.
    /// Nearly always they are, or nothing was added; the object judged by then is a snapshot of its own.
    async fn learn_defaults(&self, upstream: &dyn Upstream) -> Result<Option<Snapshot>, Unanswered> {
        let (Some(managed), Sides::Create(new), Through::Itself) = (&self.managed, &self.parts.sides, &self.through)
        else {
            return Ok(None);
        };
        let is_person = self.rules.identities.class(&self.requester.user) == Class::Person;
        let Managed { sync, declaration, manifest, .. } = &**managed;
        let matters = is_person && sync.mode != Mode::Off && sync.undeclared != Undeclared::Allow;
        let nothing = Value::Null;
        let known = declaration.pristine.is_some();
        if known || !matters || !differs_undeclared(declaration, &nothing, new.state().object, Scope::Whole) {
            return Ok(None);
        }
        let pristine = upstream.pristine(&self.place(), &manifest.value()).await?;
        Ok(pristine.map(|pristine| {
            let declaration = Declaration { pristine: Some(Box::new(pristine)), ..declaration.clone() };
            Snapshot::new([Arc::new(Managed { declaration, ..Managed::clone(managed) })])
        }))
    }

    fn judge(&self, snapshot: &Snapshot, asked: Asked, scaled: Option<&[Value; 2]>) -> Judgement {
        let scope = self.parts.scope();
        let edit = Edit {
            key: &self.key,
            user: &self.requester.user,
            may_break_glass: asked.may_break_glass,
            action: self.action(&scope, asked.of_parent, scaled),
            manager: self.manager.as_deref(),
            now: self.now,
        };
        let Rules { identities, limits, observe_only, guards: _ } = &*self.rules;
        judge(&edit, &Court { snapshot, identities, limits, observe_only: *observe_only })
    }

    fn action<'s>(
        &'s self,
        scope: &'s [&'s str],
        of_parent: Option<Glass>,
        scaled: Option<&'s [Value; 2]>,
    ) -> Action<'s> {
        match &self.parts.sides {
            _ if self.through == Through::Eviction => Action::Evict(of_parent),
            Sides::Update(..) if let Some([old, new]) = scaled => {
                Action::Scale(State::whole(old), State::whole(new), of_parent)
            }
            Sides::Update(old, new) if self.through == Through::Scale => {
                Action::Scale(old.state(), new.state(), of_parent)
            }
            Sides::Update(old, new) => Action::Update(old.state(), new.state(), Scope::Only(scope)),
            Sides::Create(new) => Action::Create(new.state()),
            Sides::Delete(old) => Action::Delete(old.state()),
        }
    }

    /// A `Scale` shows replicas and nothing else. Rules that look at the whole object are shown the object it scales, with the
    /// replicas of before and after.
    async fn scaled_whole(&self, upstream: &dyn Upstream) -> Result<Option<[Value; 2]>, Unanswered> {
        let (Through::Scale, Some(managed), Sides::Update(old, new)) = (self.through, &self.managed, &self.parts.sides)
        else {
            return Ok(None);
        };
        if !managed.exclusions.need_whole_object() {
            return Ok(None);
        }
        let Some(object) = upstream.object(&self.place()).await? else { return Ok(None) };
        let with = |side: &Side<'_>| {
            let mut object = object.clone();
            json_patch::merge(&mut object, &json!({"spec": side.state().object.get("spec")}));
            object
        };
        Ok(Some([with(old), with(new)]))
    }

    /// Asks about the emergency, if one is in play and may be used.
    async fn emergency(&self, managed: &Managed, upstream: &dyn Upstream) -> Result<Option<Asked>, Unanswered> {
        let of_parent = match &self.through {
            Through::Scale | Through::Eviction => {
                upstream.glass(&self.place()).await?.filter(|glass| self.now < glass.until)
            }
            Through::Itself => None,
        };
        if of_parent.is_none() && !self.has_break_glass {
            return Ok(None);
        }
        let may_break_glass = upstream.may(&self.requester, &Right::break_glass(&managed.sync)).await?;
        Ok(may_break_glass.then_some(Asked { may_break_glass, of_parent }))
    }

    /// Where the object is served.
    fn place(&self) -> Place {
        Place::of(&self.resource, self.key.namespace.as_deref(), &self.key.name)
    }

    /// Expressions walk through all of the object.
    fn takes_long(&self) -> bool {
        self.managed.as_deref().is_some_and(|managed| managed.exclusions.need_whole_object())
    }

    fn is_guarded(&self) -> bool {
        let class = self.rules.identities.class(&self.requester.user);
        let watched = self.managed.as_ref().is_some_and(|managed| managed.sync.mode != Mode::Off);
        watched && matches!(class, Class::Automation | Class::Person)
    }
}

fn has_break_glass(objects: &Sides<Object<'_>>) -> bool {
    [objects.before(), objects.after()].into_iter().flatten().any(|object| object.has_annotation(BREAK_GLASS))
}

fn look(managed: Option<&Managed>) -> Look<'_> {
    match managed {
        Some(managed) if managed.exclusions.need_whole_object() => Look::Everything,
        Some(managed) => Look::Differences(&managed.declaration),
        None => Look::Metadata,
    }
}

fn passes(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Allow | Verdict::Note)
}
