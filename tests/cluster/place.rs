//! A place of one's own: a namespace, a folder in Git, and the `GitSync` between them. The verbs of the tests are here.

use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::stage::{self, PATIENCE, Stage, write};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, Output, wait_until};

/// A namespace, a folder and a `GitSync`, all of one name.
pub struct Place<'s> {
    /// Where it is.
    pub stage: &'s Stage,
    /// The name.
    pub name: String,
}

/// Its `GitSync` goes with it: a hundred that nobody looks at any more would still ask the Git server every second.
impl Drop for Place<'_> {
    fn drop(&mut self) {
        let syncs = self.api("holdfast.dev/v1alpha1", "GitSync", HOLDFAST_NAMESPACE);
        let name = std::mem::take(&mut self.name);
        // Whoever is not there any more cannot be told that it failed.
        tokio::spawn(async move { syncs.delete(&name, &DeleteParams::default()).await.ok() });
    }
}

/// What everything Holdfast refuses says.
const REFUSED_BY_US: &str = "holdfast.dev\" denied the request";

// === impl Place ===

impl Place<'static> {
    /// A place in the shared world whose folder holds these files, with the cluster equal to it.
    pub async fn new(name: &str, files: &[(&str, &str)]) -> Result<Self> {
        Self::with(name, files, |_| {}).await
    }

    /// Likewise, with something changed in the `spec` of its `GitSync`.
    pub async fn with(name: &str, files: &[(&str, &str)], change: impl FnOnce(&mut Value)) -> Result<Self> {
        Place::at(stage::shared().await?, name, files, change).await
    }
}

impl<'s> Place<'s> {
    /// Likewise, in this world.
    pub async fn at(
        stage: &'s Stage,
        name: &str,
        files: &[(&str, &str)],
        change: impl FnOnce(&mut Value),
    ) -> Result<Self> {
        let place = Self::empty(stage, name).await?;
        let commit = place.write(files).await?;
        place.sync(change).await?;
        place.is_synced(&commit).await?;
        Ok(place)
    }

    /// A namespace, and nothing in Git yet.
    pub async fn empty(stage: &'s Stage, name: &str) -> Result<Self> {
        stage.world.namespace(name).await?;
        Ok(Self { stage, name: name.to_owned() })
    }

    // --- Git ---

    /// Commits these files of the folder; answers with the commit.
    pub async fn write(&self, files: &[(&str, &str)]) -> Result<String> {
        let edit = |root: &std::path::Path| {
            files.iter().try_for_each(|(file, text)| write(&root.join(&self.name).join(file), text))
        };
        self.stage.commit(&format!("{}: write", self.name), edit).await
    }

    /// Commits the removal of these files; answers with the commit.
    pub async fn remove(&self, files: &[&str]) -> Result<String> {
        let edit = |root: &std::path::Path| {
            files.iter().try_for_each(|file| {
                std::fs::remove_file(root.join(&self.name).join(file))
                    .with_context(|| format!("failed to remove {file}"))
            })
        };
        self.stage.commit(&format!("{}: remove", self.name), edit).await
    }

    /// Commits files and waits until the cluster equals them.
    pub async fn commits(&self, files: &[(&str, &str)]) -> Result<()> {
        let commit = self.write(files).await?;
        self.is_synced(&commit).await
    }

    // --- the GitSync ---

    /// Applies the `GitSync`, with something changed in its `spec`.
    pub async fn sync(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut sync = self.stage.world.git_sync(&self.name, &self.name, &self.name)?;
        sync["spec"]["source"]["interval"] = json!("1s");
        change(&mut sync["spec"]);
        self.stage.world.apply(&sync).await
    }

    /// The `GitSync` as it is.
    pub async fn git_sync(&self) -> Result<Value> {
        let sync = self.api("holdfast.dev/v1alpha1", "GitSync", HOLDFAST_NAMESPACE).get(&self.name).await?;
        Ok(serde_json::to_value(sync)?)
    }

    /// Waits until the cluster was made equal to this commit, or a later one, by the `GitSync` as it is now.
    pub async fn is_synced(&self, commit: &str) -> Result<()> {
        self.says(&format!("{} is at {commit}", self.name), async |status| {
            self.stage.is_at(&status["syncedRevision"], commit).await.with_context(|| format!("its status is {status}"))
        })
        .await
        .map(drop)
    }

    /// Waits until the status, which speaks of the newest spec, is as `look` wants it.
    pub async fn says(&self, what: &str, look: impl AsyncFn(&Value) -> Result<()>) -> Result<Value> {
        wait_until(what, PATIENCE, || async {
            let sync = self.git_sync().await?;
            let status = sync["status"].clone();
            let current = status["observedGeneration"] == sync["metadata"]["generation"];
            ensure!(current, "its status {status} is older than its spec");
            look(&status).await?;
            Ok(status)
        })
        .await
    }

