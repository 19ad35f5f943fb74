//! Our own kinds, edited so that less is guarded: whoever may edit them needs a right for that, and it is recorded.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::door::{Ask, Caller, Came};
use crate::manifests::SETTINGS;
use crate::place::Place;
use crate::stage::{self, Stage, test, tests};
use crate::who::Who;
use crate::world::{HOLDFAST_NAMESPACE, Person, wait_until};

/// A name, what is merged into the `GitSync`, and what it takes.
type Row = (&'static str, fn() -> Value, Takes);

/// What an edit takes besides the right to edit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    Nothing,
    Loosen,
    Suspend,
    Both,
}

const ROWS: &[Row] = &[
    ("a_weaker_mode", || json!({"spec": {"admission": {"mode": "Warn"}}}), Takes::Loosen),
    ("additions_allowed", || json!({"spec": {"admission": {"undeclared": "Allow"}}}), Takes::Loosen),
    ("no_healing", || json!({"spec": {"syncPolicy": {"automated": {"selfHeal": false}}}}), Takes::Loosen),
    ("an_exclusion", || json!({"spec": {"ignoreDifferences": [{"kind": "ConfigMap"}]}}), Takes::Loosen),
    ("another_folder", || json!({"spec": {"source": {"path": "elsewhere"}}}), Takes::Loosen),
    ("another_branch", || json!({"spec": {"source": {"targetRevision": "mine"}}}), Takes::Loosen),
    ("another_namespace", || json!({"spec": {"destination": {"namespace": "elsewhere"}}}), Takes::Loosen),
    ("a_pause", || json!({"spec": {"suspend": {"reason": "INC-1", "until": "2099-01-01T00:00:00Z"}}}), Takes::Suspend),
    (
        "a_rollback",
        || json!({"spec": {"rollback": {"revision": "0123456", "reason": "INC-1", "until": "2099-01-01T00:00:00Z"}}}),
        Takes::Suspend,
    ),
    (
        "a_pause_and_a_weaker_mode",
        || {
            json!({"spec": {
                "admission": {"mode": "Off"}, "suspend": {"reason": "INC-1", "until": "2099-01-01T00:00:00Z"},
            }})
        },
        Takes::Both,
    ),
    ("another_interval", || json!({"spec": {"source": {"interval": "7s"}}}), Takes::Nothing),
    ("pruning", || json!({"spec": {"syncPolicy": {"automated": {"prune": true}}}}), Takes::Nothing),
    ("a_label", || json!({"metadata": {"labels": {"mine": "yes"}}}), Takes::Nothing),
];

pub fn trials() -> Vec<Trial> {
    let rows = ROWS.iter().map(|(name, change, takes)| {
        test(format!("verbs::loosened_{name}"), move || async move { check(&change(), *takes).await })
    });
    rows.chain(tests![
        a_deletion_takes_a_right,
        a_policy_takes_a_right,
        a_namespace_with_gitsyncs_takes_a_right,
        what_ends_every_guard_takes_a_right,
        a_loosening_is_recorded,
        who_paused_is_stamped,
        a_stamp_of_a_pause_cannot_be_typed,
        a_sync_in_git_is_guarded_like_anything,
        kubectl_knows_who_may,
    ])
    .collect()
}

