//! `holdfast diff`, `explain` and the commands that ask for something as people run them, against a real API server.
//!
//! Edits slip through because the GitSyncs here neither guard nor heal, except where the guard itself is in question.

#[path = "inspect/asking.rs"]
mod asking;
#[path = "dev/world/mod.rs"]
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;
use world::{Options, Person, World, wait_until};

const APP: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  replicas: 2
  selector:
    matchLabels:
      app: api
  template:
    metadata:
      labels:
        app: api
    spec:
      containers:
        - name: api
          image: registry.example.com/api:1
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  level: info
";

static WORLD: OnceCell<World> = OnceCell::const_new();

async fn world() -> &'static World {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspect");
    WORLD.get_or_init(async || World::start(&folder, Options::for_tests()).await.expect("a world starts")).await
}

/// What a command came to.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn ends(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "ended with {:?}\n{}\n{}", self.code, self.out, self.err);
        Ok(self)
    }

    fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| format!("no JSON: {}", self.out))
    }

    fn shows(&self, texts: &[&str]) -> Result<()> {
        texts.iter().try_for_each(|text| {
            ensure!(self.out.contains(text) || self.err.contains(text), "no {text:?} in\n{}\n{}", self.out, self.err);
            Ok(())
        })
    }
}

/// `holdfast` with this kubeconfig.
async fn run_with(kubeconfig: &Path, arguments: &[&str]) -> Result<Said> {
    run_in(kubeconfig, arguments, &[]).await
}