    /// Waits until a condition of the `GitSync` has this status and a message with all these words.
    pub async fn condition(&self, kind: &str, holds: bool, words: &[&str]) -> Result<()> {
        let what = format!("{kind} of {} is {holds}", self.name);
        let wanted = if holds { "True" } else { "False" };
        self.says(&what, async |status| {
            let found = condition(status, kind).with_context(|| format!("there is no {kind} in {status}"))?;
            let message = found["message"].as_str().unwrap_or_default();
            ensure!(found["status"] == wanted, "{found}");
            ensure!(words.iter().all(|word| message.contains(word)), "it says {message}");
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Waits until the keeper has looked at everything again, from the start; what it had to write is written then.
    pub async fn looks_again(&self) -> Result<()> {
        let sync = self.git_sync().await?;
        let interval = if sync["spec"]["source"]["interval"] == "1s" { "2s" } else { "1s" };
        let patch = json!({"spec": {"source": {"interval": interval}}}).to_string();
        let arguments =
            ["patch", "gitsync", &self.name, "--namespace", HOLDFAST_NAMESPACE, "--type=merge", "--patch", &patch];
        self.stage.world.kubectl(Who::Administrator.person(), &arguments).await?.success()?;
        // The generation is noticed before the look, and a look always ends with a revision that is synced or a reason why not.
        let commit = self.stage.commit(&format!("{}: look again", self.name), |_| Ok(())).await?;
        self.says("it has looked again", async |status| self.stage.is_at(&status["observedRevision"], &commit).await)
            .await
            .map(drop)
    }

    // --- the verbs ---

    /// `kubectl <line>` passes. A line is split at spaces; what holds spaces goes into [`Place::run`].
    pub async fn accepts(&self, who: Who, line: &str) -> Result<Output> {
        accepted(self.run(who, &words(line), "").await?, line)
    }

    /// `kubectl <line>` with something on its standard input passes.
    pub async fn accepts_input(&self, who: Who, line: &str, input: &Value) -> Result<Output> {
        accepted(self.run(who, &words(line), &input.to_string()).await?, line)
    }

    /// `kubectl <line>` is refused, by us; answers with the message.
    pub async fn refuses(&self, who: Who, line: &str) -> Result<String> {
        refused(self.run(who, &words(line), "").await?, line)
    }

    /// `kubectl <line>` with something on its standard input is refused, by us.
    pub async fn refuses_input(&self, who: Who, line: &str, input: &Value) -> Result<String> {
        refused(self.run(who, &words(line), &input.to_string()).await?, line)
    }

    /// The place in the object (`Deployment/web`) becomes what Git says, and after that nothing is found and nothing written any
    /// more.
    pub async fn heals(&self, object: &str, pointer: &str, git: Value) -> Result<()> {
        self.becomes(object, pointer, &git).await?;
        self.rests(object).await?;
        self.is_in_sync(object).await?;
        self.becomes(object, pointer, &git).await
    }

    // --- looking ---

    /// kubectl in this namespace, whatever comes of it. It edits with `sed`, whose script is the input.
    pub async fn run(&self, who: Who, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = self.stage.world.command(who.person());
        command.args(["--namespace", &self.name]).args(who.flags()).args(arguments);
        if let ["edit", ..] = arguments {
            command
                .env("KUBE_EDITOR", format!("sed --in-place --expression '{input}'"))
                .env("TMPDIR", stage::folder(""));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("failed to start kubectl")?;
        let mut stdin = child.stdin.take().context("standard input was asked to be a pipe")?;
        // It may end without reading, and its own words about that are better than "broken pipe".
        let feed = async move { drop(stdin.write_all(input.as_bytes()).await) };
        let ((), output) = tokio::join!(feed, child.wait_with_output());
        let output = output.context("failed to read kubectl's output")?;
        Ok(Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The object (`Deployment/web`) as it is; `Null` if there is none.
    pub async fn live(&self, object: &str) -> Result<Value> {
        let (kind, name) = object.split_once('/').context("objects are written Kind/name")?;
        let found = self.api(version_of(kind)?, kind, &self.name).get_opt(name).await?;
        let Some(found) = found else { return Ok(Value::Null) };
        Ok(serde_json::to_value(found)?)
    }

    /// Waits until a place in the object is `wanted`; `Null` where nothing is to be.
    pub async fn becomes(&self, object: &str, pointer: &str, wanted: &Value) -> Result<()> {
        let what = format!("{pointer} of {object} in {} is {wanted}", self.name);
        wait_until(&what, PATIENCE, || async {
            let live = self.live(object).await?;
            let found = live.pointer(pointer).cloned().unwrap_or_default();
            ensure!(!live.is_null() || pointer.is_empty(), "there is no {object}");
            ensure!(found == *wanted, "it is {found}");
            Ok(())
        })
        .await
    }

    /// Is a place in the object this, now?
    pub async fn is(&self, object: &str, pointer: &str, wanted: Value) -> Result<()> {
        let live = self.live(object).await?;
        let found = live.pointer(pointer).cloned().unwrap_or_default();
        ensure!(found == wanted, "{pointer} of {object} is {found}, not {wanted}");
        Ok(())
    }

    /// Nothing is written on the object any more, even when all of it is judged again from the start. What no controller reports on is not even touched: its `resourceVersion` stays.
    pub async fn rests(&self, object: &str) -> Result<()> {
        let before = written(&self.live(object).await?);
        self.looks_again().await?;
        let after = written(&self.live(object).await?);
        ensure!(before == after, "{object} was written again: {before:#} became {after:#}");
        Ok(())
    }

    /// The second comparison found nothing: no drift of the object is reported.
    async fn is_in_sync(&self, object: &str) -> Result<()> {
        let status = self.git_sync().await?["status"].clone();
        let is_it = |drift: &&Value| {
            let Value::String(name) = &drift["object"]["name"] else { return false };
            object.split_once('/') == Some((drift["object"]["kind"].as_str().unwrap_or_default(), name))
        };
        let drift = status["drift"].as_array().into_iter().flatten().find(is_it);
        ensure!(drift.is_none(), "{object} is said to drift: {}", drift.unwrap_or(&Value::Null));
        Ok(())
    }

    /// The records about an object of this place.
    pub fn records(&self, kind: &str, object: &str) -> Result<Vec<Value>> {
        let about = |record: &Value| {
            let of = &record["object"];
            let place = of["namespace"].as_str().unwrap_or(&self.name);
            let named =
                format!("{}/{}", of["kind"].as_str().unwrap_or_default(), of["name"].as_str().unwrap_or_default());
            record["kind"] == kind && place == self.name && named == object
        };
        Ok(self.stage.world.records()?.into_iter().filter(about).collect())
    }

    /// Waits until there is a record of this kind about the object; answers with the newest.
    pub async fn record(&self, kind: &str, object: &str) -> Result<Value> {
        wait_until(&format!("a record says {kind} of {object} in {}", self.name), PATIENCE, || async {
            self.records(kind, object)?.pop().context("there is none")
        })
        .await
    }

    fn api(&self, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        match kind {
            "Namespace" | "ClusterRole" | "CustomResourceDefinition" | "PersistentVolume" => {
                Api::all_with(self.stage.client.clone(), &resource)
            }
            _ => Api::namespaced_with(self.stage.client.clone(), namespace, &resource),
        }
    }
}

/// A condition of a status.
pub fn condition<'v>(status: &'v Value, kind: &str) -> Option<&'v Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}

/// A merge patch as one word of a kubectl line.
pub fn patch(object: &str, patch: &Value) -> String {
    format!("patch {object} --type=merge --patch={patch}")
}

fn accepted(output: Output, line: &str) -> Result<Output> {
    ensure!(output.status.success(), "kubectl {line} failed: {}", output.stderr.trim());
    Ok(output)
}

fn refused(output: Output, line: &str) -> Result<String> {
    match output {
        Output { status, stdout, .. } if status.success() => bail!("kubectl {line} passed: {}", stdout.trim()),
        Output { stderr, .. } if !stderr.contains(REFUSED_BY_US) => bail!("kubectl {line} failed otherwise: {stderr}"),
        Output { stderr, .. } => Ok(stderr),
    }
}

/// A line as kubectl's arguments.
pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// What of an object changes only when somebody writes it: controllers report into its status all the time.
fn written(object: &Value) -> Value {
    let mut object = object.clone();
    let reported = object.get("status").is_some();
    let Some(fields) = object.as_object_mut() else { return object };
    fields.remove("status");
    let metadata = &mut fields["metadata"];
    if let Some(Value::Array(owners)) = metadata.get_mut("managedFields") {
        owners.retain(|owner| owner["manager"] == "holdfast");
    }
    if let Some(metadata) = metadata.as_object_mut().filter(|_| reported) {
        metadata.remove("resourceVersion");
    }
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove("deployment.kubernetes.io/revision");
    }
    object
}

fn version_of(kind: &str) -> Result<&'static str> {
    Ok(match kind {
        "ConfigMap" | "Secret" | "Service" | "ServiceAccount" | "Namespace" | "Pod" | "PersistentVolume" => "v1",
        "Deployment" | "ReplicaSet" | "StatefulSet" => "apps/v1",
        "Job" => "batch/v1",
        "HorizontalPodAutoscaler" => "autoscaling/v2",
        "PodDisruptionBudget" => "policy/v1",
        "NetworkPolicy" => "networking.k8s.io/v1",
        "Role" | "ClusterRole" => "rbac.authorization.k8s.io/v1",
        "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
        "Gadget" | "Gizmo" | "Relic" | "Fossil" | "Widget" => "example.com/v1",
        "Comet" => "sky.example.com/v1",
        "Moon" => "deep.example.com/v1",
        _ => bail!("tell version_of about {kind}"),
    })
}
