//! The scenes, in the order they are told. Each checks what it claims.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::play::{ADMIN, ALICE, DANA, ONCALL, Play, SOON};
use super::table;
use super::watch::Replicas;
use crate::world::{Person, SAMPLE, wait_until};

const ALL_LINES: usize = usize::MAX;

/// The whole story.
pub async fn all(play: &Play) -> Result<()> {
    the_cluster_equals_git(play).await.context("in scene 1")?;
    edits_are_refused(play).await.context("in scene 2")?;
    an_emergency_passes(play).await.context("in scene 3")?;
    what_slips_past_is_healed(play).await.context("in scene 4")?;
    the_autoscaler_is_left_alone(play).await.context("in scene 5")?;
    a_commit_is_the_way(play).await.context("in scene 6")?;
    everything_is_on_record(play).context("in scene 7")
}

async fn the_cluster_equals_git(play: &Play) -> Result<()> {
    play.stage.title("1. Git is in the cluster")?;
    play.stage.says("A GitSync names the repository. What stands there is applied, and labelled.")?;
    play.types(DANA, "git log --oneline && ls -m apps/shop").await?;
    play.types(ALICE, "kubectl get gitsyncs -n holdfast-system").await?;
    play.types(ALICE, "kubectl get deployments -n shop -l holdfast.dev/managed=true").await?;
    let (labelled, kinds) = labelled(play).await?;
    let status = play.status().await?;
    ensure!(status["objects"] == labelled, "{labelled} objects are labelled, and the status is {status}");
    play.stage.holds(format!("{labelled} objects of {kinds} kinds are what Git says, and carry the label"))
}

/// How many objects carry our label, and of how many kinds.
async fn labelled(play: &Play) -> Result<(usize, usize)> {
    let status = play.status().await?;
    let kinds = status["kinds"].as_array().context("the status lists kinds")?;
    let kinds: Vec<String> = kinds.iter().filter_map(Value::as_str).map(as_kubectl_says).collect();
    let get = ["get", &kinds.join(","), "--all-namespaces", "--selector", "holdfast.dev/managed=true", "--output=name"];
    let names = play.world.kubectl(Person::Administrator, &get).await?.success()?;
    Ok((names.lines().count(), kinds.len()))
}

/// `apps/v1/Deployment` is `Deployment.v1.apps` to kubectl.
fn as_kubectl_says(kind: &str) -> String {
    match kind.split('/').collect::<Vec<_>>()[..] {
        [group, version, kind] => format!("{kind}.{version}.{group}"),
        [_, kind] => kind.to_owned(),
        _ => kind.to_owned(),
    }
}

async fn edits_are_refused(play: &Play) -> Result<()> {
    play.stage.title("2. A quick fix by hand is refused, and told where to go")?;
    play.stage.says(
        "alice may edit everything in this namespace. Her edits would be lost with the next deployment, so she \
        learns it now, with the line in Git that disagrees.",
    )?;
    let before = versions(play).await?;
    let message = play.is_refused(ALICE, "kubectl -n shop scale deployment/api --replicas=5", ALL_LINES).await?;
    ensure!(message.contains("apps/shop/api/deployment.yaml:9"), "the message does not name file and line");
    let edit = "EDITOR='sed -i.bak s/info/debug/' kubectl -n shop edit configmap/api";
    play.is_refused(ALICE, edit, 4).await?;
    play.is_refused(ALICE, "kubectl -n shop set image deployment/api api=registry.example.com/shop/api:fix", 1).await?;
    play.is_refused(ALICE, "kubectl -n shop delete deployment/api", 1).await?;
    ensure!(versions(play).await? == before, "something was written");
    let denied = play.records("Denied", "api", 4).await?;
    ensure!(denied.len() == 4 && denied.iter().all(|record| record["by"]["user"] == "alice"), "records: {denied:?}");
    play.stage.holds("4 attempts, 4 refusals on record with her name, nothing in the cluster changed")
}

/// What alice tried to edit, as versions of the specification.
async fn versions(play: &Play) -> Result<(Value, Value)> {
    let (deployment, config) = (play.object("deployment/api").await?, play.object("configmap/api").await?);
    Ok((deployment["metadata"]["generation"].clone(), config["metadata"]["resourceVersion"].clone()))
}

