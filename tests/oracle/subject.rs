//! One object in the cluster: edited for real, held against the oracle, and healed as the product heals.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use holdfast::cluster::objects::{PropagationPolicy, Write};
use holdfast::cluster::{Cause, Cluster, Error, Kind};
use holdfast::core::compare::Deviation;
use holdfast::core::drift::drift;
use holdfast::core::exclude::{Rule, Surroundings};
use holdfast::core::snapshot::{Managed, Sync};
use holdfast::core::state::State;
use holdfast::core::who::Identities;
use holdfast::reconcile::declare::{Declared, Declaring, Undeclared};
use holdfast::reconcile::heal::{End, Writing};
use http::Request;
use serde_json::Value;

use crate::chance::Chance;
use crate::common::desired::{identities, sync};
use crate::edit::{Change, Edit, Material, Way, Who};
use crate::exceptions;
use crate::laws::{Broken, RESTLESS, Seen, is_interactive};
use crate::places::{Form, differences, ownership};
use crate::specimen::{SYNC, Specimen};
use crate::world::wait_until;

/// An object to edit.
pub struct Subject<'a> {
    cluster: &'a Cluster,
    specimen: &'a Specimen,
    managed: Managed,
    kind: Kind,
    also: Vec<Kind>,
    baseline: Value,
    live: Value,
}

/// What came of an edit.
pub enum Outcome {
    /// The API server would not have it.
    Refused,
    /// It changed nothing.
    Nothing,
    /// It was made, and all of this was seen.
    Made(Box<Made>),
}

/// An edit that was made.
pub struct Made {
    /// The edit.
    pub edit: Edit,
    /// The object before, after, and healed; and what the oracle said.
    pub old: Value,
    /// After the edit.
    pub new: Value,
    /// What the oracle said.
    pub oracle: Result<Value, String>,
    /// After healing, if it could be healed.
    pub healed: Option<Value>,
    /// What does not hold.
    pub broken: Vec<Broken>,
    /// What does not hold and need not: names of [`exceptions`].
    pub excused: Vec<&'static str>,
}

/// Objects that controllers move while they are looked at are looked at again, so often.
const ATTEMPTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

// === impl Subject ===

impl<'a> Subject<'a> {
    /// Declares the specimen and makes its object, as the product would.
    pub async fn new(cluster: &'a Cluster, specimen: &'a Specimen) -> Result<Self> {
        let declared = declare(cluster, specimen, None).await;
        let declared = declared.map_err(|error| anyhow!("{} cannot be declared: {error:?}", specimen.name))?;
        let mut also = Vec::new();
        for version in &specimen.also {
            let kind = cluster.kind(version, &specimen.manifest.key.kind).await?;
            also.push(kind.with_context(|| format!("{version} is not served"))?);
        }
        let (managed, kind) = (declared.managed, declared.kind);
        let mut subject = Self { cluster, specimen, managed, kind, also, baseline: Value::Null, live: Value::Null };
        subject.begin(declared.live).await?;
        Ok(subject)
    }

    /// Declares the manifest once more, as after a restart or at another commit.
    pub async fn declare_again(&mut self) -> Result<(), Undeclared> {
        self.managed = declare(self.cluster, self.specimen, Some(self.live.clone())).await?.managed;
        Ok(())
    }

    async fn begin(&mut self, live: Option<Value>) -> Result<()> {
        self.live = match self.settle(live, &identities()).await? {
            (live, left) if left.is_empty() => live,
            (live, left) => bail!("{} drifts from the start: {left:?}\n{live:#}", self.specimen.name),
        };
        self.baseline = self.live.clone();
        Ok(())
    }

    /// A new object, as if nothing had ever happened.
    pub async fn anew(&mut self) -> Result<()> {
        let key = &self.managed.manifest.key;
        let uid = self.live["metadata"]["uid"].as_str().context("objects have uids")?.to_owned();
        match self.cluster.delete(&self.kind, key, &uid, PropagationPolicy::Background).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        wait_until(&format!("{key} is gone"), PATIENCE, || async {
            ensure!(self.cluster.get(&self.kind, key).await?.is_none(), "it is still there");
            Ok(())
        })
        .await?;
        self.begin(None).await
    }

