//! Repositories whose commits must be signed: what is not is refused, told and not enforced, and keys come and go without a restart.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use russh::keys::ssh_key::{LineEnding, private::Ed25519Keypair};
use russh::keys::{HashAlg, PrivateKey};
use serde_json::{Value, json};

use crate::manifests::SETTINGS;
use crate::place::Place;
use crate::secrets::holdfast;
use crate::stage::{folder, fragile, shared, tests, write};
use crate::who::Who;
use crate::world::HOLDFAST_NAMESPACE;

const SLOW: &str = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;
const ANN: u8 = 1;
const BEA: u8 = 2;

pub fn trials() -> Vec<Trial> {
    tests![an_unsigned_commit_is_refused_and_keys_come_and_go, a_restart_holds_to_the_last_commit_that_is_believed,]
}

/// A repository of the test's own: the others commit to theirs without a signature.
struct Signed(PathBuf);

impl Signed {
    fn new(name: &str) -> Result<Self> {
        let signed = Self(folder(name));
        if signed.0.exists() {
            std::fs::remove_dir_all(&signed.0)?;
        }
        std::fs::create_dir_all(&signed.0)?;
        signed.git(&["init", "--quiet", "--initial-branch=main"])?;
        Ok(signed)
    }

    fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    /// Commits the settings with this mode, signed if a key is given, and answers with the commit.
    fn commit(&self, mode: &str, seed: Option<u8>) -> Result<String> {
        write(&self.0.join("settings.yaml"), &SETTINGS.replace("fast", mode))?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", mode])?;
        if let Some(seed) = seed {
            let commit = self.git(&["cat-file", "commit", "HEAD"])?;
            let (headers, rest) = commit.split_once("\n\n").context("headers end")?;
            let signature = key(seed).sign("git", HashAlg::Sha512, commit.as_bytes())?.to_pem(LineEnding::LF)?;
            let signature = signature.trim_end().replace('\n', "\n ");
            let file = self.0.with_extension("commit");
            write(&file, &format!("{headers}\ngpgsig {signature}\n\n{rest}"))?;
            let signed = self.git(&["hash-object", "-t", "commit", "-w", &file.display().to_string()])?;
            self.git(&["reset", "--quiet", "--hard", signed.trim()])?;
        }
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com"]).args(arguments);
        command.current_dir(&self.0).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        let output = command.output().context("git is installed")?;
        ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn key(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

/// The Secret with the keys that may sign.
fn signers(name: &str, seeds: &[u8]) -> Result<Value> {
    let line = |seed: &u8| Ok(format!("{seed}@example.com {}\n", key(*seed).public_key().to_openssh()?));
    let lines = seeds.iter().map(line).collect::<Result<String>>()?;
    let metadata = json!({"name": name, "namespace": HOLDFAST_NAMESPACE});
    let lines = format!("# who may sign\n{lines}");
    Ok(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"allowed_signers": lines}}))
}

async fn follow(place: &Place<'_>, url: &str, secret: &str) -> Result<()> {
    place
        .sync(|spec| {
            spec["source"]["repoURL"] = json!(url);
            spec["source"]["path"] = json!(".");
            spec["source"]["verify"] = json!({"secretRef": {"name": secret}});
        })
        .await
}

async fn is_at(place: &Place<'_>, commit: &str, mode: &str) -> Result<()> {
    let what = format!("{} is at {commit}", place.name);
    place
        .says(&what, async |status| {
            ensure!(status["syncedRevision"] == commit, "{status}");
            Ok(())
        })
        .await?;
    place.condition("Ready", true, &[]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!(mode)).await
}

/// Said, and nothing of it in force.
async fn is_refused(place: &Place<'_>, commit: &str, mode: &str, words: &[&str]) -> Result<()> {
    let status = place
        .says("it is refused", async |status| {
            let ready = status["conditions"].as_array().into_iter().flatten().find(|found| found["type"] == "Ready");
            let ready = ready.context("there is no Ready")?;
            ensure!(ready["reason"] == "Unverified", "{ready}");
            let message = ready["message"].as_str().unwrap_or_default();
            let named = [&commit[..7], "by Ann"];
            ensure!(words.iter().chain(&named).all(|word| message.contains(word)), "it says {message}");
            Ok(())
        })
        .await?;
    let newest = &status["history"][0];
    ensure!(newest["revision"] == commit && newest["outcome"] == "Refused", "{newest}");
    ensure!(status["syncedRevision"] != commit && status["observedRevision"] != commit, "{status}");
    place.is("ConfigMap/settings", "/data/mode", json!(mode)).await?;
    let told = place.refuses(Who::Alice, SLOW).await?;
    ensure!(told.contains(mode) && !told.contains(&commit[..7]), "judged by another commit: {told}");
    Ok(())
}

