//! Values of Secrets are told nowhere, whatever happens to them: one story, and then everything that was written about it.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::place::{Place, patch};
use crate::stage::{PATIENCE, folder, tests};
use crate::who::Who;
use crate::world::{Person, wait_until};

/// What Git says, what alice tries, what slips in by a controller, what a policy refuses. Their base64 has all of its alphabet.
const VALUES: [&str; 4] = ["git>>so??secret~~", "alice>>so??secret~~", "slipped>>so??secret~~", "weak>>so??secret~~"];

const RULE: &str = r#"{"kind": "Secret", "jqPathExpressions": [".data.failing.x"]}"#;

fn secret(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData:\n  password: '{value}'\n")
}

pub fn trials() -> Vec<Trial> {
    tests![no_value_is_told_anywhere, a_rule_that_fails_on_a_secret_does_not_repeat_it]
}

async fn no_value_is_told_anywhere() -> Result<()> {
    let [git, alice, slipped, weak] = VALUES;
    let place = Place::new("secrets", &[("db.yaml", &secret("db", git))]).await?;
    let mut told = vec![place.refuses(Who::Alice, &change(alice)).await?];
    place.accepts(Who::Collector, &change(slipped)).await?;
    let healed = place.record("Healed", "Secret/db").await?;
    ensure!(healed["fields"][0]["path"] == ".data.password", "{healed}");
    ensure!(healed["fields"][0]["git"] != healed["fields"][0]["live"], "they look alike: {healed}");

    // What is reported only.
    place.sync(|spec| spec["syncPolicy"] = json!({"automated": {"selfHeal": false}})).await?;
    place.looks_again().await?;
    place.accepts(Who::Collector, &change(slipped)).await?;
    place.record("Drifted", "Secret/db").await?;
    told.extend(asked(&place, 1, "Changed").await?);

    // What somebody's policy refuses, and repeats.
    repeating_policy(&place).await?;
    place.write(&[("weak.yaml", &secret("weak", weak)), ("bad.yaml", &bad(git))]).await?;
    place.condition("Synced", false, &["weak.yaml", "is too weak"]).await?;
    told.extend(asked(&place, 2, "is too weak").await?);
    silent(&place, told).await
}

async fn a_rule_that_fails_on_a_secret_does_not_repeat_it() -> Result<()> {
    let file = secret("db", VALUES[0]).replace("stringData:\n", &format!("stringData:\n  failing: '{}'\n", VALUES[0]));
    let rule: Value = serde_json::from_str(RULE)?;
    let place =
        Place::with("secrets-jq", &[("db.yaml", &file)], |spec| spec["ignoreDifferences"] = json!([rule])).await?;
    let told = place.refuses(Who::Alice, &change(VALUES[1])).await?;
    ensure!(told.contains("could not be asked"), "{told}");
    place.accepts(Who::Collector, &change(VALUES[2])).await?;
    place.condition("RuleError", true, &["spec.ignoreDifferences[0]", "may repeat a value"]).await?;
    silent(&place, vec![told]).await
}

fn change(value: &str) -> String {
    patch("secret/db", &json!({"stringData": {"password": value}}))
}

/// A Secret the API server refuses, with the value in its annotations as well.
fn bad(value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: bad, annotations: {{note: '{value}'}}}}\ntype: kubernetes.io/basic-auth\nimmutable: {{}}\nstringData:\n  user: '{value}'\n"
    )
}

/// Refuses Secrets named `weak` here, and says their values.
async fn repeating_policy(place: &Place<'_>) -> Result<()> {
    let said = "'\"' + object.data.password + '\" is too weak'";
    let policy = json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "repeating"},
            "spec": {
                "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"]}]},
                "matchConditions": [{"name": "weak", "expression": "object.metadata.name == 'weak'"}],
                "validations": [{"expression": "false", "messageExpression": said}],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "repeating"},
            "spec": {
                "policyName": "repeating", "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.name}}},
            },
        },
    ]});
    place.stage.world.apply(&policy).await?;
    let weak: Value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "weak", "namespace": place.name}, "data": {"password": "eA=="}});
    wait_until("the policy is in force", PATIENCE, || async {
        let line = ["create", "--dry-run=server", "--filename=-"];
        let output = place.run(Who::Administrator, &line, &weak.to_string()).await?;
        ensure!(output.stderr.contains("too weak"), "{}", output.stderr);
        Ok(())
    })
    .await
}