async fn an_emergency_passes(play: &Play) -> Result<()> {
    play.stage.title("3. An emergency has a door, with a bell on it")?;
    play.stage.says(
        "Whoever has the right to break glass says why and for how long, and may then edit this one object. It \
        is reported until it is over, and then Git wins again.",
    )?;
    let glass = r#"kubectl -n shop annotate deployment/api holdfast.dev/break-glass="INC-4211: failover""#;
    let message = play.is_refused(ALICE, glass, 1).await?;
    ensure!(message.contains("lacks the verb"), "it was refused for another reason");
    play.types(ONCALL, &format!("{glass} \\\n  holdfast.dev/break-glass-for=30m")).await?;
    play.types(ONCALL, "kubectl -n shop scale deployment/api --replicas=5").await?;
    the_edit_stays(play).await?;
    play.types(ONCALL, "kubectl -n shop annotate deployment/api holdfast.dev/break-glass-").await?;
    git_wins_again(play).await
}

async fn the_edit_stays(play: &Play) -> Result<()> {
    let is_open = |status: &Value| holds(status, "BreakGlass") && status["drift"][0]["object"]["name"] == "api";
    play.until("the emergency is reported", is_open).await?;
    let why = "kubectl -n holdfast-system get gitsync shop -o jsonpath='{.status.drift[0].why}'";
    let why = play.types(ALICE, why).await?;
    ensure!(why.contains("break-glass by oncall"), "nobody is named");
    let deployment = play.object("deployment/api").await?;
    ensure!(deployment["spec"]["replicas"] == 5, "the edit was healed");
    let edited = play.records("Edited", "api", 1).await?;
    ensure!(edited.iter().any(|record| record["by"]["user"] == "oncall"), "records: {edited:?}");
    ensure!(play.records_now("Healed", "api")?.is_empty(), "the edit was healed");
    play.stage.holds("the edit passed, is on record, is reported as drift, and is left alone: 5 replicas")
}

async fn git_wins_again(play: &Play) -> Result<()> {
    wait_until("Git wins again", SOON, || async {
        let deployment = play.object("deployment/api").await?;
        let annotations = deployment["metadata"]["annotations"].to_string();
        ensure!(deployment["spec"]["replicas"] == 3, "replicas is {}", deployment["spec"]["replicas"]);
        ensure!(!annotations.contains("break-glass"), "annotations are {annotations}");
        Ok(())
    })
    .await?;
    play.records("BreakGlassClosed", "api", 1).await?;
    play.records("Healed", "api", 1).await?;
    play.stage.holds("the door is shut: 3 replicas again, as Git says, and the stamps are gone")
}

async fn what_slips_past_is_healed(play: &Play) -> Result<()> {
    play.stage.title("4. What slips past the webhook is undone")?;
    play.stage.says(
        "Nobody can be forbidden to delete a webhook: the API server asks none about that. So Holdfast watches its \
        own, and puts them back.",
    )?;
    the_webhook_is_put_back(play).await?;
    play.stage.says(
        "And there are ways around every webhook. Controllers of kube-system are never asked, for instance, and an \
        administrator may act as one. So the reconciler watches, and asks the same question with the same code: it \
        undoes exactly what the webhook would have refused.",
    )?;
    let healed_before = play.records_now("Healed", "api")?.len();
    let client = play.world.client(Person::Administrator).await?;
    let mut replicas = Replicas::of(client, SAMPLE, "api", 3).await?;
    let around = "--as=system:serviceaccount:kube-system:job-controller --as-group=system:serviceaccounts:kube-system \\\n  \
        --as-group=system:masters";
    play.types(ADMIN, &format!("kubectl -n shop scale deployment/api --replicas=5 \\\n  {around}")).await?;
    let slipped = replicas.until(5).await?;
    let healed = replicas.until(3).await?;
    let millis = healed.duration_since(slipped).as_millis();
    let record = play.records("Healed", "api", healed_before + 1).await?.pop().unwrap_or_default();
    ensure!(record["fields"][0]["path"] == ".spec.replicas", "the record is {record}");
    let said = record["remediationMs"].as_u64().context("the record says how long it took")?;
    play.stage
        .holds(format!("a watch of its own saw 5, and {millis} ms later 3 again; Holdfast's record says {said} ms"))
}

async fn the_webhook_is_put_back(play: &Play) -> Result<()> {
    play.types(ADMIN, "kubectl delete validatingwebhookconfiguration/holdfast mutatingwebhookconfiguration/holdfast")
        .await?;
    let restored = play.records("WebhookRestored", "holdfast", 2).await?;
    let took = restored.iter().filter_map(|record| record["remediationMs"].as_u64()).max();
    let took = took.context("the record says how long it took")?;
    let attempt = ["-n", SAMPLE, "scale", "deployment/api", "--replicas=4", "--dry-run=server"];
    let refused = || async { play.world.kubectl(Person::Alice, &attempt).await?.refusal().map(drop) };
    wait_until("the webhook is back", SOON, refused).await?;
    play.stage.holds(format!("both are back within {took} ms, on record, and refuse again"))
}

