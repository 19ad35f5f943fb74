//! Where a law does not hold and need not: narrow, named, and each with what in Kubernetes is behind it.
//!
//! Each has an example, a test that fails when it does not occur any more: none outlives its reason.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use holdfast::core::declaration::{Node, Shape};
use libtest_mimic::Trial;

use crate::edit::{Change, Way, Who};
use crate::laws::{Broken, IMAGINED, LEFT, MISSED, RESTLESS, STAYS, STUCK, Seen};
use crate::places::{Form, places};
use crate::specimen::{self, Specimen};
use crate::stage::{Stage, play};
use crate::subject::Outcome;

const PATIENCE: Duration = Duration::from_secs(30);

/// A difference that is known.
struct Known {
    name: &'static str,
    example: Example,
    applies: fn(&Broken, &Seen<'_>) -> bool,
}

/// An edit of a kind under which it occurs.
struct Example {
    kind: &'static str,
    who: Who,
    manager: &'static str,
    way: Way,
    patch: &'static str,
}

const KNOWN: [Known; 8] = [
    // Validation of an update lets one add (a node affinity to a volume, a toleration to a pod) and not take back. It stays
    // drift, and is reported with the API server's words.
    Known {
        name: "what was added must not be taken back",
        example: Example {
            kind: "pod",
            who: Who::Person,
            manager: "kubectl-edit",
            way: Way::Update,
            patch: r#"[{"op": "add", "path": "/spec/tolerations/-", "value": {"key": "other", "operator": "Exists"}}]"#,
        },
        applies: has_no_way_back,
    },
    // What is defaulted is learned by a dry-run creation under another name, and a CRD is called what its spec says: it cannot
    // have another. Taken for a leftover, a default is "removed", and comes back as nobody's.
    Known {
        name: "a default of a kind that cannot be tried under another name",
        example: Example {
            kind: "customresourcedefinition",
            who: Who::Earlier,
            manager: "holdfast",
            way: Way::Apply,
            patch: r#"[{"op": "add", "path": "/spec/names/singular", "value": "trifle"}]"#,
        },
        applies: is_unknown_default,
    },
    // `kubectl apply --server-side` of a default, or of null, makes a person own what is there anyway. It is taken from them,
    // and comes back as nobody's. An edit that only does that is let pass, since it changes no value.
    Known {
        name: "a default that a person owns is taken for an addition",
        example: Example {
            kind: "hpa-v1",
            who: Who::Person,
            manager: "kubectl",
            way: Way::Apply,
            patch: r#"[{"op": "add", "path": "/spec/minReplicas", "value": null}]"#,
        },
        applies: is_owned_default,
    },
    // Ownership is settled before values are defaulted: the element is owned under a key that it does not have.
    Known {
        name: "an element whose key was written as \"\" is nobody's",
        example: Example {
            kind: "podtemplate",
            who: Who::Person,
            manager: "kubectl",
            way: Way::Apply,
            patch: r#"[{"op": "replace", "path": "/template/spec/containers/0/ports/0", "value": {"containerPort": 52, "protocol": ""}}]"#,
        },
        applies: has_key_of_nothing,
    },
    // Git's element and the one that a controller made of it share a name, or both halves of a union stand: validation will not
    // have both, and what a controller adds is its own. It stays drift, and is reported with the API server's words.
    Known {
        name: "what a controller made of Git's own cannot stand beside it",
        example: Example {
            kind: "podtemplate",
            who: Who::Automation,
            manager: "some-operator",
            way: Way::Update,
            patch: r#"[{"op": "replace", "path": "/template/spec/containers/0/env/0", "value": {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "d"}}}}]"#,
        },
        applies: excludes_each_other,
    },
    // A map that loses the last field somebody owned in it goes as a whole, and what the API server itself has written into it,
    // which nobody owns, with it. The labels of a Job's pods are such, and a Job without them is refused.
    Known {
        name: "what nobody owns falls with what was owned beside it",
        example: Example {
            kind: "job",
            who: Who::Person,
            manager: "kubectl-edit",
            way: Way::Update,
            patch: r#"[{"op": "add", "path": "/spec/template/metadata/labels/t", "value": "u"}]"#,
        },
        applies: falls_together,
    },
    // Whoever scales, goes on scaling when Git stops saying a number: dropping ours would reset it to 1. A restart is not taken back.
    Known {
        name: "what is left alone stays when Git stops saying it",
        example: Example {
            kind: "statefulset",
            who: Who::Earlier,
            manager: "holdfast",
            way: Way::Apply,
            patch: r#"[{"op": "add", "path": "/spec/replicas", "value": 3}]"#,
        },
        applies: is_left_to_scalers,
    },
    // `ingress: []` is stored as nothing, so each apply of it adds it anew. Nobody sends an apply without drift.
    Known {
        name: "an apply of an empty that is dropped is a write each time",
        example: Example {
            kind: "networkpolicy",
            who: Who::Person,
            manager: "kubectl-edit",
            way: Way::Update,
            patch: r#"[{"op": "add", "path": "/metadata/labels/a", "value": "b"}]"#,
        },
        applies: is_written_each_time,
    },
];

/// The name of the exception under which this need not hold.
pub fn excuse(broken: &Broken, seen: &Seen<'_>) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.applies)(broken, seen)).map(|known| known.name)
}

/// A test for each.
pub fn trials() -> Vec<Trial> {
    let trial = |(at, known): (usize, &'static Known)| {
        Trial::test(format!("exceptions::{}", known.name.replace(' ', "_")), move || play(|| occurs(known, at)))
    };
    KNOWN.iter().enumerate().map(trial).collect()
}

async fn occurs(known: &Known, at: usize) -> Result<()> {
    let Example { kind, who, manager, way, patch } = known.example;
    let stage = Stage::shared().await?;
    // Another object than the one that the test of the kind edits, even where kinds have no namespace.
    let (name, text) = (format!("exception-{at}"), specimen::text(kind)?.replace("rifle", &format!("rifle{at}e")));
    let specimen = Specimen::of(&name, &text, &stage.kinds)?;
    let mut subject = stage.subject(&specimen).await?;
    let started = Instant::now();
    let patch = serde_json::from_str(&patch.replace("rifle", &format!("rifle{at}e")))?;
    let change = Change { name: "the example", patch };
    let mut pause = tokio::time::interval(Duration::from_millis(100));
    // Controllers write to a new object, too, and some edits are let pass only after they did.
    let made = loop {
        pause.tick().await;
        subject.look().await?;
        match subject.make(who, manager, way, &change).await? {
            Outcome::Made(made) => break made,
            _ if started.elapsed() < PATIENCE => {}
            _ => bail!("it is refused, or changes nothing"),
        }
    };
    ensure!(made.broken.is_empty(), "it breaks {:?}", made.broken);
    ensure!(made.excused.contains(&known.name), "every law holds, or another exception does: {:?}", made.excused);
    Ok(())
}

fn has_no_way_back(broken: &Broken, _: &Seen<'_>) -> bool {
    const WORDS: [&str; 4] =
        ["immutable", "Forbidden: ", "must be less than or equal to previous value", "may not change once set"];
    broken.law == STUCK && WORDS.iter().any(|word| broken.how.contains(word))
}

fn falls_together(broken: &Broken, seen: &Seen<'_>) -> bool {
    broken.law == STUCK
        && seen.managed.manifest.key.kind == "Job"
        && broken.how.contains("spec.template.metadata.labels[controller-uid]: Required value")
}

fn excludes_each_other(broken: &Broken, seen: &Seen<'_>) -> bool {
    broken.law == STUCK && seen.oracle.is_err() && seen.edit.who == Who::Automation
}

fn is_left_to_scalers(broken: &Broken, _: &Seen<'_>) -> bool {
    const ALONE: [&str; 2] =
        [".spec.replicas", ".spec.template.metadata.annotations[\"kubectl.kubernetes.io/restartedAt\"]"];
    broken.law == MISSED && ALONE.contains(&broken.path.as_str())
}

fn is_unknown_default(broken: &Broken, seen: &Seen<'_>) -> bool {
    broken.law == IMAGINED
        && seen.managed.manifest.key.kind == "CustomResourceDefinition"
        && seen.managed.declaration.pristine.is_none()
        && is_default(broken, seen)
}

fn is_owned_default(broken: &Broken, seen: &Seen<'_>) -> bool {
    broken.law == STAYS && is_default(broken, seen)
}

/// What stands there stood there when nobody but Git had said anything.
fn is_default(broken: &Broken, seen: &Seen<'_>) -> bool {
    let form = Form::of(&[seen.new]);
    let at = |object| places(&form, object).get(&broken.path).map(|(_, value)| value.clone());
    at(seen.baseline).is_some() && at(seen.baseline) == at(seen.new)
}

fn has_key_of_nothing(broken: &Broken, seen: &Seen<'_>) -> bool {
    let owners = seen.new["metadata"]["managedFields"].to_string();
    broken.law == LEFT && broken.path.contains("protocol=TCP]") && owners.contains(r#"\"protocol\":\"\""#)
}

fn is_written_each_time(broken: &Broken, seen: &Seen<'_>) -> bool {
    broken.law == RESTLESS && seen.managed.declaration.sections.iter().any(|(_, node)| has_dropped(node))
}

fn has_dropped(node: &Node) -> bool {
    match &node.shape {
        Shape::Nothing => true,
        Shape::Fields(fields) => fields.iter().any(|(_, node)| has_dropped(node)),
        Shape::Elements(elements) => elements.iter().any(|(_, node)| has_dropped(node)),
        Shape::Members(_) | Shape::Leaf(_) | Shape::Open(_) => false,
    }
}
