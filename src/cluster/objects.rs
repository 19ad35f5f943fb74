//! Reading and writing objects as JSON. Every request is counted: in a steady state the counters stand still.

pub use kube::api::PropagationPolicy;
use kube::api::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions, ValidationDirective,
};
use kube::core::Request;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::{Cluster, Error, Kind};
use crate::core::names::{FIELD_MANAGER, MANAGED_LABEL};
use crate::core::object::ObjectKey;
use crate::evidence::metrics::Ask;

/// Objects per page of a list: keeps the memory of one answer in bounds on large clusters.
const PAGE: u32 = 500;

/// Field manager of what people write through our commands.
const COMMAND: &str = "holdfast-cli";

/// Does a write count, or does the API server only say what it would do?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// It counts, and takes back what others took.
    Real,
    /// It counts, unless others took any of it.
    Yielding,
    /// Everything happens but the writing.
    DryRun,
}

// === impl Cluster ===

impl Cluster {
    /// The object as it is, or `None` when there is none.
    pub async fn get(&self, kind: &Kind, key: &ObjectKey) -> Result<Option<Value>, Error> {
        let request = Request::new(kind.path(key)).get(&key.name, &GetParams::default());
        match self.send(Ask::Get, format!("read {key}"), request).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every object of the kind that carries the managed label.
    pub async fn list_managed(&self, kind: &Kind) -> Result<Vec<Value>, Error> {
        self.list_managed_at(kind, kind.path_everywhere()).await
    }

    /// Likewise in one namespace: people often may not look into all of them.
    pub async fn list_managed_in(&self, kind: &Kind, namespace: &str) -> Result<Vec<Value>, Error> {
        self.list_managed_at(kind, kind.path_in(Some(namespace))).await
    }

    /// Shows every object of the kind that carries the managed label, a page of them in memory at a time.
    pub async fn each_managed(&self, kind: &Kind, show: &mut (dyn FnMut(Value) + Send)) -> Result<(), Error> {
        self.each_managed_at(kind, kind.path_everywhere(), show).await
    }

    async fn list_managed_at(&self, kind: &Kind, path: String) -> Result<Vec<Value>, Error> {
        let mut objects = Vec::new();
        self.each_managed_at(kind, path, &mut |object| objects.push(object)).await?;
        Ok(objects)
    }

    async fn each_managed_at(
        &self,
        kind: &Kind,
        path: String,
        show: &mut (dyn FnMut(Value) + Send),
    ) -> Result<(), Error> {
        let mut page = ListParams::default().labels(&format!("{MANAGED_LABEL}=true")).limit(PAGE);
        loop {
            let request = Request::new(path.clone()).list(&page);
            let mut answer = self.send(Ask::List, format!("list {}", kind.resource.plural), request).await?;
            if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
                items.into_iter().for_each(|item| show(with_type(item, kind)));
            }
            match answer.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => page = page.continue_token(token),
                _ => return Ok(()),
            }
        }
    }

    /// Server-side apply as our field manager; forced, it takes back what others took. Unknown and duplicate fields are errors.
    pub async fn apply(&self, kind: &Kind, key: &ObjectKey, body: &Value, write: Write) -> Result<Value, Error> {
        let dry_run = write == Write::DryRun;
        let params = PatchParams {
            dry_run,
            force: write != Write::Yielding,
            field_manager: Some(FIELD_MANAGER.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let request = Request::new(kind.path(key)).patch(&key.name, &params, &Patch::Apply(body));
        let (ask, doing) = if dry_run { (Ask::DryRun, "dry-run the apply of") } else { (Ask::Apply, "apply") };
        let answer = self.send(ask, format!("{doing} {key}"), request).await;
        answer.map_err(|error| error.about(key, Some(body)))
    }

    /// What the API server would make of this body if it were the first of its name: a dry-run create under a made-up name.
    pub async fn make_believe(&self, kind: &Kind, key: &ObjectKey, body: &Value) -> Result<Value, Error> {
        let mut body = body.clone();
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), "holdfast-".into());
        }
        let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request = Request::new(kind.path(key)).create(&params, body.to_string().into_bytes());
        let answer = self.send(Ask::DryRun, format!("dry-run the creation of {key}"), request).await;
        answer.map_err(|error| error.about(key, Some(&body)))
    }

    /// What the API server would answer to the apply of this body if there were no such object: a dry-run apply under a made-up
    /// name.
    pub async fn make_believe_apply(&self, kind: &Kind, key: &ObjectKey, body: &Value) -> Result<Value, Error> {
        // As short as the shortest names there are: a Service has at most 63 characters.
        let mut hasher = DefaultHasher::new();
        key.name.hash(&mut hasher);
        let beside = ObjectKey { name: format!("holdfast-{:016x}", hasher.finish()), ..key.clone() };
        let mut body = body.clone();
        body["metadata"]["name"] = beside.name.clone().into();
        self.apply(kind, &beside, &body, Write::DryRun).await
    }

    /// Creates an object that is not there.
    pub async fn create(&self, kind: &Kind, key: &ObjectKey, body: &Value) -> Result<Value, Error> {
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request = Request::new(kind.path(key)).create(&params, body.to_string().into_bytes());
        self.send(Ask::Create, format!("create {key}"), request).await
    }

    /// Writes over all of an object: the one of the version that `body` names, and no other.
    pub async fn replace(&self, kind: &Kind, key: &ObjectKey, body: &Value) -> Result<Value, Error> {
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let request = Request::new(kind.path(key)).replace(&key.name, &params, body.to_string().into_bytes());
        self.send(Ask::Update, format!("replace {key}"), request).await
    }

    /// A JSON patch as our field manager.
    pub async fn patch(&self, kind: &Kind, key: &ObjectKey, patch: json_patch::Patch) -> Result<Value, Error> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = Request::new(kind.path(key)).patch(&key.name, &params, &Patch::Json::<()>(patch));
        let answer = self.send(Ask::Patch, format!("patch {key}"), request).await;
        answer.map_err(|error| error.about(key, None))
    }

    /// A merge patch, by whoever runs a command: under another name than the reconciler's, which only it may use.
    pub async fn merge(&self, kind: &Kind, key: &ObjectKey, patch: &Value) -> Result<Value, Error> {
        let params = PatchParams { field_manager: Some(COMMAND.to_owned()), ..PatchParams::default() };
        let request = Request::new(kind.path(key)).patch(&key.name, &params, &Patch::Merge(patch));
        self.send(Ask::Patch, format!("patch {key}"), request).await
    }

    /// A merge patch of the status subresource.
    pub async fn patch_status(&self, kind: &Kind, key: &ObjectKey, status: &Value) -> Result<Value, Error> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request =
            Request::new(kind.path(key)).patch_subresource("status", &key.name, &params, &Patch::Merge(status));
        self.send(Ask::Patch, format!("write the status of {key}"), request).await
    }

    /// Deletes exactly the object that was judged (same `uid`).
    pub async fn delete(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        uid: &str,
        dependents: PropagationPolicy,
    ) -> Result<(), Error> {
        let same = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        self.delete_if(kind, key, same, dependents).await
    }

    /// Deletes the object only if it still is as it was judged: a conflict, if anybody has written it since.
    pub async fn delete_as_judged(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        judged: &Value,
        dependents: PropagationPolicy,
    ) -> Result<(), Error> {
        let text = |name| judged["metadata"][name].as_str().map(str::to_owned);
        let unchanged = Preconditions { uid: text("uid"), resource_version: text("resourceVersion") };
        self.delete_if(kind, key, unchanged, dependents).await
    }

    async fn delete_if(
        &self,
        kind: &Kind,
        key: &ObjectKey,
        preconditions: Preconditions,
        dependents: PropagationPolicy,
    ) -> Result<(), Error> {
        let params = DeleteParams {
            preconditions: Some(preconditions),
            propagation_policy: Some(dependents),
            ..DeleteParams::default()
        };
        let request = Request::new(kind.path(key)).delete(&key.name, &params);
        match self.send(Ask::Delete, format!("delete {key}"), request).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.about(key, None)),
        }
    }

    pub(super) async fn send(
        &self,
        ask: Ask,
        doing: String,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, Error> {
        let request = request.map_err(|error| Error::new(doing.clone(), &kube::Error::BuildRequest(error)))?;
        let answer = async {
            self.metrics.called(ask);
            let answer = match &self.account {
                Some(account) => self.bare.request(account.sign(request)).await,
                None => self.client.request(request).await,
            };
            answer.map_err(|error| Error::new(doing.clone(), &error))
        };
        if ask.writes() { self.fence.within(&doing, answer).await } else { answer.await }
    }
}

/// Items of a list leave out what the list says for all of them.
fn with_type(mut item: Value, kind: &Kind) -> Value {
    if let Some(fields) = item.as_object_mut() {
        fields.entry("apiVersion").or_insert_with(|| kind.resource.api_version.clone().into());
        fields.entry("kind").or_insert_with(|| kind.resource.kind.clone().into());
    }
    item
}