/// Somebody who may edit our kinds, and has these verbs besides. Rights are seen by the authorizer a moment after they are given.
async fn editor(stage: &Stage, takes: Takes) -> Result<Caller> {
    static GIVEN: OnceCell<()> = OnceCell::const_new();
    GIVEN
        .get_or_try_init(async || {
            let resources = ["gitsyncs", "driftpolicies"];
            let edit = ["get", "list", "create", "update", "patch", "delete"];
            let roles = [("nothing", &[][..]), ("loosen", &["loosen"]), ("suspend", &["suspend"]), ("both", &["loosen", "suspend"])];
            let roles = roles.map(|(name, more)| {
                let verbs: Vec<_> = edit.iter().chain(more).collect();
                let rules = json!([
                    {"apiGroups": ["holdfast.dev"], "resources": resources, "verbs": verbs},
                    {"apiGroups": ["", "apiextensions.k8s.io"], "resources": ["namespaces", "customresourcedefinitions"], "verbs": ["delete"]},
                ]);
                let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                    "metadata": {"name": format!("test:{name}")}, "rules": rules});
                let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                    "metadata": {"name": format!("test:{name}")},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("test:{name}")},
                    "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": format!("editor-{name}")}]});
                [role, binding]
            });
            let items: Vec<_> = roles.into_iter().flatten().collect();
            stage.world.apply(&json!({"apiVersion": "v1", "kind": "List", "items": items})).await?;
            for name in ["nothing", "loosen", "suspend", "both"] {
                wait_until("the rights are known", stage::PATIENCE, || async {
                    let can = ["auth", "can-i", "delete", "gitsyncs.holdfast.dev", "--all-namespaces", "--as", &format!("editor-{name}")];
                    stage.world.kubectl(Person::Administrator, &can).await?.success()
                })
                .await?;
            }
            anyhow::Ok(())
        })
        .await?;
    Ok(Caller::named(&format!("editor-{takes:?}").to_lowercase(), &[]))
}

fn ask(verb: &str, name: &str, body: Value) -> Ask {
    Ask { verb: verb.to_owned(), at: format!("holdfast.dev/v1alpha1/gitsyncs/{name}"), body, dry_run: true }
}

async fn check(change: &Value, takes: Takes) -> Result<()> {
    static PLACE: OnceCell<Place<'static>> = OnceCell::const_new();
    let place = PLACE.get_or_try_init(async || Place::new("loosened", &[("settings.yaml", SETTINGS)]).await).await?;
    for has in [Takes::Nothing, Takes::Loosen, Takes::Suspend, Takes::Both] {
        let came = ask("merge", "loosened", change.clone())
            .by(place.stage, HOLDFAST_NAMESPACE, &editor(place.stage, has).await?)
            .await?;
        let enough = takes == Takes::Nothing || has == Takes::Both || has == takes;
        ensure!((came == Came::Through) == enough, "with {has:?} besides: {came:?}");
        if let Came::Refused(message) = came {
            ensure!(message.contains("lacks the verb") && message.contains("spec."), "{message}");
        }
    }
    Ok(())
}

async fn a_deletion_takes_a_right() -> Result<()> {
    let place = Place::new("loosened-deleted", &[("settings.yaml", SETTINGS)]).await?;
    let delete = ask("delete", "loosened-deleted", Value::Null);
    for (has, passes) in [(Takes::Nothing, false), (Takes::Suspend, false), (Takes::Loosen, true)] {
        let came = delete.by(place.stage, HOLDFAST_NAMESPACE, &editor(place.stage, has).await?).await?;
        ensure!((came == Came::Through) == passes, "with {has:?} besides: {came:?}");
    }
    Ok(())
}

/// Comes of it what is to come, in the end: on a busy machine the API server may not wait for what takes several questions.
async fn comes(ask: &Ask, stage: &Stage, caller: &Caller, wanted: impl Fn(&Came) -> bool) -> Result<()> {
    wait_until(&format!("{} comes as it is to", ask.at), stage::PATIENCE, || async {
        let came = ask.by(stage, "", caller).await?;
        ensure!(wanted(&came), "by {caller:?}: {came:?}");
        Ok(())
    })
    .await
}