    /// Takes away what earlier edits left, if they left anything.
    pub async fn tidy(&mut self) -> Result<()> {
        if self.is_pristine() {
            return Ok(());
        }
        let everybody = Identities { interactive: vec!["*".to_owned()], ..identities() };
        if let Ok((live, left)) = self.settle(Some(self.live.clone()), &everybody).await
            && left.is_empty()
        {
            self.live = live;
        }
        if self.is_pristine() { Ok(()) } else { self.anew().await }
    }

    /// The object is what Git says in another way now: somebody else's doing, about which nothing new is declared.
    pub async fn accept(&mut self) -> Result<()> {
        self.look().await?;
        self.baseline = self.live.clone();
        Ok(())
    }

    /// The object as it was last seen.
    pub fn live(&self) -> &Value {
        &self.live
    }

    /// Heals it; answers with what there was to heal.
    pub async fn healed(&mut self) -> Result<(Value, Vec<Deviation>)> {
        let found = drift(&self.managed, &State::whole(&self.live), &is_interactive);
        let (healed, left) = self.settle(Some(self.live.clone()), &identities()).await?;
        ensure!(left.is_empty(), "it is left with {left:?}");
        self.live = healed.clone();
        Ok((healed, found))
    }

    /// Looks at what the object has become.
    pub async fn look(&mut self) -> Result<()> {
        self.live = self.read(&self.kind).await?;
        Ok(())
    }

    fn is_pristine(&self) -> bool {
        let form = Form::of(&[&self.baseline, &self.live]);
        let mut left = differences(&form, &self.baseline, &self.live).into_iter();
        left.all(|left| left.path.starts_with_fields(&["metadata"]))
    }

    /// Makes any edit.
    pub async fn try_any(&mut self, chance: &mut Chance) -> Result<Outcome> {
        let also = self.also.clone();
        let kind = if chance.percent(40) { chance.pick(&also).unwrap_or(&self.kind) } else { &self.kind }.clone();
        let live = self.read(&kind).await?;
        let material = self.material(&live);
        let Some(edit) = Edit::any(chance, &material) else { return Ok(Outcome::Nothing) };
        self.attempt(edit, &kind).await
    }

    /// Makes this edit.
    pub async fn make(&mut self, who: Who, manager: &'static str, way: Way, change: &Change) -> Result<Outcome> {
        let live = self.live.clone();
        let start = Edit { who, manager, way, body: Value::Null, changes: Vec::new() };
        let edit = start.alone(&self.material(&live), change).context("it does not fit the object")?;
        self.attempt(edit, &self.kind.clone()).await
    }

