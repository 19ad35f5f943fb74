//! A certificate that somebody else looks after, in files as the kubelet mounts cert-manager's Secret: behind a link that is
//! swapped, all of them at once.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast::certs::{Bundle, issue};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use libtest_mimic::Trial;

use crate::manifests::{SETTINGS, SLOW};
use crate::place::Place;
use crate::stage::{PATIENCE, Stage, folder, fragile, tests};
use crate::who::Who;
use crate::world::wait_until;

pub fn trials() -> Vec<Trial> {
    tests![it_is_served_and_followed_and_nonsense_is_not, without_one_that_can_be_read_it_does_not_start]
}

/// A mounted Secret.
struct Mounted {
    folder: PathBuf,
    times: usize,
}

// === impl Mounted ===

impl Mounted {
    fn new(name: &str) -> Result<Self> {
        let folder = folder(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        ["ca.crt", "tls.crt", "tls.key"]
            .into_iter()
            .try_for_each(|file| symlink(Path::new("..data").join(file), folder.join(file)))?;
        Ok(Self { folder, times: 0 })
    }

    fn holds(&mut self, ca: &str, chain: &str, key: &str) -> Result<()> {
        self.times += 1;
        let version = self.folder.join(format!("..{}", self.times));
        std::fs::create_dir(&version)?;
        for (file, text) in [("ca.crt", ca), ("tls.crt", chain), ("tls.key", key)] {
            std::fs::write(version.join(file), text)?;
        }
        let swapped = self.folder.join("..data_tmp");
        symlink(&version, &swapped)?;
        std::fs::rename(swapped, self.folder.join("..data")).context("the link is not swapped")
    }

    fn bundle(&mut self, Bundle { ca, chain, key, .. }: &Bundle) -> Result<()> {
        self.holds(ca, chain, key)
    }

    /// Starts Holdfast with what is mounted, for this one start.
    async fn start(&self, stage: &Stage) -> Result<()> {
        let path = |file| self.folder.join(file).to_string_lossy().into_owned();
        let files = [path("tls.crt"), path("tls.key"), path("ca.crt")];
        let [cert, key, ca] = files.each_ref().map(String::as_str);
        stage.world.start_holdfast_with(&["--cert-file", cert, "--key-file", key, "--ca-file", ca]).await
    }
}

fn made(hours: u64) -> Result<Bundle> {
    Ok(issue(&["127.0.0.1".to_owned()], Duration::from_hours(hours), Timestamp::now())?)
}

/// What the API server is told to trust.
async fn trusted(stage: &Stage) -> Result<String> {
    let all: Api<ValidatingWebhookConfiguration> = Api::all(stage.client.clone());
    let webhooks = all.get("holdfast").await?.webhooks.unwrap_or_default();
    let bundle = webhooks.first().and_then(|webhook| webhook.client_config.ca_bundle.clone()).context("no bundle")?;
    Ok(String::from_utf8(bundle.0)?)
}

async fn it_is_served_and_followed_and_nonsense_is_not() -> Result<()> {
    let stage = fragile().await?;
    let place = Place::at(&stage, "brought", &[("settings.yaml", SETTINGS)], |_| {}).await?;
    let (first, second) = (made(24)?, made(48)?);
    let mut mounted = Mounted::new("brought-certificate")?;
    mounted.bundle(&first)?;
    stage.world.stop_holdfast().await?;
    let followed = async {
        mounted.start(&stage).await?;
        let is_up = || place.refuses(Who::Alice, SLOW);
        wait_until("it guards with what was brought", PATIENCE, is_up).await?;
        ensure!(trusted(&stage).await?.contains(first.ca.trim()), "another authority is registered");

        // One half of another pair: the API server goes on trusting, and being answered by, the last that was whole.
        mounted.holds(&second.ca, &second.chain, &first.key)?;
        wait_until("it says that it is of no use", PATIENCE, || async {
            ensure!(stage.metric("holdfast_certificate_failures_total").await? > 0, "it says nothing");
            Ok(())
        })
        .await?;
        place.refuses(Who::Alice, SLOW).await?;

        mounted.bundle(&second)?;
        wait_until("the new one is served", PATIENCE, || async {
            let expires = stage.metric("holdfast_certificate_expiry_timestamp_seconds").await?;
            ensure!(i64::try_from(expires)? == second.expires.as_second(), "the old one is");
            Ok(())
        })
        .await?;
        ensure!(trusted(&stage).await?.contains(second.ca.trim()), "its authority is not registered");
        place.refuses(Who::Alice, SLOW).await.map(drop)
    };
    let followed = followed.await;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    followed
}

async fn without_one_that_can_be_read_it_does_not_start() -> Result<()> {
    let stage = fragile().await?;
    let Bundle { ca, chain, .. } = made(24)?;
    let mut mounted = Mounted::new("brought-nonsense")?;
    mounted.holds(&ca, &chain, "no key")?;
    stage.world.stop_holdfast().await?;
    let started = mounted.start(&stage).await;
    stage.world.stop_holdfast().await?;
    stage.world.start_holdfast().await?;
    let said = format!("{:#}", started.err().context("it started")?);
    ensure!(said.contains("--key-file") && said.contains("failed to find the private key"), "{said}");
    Ok(())
}
