//! From a manifest to a declaration: asking the API server what it makes of it, or recognising that it already said.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::cluster::objects::Write;
use crate::cluster::{Cause, Cluster, Error, Kind};
use crate::core::compare::Scope;
use crate::core::declaration::Declaration;
use crate::core::exclude::{Exclusions, Rule, Surroundings, annotation};
use crate::core::fields::Entry;
use crate::core::heal::to_apply;
use crate::core::manifest::Manifest;
use crate::core::object::ObjectKey;
use crate::core::options;
use crate::core::snapshot::{Managed, Sync};
use crate::core::state::State;
use crate::core::undeclared::{Look, undeclared};
use crate::core::who::Identities;
use crate::git::Problem;

/// What to do about a field that never changes.
const STUCK: &str = "an object that exists cannot become this: put the field back in Git, or delete the object once";

/// A manifest the API server has read.
pub struct Declared {
    /// What it declares.
    pub managed: Managed,
    /// How to address the object.
    pub kind: Kind,
    /// The object as it is now, if it is.
    pub live: Option<Value>,
}

/// Why a manifest could not be declared.
#[derive(Debug)]
pub enum Undeclared {
    /// Its namespace or its kind is not there yet; this commit may bring it.
    Premature(Problem),
    /// The object exists, and cannot become this: a field that never changes would have to. The manifest itself is good.
    Stuck(Problem),
    /// The manifest is wrong.
    Invalid(Problem),
    /// The API server, or somebody's webhook, would not have it.
    Refused(Problem),
    /// Whoever this is done as may not.
    Forbidden(Problem),
    /// The API server did not answer, or could not for this kind; nothing is known.
    Unavailable(Error),
}

// === display ===

impl std::fmt::Display for Undeclared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Premature(problem)
            | Self::Stuck(problem)
            | Self::Invalid(problem)
            | Self::Refused(problem)
            | Self::Forbidden(problem) => write!(f, "{problem}"),
            Self::Unavailable(error) => write!(f, "{error}"),
        }
    }
}

/// What every declaration of a sync needs.
pub struct Declaring<'a> {
    /// Whom to ask.
    pub cluster: &'a Cluster,
    /// The sync, at the commit in question.
    pub sync: &'a Arc<Sync>,
    /// Its exclusion rules.
    pub rules: &'a Arc<[Rule]>,
    /// What else exclusions depend on.
    pub around: &'a Surroundings,
    /// Who counts as a person.
    pub identities: &'a Identities,
}

// === impl Declaring ===