/// Likewise, in this environment.
async fn run_in(kubeconfig: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Said> {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspect-cache");
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.env("KUBECONFIG", kubeconfig).env("HOLDFAST_CACHE_DIR", cache).env("NO_PROXY", "127.0.0.1");
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").envs(variables.iter().copied());
    let output = command.args(arguments).output().await.context("failed to start holdfast")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
}

fn kubeconfig(world: &World, name: &str) -> Result<PathBuf> {
    let environment = world.environment()?;
    let found = environment.into_iter().find(|(variable, _)| *variable == name);
    Ok(found.context("every world has kubeconfigs")?.1.into())
}

/// `holdfast` as the administrator.
async fn run(arguments: &[&str]) -> Result<Said> {
    run_with(&kubeconfig(world().await, "KUBECONFIG")?, arguments).await
}

/// A namespace and a synced GitSync of this name with these files; answers with the commit.
async fn synced(name: &str, files: &[(&str, &str)], change: impl FnOnce(&mut Value)) -> Result<String> {
    let world = world().await;
    world.namespace(name).await?;
    let commit = commit(name, files).await?;
    let mut sync = world.git_sync(name, name, name)?;
    sync["spec"]["admission"]["mode"] = json!("Off");
    sync["spec"]["syncPolicy"]["automated"] = json!({"prune": false, "selfHeal": false});
    change(&mut sync);
    world.apply(&sync).await?;
    // Not `synced`: another test may have committed meanwhile, and then it is that commit, which holds ours.
    world.ready(name).await?;
    Ok(commit)
}

async fn commit(name: &str, files: &[(&str, &str)]) -> Result<String> {
    let write = |clone: &Path| write(&clone.join(name), files);
    world().await.commit(&format!("Change {name}"), write).await
}

fn write(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    fs::create_dir_all(folder)?;
    files.iter().try_for_each(|(file, text)| fs::write(folder.join(file), text).context("failed to write"))
}

async fn kubectl(arguments: &[&str]) -> Result<String> {
    world().await.kubectl(Person::Administrator, arguments).await?.success()
}

/// Lets two people edit what neither is guarded from.
async fn edit(namespace: &str) -> Result<()> {
    kubectl(&["-n", namespace, "scale", "deployment/api", "--replicas=7"]).await?;
    kubectl(&["-n", namespace, "set", "env", "deployment/api", "DEBUG=1"]).await?;
    Ok(())
}

#[tokio::test]
async fn in_sync_is_silent_and_ends_with_0() -> Result<()> {
    synced("quiet", &[("app.yaml", APP)], |_| ()).await?;
    for arguments in
        [&["diff", "quiet"][..], &["diff", "holdfast-system/quiet"], &["diff", "quiet", "-n", "holdfast-system"]]
    {
        let said = run(arguments).await?.ends(0)?;
        ensure!(said.out.is_empty(), "{}", said.out);
        said.shows(&["no difference in 2 objects of 1 GitSync"])?;
    }
    let said = run(&["diff", "quiet", "-o", "json"]).await?.ends(0)?.json()?;
    ensure!(said["objects"] == json!([]) && said["judged"] == 2, "{said}");
    Ok(())
}

#[tokio::test]
async fn a_slipped_edit_ends_with_1_and_is_named() -> Result<()> {
    synced("slipped", &[("app.yaml", APP)], |_| ()).await?;
    edit("slipped").await?;
    let said = run(&["diff", "slipped"]).await?.ends(1)?;
    ensure!(!said.out.contains('\x1b'), "colours in a pipe");
    said.shows(&[
        "Deployment.apps slipped/api  slipped/app.yaml:1",
        "@@ .spec.replicas @@ slipped/app.yaml:6, changed by kubectl\n-replicas: 2\n+replicas: 7\n",
        ".spec.template.spec.containers[name=api].env @@ added by kubectl-set\n+env:\n+- name: DEBUG\n",
    ])?;
    ensure!(run(&["diff", "slipped", "--color", "always"]).await?.out.contains("\x1b[31m-replicas: 2"), "no colours");
    let said = run(&["diff", "slipped", "-o", "json"]).await?.ends(1)?.json()?;
    let found = &said["objects"][0]["deviations"][0];
    let expected = json!({"path": ".spec.replicas", "kind": "Changed", "git": 2, "live": 7, "file": "slipped/app.yaml",
                          "line": 6, "owner": "kubectl"});
    ensure!(*found == expected, "{found}");
    kubectl(&["-n", "slipped", "delete", "configmap", "settings"]).await?;
    run(&["diff", "slipped", "-o", "yaml"]).await?.ends(1)?.shows(&["kind: Missing"])
}

#[tokio::test]
async fn a_broken_file_ends_with_2_and_the_rest_is_judged() -> Result<()> {
    synced("broken", &[("app.yaml", APP)], |_| ()).await?;
    edit("broken").await?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspect-broken");
    let unknown = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: odd\ndatta: {}\n";
    write(&folder, &[("app.yaml", APP), ("cut.yaml", "kind: ConfigMap\nmetadata: {"), ("odd.yaml", unknown)])?;
    let said = run(&["diff", "broken", "--path", &folder.to_string_lossy()]).await?.ends(2)?;
    said.shows(&["error: cut.yaml:2: ", "error: odd.yaml:1: ", "datta", "+replicas: 7", "2 things could not be judged"])
}

#[tokio::test]
async fn a_folder_that_is_not_committed_can_be_judged() -> Result<()> {
    let guard = |sync: &mut Value| sync["spec"]["admission"]["mode"] = json!("Deny");
    synced("folder", &[("app.yaml", APP)], guard).await?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspect-folder");
    let added = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: new\n";
    write(&folder.join("sub"), &[("new.yaml", added)])?;
    let changed = APP.replace("replicas: 2", "replicas: 4").split_once("---").context("two documents")?.0.to_owned();
    write(&folder, &[("app.yaml", &changed)])?;
    let path = folder.to_string_lossy().into_owned();
    // Alice may not list everywhere, and the guard denies her the change itself: asking is allowed nevertheless.
    for person in ["KUBECONFIG", "ALICE_KUBECONFIG"] {
        let kubeconfig = kubeconfig(world().await, person)?;
        let said = run_with(&kubeconfig, &["diff", "folder", "--path", &path]).await?.ends(1)?;
        said.shows(&[
            "Deployment.apps folder/api  app.yaml:1",
            "@@ .spec.replicas @@ app.yaml:6, changed\n-replicas: 4\n+replicas: 2\n",
            "ConfigMap folder/new  sub/new.yaml:1",
            "sub/new.yaml:1, not in the cluster",
            "not in Git any more\n+apiVersion: v1\n+data:\n+  level: info\n",
        ])?;
    }
    run(&["diff", "folder"]).await?.ends(0)?;
    only_the_question_passes(&folder.join("app.yaml")).await
}

#[tokio::test]
async fn an_autoscaler_only_git_has_counts_and_what_may_not_be_listed_is_said() -> Result<()> {
    synced("scaled", &[("app.yaml", APP)], |_| ()).await?;
    edit("scaled").await?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspect-scaled");
    let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: api}\nspec:\n  \
                  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: api}\n  minReplicas: 2\n  maxReplicas: 9\n";
    write(&folder, &[("app.yaml", APP), ("scaler.yaml", scaler)])?;
    let path = folder.to_string_lossy().into_owned();
    let said = run(&["diff", "scaled", "--path", &path]).await?.ends(1)?;
    ensure!(!said.out.contains(".spec.replicas"), "replicas are the autoscaler's: {}", said.out);
    said.shows(&["HorizontalPodAutoscaler.autoscaling scaled/api", "DEBUG"])?;
    let alice = kubeconfig(world().await, "ALICE_KUBECONFIG")?;
    let said = run_with(&alice, &["diff", "scaled", "--path", &path]).await?;
    ensure!(said.err.contains("judged as if there were none"), "{}", said.err);
    Ok(())
}

