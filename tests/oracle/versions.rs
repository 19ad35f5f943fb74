//! Kinds that change under what was declared: a default that came later, another version that is stored, another that is edited.
//!
//! (A kind with several versions is edited in all of them anyway: `# also:` in its file.)

use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::run::edits;
use crate::specimen::Specimen;
use crate::stage::{Stage, play};
use crate::world::wait_until;

const PATIENCE: Duration = Duration::from_secs(30);
const EDITS: usize = 40;

const GAUGE: &str = "# also: oracle.example.com/v1beta1
apiVersion: oracle.example.com/v1
kind: Gauge
metadata: {name: gauge}
spec:
  low: 1
  marks: [{name: a}, {name: b, at: 2}]
  scale: {}
---
apiVersion: oracle.example.com/v1
kind: Gauge
metadata: {name: gauge, labels: {a: b}}
spec:
  low: 2
  high: 9
  later: 8
  marks: [{name: a, at: 1, colour: blue}, {name: c}]
  scale: {unit: bar, later: 7}
";

/// The tests.
pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("versions::a_default_that_came_later", || play(a_default_that_came_later)),
        Trial::test("versions::owners_in_another_version", || play(owners_in_another_version)),
    ]
}

/// The object gets new fields without anybody's doing, and what was declared before holds on.
async fn a_default_that_came_later() -> Result<()> {
    let stage = Stage::shared().await?;
    stage.define(&gauges("gauges", "Gauge", "v1", false)).await?;
    let specimen = Specimen::of("gauge", GAUGE, &stage.cluster.kinds().await)?;
    let mut subject = stage.subject(&specimen).await?;
    stage.define(&gauges("gauges", "Gauge", "v1beta1", true)).await?;
    wait_until("the new defaults are there", PATIENCE, || async {
        let kind = stage.cluster.kind("oracle.example.com/v1", "Gauge").await?.expect("it is served");
        let live = stage.cluster.get(&kind, &specimen.manifest.key).await?.unwrap_or_default();
        ensure!(live["spec"]["later"] == 5 && live["spec"]["marks"][0]["colour"] == "red", "{live}");
        Ok(())
    })
    .await?;
    subject.accept().await?;
    edits(&mut subject, "gauge", EDITS).await
}

/// Who edits in another version owns in that version, and is found all the same.
async fn owners_in_another_version() -> Result<()> {
    let stage = Stage::shared().await?;
    stage.define(&gauges("dials", "Dial", "v1", true)).await?;
    let text = GAUGE.replace("Gauge", "Dial");
    let specimen = Specimen::of("dial", &text, &stage.cluster.kinds().await)?;
    let mut subject = stage.subject(&specimen).await?;
    let (key, old) = (&specimen.manifest.key, subject.live().clone());
    let kind = stage.cluster.kind("oracle.example.com/v1beta1", "Dial").await?.expect("it is served");
    let uri = format!("{}/{}?fieldManager=kubectl-edit", kind.path(key), key.name);
    let patch = json!({"spec": {"low": 7, "high": 9}}).to_string().into_bytes();
    let request = http::Request::patch(uri).header("content-type", "application/merge-patch+json").body(patch)?;
    stage.cluster.client().request::<Value>(request).await?;
    subject.look().await?;
    let owners = subject.live()["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let theirs = owners.iter().find(|owner| owner["manager"] == "kubectl-edit").cloned().unwrap_or_default();
    ensure!(theirs["apiVersion"] == "oracle.example.com/v1beta1", "{theirs}");
    let (healed, found) = subject.healed().await?;
    let found: Vec<_> = found.iter().map(|found| format!("{:?} {}", found.kind, found.path)).collect();
    ensure!(found == ["Changed .spec.low", "Added .spec.high"], "{found:?}");
    ensure!(healed["spec"] == old["spec"], "{} became {}", old["spec"], healed["spec"]);
    Ok(())
}

/// The kind, in two versions of one shape; the later shape has defaults that the earlier has not.
fn gauges(plural: &str, kind: &str, stored: &str, later: bool) -> Value {
    let integer = json!({"type": "integer"});
    let default = |default: Value, mut of: Value| {
        if later {
            of["default"] = default;
        }
        of
    };
    let text = json!({"type": "string"});
    let mark = json!({"type": "object", "required": ["name"], "properties":
        {"name": text, "at": integer, "colour": default(json!("red"), text.clone())}});
    let scale = json!({"type": "object", "properties":
        {"unit": text, "later": default(json!(1), integer.clone())}});
    let spec = json!({"type": "object", "properties": {
        "low": integer, "high": integer, "later": default(json!(5), integer.clone()), "scale": scale,
        "marks": {"type": "array", "items": mark, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    }});
    let schema = json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}});
    let version = |name: &str| json!({"name": name, "served": true, "storage": name == stored, "schema": schema});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.oracle.example.com")},
        "spec": {
            "group": "oracle.example.com", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [version("v1"), version("v1beta1")],
        },
    })
}