impl Declaring<'_> {
    /// Declares `manifest`. `known` is the live object if the caller has just listed it.
    pub async fn declare(&self, manifest: Manifest, known: Option<Value>) -> Result<Declared, Undeclared> {
        let kind = self.kind(&manifest).await?;
        let rules = self.rules_for(&manifest)?;
        let (mut declaration, live) = match known {
            Some(live) => (self.declare_over(&kind, &manifest, &rules, &live).await?, Some(live)),
            None => self.declare_unseen(&kind, &manifest, &rules).await?,
        };
        if let Some(live) = &live {
            self.learn_defaults(&kind, &manifest, live, &mut declaration).await;
        }
        Ok(Declared { managed: self.managed(manifest, declaration, rules, &kind), kind, live })
    }

    /// What was declared before, at another commit: nothing to ask, but lines, rules and the commit are new.
    pub fn again(&self, manifest: Manifest, known: &Managed, kind: &Kind) -> Managed {
        let declaration = known.declaration.relocated(&manifest);
        let rules = self.rules_for(&manifest).unwrap_or_else(|_| self.rules.clone());
        self.managed(manifest, declaration, rules, kind)
    }

    async fn kind(&self, manifest: &Manifest) -> Result<Kind, Undeclared> {
        let text = |name| manifest.value.get(name).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let found = self.cluster.kind(api_version, kind).await.map_err(Undeclared::Unavailable)?;
        let unknown = || format!("the cluster does not serve kind {kind} of {api_version}; is its CRD installed?");
        found.ok_or_else(|| Undeclared::Premature(problem(manifest, unknown())))
    }

    /// An object that was just seen may say already what the manifest means.
    async fn declare_over(
        &self,
        kind: &Kind,
        manifest: &Manifest,
        rules: &Arc<[Rule]>,
        live: &Value,
    ) -> Result<Declaration, Undeclared> {
        match Declaration::recognise(manifest, live) {
            Some(declaration) => Ok(declaration),
            None => self.understand(kind, manifest, rules, self.ask(kind, manifest).await, Some(live)).await,
        }
    }

    /// What was not listed is new, mostly. That needs no look: what a dry run would create has no version yet.
    async fn declare_unseen(
        &self,
        kind: &Kind,
        manifest: &Manifest,
        rules: &Arc<[Rule]>,
    ) -> Result<(Declaration, Option<Value>), Undeclared> {
        let answer = self.ask(kind, manifest).await;
        let is_new = |answer: &Value| answer.pointer("/metadata/resourceVersion").is_none();
        let live = match &answer {
            Ok(answer) if is_new(answer) => None,
            _ => self.cluster.get(kind, &manifest.key).await.map_err(|error| sort(manifest, error))?,
        };
        Ok((self.understand(kind, manifest, rules, answer, live.as_ref()).await?, live))
    }

    async fn ask(&self, kind: &Kind, manifest: &Manifest) -> Result<Value, Error> {
        self.cluster.apply(kind, &manifest.key, &manifest.value, Write::DryRun).await
    }

    async fn understand(
        &self,
        kind: &Kind,
        manifest: &Manifest,
        rules: &Arc<[Rule]>,
        answer: Result<Value, Error>,
        live: Option<&Value>,
    ) -> Result<Declaration, Undeclared> {
        match (answer, live) {
            (Ok(answer), live) => {
                let declaration = Declaration::read_over(manifest, &answer, live);
                declaration.map_err(|error| Undeclared::Refused(problem(manifest, error.to_string())))
            }
            (Err(error), live) => match (sort(manifest, error), live) {
                (Undeclared::Invalid(problem), Some(live)) => {
                    self.ask_elsewhere(kind, manifest, rules, live, problem).await
                }
                (Undeclared::Premature(problem), _) => {
                    Err(self.ask_in_another_namespace(kind, manifest, problem).await)
                }
                (why, _) => Err(why),
            },
        }
    }

    /// Without its namespace, which this commit may bring, an object cannot be tried out. But what is wrong with it in a namespace
    /// that is always there is wrong with it anywhere, and is better known before anything is written.
    async fn ask_in_another_namespace(&self, kind: &Kind, manifest: &Manifest, premature: Problem) -> Undeclared {
        if !kind.namespaced {
            return Undeclared::Premature(premature);
        }
        let key = ObjectKey { namespace: Some("default".to_owned()), ..manifest.key.clone() };
        let mut body = manifest.value.clone();
        body["metadata"]["namespace"] = "default".into();
        match self.cluster.make_believe_apply(kind, &key, &body).await {
            Err(error) if error.is_invalid() => Undeclared::Invalid(problem(manifest, error.to_string())),
            _ => Undeclared::Premature(premature),
        }
    }

    /// The object that is there may be in the way of what Git says of it. Beside a `hostPath` somebody added our `emptyDir` is
    /// invalid, and what an object may not become (another selector, another `clusterIP`) may be excluded and is not sent then.
    /// So the API server is asked what the manifest means where no such object is. That is an answer if there are additions,
    /// which healing takes away, or if the object may become what would be sent. Otherwise it is stuck: what would be good in an
    /// empty cluster is no fault of the commit.
    async fn ask_elsewhere(
        &self,
        kind: &Kind,
        manifest: &Manifest,
        rules: &Arc<[Rule]>,
        live: &Value,
        problem: Problem,
    ) -> Result<Declaration, Undeclared> {
        let answer = self.cluster.make_believe_apply(kind, &manifest.key, &manifest.value).await;
        let Some(mut declaration) = answer.ok().and_then(|answer| Declaration::read(manifest, &answer).ok()) else {
            return Err(Undeclared::Invalid(problem));
        };
        self.learn_defaults(kind, manifest, live, &mut declaration).await;
        if self.holds_additions(live, &declaration) {
            return Ok(declaration);
        }
        let managed = self.managed(manifest.clone(), declaration, rules.clone(), kind);
        let body = to_apply(&managed, Some(&State::whole(live)));
        let is_excluded = body != manifest.value;
        if is_excluded && self.cluster.apply(kind, &manifest.key, &body, Write::DryRun).await.is_ok() {
            return Ok(managed.declaration);
        }
        if options::replaces(&manifest.value) {
            return Ok(managed.declaration);
        }
        Err(Undeclared::Stuck(Problem { reason: format!("{}; {STUCK}", problem.reason), ..problem }))
    }

    /// Whoever made the object with kubectl owns every default in it, and a default is no drift. Where such ownership is met,
    /// the API server is asked once what it makes of the manifest alone. If it will not say, the defaults count as additions:
    /// harmless, since removing a default brings it back.
    async fn learn_defaults(&self, kind: &Kind, manifest: &Manifest, live: &Value, declaration: &mut Declaration) {
        if declaration.pristine.is_none() && self.holds_additions(live, declaration) {
            let pristine = self.cluster.make_believe(kind, &manifest.key, &manifest.value).await;
            declaration.pristine = pristine.ok().map(Box::new);
        }
    }

    fn holds_additions(&self, live: &Value, declaration: &Declaration) -> bool {
        let is_person = |entry: &Entry<'_>| self.identities.is_interactive(entry);
        let nothing = Exclusions::default();
        let look = Look { is_person: &is_person, scope: Scope::Whole, before: None, exclusions: &nothing };
        !undeclared(declaration, &State::whole(live), &look).is_empty()
    }

    /// The rules of the sync, and the one the manifest itself brings.
    fn rules_for(&self, manifest: &Manifest) -> Result<Arc<[Rule]>, Undeclared> {
        match annotation::rule(&manifest.value) {
            Ok(None) => Ok(self.rules.clone()),
            Ok(Some(rule)) => Ok(self.rules.iter().cloned().chain([rule]).collect()),
            Err(reason) => Err(Undeclared::Invalid(problem(manifest, reason))),
        }
    }

    fn managed(&self, manifest: Manifest, declaration: Declaration, rules: Arc<[Rule]>, kind: &Kind) -> Managed {
        let exclusions = Exclusions::resolve(rules, &manifest, &declaration, self.around);
        Managed {
            sync: self.sync.clone(),
            manifest: Arc::new(manifest.into()),
            declaration,
            exclusions,
            resource: kind.resource.plural.as_str().into(),
        }
    }
}

/// Tells the text of a manifest from its earlier self: equal hashes, equal meaning. Lines are not part of it.
pub fn fingerprint(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A problem with this manifest, at its place in Git.
pub fn problem(manifest: &Manifest, reason: impl Into<String>) -> Problem {
    Problem::at(&manifest.origin.file, manifest.origin.lines.line, reason)
}

fn sort(manifest: &Manifest, error: Error) -> Undeclared {
    let problem = || problem(manifest, error.to_string());
    match &error.cause {
        Cause::NotFound(_) => Undeclared::Premature(problem()),
        Cause::Invalid(_) => Undeclared::Invalid(problem()),
        Cause::Refused(message) if message.contains(" is forbidden: User ") => Undeclared::Forbidden(problem()),
        Cause::Refused(_) | Cause::Conflict(_) => Undeclared::Refused(problem()),
        Cause::Unavailable(_) | Cause::Unanswered(_) | Cause::Away(_) | Cause::NotLeading => {
            Undeclared::Unavailable(error)
        }
    }
}
