//! What a diff looks like.

use anstream::adapter::strip_str;
use serde_json::json;

use super::super::testing::{deployment, drifted_deployment, identities, judging, live, manifest, secret, sync};
use super::*;
use crate::core::object::ObjectKey;

fn plain(finding: &Finding) -> String {
    strip_str(&unified(finding)).to_string()
}

#[test]
fn drift_is_shown_by_path_with_file_line_and_culprit() {
    let (who, managed) = (identities(), deployment());
    let finding = judging(&who).managed(&managed, &drifted_deployment()).expect("it drifted");
    insta::assert_snapshot!(plain(&finding));
}

#[test]
fn colours_say_which_side_a_line_is_on() {
    let (who, managed) = (identities(), secret());
    let mut live = live(&managed);
    live["data"]["user"] = json!("YWxpY2U=");
    let finding = judging(&who).managed(&managed, &live).expect("it drifted");
    insta::assert_snapshot!(unified(&finding).replace('\x1b', "^"));
}

#[test]
fn secrets_show_that_they_differ_and_nothing_else() {
    let (who, managed) = (identities(), secret());
    let mut live = live(&managed);
    live["data"] = json!({"password": "bmV3", "user": "bmV3"});
    let finding = judging(&who).managed(&managed, &live).expect("it drifted");
    let text = format!("{}{}", plain(&finding), json!(finding));
    assert!(!text.contains("bmV3") && !text.contains("aHVudGVyMg"), "{text}");
    insta::assert_snapshot!(plain(&finding));
}

#[test]
fn long_texts_show_only_the_lines_around_a_change() {
    let line = |n, changed: &str| if n == 10 { changed.to_owned() } else { format!("line {n}\n") };
    let text = |changed: &str| (1..=20).map(|n| line(n, changed)).collect::<String>();
    let difference = Difference {
        git: Some(json!(text("before\n"))),
        live: Some(json!(text("after\n"))),
        ..finding_of_nothing().deviations.remove(0)
    };
    let finding = Finding { deviations: vec![difference], ..finding_of_nothing() };
    insta::assert_snapshot!(plain(&finding));
}

fn finding_of_nothing() -> Finding {
    let who = identities();
    let manifest = manifest("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n");
    let mut finding = judging(&who).missing(&sync(), &manifest, None);
    finding.deviations[0].path = crate::core::path::Path::of_fields(&["data", "text"]);
    finding.deviations[0].kind = Kind::Changed;
    finding
}

#[test]
fn whole_objects_are_shown_without_what_is_on_every_object() {
    let who = identities();
    let judging = judging(&who);
    let git = manifest("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  a: b\n");
    insta::assert_snapshot!(plain(&judging.missing(&sync(), &git, None)));

    let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}, "metadata": {
        "name": "old", "namespace": "shop", "uid": "1", "resourceVersion": "2", "managedFields": [],
        "labels": {"holdfast.dev/managed": "true"}}});
    let key = ObjectKey::of(&live).expect("an object");
    insta::assert_snapshot!(plain(&judging.unwanted(&sync(), false, &key, &live)));
}

#[test]
fn what_is_excluded_is_not_shown_and_not_drift() {
    let (who, managed) = (identities(), deployment());
    let mut live = live(&managed);
    live["spec"]["replicas"] = json!(7);
    let finding = judging(&who).managed(&managed, &live).expect("it differs");
    assert!(!finding.drift);
    assert_eq!(unified(&finding), "");
    assert_eq!(finding.deviations[0].excluded.as_deref(), Some("/spec/replicas of kind=\"Deployment\""));
}