/// Doing it, and trying out anything else, get the verdict they always get.
async fn only_the_question_passes(changed: &Path) -> Result<()> {
    let (alice, file) = (Person::Alice, changed.to_string_lossy());
    let apply =
        ["-n", "folder", "apply", "--server-side", "--force-conflicts", "--field-manager=holdfast", "-f", &file];
    world().await.kubectl(alice, &apply).await?.refusal()?;
    let trial = ["-n", "folder", "scale", "deployment/api", "--replicas=4", "--dry-run=server"];
    world().await.kubectl(alice, &trial).await?.refusal()?;
    Ok(())
}

#[tokio::test]
async fn another_commit_can_be_judged() -> Result<()> {
    let before = synced("commits", &[("app.yaml", APP)], |_| ()).await?;
    let after = commit("commits", &[("app.yaml", &APP.replace("level: info", "level: debug"))]).await?;
    wait_until("the second commit is applied", Duration::from_mins(1), || async {
        let level = kubectl(&["-n", "commits", "get", "configmap", "settings", "-o", "jsonpath={.data.level}"]).await?;
        ensure!(level == "debug", "the level is {level}");
        Ok(())
    })
    .await?;
    run(&["diff", "commits"]).await?.ends(0)?;
    run(&["diff", "commits", "--revision", &after[..12]]).await?.ends(0)?;
    run(&["diff", "commits", "--revision", &before]).await?.ends(1)?.shows(&["-level: info", "+level: debug"])?;
    let said = run(&["diff", "commits", "--revision", "nowhere"]).await?.ends(2)?;
    said.shows(&["nowhere", "it is no branch, tag or commit there"])
}

#[tokio::test]
async fn values_of_secrets_are_never_shown() -> Result<()> {
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\nstringData:\n  password: aardvark-secret\n  user: shop\n";
    synced("secrets", &[("db.yaml", secret)], |_| ()).await?;
    let patch = json!({"stringData": {"password": "badger-secret"}}).to_string();
    kubectl(&["-n", "secrets", "patch", "secret", "db", "--type=merge", "-p", &patch]).await?;
    let values = ["aardvark", "badger", "YWFyZHZhcms", "YmFkZ2Vy"];
    let explain = ["explain", "secret/db", "-n", "secrets"];
    for arguments in [
        &["diff", "secrets"][..],
        &["diff", "secrets", "-o", "json"],
        &explain,
        &[&explain[..], &["-o", "yaml"]].concat(),
    ] {
        let said = run(arguments).await?;
        said.shows(&["password", "<hidden 1>", "<hidden 2>"])?;
        let leaked = values.iter().find(|value| said.out.contains(**value) || said.err.contains(**value));
        ensure!(leaked.is_none(), "{arguments:?} shows {leaked:?}\n{}", said.out);
    }
    Ok(())
}