/// What `diff` and `explain` say in every format.
async fn asked(place: &Place<'_>, code: i32, words: &str) -> Result<Vec<String>> {
    let diff = vec!["diff", &place.name];
    let explain = vec!["explain", "secret/db", "--namespace", &place.name];
    let mut said = Vec::new();
    for question in [diff, explain] {
        for format in [&[][..], &["-o", "json"], &["-o", "yaml"], &["--color", "always"]] {
            let output = holdfast(place, &[&question[..], format].concat()).await?;
            let is_diff = question[0] == "diff";
            ensure!(!is_diff || output.0 == Some(code), "{question:?} ended with {:?}: {}", output.0, output.1);
            ensure!(!is_diff || format.is_empty() || output.1.contains(words) || code == 1, "{}", output.1);
            ensure!(output.1.contains("password"), "{}", output.1);
            said.push(output.1);
        }
    }
    Ok(said)
}

/// What the program answers the administrator, and its exit code.
pub async fn holdfast(place: &Place<'_>, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let environment = place.stage.world.environment()?;
    let kubeconfig = environment.iter().find(|(name, _)| *name == "KUBECONFIG").context("there is a kubeconfig")?;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.env("KUBECONFIG", &kubeconfig.1).env("HOLDFAST_CACHE_DIR", folder("secrets-cache"));
    let output = command.env("NO_PROXY", "127.0.0.1").args(arguments).output().await?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok((output.status.code(), text.concat()))
}

/// Nothing of all that was written holds a value in any of its forms.
async fn silent(place: &Place<'_>, told: Vec<String>) -> Result<()> {
    let world = &place.stage.world;
    let mut said: Vec<_> = told.into_iter().map(|text| ("an answer".to_owned(), text)).collect();
    let get = |line: &'static [&'static str]| async move {
        world.kubectl(Person::Administrator, line).await?.success().map(|text| (line.join(" "), text))
    };
    said.push(get(&["get", "events", "--all-namespaces", "--output=yaml"]).await?);
    said.push(get(&["get", "gitsyncs,driftpolicies", "--all-namespaces", "--output=yaml"]).await?);
    said.push(("metrics".to_owned(), place.stage.metrics().await?));
    said.push(("records".to_owned(), serde_json::to_string(&world.records()?)?));
    let logs = world.environment()?.into_iter().find(|(name, _)| *name == "LOG_DIR").context("there are logs")?.1;
    let log = Path::new(&logs).join("holdfast.log");
    said.push(("the log".to_owned(), std::fs::read_to_string(&log).with_context(|| log.display().to_string())?));
    let forms: Vec<_> = VALUES.iter().flat_map(|value| forms(value)).collect();
    for (what, text) in said {
        ensure!(!text.is_empty(), "{what} says nothing");
        for form in &forms {
            let line = text.lines().find(|line| line.contains(form.as_str()));
            ensure!(line.is_none(), "{what} tells {form}: {}", line.unwrap_or_default());
        }
    }
    Ok(())
}

/// A value, encoded and not, in the alphabet of URLs, percent-encoded and in quotes; less of it is not told either.
fn forms(value: &str) -> Vec<String> {
    let encoded = json!(k8s_openapi::ByteString(value.as_bytes().to_vec()));
    let encoded = encoded.as_str().unwrap_or_default().trim_end_matches('=').to_owned();
    let start = value.split_once(">>").map_or(value, |(start, _)| start);
    vec![
        format!("{start}>>"),
        value.replace('>', "\\u003e"),
        value.replace('>', "%3E").replace('?', "%3F"),
        encoded.replace('+', "-").replace('/', "_"),
        encoded[..encoded.len() - 2].to_owned(),
    ]
}