async fn the_autoscaler_is_left_alone(play: &Play) -> Result<()> {
    play.stage.title("5. What belongs to a controller is left to it")?;
    play.stage.says("Git says 2 replicas of web, and has an autoscaler for it that wants at least 3. Two masters of one number \
        fight for ever, unless somebody says whose it is: the GitSync's ignoreDifferences does, to webhook and reconciler alike.")?;
    if !play.world.has_controllers() {
        return play.stage.says("(Skipped: there is no kube-controller-manager in KUBEBUILDER_ASSETS.)");
    }
    wait_until("the autoscaler has acted", SOON, || async {
        let web = play.object("deployment/web").await?;
        ensure!(web["spec"]["replicas"] == 3, "replicas is {}", web["spec"]["replicas"]);
        Ok(())
    })
    .await?;
    play.types(DANA, "grep replicas: apps/shop/web/deployment.yaml").await?;
    play.types(ALICE, "kubectl -n shop get hpa/web").await?;
    play.types(
        ALICE,
        "kubectl -n shop get deploy/web -o custom-columns=REPLICAS:.spec.replicas,EDITS:.metadata.generation",
    )
    .await?;
    let web = play.object("deployment/web").await?;
    ensure!(web["metadata"]["generation"] == 2, "it was edited by others: {}", web["metadata"]);
    nothing_fights(play).await?;
    play.stage.holds("created once, scaled once, and nobody touched it since: no drift, no heal")
}

async fn nothing_fights(play: &Play) -> Result<()> {
    for kind in ["Drifted", "Healed", "Denied"] {
        ensure!(play.records_now(kind, "web")?.is_empty(), "web has records of kind {kind}");
    }
    let status = play.status().await?;
    ensure!(status["drifted"] == 0, "its status is {status}");
    Ok(())
}

async fn a_commit_is_the_way(play: &Play) -> Result<()> {
    play.stage.title("6. A commit is the way to change production")?;
    play.stage.says(
        "A new image is rolled out. A file that is removed takes its object with it, because Holdfast knows which \
        objects came from Git.",
    )?;
    play.types(DANA, "sed -i.bak s/api:1.14.2/api:1.15.0/ apps/shop/api/deployment.yaml").await?;
    play.types(DANA, "git rm --quiet apps/shop/network/ingress.yaml").await?;
    play.types(DANA, "git commit --quiet --all -m 'api 1.15.0, without the old Ingress' && git push --quiet").await?;
    let commit = std::fs::read_to_string(play.worktree()?.join(".git/refs/heads/main"))?;
    play.world.synced(SAMPLE, commit.trim()).await?;
    play.types(ALICE, "kubectl -n shop get ingress").await?;
    play.types(
        ALICE,
        "kubectl -n shop get deploy -o 'custom-columns=REPLICAS:.spec.replicas,IMAGE:..containers[0].image'",
    )
    .await?;
    let api = play.object("deployment/api").await?;
    let image = &api["spec"]["template"]["spec"]["containers"][0]["image"];
    ensure!(image == "registry.example.com/shop/api:1.15.0", "the image is {image}");
    ensure!(play.object("deployment/web").await?["spec"]["replicas"] == 3, "the autoscaler's number was taken back");
    play.records("Pruned", "shop", 1).await?;
    play.stage.holds("rolled out, pruned, and the autoscaler's 3 replicas are still its own")
}

fn everything_is_on_record(play: &Play) -> Result<()> {
    play.stage.title("7. Who did what, and what became of it")?;
    play.stage.says(
        "All of that is one JSON line each on Holdfast's standard output, with user, fields, both values, commit, \
        file and line. As a table:",
    )?;
    let records = play.world.records()?;
    for (number, line) in table::lines(&records).iter().enumerate() {
        play.stage.row(line, number == 0)?;
    }
    let count = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    let told =
        ["Denied", "BreakGlassRefused", "BreakGlassOpened", "BreakGlassClosed", "WebhookRestored", "Healed", "Pruned"]
            .map(count);
    ensure!(told == [4, 1, 1, 1, 2, 2, 1], "the records tell another story: {}", json!(told));
    Ok(())
}

fn holds(status: &Value, condition: &str) -> bool {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|found| found["type"] == condition && found["status"] == "True")
}