#[tokio::test]
async fn an_explanation_names_owner_rule_and_verdict() -> Result<()> {
    let ignore = json!([{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]);
    synced("explained", &[("app.yaml", APP)], |sync| sync["spec"]["ignoreDifferences"] = ignore).await?;
    kubectl(&["-n", "explained", "scale", "deployment/api", "--replicas=7"]).await?;
    let sidecar =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "proxy:1"}]}}}}).to_string();
    kubectl(&["-n", "explained", "patch", "deployment", "api", "--field-manager=injector", "-p", &sidecar]).await?;
    run(&["diff", "explained"]).await?.ends(0)?.shows(&["1 difference excluded by rules"])?;

    let said = run(&["explain", "deploy/api", "-n", "explained"]).await?.ends(0)?;
    said.shows(&[
        "in sync; differs in 1 excluded place(s)",
        "explained/app.yaml:1",
        "[1] excluded by rule: spec.ignoreDifferences[0] of GitSync holdfast-system/explained (/spec/replicas)",
    ])?;

    let said = run(&["explain", "Deployment.apps/api", "-n", "explained", "-o", "json"]).await?.ends(0)?.json()?;
    let field = |list: &str, path: &str| {
        let fields = said[list].as_array().into_iter().flatten();
        fields.clone().find(|field| field["path"] == path).cloned().with_context(|| format!("no {path} in {said:#}"))
    };
    let replicas = field("fields", ".spec.replicas")?;
    ensure!(replicas["verdict"] == "excluded" && replicas["owners"] == json!(["kubectl"]), "{replicas}");
    ensure!(
        (&replicas["git"], &replicas["live"], &replicas["line"]) == (&json!(2), &json!(7), &json!(6)),
        "{replicas}"
    );
    let proxy = field("undeclared", ".spec.template.spec.containers[name=proxy]")?;
    ensure!(proxy["verdict"] == "leftAlone" && proxy["owners"] == json!(["injector"]), "{proxy}");
    let image = field("fields", ".spec.template.spec.containers[name=api].image")?;
    ensure!(image["verdict"] == "inSync" && image["owners"] == json!(["holdfast"]), "{image}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_managed_is_said_plainly() -> Result<()> {
    synced("unmanaged", &[("app.yaml", APP)], |_| ()).await?;
    run(&["explain", "sa/default", "-n", "unmanaged"]).await?.ends(0)?.shows(&["no GitSync declares it"])?;
    let copy = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "copy", "namespace": "unmanaged",
        "annotations": {"holdfast.dev/tracking-id": "holdfast-system/unmanaged:/ConfigMap:unmanaged/settings"}}});
    world().await.apply(&copy).await?;
    let said = run(&["explain", "cm/copy", "-n", "unmanaged"]).await?.ends(0)?;
    said.shows(&["a copy of ConfigMap unmanaged/settings of GitSync holdfast-system/unmanaged"])?;
    let said = run(&["explain", "cm/copy", "-n", "unmanaged", "-o", "json"]).await?.ends(0)?.json()?;
    ensure!(said["managed"] == false, "{said}");
    Ok(())
}

#[tokio::test]
async fn mistakes_are_answered_with_the_way_out() -> Result<()> {
    synced("mistakes", &[("app.yaml", APP)], |_| ()).await?;
    run(&["diff", "nothere"]).await?.ends(2)?.shows(&["no GitSync nothere; there are:", "holdfast-system/mistakes"])?;
    run(&["diff", "mistakes", "--path", "/not/there"]).await?.ends(2)?.shows(&["failed to read /not/there"])?;
    run(&["diff", "--path", ".", "--revision", "main"]).await?.ends(2)?.shows(&["cannot be used with"])?;
    run(&["diff", "--context", "elsewhere"]).await?.ends(2)?.shows(&["kubectl config get-contexts"])?;
    run(&["explain", "deploy"]).await?.ends(1)?.shows(&["write KIND/NAME"])?;
    run(&["explain", "gadget/x"]).await?.ends(1)?.shows(&["serves no kind \"gadget\"", "kubectl api-resources"])?;
    run(&["explain", "deploy/none", "-n", "mistakes"])
        .await?
        .ends(1)?
        .shows(&["no Deployment.apps mistakes/none", "-n"])
}

