//! What the tests put into Git.

use serde_json::{Value, json};

/// A Deployment with all that people like to change. Line numbers matter: messages name them.
pub const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
  annotations: {team: shop}
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: app
          image: registry.example/web:1.0
          env:
            - {name: LOG_LEVEL, value: info}
          ports:
            - containerPort: 8080
          resources:
            requests: {cpu: 100m, memory: 64Mi}
";

/// The same without replicas: somebody else scales.
pub const SCALED: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - {name: app, image: 'registry.example/web:1.0'}
";

/// A ConfigMap with two values.
pub const SETTINGS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  mode: fast
  level: info
";

/// The same with one of them.
pub const SETTINGS_WITHOUT_LEVEL: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  mode: fast
";

/// An edit of [`SETTINGS`] that Git does not say.
pub const SLOW: &str = r#"patch configmap/settings --type=merge --patch={"data":{"mode":"slow"}}"#;

/// An autoscaler in the newest version, of something else: replicas in the range of their own are nobody else's business.
pub const AUTOSCALER: &str = "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  minReplicas: 2
  maxReplicas: 10
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: another}
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}
";

/// A Secret, a Service and a Role.
pub const BESIDE: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {password: correct-horse}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules:
  - {apiGroups: [''], resources: [configmaps], verbs: [get]}
";

/// Something of every kind any test declares.
pub const EVERY_KIND: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: some}
---
apiVersion: v1
kind: Secret
metadata: {name: some}
---
apiVersion: v1
kind: Service
metadata: {name: some}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: every-kind-of-namespace}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: some}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: some}
rules: []
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: some}
spec:
  replicas: 0
  selector: {matchLabels: {app: some}}
  template:
    metadata: {labels: {app: some}}
    spec: {containers: [{name: app, image: 'registry.example/some:1.0'}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: some}
spec:
  maxReplicas: 2
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: none}
---
apiVersion: example.com/v1
kind: Gadget
metadata: {name: some}
spec: {size: 1}
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: some}
spec: {count: 1}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: some}
spec:
  replicas: 0
  selector: {matchLabels: {app: some-state}}
  template:
    metadata: {labels: {app: some-state}}
    spec: {containers: [{name: app, image: 'registry.example/some:1.0'}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: some}
spec:
  replicas: 0
  selector: {matchLabels: {app: some-set}}
  template:
    metadata: {labels: {app: some-set}}
    spec: {containers: [{name: app, image: 'registry.example/some:1.0'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: some}
spec: {containers: [{name: app, image: 'registry.example/some:1.0'}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: trinkets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Trinket, plural: trinkets}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
";

/// A CRD of a group of its own, with one resource of it.
pub fn definition(kind: &str, plural: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
                    "size": {"type": "integer", "maximum": 9}, "colour": {"type": "string", "default": "grey"},
                }}},
            }}}],
        },
    })
}

/// The CRD behind `Gadget`.
pub fn gadgets() -> String {
    definition("Gadget", "gadgets").to_string()
}

/// The CRD behind `Widget`: served in two versions, and scaled by a field of its own.
pub fn widgets() -> String {
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"count": {"type": "integer"}, "colour": {"type": "string"}}},
        "status": {"type": "object", "properties": {"count": {"type": "integer"}}},
    }}});
    let scale = json!({"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count"});
    let version = |name: &str, storage: bool| json!({"name": name, "served": true, "storage": storage, "schema": schema, "subresources": {"scale": scale, "status": {}}});
    let mut definition = definition("Widget", "widgets");
    definition["spec"]["versions"] = json!([version("v1", true), version("v2", false)]);
    definition.to_string()
}

/// A ConfigMap with one value.
pub fn config(name: &str, key: &str, value: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: value}}).to_string()
}

/// A manifest as JSON, to be changed and handed to kubectl.
pub fn parsed(manifest: &str) -> Value {
    serde_saphyr::from_str(manifest).expect("the manifests here are YAML")
}
