//! Objects to judge, made of values: what Git says, read by the real readers, and what the cluster has.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::finding::Judging;
use crate::core::declaration::Declaration;
use crate::core::exclude::{Exclusions, Rule, Surroundings};
use crate::core::manifest::Manifest;
use crate::core::snapshot::{Managed, Mode, Sync, Undeclared};
use crate::core::who::{INTERACTIVE, Identities};
use crate::git::{RenderOptions, documents, render};

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
spec:
  replicas: 3
  template:
    spec:
      containers:
        - name: api
          image: shop/api:1
";

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata:
  name: db
data:
  password: aHVudGVyMg==
  user: c2hvcA==
";

/// A Deployment at `apps/api.yaml`, its replicas excluded.
pub(super) fn deployment() -> Managed {
    let owned = json!({"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
        "k:{\"name\":\"api\"}": {".": {}, "f:name": {}, "f:image": {}},
    }}}}});
    let rule = Rule {
        objects: crate::core::exclude::Selector { kind: Some("Deployment".into()), ..Default::default() },
        pointers: vec!["/spec/replicas".parse().expect("a pointer")],
        ..Rule::default()
    };
    managed("apps/api.yaml", DEPLOYMENT, &owned, &[rule])
}

/// A Secret at `apps/db.yaml`.
pub(crate) fn secret() -> Managed {
    let owned = json!({"f:data": {"f:password": {}, "f:user": {}}});
    managed("apps/db.yaml", SECRET, &owned, &[])
}

/// The Deployment after an autoscaler, an injector, a rollout by hand and a debugging session.
pub(super) fn drifted_deployment() -> Value {
    let mut live = live(&deployment());
    live["spec"]["replicas"] = json!(7);
    live["spec"]["template"]["spec"]["containers"] = json!([
        {"name": "proxy", "image": "istio/proxy"},
        {"name": "api", "image": "shop/api:2", "env": [{"name": "DEBUG", "value": "1"}]},
    ]);
    let container = |name: &str, fields: &Value| json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {format!("k:{{\"name\":\"{name}\"}}"): fields}}}}});
    let debug =
        json!({"f:image": {}, "f:env": {".": {}, "k:{\"name\":\"DEBUG\"}": {".": {}, "f:name": {}, "f:value": {}}}});
    live["metadata"]["managedFields"] = json!([
        {"manager": "holdfast", "operation": "Apply",
         "fieldsV1": container("api", &json!({".": {}, "f:name": {}}))},
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale",
         "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "injector", "operation": "Update",
         "fieldsV1": container("proxy", &json!({".": {}, "f:name": {}, "f:image": {}}))},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": container("api", &debug)},
    ]);
    live
}

/// The object as an apply would have left it.
pub(super) fn live(managed: &Managed) -> Value {
    managed.manifest.value()
}

/// Judges with the usual field managers as people.
pub(super) fn judging(identities: &Identities) -> Judging<'_> {
    static ALONE: LazyLock<Surroundings> = LazyLock::new(Surroundings::default);
    Judging { identities, around: &ALONE, observe_only: false, now: "2026-11-21T12:00:00Z".parse().expect("a time") }
}

/// Who is who.
pub(super) fn identities() -> Identities {
    Identities {
        ourselves: (String::new(), String::new()),
        controllers: Vec::new(),
        interactive: INTERACTIVE.map(str::to_owned).to_vec(),
    }
}

/// The manifest in this file.
pub(super) fn manifest(file: &str, text: &str) -> Manifest {
    let options = RenderOptions {
        default_namespace: Some("shop"),
        sync: "holdfast-system/shop",
        cluster_scoped: &|_, _| Some(false),
    };
    let (documents, _) = documents::read(&file.into(), text.as_bytes());
    let (mut manifests, _) = render::render(documents, &options);
    manifests.pop().expect("one manifest")
}

fn managed(file: &str, text: &str, owned: &Value, rules: &[Rule]) -> Managed {
    let manifest = manifest(file, text);
    let mut answer = manifest.value.clone();
    answer["metadata"]["managedFields"] = json!([{"manager": "holdfast", "operation": "Apply", "fieldsV1": owned}]);
    let declaration = Declaration::read(&manifest, &answer).expect("our entry is there");
    let exclusions = Exclusions::resolve(rules.into(), &manifest, &declaration, &Surroundings::default());
    Managed {
        sync: Arc::new(sync()),
        manifest: Arc::new(manifest.into()),
        declaration,
        exclusions,
        resource: "things".into(),
    }
}

/// A sync that heals.
pub(super) fn sync() -> Sync {
    Sync {
        name: "holdfast-system/shop".to_owned(),
        repository: "https://gitlab.com/org/shop.git".to_owned(),
        target: "main".to_owned(),
        revision: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        mode: Mode::Deny,
        undeclared: Undeclared::Deny,
        self_heal: true,
        suspension: None,
        rollback: None,
        tool: None,
    }
}