#[tokio::test]
async fn missing_rights_are_named_with_what_to_grant() -> Result<()> {
    synced("rights", &[("app.yaml", APP)], |_| ()).await?;
    let looking = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "looking"},
         "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "looking"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "looking"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "onlooker"}]}]});
    world().await.apply(&looking).await?;
    let text = fs::read_to_string(kubeconfig(world().await, "KUBECONFIG")?)?;
    let mut onlooker: Value = serde_json::from_str(&text)?;
    onlooker["users"][0]["user"]["as"] = json!("onlooker");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("onlooker.kubeconfig");
    fs::write(&file, onlooker.to_string())?;

    // What is applied already need not be asked about: looking is enough.
    run_with(&file, &["diff", "rights"]).await?.ends(0)?;
    edit("rights").await?;
    let said = run_with(&file, &["diff", "rights"]).await?.ends(2)?;
    said.shows(&[
        "cannot patch resource \"deployments\"",
        "which writes nothing",
        "kubectl create role holdfast-diff -n rights --verb=get,list,create,patch --resource=deployments.apps",
    ])
}

#[tokio::test]
async fn both_formats_for_programs_say_the_same() -> Result<()> {
    synced("formats", &[("app.yaml", APP)], |_| ()).await?;
    edit("formats").await?;
    for question in [&["diff", "formats"][..], &["explain", "deploy/api", "-n", "formats"]] {
        let json = run(&[question, &["-o", "json"]].concat()).await?;
        let yaml = run(&[question, &["-o", "yaml"]].concat()).await?;
        ensure!(json.code == yaml.code, "{:?} and {:?}", json.code, yaml.code);
        let mut read: Value = serde_saphyr::from_str(&yaml.out).with_context(|| yaml.out.clone())?;
        let mut written = json.json()?;
        // Between the two questions others commit: which commit was the newest is no matter of format.
        [&mut read, &mut written].into_iter().for_each(forget_revisions);
        ensure!(read == written, "{read:#} is not {written:#}");
        ensure!(json.out.ends_with("}\n") && !json.out.contains('\x1b'), "{}", json.out);
    }
    Ok(())
}

fn forget_revisions(told: &mut Value) {
    match told {
        Value::Object(fields) => {
            fields.remove("revision");
            fields.values_mut().for_each(forget_revisions);
        }
        Value::Array(elements) => elements.iter_mut().for_each(forget_revisions),
        _ => {}
    }
}