    /// Makes those of its changes alone that are still against the laws; the object is a new one each time.
    pub async fn alone(&mut self, edit: &Edit) -> Result<Vec<Made>> {
        let mut found = Vec::new();
        for change in &edit.changes {
            self.anew().await?;
            let live = self.live.clone();
            let Some(edit) = edit.alone(&self.material(&live), change) else { continue };
            let kind = self.kind.clone();
            match self.attempt(edit, &kind).await? {
                Outcome::Made(made) if !made.broken.is_empty() => found.push(*made),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Makes this edit of the object as it is.
    async fn attempt(&mut self, mut edit: Edit, kind: &Kind) -> Result<Outcome> {
        edit.body["apiVersion"] = kind.resource.api_version.clone().into();
        let old = self.read(&self.kind.clone()).await?;
        if !self.write(kind, &edit).await? {
            return Ok(Outcome::Refused);
        }
        self.live = self.read(&self.kind.clone()).await?;
        if !differs(&old, &self.live) {
            return Ok(Outcome::Nothing);
        }
        if edit.who == Who::Earlier && self.declare_again().await.is_err() {
            // The commit after that one is refused as a whole: nothing is declared that could be compared.
            self.anew().await?;
            return Ok(Outcome::Refused);
        }
        let (new, oracle) = self.ask(self.live.clone()).await?;
        let (healed, mut broken) = match self.settle(Some(new.clone()), &identities()).await {
            Ok((healed, left)) => (Some(healed), left.iter().map(Broken::undone).collect()),
            Err(error) => (None, vec![Broken::stuck(&error)]),
        };
        let seen = Seen {
            managed: &self.managed,
            edit: &edit,
            baseline: &self.baseline,
            old: &old,
            new: &new,
            oracle: oracle.as_ref().map_err(String::as_str),
            healed: healed.as_ref(),
        };
        broken.extend(seen.broken());
        if healed.is_some() {
            broken.extend(self.rests().await?);
        }
        let excused = broken.iter().filter_map(|broken| exceptions::excuse(broken, &seen)).collect();
        broken.retain(|broken| exceptions::excuse(broken, &seen).is_none());
        if let Some(healed) = &healed {
            self.live = healed.clone();
        }
        Ok(Outcome::Made(Box::new(Made { edit, old, new, oracle, healed, broken, excused })))
    }

    fn material<'b>(&'b self, live: &'b Value) -> Material<'b> {
        Material { live, manifest: self.managed.manifest.value(), richer: &self.specimen.richer }
    }

    async fn read(&self, kind: &Kind) -> Result<Value> {
        let live = self.cluster.get(kind, &self.managed.manifest.key).await?;
        live.with_context(|| format!("{} is gone", self.managed.manifest.key))
    }

    /// Writes as whoever edits, if the API server lets them.
    async fn write(&self, kind: &Kind, edit: &Edit) -> Result<bool> {
        let (method, media, force) = match edit.way {
            Way::Update => ("PUT", "application/json", ""),
            Way::Apply => ("PATCH", "application/apply-patch+yaml", "&force=true"),
        };
        let key = &self.managed.manifest.key;
        let uri = format!("{}/{}?fieldManager={}{force}", kind.path(key), key.name, edit.manager);
        let request = Request::builder().method(method).uri(uri).header("content-type", media);
        match self.cluster.client().request::<Value>(request.body(edit.body.to_string().into_bytes())?).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What a forced apply of the manifest would make of exactly this object, or of what it has become meanwhile.
    async fn ask(&self, mut new: Value) -> Result<(Value, Result<Value, String>)> {
        let key = &self.managed.manifest.key;
        for _ in 0..ATTEMPTS {
            let mut body = self.managed.manifest.value();
            body["metadata"]["resourceVersion"] = new["metadata"]["resourceVersion"].clone();
            match self.cluster.apply(&self.kind, key, &body, Write::DryRun).await {
                Ok(answer) => return Ok((new, Ok(answer))),
                Err(error) if error.is_conflict() => new = self.read(&self.kind).await?,
                // A port that is taken twice is told like a server in trouble.
                Err(Error { cause: Cause::Invalid(reason) | Cause::Refused(reason) | Cause::Away(reason), .. }) => {
                    return Ok((new, Err(reason)));
                }
                Err(error) => return Err(error.into()),
            }
        }
        bail!("{key} never stands still")
    }

    async fn settle(&self, live: Option<Value>, identities: &Identities) -> Result<(Value, Vec<Deviation>), Error> {
        let writing =
            Writing { cluster: self.cluster, identities, managed: &self.managed, kind: &self.kind, caught_up: false };
        Ok(match writing.settle(live).await? {
            End::Done(live) => (*live, Vec::new()),
            End::Undone(live, left) => (*live, left),
            End::Terminating | End::Replaced(_) => (Value::Null, Vec::new()),
        })
    }

    /// There is nothing to heal any more, and a heal would write nothing.
    async fn rests(&self) -> Result<Option<Broken>> {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let mut how = String::new();
        for _ in 0..ATTEMPTS {
            let live = self.read(&self.kind).await?;
            let state = State::whole(&live);
            if let Some(left) = drift(&self.managed, &state, &is_interactive).first() {
                return Ok(Some(Broken::undone(left)));
            }
            match self.settle(Some(live.clone()), &identities()).await {
                Ok((again, _)) if version(&again) == version(&live) => return Ok(None),
                Ok((again, _)) => how = format!("{:?}\n{:?}", ownership(&live), ownership(&again)),
                Err(error) => how = error.to_string(),
            }
        }
        Ok(Some(Broken { law: RESTLESS, path: String::new(), how }))
    }
}

async fn declare(cluster: &Cluster, specimen: &Specimen, live: Option<Value>) -> Result<Declared, Undeclared> {
    let sync = Arc::new(Sync { name: SYNC.to_owned(), ..sync() });
    let rules: Arc<[Rule]> = Arc::from([]);
    let (around, identities) = (Surroundings::default(), identities());
    let declaring = Declaring { cluster, sync: &sync, rules: &rules, around: &around, identities: &identities };
    declaring.declare(specimen.manifest.clone(), live).await
}

/// Is anything else, or anybody else's?
fn differs(old: &Value, new: &Value) -> bool {
    let form = Form::of(&[old, new]);
    !differences(&form, old, new).is_empty() || ownership(old) != ownership(new)
}