async fn an_unsigned_commit_is_refused_and_keys_come_and_go() -> Result<()> {
    let stage = shared().await?;
    let repository = Signed::new("signed")?;
    let place = Place::empty(stage, "signed").await?;
    let first = repository.commit("fast", Some(ANN))?;
    follow(&place, &repository.url(), "signers").await?;
    let name = format!("{HOLDFAST_NAMESPACE}/signers");
    place.condition("Ready", false, &[&name, "there is no such Secret", "source.verify"]).await?;
    stage.world.apply(&signers("signers", &[ANN])?).await?;
    is_at(&place, &first, "fast").await?;

    let unsigned = repository.commit("sloppy", None)?;
    is_refused(&place, &unsigned, "fast", &["it is not signed", &name]).await?;
    place.accepts(Who::Collector, SLOW).await?;
    place.becomes("ConfigMap/settings", "/data/mode", &json!("fast")).await?;
    let (code, said) = holdfast(&place, &["diff", &place.name]).await?;
    ensure!(code == Some(2) && said.contains("it is not signed"), "{code:?}: {said}");
    let (code, said) = holdfast(&place, &["diff", &place.name, "--revision", &unsigned]).await?;
    ensure!(code == Some(2) && said.contains("it is not signed"), "{code:?}: {said}");
    ensure!(stage.metric("holdfast_unverified_commits_total").await? > 0, "it was not counted");

    // The key is rotated: first the new one is not known, then it is, then it is the only one.
    let second = repository.commit("faster", Some(BEA))?;
    is_refused(&place, &second, "fast", &["which is none of those that may sign"]).await?;
    stage.world.apply(&signers("signers", &[ANN, BEA])?).await?;
    is_at(&place, &second, "faster").await?;
    stage.world.apply(&signers("signers", &[ANN])?).await?;
    is_removed(&place, &second).await?;
    stage.world.apply(&signers("signers", &[BEA])?).await?;
    is_at(&place, &second, "faster").await
}

/// The key of the commit in force was taken away: what is in force stays, and it is said.
async fn is_removed(place: &Place<'_>, commit: &str) -> Result<()> {
    place.condition("Ready", false, &[&commit[..7], "none of those that may sign"]).await?;
    place.is("ConfigMap/settings", "/data/mode", json!("faster")).await?;
    place.refuses(Who::Alice, SLOW).await.map(drop)
}

async fn a_restart_holds_to_the_last_commit_that_is_believed() -> Result<()> {
    let stage = fragile().await?;
    let repository = Signed::new("signed-restart")?;
    let place = Place::empty(&stage, "signed-restart").await?;
    let first = repository.commit("fast", Some(ANN))?;
    stage.world.apply(&signers("signers-restart", &[ANN])?).await?;
    follow(&place, &repository.url(), "signers-restart").await?;
    is_at(&place, &first, "fast").await?;
    stage.world.stop_holdfast().await?;
    let unsigned = repository.commit("sloppy", None)?;
    place.accepts(Who::Alice, SLOW).await?;
    stage.world.start_holdfast().await?;
    is_refused(&place, &unsigned, "fast", &["it is not signed"]).await?;
    // Asked for by hand, it is still not believed.
    let asked = format!("holdfast.dev/sync-now={unsigned}");
    let line = ["annotate", "gitsync", &place.name, "--namespace", HOLDFAST_NAMESPACE, "--overwrite", &asked];
    stage.world.kubectl(Who::Administrator.person(), &line).await?.success()?;
    is_refused(&place, &unsigned, "fast", &["it is not signed"]).await?;
    let second = repository.commit("faster", Some(ANN))?;
    is_at(&place, &second, "faster").await
}
