//! What people, programs and tests do in a world: run kubectl, apply, commit, wait, read the record.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tokio::process::Command;

use super::clients::{self, Output};
use super::holdfast::json_lines;
use super::people::{self, Person};
use super::wait::wait_until;
use super::{HOLDFAST_NAMESPACE, World};

const PATIENCE: Duration = Duration::from_mins(1);

impl World {
    /// Runs kubectl as somebody.
    pub async fn kubectl(&self, person: Person, arguments: &[&str]) -> Result<Output> {
        clients::run(self.command(person).args(arguments), "").await
    }

    /// kubectl as somebody, not yet run.
    pub fn command(&self, person: Person) -> Command {
        clients::kubectl(&self.plane.kubectl(), &person.kubeconfig(&self.layout))
    }

    /// A client that acts as somebody. It lives on the runtime of the test that asks for it.
    pub async fn client(&self, person: Person) -> Result<Client> {
        clients::client(&person.kubeconfig(&self.layout)).await
    }

    /// Applies an object or a `List` as the administrator.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        self.apply_yaml(&object.to_string()).await
    }

    /// Applies documents of YAML as the administrator.
    pub async fn apply_yaml(&self, documents: &str) -> Result<()> {
        let mut command = self.command(Person::Administrator);
        command.args([
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager",
            people::FIELD_MANAGER,
            "-f",
            "-",
        ]);
        clients::run(&mut command, documents).await?.success()?;
        Ok(())
    }

    /// Makes a namespace in which alice's team may edit everything.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        self.apply(&people::team_namespace(name)).await
    }

    /// Edits files of the working clone, commits, pushes; answers with the commit's full id. One at a time.
    pub async fn commit(&self, message: &str, edit: impl FnOnce(&Path) -> Result<()>) -> Result<String> {
        let _one_at_a_time = self.committing.lock().await;
        self.git.commit(message, edit).await
    }

    /// The repository's address.
    pub fn git_url(&self) -> Result<String> {
        self.git.url()
    }

    /// The folder the Git server serves.
    pub fn git_root(&self) -> std::path::PathBuf {
        self.layout.git_root()
    }

    /// Where Holdfast takes push webhooks.
    pub fn receiver_url(&self) -> Result<String> {
        self.holdfast.receiver_url()
    }

    /// A `GitSync` of `path` in the repository to `namespace`, with every usual switch on. Change it before applying.
    pub fn git_sync(&self, name: &str, path: &str, namespace: &str) -> Result<Value> {
        Ok(json!({
            "apiVersion": "holdfast.dev/v1alpha1",
            "kind": "GitSync",
            "metadata": {"name": name, "namespace": HOLDFAST_NAMESPACE},
            "spec": {
                "source": {"repoURL": self.git.url()?, "targetRevision": "main", "path": path, "interval": "2s"},
                "destination": {"namespace": namespace},
                "admission": {"mode": "Deny"},
                "syncPolicy": {
                    "automated": {"prune": true, "selfHeal": true},
                    "syncOptions": ["CreateNamespace=true", "Validate=true"],
                },
            },
        }))
    }

    /// Waits until the `GitSync` is Ready.
    pub async fn ready(&self, name: &str) -> Result<()> {
        let syncs = self.git_syncs().await?;
        wait_until(&format!("GitSync {name} is Ready"), PATIENCE, || async {
            let status = syncs.get(name).await?.data["status"].clone();
            let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
            ensure!(ready.is_some_and(|ready| ready["status"] == "True"), "its status is {status}");
            Ok(())
        })
        .await
    }

    /// Waits until the cluster was made, or found, equal to `commit`.
    pub async fn synced(&self, name: &str, commit: &str) -> Result<()> {
        let syncs = self.git_syncs().await?;
        wait_until(&format!("GitSync {name} is at {commit}"), PATIENCE, || async {
            let status = syncs.get(name).await?.data["status"].clone();
            ensure!(status["syncedRevision"] == commit, "its status is {status}");
            Ok(())
        })
        .await
    }

    /// Every `GitSync` of this world.
    pub async fn git_syncs(&self) -> Result<Api<DynamicObject>> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("holdfast.dev", "v1alpha1", "GitSync"));
        Ok(Api::namespaced_with(self.client(Person::Administrator).await?, HOLDFAST_NAMESPACE, &kind))
    }

    /// Holdfast's evidence so far, oldest first; that of one replica after that of another.
    pub fn records(&self) -> Result<Vec<Value>> {
        let replicas = (0..super::REPLICAS.len()).map(|number| self.holdfast.replica(number).records());
        let all: Vec<_> = std::iter::once(self.holdfast.records()).chain(replicas).collect::<Result<_>>()?;
        Ok(all.concat())
    }

    /// What the API server was asked so far, if the world was started with `audit`.
    pub fn audit(&self) -> Result<Vec<Value>> {
        json_lines(&self.layout.audit())
    }

    /// Where that is written down.
    pub fn audit_file(&self) -> std::path::PathBuf {
        self.layout.audit()
    }

    /// Where Holdfast's metrics are.
    pub fn metrics_url(&self) -> Result<String> {
        self.holdfast.metrics_url()
    }
}
