//! Who undoes our heals again and again is named, given way to, and told how to have it their way.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::manifests::WEB;
use crate::place::{Place, condition};
use crate::stage::tests;
use crate::who::Who;

/// More heals than any fight needs to begin, and few enough to end soon.
const ROUNDS: usize = 20;

pub fn trials() -> Vec<Trial> {
    tests![a_fight_is_told_once_and_ends_with_the_rule_it_tells]
}

async fn a_fight_is_told_once_and_ends_with_the_rule_it_tells() -> Result<()> {
    let place = Place::new("fight", &[("web.yaml", WEB)]).await?;
    let scale = r#"patch deployment/web --type=merge --patch={"spec":{"replicas":5}} --field-manager=scaler"#;
    for round in 0..ROUNDS {
        place.accepts(Who::Listed, scale).await?;
        if is_fighting(&place).await? || round == ROUNDS - 1 {
            break;
        }
        // What is not healed any more is told to be fought over.
        crate::world::wait_until("it is healed, or fought over", crate::stage::PATIENCE, || async {
            let healed = place.live("Deployment/web").await?["spec"]["replicas"] == 3;
            ensure!(healed || is_fighting(&place).await?, "neither");
            Ok(())
        })
        .await?;
    }
    place.accepts(Who::Listed, scale).await?;
    let name = "system:serviceaccount:listed:operator";
    place
        .condition("Fighting", true, &["Deployment.apps fight/web", name, ".spec.replicas", "ignoreDifferences:"])
        .await?;
    let left = async |status: &Value| {
        let why = status["drift"][0]["why"].as_str().unwrap_or_default();
        ensure!(why.contains("fighting with user") && why.contains(name), "{status}");
        Ok(())
    };
    let status = place.says("it is left for now, and why", left).await?;
    // It is healed in the end, whoever is there, and what comes then waits longer.
    place.becomes("Deployment/web", "/spec/replicas", &json!(3)).await?;
    place.accepts(Who::Listed, scale).await?;
    place.says("it is left again", left).await?;
    ensure!(place.records("FightBegan", "Deployment/web")?.len() == 1, "it is told again and again");

    let told = condition(&status, "Fighting").context("it holds")?["message"].as_str().context("text")?.to_owned();
    let (_, rule) = told.split_once("spec:\n").context("a rule to paste")?;
    let rule: Value = serde_saphyr::from_str(rule)?;
    place.sync(|spec| spec["ignoreDifferences"] = rule["ignoreDifferences"].clone()).await?;
    let over = place.record("FightEnded", "Deployment/web").await?;
    ensure!(over["reason"].as_str().is_some_and(|said| said.contains(name)), "{over}");
    place
        .says("there is peace", async |status| {
            ensure!(condition(status, "Fighting").is_none() && status["drifted"] == 0, "{status}");
            Ok(())
        })
        .await?;
    place.accepts(Who::Listed, &scale.replace('5', "6")).await?;
    place.looks_again().await?;
    place.is("Deployment/web", "/spec/replicas", json!(6)).await
}

async fn is_fighting(place: &Place<'_>) -> Result<bool> {
    Ok(condition(&place.git_sync().await?["status"], "Fighting").is_some())
}
