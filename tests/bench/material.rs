//! What is compared and reviewed: the files in `data/`, read the way Holdfast reads them.
//!
//! `answer.json` is what a real API server answered to `kubectl apply --server-side --field-manager=holdfast` of
//! `desired.yaml`. The live objects carry another tool's marks on purpose and are taken as they are; so the manifest is declared
//! as it is written, without the marks Holdfast would add and would then miss.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use holdfast::core::declaration::Declaration;
use holdfast::core::exclude::Exclusions;
use holdfast::core::fields::Entry;
use holdfast::core::manifest::Manifest;
use holdfast::core::object::ObjectKey;
use holdfast::core::snapshot::{Managed, Mode, Sync, Undeclared};
use holdfast::core::who::{INTERACTIVE, Identities};
use holdfast::git::documents;
use serde_json::Value;

/// One object in the forms everybody needs.
pub struct Material {
    /// What Git declares.
    pub managed: Arc<Managed>,
    /// The cluster, equal to Git.
    pub live: Value,
    /// The cluster after a `kubectl edit`.
    pub drifted: Value,
    /// The answer itself: equal to Git, and with our own entry in `managedFields`, as everything Holdfast applied.
    pub applied: Value,
}

// === impl Material ===

impl Material {
    /// Reads the files.
    pub fn read() -> Result<Self> {
        Ok(Self {
            managed: Arc::new(managed()?),
            live: json("live.json")?,
            drifted: json("live_drifted.json")?,
            applied: json("answer.json")?,
        })
    }
}

/// The folder of the files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/data")
}

/// One of the files, as it is.
pub fn bytes(name: &str) -> Result<Vec<u8>> {
    std::fs::read(folder().join(name)).with_context(|| format!("failed to read {name}"))
}

/// Who is who in a cluster without a policy.
pub fn identities() -> Identities {
    Identities {
        ourselves: ("holdfast-system".to_owned(), "holdfast".to_owned()),
        controllers: Vec::new(),
        interactive: INTERACTIVE.map(str::to_owned).to_vec(),
    }
}

/// The reconciler's way to recognise a person, with the usual tools.
pub fn is_person(entry: &Entry<'_>) -> bool {
    thread_local!(static IDENTITIES: Identities = identities());
    IDENTITIES.with(|identities| identities.is_interactive(entry))
}

fn managed() -> Result<Managed> {
    let manifest = manifest()?;
    let declaration = Declaration::read(&manifest, &json("answer.json")?)?;
    ensure!(declaration.len() > 50, "only {} leaves are declared", declaration.len());
    Ok(Managed {
        sync: Arc::new(sync()),
        manifest: Arc::new(manifest.into()),
        declaration,
        exclusions: Exclusions::default(),
        resource: "deployments".into(),
    })
}

fn manifest() -> Result<Manifest> {
    let (documents, problems) = documents::read(&"apps/checkout/deployment.yaml".into(), &bytes("desired.yaml")?);
    ensure!(problems.is_empty(), "desired.yaml: {problems:?}");
    let document = documents.into_iter().next().context("desired.yaml is empty")?;
    let key = ObjectKey::of(&document.value).context("desired.yaml does not say which object it is")?;
    Ok(Manifest { key, value: document.value, origin: document.origin })
}

fn sync() -> Sync {
    Sync {
        name: "holdfast-system/shop".to_owned(),
        repository: "https://github.com/example/infra-manifests.git".to_owned(),
        target: "main".to_owned(),
        revision: "3f8e1c9a5b7d2e4f6a8b0c1d2e3f4a5b6c7d8e9f".to_owned(),
        mode: Mode::Deny,
        undeclared: Undeclared::Deny,
        self_heal: true,
        suspension: None,
        rollback: None,
        tool: None,
    }
}

fn json(name: &str) -> Result<Value> {
    serde_json::from_slice(&bytes(name)?).with_context(|| format!("failed to parse {name}"))
}