#[tokio::test]
async fn colours_are_for_those_who_want_them() -> Result<()> {
    synced("colours", &[("app.yaml", APP)], |_| ()).await?;
    edit("colours").await?;
    let kubeconfig = kubeconfig(world().await, "KUBECONFIG")?;
    for question in [&["diff", "colours"][..], &["explain", "deploy/api", "-n", "colours"]] {
        for (arguments, variables, coloured) in [
            (&[][..], &[][..], false),
            (&["--color", "always"], &[], true),
            (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
            (&[], &[("CLICOLOR_FORCE", "1")], true),
            (&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
            (&["--color", "always", "-o", "json"], &[], false),
        ] {
            let said = run_in(&kubeconfig, &[question, arguments].concat(), variables).await?;
            ensure!(said.out.contains('\x1b') == coloured, "{arguments:?} {variables:?}: {}", said.out);
            ensure!(said.out.contains("replicas"), "{}", said.err);
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_missing_and_what_left_git_is_explained() -> Result<()> {
    synced("comings", &[("app.yaml", APP)], |_| ()).await?;
    kubectl(&["-n", "comings", "delete", "configmap", "settings"]).await?;
    let said = run(&["explain", "cm/settings", "-n", "comings"]).await?.ends(0)?;
    said.shows(&["not in the cluster", "comings/app.yaml:19", "selfHeal is off"])?;
    let said = run(&["explain", "cm/settings", "-n", "comings", "-o", "json"]).await?.ends(0)?.json()?;
    ensure!(said["fields"][0]["git"] == "info" && said["fields"][0]["live"].is_null(), "{said:#}");

    let without = APP.split_once("---").context("two documents")?.1;
    commit("comings", &[("app.yaml", without)]).await?;
    let said = run(&["explain", "deploy/api", "-n", "comings"]).await?.ends(0)?;
    said.shows(&["holdfast-system/comings", "declare"])?;
    let said = run(&["diff", "comings"]).await?.ends(1)?;
    said.shows(&["not in Git any more", "comings/app.yaml:2, not in the cluster", "2 objects differ from Git"])
}

#[tokio::test]
async fn a_kind_two_groups_have_is_asked_for_by_group() -> Result<()> {
    synced("groups", &[("app.yaml", APP)], |_| ()).await?;
    for group in ["one.example.com", "two.example.com"] {
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("twins.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced", "names": {"plural": "twins", "singular": "twin", "kind": "Twin"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
        });
        world().await.apply(&definition).await?;
        kubectl(&["wait", &format!("crd/twins.{group}"), "--for=condition=Established", "--timeout=30s"]).await?;
    }
    let twin =
        json!({"apiVersion": "two.example.com/v1", "kind": "Twin", "metadata": {"name": "x", "namespace": "groups"}});
    wait_until("twins can be made", Duration::from_secs(30), async || world().await.apply(&twin).await).await?;
    let said = run(&["explain", "twin/x", "-n", "groups"]).await?.ends(1)?;
    said.shows(&["no Twin.one.example.com groups/x", "other kinds go by that name: Twin.two.example.com"])?;
    run(&["explain", "twin.two.example.com/x", "-n", "groups"]).await?.ends(0)?.shows(&["no GitSync declares it"])
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_no_drift() -> Result<()> {
    let nowhere = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "nowhere",
        "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
        "users": [{"name": "nobody", "user": {"token": "secret-token"}}],
    });
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("kubeconfig");
    fs::write(&file, nowhere.to_string())?;
    for (question, code) in [(&["diff"][..], 2), (&["explain", "cm/a"], 1)] {
        let said = run_with(&file, question).await?.ends(code)?;
        said.shows(&["failed to", "127.0.0.1:1"])?;
        ensure!(said.out.is_empty() && !said.err.contains("secret-token"), "{}\n{}", said.out, said.err);
    }
    let missing = folder.path().join("none").to_string_lossy().into_owned();
    run(&["diff", "--kubeconfig", &missing])
        .await?
        .ends(2)?
        .shows(&["failed to read the kubeconfig", "check --kubeconfig"])?;
    run(&["explain", "cm/a", "--kubeconfig", &missing]).await?.ends(1)?.shows(&["failed to read the kubeconfig"])
}

#[tokio::test]
async fn one_state_of_git_is_that_of_one_sync() -> Result<()> {
    synced("one", &[("app.yaml", APP)], |_| ()).await?;
    synced("another", &[("app.yaml", APP)], |_| ()).await?;
    run(&["diff", "--revision", "main"])
        .await?
        .ends(2)?
        .shows(&["needs one GitSync; name it:", "holdfast-system/one"])?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_string_lossy().into_owned();
    run(&["diff", "--path", &path]).await?.ends(2)?.shows(&["needs one GitSync; name it:"])?;
    // A folder with nothing in it declares nothing: all of it would go.
    let said = run(&["diff", "one", "--path", &path]).await?.ends(1)?;
    said.shows(&["2 objects differ from Git", "not in Git any more"])?;
    fs::write(folder.path().join("not.yaml"), "{")?;
    let said = run(&["diff", "one", "--path", &path]).await?.ends(2)?;
    ensure!(!said.out.contains("not in Git any more"), "half a reading prunes nothing: {}", said.out);
    // One file is as good as a folder with one file.
    let file = folder.path().join("app.yaml");
    fs::write(&file, APP)?;
    run(&["diff", "one", "--path", &file.to_string_lossy()]).await?.ends(0).map(drop)
}

#[tokio::test]
async fn every_shell_is_completed() -> Result<()> {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = run(&["completions", shell]).await?.ends(0)?;
        for word in ["diff", "explain", "revision"] {
            ensure!(said.out.contains(word), "{shell} does not know {word}");
        }
    }
    run(&["completions", "dos"]).await?.ends(2)?.shows(&["bash"])
}