/// A `GitSync` that could not even be read, of a namespace that holds nothing else.
async fn a_namespace_with_gitsyncs_takes_a_right() -> Result<()> {
    let place = Place::empty(stage::shared().await?, "loosened-home").await?;
    let stage = place.stage;
    let delete = |dry_run| Ask {
        verb: "delete".to_owned(),
        at: "-v1/namespaces/loosened-home".to_owned(),
        body: Value::Null,
        dry_run,
    };
    let nothing = editor(stage, Takes::Nothing).await?;
    comes(&delete(true), stage, &nothing, |came| *came == Came::Through).await.context("it holds no GitSync yet")?;
    let mut sync = stage.world.git_sync("inner", "loosened-home", "loosened-elsewhere")?;
    sync["metadata"]["namespace"] = json!("loosened-home");
    sync["spec"]["source"]["path"] = json!("nowhere");
    stage.world.apply(&sync).await?;

    let refused = [Takes::Nothing, Takes::Suspend].map(async |has| editor(stage, has).await);
    let mut refused = futures::future::try_join_all(refused).await?;
    refused.extend(['P', 'O', 'A'].map(Caller::by));
    for caller in refused {
        let words = [r#""loosen" on gitsyncs.holdfast.dev "loosened-home/*""#, "GitSync loosened-home/inner"];
        let is_told = |came: &Came| match came {
            Came::Refused(message) => words.iter().all(|words| message.contains(words)),
            Came::Through => false,
        };
        comes(&delete(true), stage, &caller, is_told).await?;
    }
    let collector = Caller::account("kube-system", "namespace-controller");
    for caller in
        [editor(stage, Takes::Loosen).await?, Caller::by('C'), collector, Caller::person(Person::Administrator)]
    {
        comes(&delete(true), stage, &caller, |came| *came == Came::Through).await?;
    }
    // Dry runs leave no record; what is really asked for leaves one each.
    for (kind, has) in [("Denied", Takes::Nothing), ("Loosened", Takes::Loosen)] {
        let editor = editor(stage, has).await?;
        delete(false).by(stage, "", &editor).await?;
        let record = recorded(stage, kind, "loosened-home").await?;
        ensure!(record["by"]["user"] == format!("editor-{has:?}").to_lowercase(), "{record}");
        ensure!(record["object"]["kind"] == "Namespace" && record["verb"] == "DELETE", "{record}");
        ensure!(record["reason"] == "GitSync loosened-home/inner: in force → deleted", "{record}");
    }
    let of_it = |record: &Value| record["object"]["name"] == "loosened-home";
    ensure!(stage.world.records()?.into_iter().filter(of_it).count() == 2, "a dry run was recorded");
    Ok(())
}

/// The policy, what our kinds are defined by, and the namespace Holdfast itself is in.
async fn what_ends_every_guard_takes_a_right() -> Result<()> {
    let stage = stage::shared().await?;
    for (at, words) in [
        ("-holdfast.dev/v1alpha1/driftpolicies/default", r#"driftpolicies.holdfast.dev "default""#),
        ("-v1/namespaces/holdfast-system", r#"gitsyncs.holdfast.dev "*""#),
        ("-apiextensions.k8s.io/v1/customresourcedefinitions/gitsyncs.holdfast.dev", r#"gitsyncs.holdfast.dev "*""#),
        (
            "-apiextensions.k8s.io/v1/customresourcedefinitions/driftpolicies.holdfast.dev",
            r#"driftpolicies.holdfast.dev "*""#,
        ),
    ] {
        let delete = Ask { verb: "delete".to_owned(), at: at.to_owned(), body: Value::Null, dry_run: true };
        let refused = [editor(stage, Takes::Nothing).await?, editor(stage, Takes::Suspend).await?, Caller::by('A')];
        for caller in refused {
            let is_told = |came: &Came| matches!(came, Came::Refused(message) if message.contains(words));
            comes(&delete, stage, &caller, is_told).await?;
        }
        for caller in [editor(stage, Takes::Loosen).await?, Caller::by('C'), Caller::person(Person::Administrator)] {
            comes(&delete, stage, &caller, |came| *came == Came::Through).await?;
        }
    }
    // Any other definition is nobody's business that Git declares nothing of.
    let other = "-apiextensions.k8s.io/v1/customresourcedefinitions/nothing.holdfast.dev".to_owned();
    let delete = Ask { verb: "delete".to_owned(), at: other, body: Value::Null, dry_run: true };
    let came = delete.by(stage, "", &editor(stage, Takes::Nothing).await?).await;
    ensure!(came.is_err_and(|error| error.to_string().contains("not found")), "it is told otherwise");
    Ok(())
}

async fn a_policy_takes_a_right() -> Result<()> {
    let stage = stage::shared().await?;
    for (change, passes) in [
        (json!({"spec": {"controllers": ["system:serviceaccount:ci:*"]}}), false),
        (json!({"spec": {"breakGlass": {"maxDuration": "9h"}}}), false),
        (json!({"spec": {"ignoreDifferences": [{"kind": "Secret"}]}}), false),
        (json!({"spec": {"interactiveManagers": []}}), false),
        (json!({"spec": {"presets": {"hpa": false}}}), true),
        (json!({"spec": {"breakGlass": {"maxDuration": "3h"}}}), true),
    ] {
        let at = "-holdfast.dev/v1alpha1/driftpolicies/default".to_owned();
        let ask = Ask { verb: "merge".to_owned(), at, body: change.clone(), dry_run: true };
        let came = ask.by(stage, "", &editor(stage, Takes::Suspend).await?).await?;
        ensure!((came == Came::Through) == passes, "{change}: {came:?}");
        let came = ask.by(stage, "", &editor(stage, Takes::Loosen).await?).await?;
        ensure!(came == Came::Through, "{change}: {came:?}");
    }
    Ok(())
}

async fn a_loosening_is_recorded() -> Result<()> {
    let place = Place::new("loosened-told", &[("settings.yaml", SETTINGS)]).await?;
    let change = json!({"spec": {"admission": {"mode": "Warn"}}});
    for (kind, has) in [("Denied", Takes::Nothing), ("Loosened", Takes::Loosen)] {
        let ask = Ask { dry_run: false, ..ask("merge", "loosened-told", change.clone()) };
        let editor = editor(place.stage, has).await?;
        ask.by(place.stage, HOLDFAST_NAMESPACE, &editor).await?;
        let record = recorded(place.stage, kind, "loosened-told").await?;
        let (user, _) = editor.impersonating.context("editors are impersonated")?;
        ensure!(record["by"]["user"] == user && record["verb"] == "UPDATE", "{record}");
        ensure!(record["reason"] == "spec.admission.mode: Deny → Warn", "{record}");
        ensure!(record["sync"] == "holdfast-system/loosened-told", "{record}");
    }
    Ok(())
}

async fn recorded(stage: &Stage, kind: &str, name: &str) -> Result<Value> {
    wait_until(&format!("a record says {kind} of {name}"), stage::PATIENCE, || async {
        let about = |record: &Value| record["kind"] == kind && record["object"]["name"] == name;
        stage.world.records()?.into_iter().rfind(about).context("there is none")
    })
    .await
}

async fn who_paused_is_stamped() -> Result<()> {
    let place = Place::new("loosened-paused", &[("settings.yaml", SETTINGS)]).await?;
    let until = "2099-01-01T00:00:00Z";
    let pause = json!({"spec": {"suspend": {"reason": "INC-4211", "until": until}}});
    let pause = Ask { dry_run: false, ..ask("merge", "loosened-paused", pause) };
    let came = pause.by(place.stage, HOLDFAST_NAMESPACE, &editor(place.stage, Takes::Suspend).await?).await?;
    ensure!(came == Came::Through, "{came:?}");
    let by = |sync: &Value| sync["metadata"]["annotations"]["holdfast.dev/suspended-by"].clone();
    ensure!(by(&place.git_sync().await?) == "editor-suspend", "{}", place.git_sync().await?["metadata"]);
    place.condition("Suspended", true, &["INC-4211", until, "by editor-suspend"]).await?;
    let paused = wait_until("the pause is recorded", stage::PATIENCE, || async {
        let about =
            |record: &Value| record["kind"] == "Suspended" && record["sync"] == "holdfast-system/loosened-paused";
        place.stage.world.records()?.into_iter().rfind(about).context("there is none")
    })
    .await?;
    ensure!(paused["by"]["user"] == "editor-suspend", "{paused}");
    let listed = ["get", "gitsync", "loosened-paused", "--namespace", HOLDFAST_NAMESPACE, "--output=wide"];
    let listed = place.stage.world.kubectl(Person::Administrator, &listed).await?.success()?;
    ensure!(listed.contains("editor-suspend") && listed.contains("SUSPENDED BY"), "{listed}");

    // Somebody else's edit of something else changes nothing about who paused, and the pause may be ended by whoever may edit.
    let nobody = editor(place.stage, Takes::Nothing).await?;
    let label = json!({"metadata": {"labels": {"mine": "yes"}}});
    let resume = json!({"spec": {"suspend": null}});
    for (change, stamp) in [(label, json!("editor-suspend")), (resume, Value::Null)] {
        let edit = Ask { dry_run: false, ..ask("merge", "loosened-paused", change) };
        let came = edit.by(place.stage, HOLDFAST_NAMESPACE, &nobody).await?;
        ensure!(came == Came::Through, "{came:?}");
        ensure!(by(&place.git_sync().await?) == stamp, "{}", place.git_sync().await?["metadata"]);
    }
    Ok(())
}

async fn a_stamp_of_a_pause_cannot_be_typed() -> Result<()> {
    let place = Place::new("loosened-typed", &[("settings.yaml", SETTINGS)]).await?;
    let stamp = json!({"metadata": {"annotations": {"holdfast.dev/suspended-by": "alice"}}});
    let mut both = stamp.clone();
    both["spec"] = json!({"suspend": {"reason": "INC-1", "until": "2099-01-01T00:00:00Z"}});
    for change in [stamp, both] {
        let edit = ask("merge", "loosened-typed", change);
        let came = edit.by(place.stage, HOLDFAST_NAMESPACE, &editor(place.stage, Takes::Both).await?).await?;
        ensure!(matches!(&came, Came::Refused(message) if message.contains("cannot be written by hand")), "{came:?}");
    }
    Ok(())
}

/// A `GitSync` may declare others. Then Git says how they are, in Holdfast's own namespace as well.
async fn a_sync_in_git_is_guarded_like_anything() -> Result<()> {
    let stage = stage::shared().await?;
    let mut inner = stage.world.git_sync("syncs-inner", "syncs-inner", "syncs-inner")?;
    inner["spec"]["source"]["interval"] = json!("30s");
    stage.world.namespace("syncs-inner").await?;
    let place = Place::new("syncs", &[("inner.yaml", &inner.to_string())]).await?;
    let edit = ask("merge", "syncs-inner", json!({"spec": {"source": {"interval": "45s"}}}));
    let administrator = Caller::person(Person::Administrator);
    let came = edit.by(stage, HOLDFAST_NAMESPACE, &administrator).await?;
    ensure!(matches!(&came, Came::Refused(message) if message.contains("syncs/inner.yaml")), "{came:?}");
    let came = ask("delete", "syncs-inner", Value::Null).by(stage, HOLDFAST_NAMESPACE, &administrator).await?;
    ensure!(matches!(came, Came::Refused(_)), "{came:?}");

    let line = |what: &str| format!("{what} --namespace {HOLDFAST_NAMESPACE}");
    place.accepts(Who::Administrator, &line("annotate gitsync/syncs-inner holdfast.dev/break-glass=INC-1")).await?;
    let patch = r#"patch gitsync/syncs-inner --type=merge --patch={"spec":{"source":{"interval":"45s"}}}"#;
    place.accepts(Who::Administrator, &line(patch)).await.map(drop)
}

async fn kubectl_knows_who_may() -> Result<()> {
    let world = &stage::shared().await?.world;
    for (person, can) in [(Person::Alice, false), (Person::Oncall, true), (Person::Administrator, true)] {
        for resource in ["gitsyncs.holdfast.dev", "gitsyncs.holdfast.dev/shop"] {
            let ask = ["auth", "can-i", "break-glass", resource, "--namespace", HOLDFAST_NAMESPACE];
            let answer = world.kubectl(person, &ask).await?;
            ensure!(answer.stdout.trim() == if can { "yes" } else { "no" }, "{person:?}: {answer:?}");
            // It knows no verbs but its own, and says so; that it does not know the resource would be another matter.
            ensure!(!answer.stderr.contains("resource type"), "{}", answer.stderr);
        }
        // What is guarded for other tools hangs on the policy.
        let ask = ["auth", "can-i", "break-glass", "driftpolicies.holdfast.dev/default"];
        let answer = world.kubectl(person, &ask).await?;
        ensure!(answer.stdout.trim() == if can { "yes" } else { "no" }, "{person:?}: {answer:?}");
    }
    for (role, verbs) in [("holdfast-break-glass", &["break-glass"][..]), ("holdfast-loosen", &["loosen", "suspend"])] {
        let role =
            world.kubectl(Person::Administrator, &["get", "clusterrole", role, "--output=json"]).await?.success()?;
        let role: Value = serde_json::from_str(&role)?;
        ensure!(role["rules"][0]["verbs"] == json!(verbs), "{role}");
    }
    Ok(())
}
