//! What is accepted, what it comes to mean, and the words with which the rest is refused.

use serde_json::{Value, json};

use super::*;

fn sync(spec: &Value) -> GitSync {
    let object =
        json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "GitSync", "metadata": {"name": "api"}, "spec": spec});
    serde_json::from_value(object).expect("the fixture follows the schema")
}

/// The smallest spec, with the value at `pointer`'s parent set.
fn with(pointer: &str, value: Value) -> GitSync {
    let mut spec = json!({"source": {"repoURL": "https://example.org/m.git"}, "destination": {"namespace": "prod"}});
    let (mut node, mut parts) = (&mut spec, pointer.split('/').skip(1).peekable());
    while let Some(part) = parts.next() {
        node = &mut node[part];
        if parts.peek().is_some() && node.is_null() {
            *node = json!({});
        }
    }
    *node = value;
    sync(&spec)
}

/// The one mistake in `sync`, as printed.
fn fault(sync: &GitSync) -> String {
    let faults = SyncPlan::try_from(sync).expect_err("must be refused");
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].to_string()
}

#[test]
fn the_smallest_sync_gets_the_documented_defaults() {
    let plan = SyncPlan::try_from(&with("/destination/namespace", json!("prod"))).expect("valid");
    assert_eq!((plan.source.revision.as_str(), plan.source.path.as_str()), ("HEAD", ""));
    assert_eq!(plan.source.interval, Duration::from_secs(30));
    assert_eq!((plan.prune, plan.self_heal), (false, true));
    assert_eq!(plan.options, SyncOptions::default());
    assert_eq!(plan.retry.wait(3), Duration::from_secs(8));
    assert_eq!((plan.ignore.len(), plan.suspend), (0, None));
}

#[test]
fn options_are_switches_and_unknown_ones_are_named() {
    let plan = SyncPlan::try_from(&with("/syncPolicy/syncOptions", json!(["CreateNamespace=true", "Validate=false"])));
    assert_eq!(
        plan.expect("valid").options,
        SyncOptions { create_namespace: true, validate: false, prune_last: false }
    );
    insta::assert_snapshot!(fault(&with("/syncPolicy/syncOptions", json!(["ServerSideApply=true"]))),
        @r#"spec.syncPolicy.syncOptions[0]: "ServerSideApply" is not an option here; the options are CreateNamespace, Validate and PruneLast"#);
    insta::assert_snapshot!(fault(&with("/syncPolicy/syncOptions", json!(["Validate=yes"]))),
        @r#"spec.syncPolicy.syncOptions[0]: "Validate=yes" says neither true nor false; write it as Name=true or Name=false"#);
}

#[test]
fn repositories_are_https_http_ssh_or_file() {
    for url in [
        "https://github.com/org/m.git",
        "http://127.0.0.1:8080/m.git",
        "file:///srv/m.git",
        "ssh://git@github.com/org/m.git",
        "ssh://git@[::1]:2222/org/m.git",
        "ssh://host/m.git",
        "git@github.com:org/m.git",
    ] {
        assert!(SyncPlan::try_from(&with("/source/repoURL", json!(url))).is_ok(), "{url}");
    }
    let refused = [
        ("", "is empty"),
        ("git@github.com:", "names no path"),
        ("ssh://git@github.com", "names no path"),
        ("ssh:///org/m.git", "names no user and host"),
        ("ssh://-oProxyCommand=x/m.git", "names no user and host"),
        ("ssh://-lroot@host/m.git", "names no user and host"),
        ("@host:m.git", "names no user and host"),
        ("git+ssh://git@host/m.git", "scheme \"git+ssh\" is not supported"),
        ("ftp://example.org/m.git", "scheme \"ftp\" is not supported"),
        ("github.com/org/m.git", "has no scheme"),
        ("https:///m.git", "names no host"),
        ("file://m.git", "has no absolute path"),
        ("https://a b/m.git", "contains white space"),
    ];
    for (url, reason) in refused {
        assert!(fault(&with("/source/repoURL", json!(url))).contains(reason), "{url}");
    }
}

#[test]
fn credentials_in_a_url_are_refused_without_being_repeated() {
    for url in ["https://bot:hunter2@example.org/m.git", "ssh://git:hunter2@example.org/m.git"] {
        let message = fault(&with("/source/repoURL", json!(url)));
        assert!(message.contains("carries credentials") && message.contains("source.secretRef"), "{message}");
        assert!(!message.contains("hunter2"));
    }
}

#[test]
fn a_secret_is_named_by_what_can_be_a_name() {
    let plan = SyncPlan::try_from(&with("/source/secretRef", json!({"name": "repo.git-1"}))).expect("valid");
    assert_eq!(plan.source.secret.as_deref(), Some("repo.git-1"));
    for name in ["", "other/repo", "Repo", "../repo", "a b"] {
        let message = fault(&with("/source/secretRef", json!({ "name": name })));
        assert!(message.starts_with("spec.source.secretRef.name"), "{message}");
    }
}

#[test]
fn a_revision_may_be_a_range_of_versions() {
    for (range, inside, outside) in [
        (">=1.2 <2", "1.9.0", "2.0.0"),
        (">= 1.2, < 2", "1.2.0", "1.1.9"),
        ("^1.4", "1.5.0", "2.0.0"),
        ("~1.4.2", "1.4.9", "1.5.0"),
        ("semver:1.x", "1.0.1", "0.9.0"),
        ("semver:*", "7.0.0", "7.0.0-rc.1"),
        ("=1.2.3", "1.2.3", "1.2.4"),
    ] {
        let plan = SyncPlan::try_from(&with("/source/targetRevision", json!(range))).expect(range);
        let read = version_range(&plan.source.revision).expect("a range").expect("valid");
        assert!(read.matches(&inside.parse().expect("a version")), "{range} {inside}");
        assert!(!read.matches(&outside.parse().expect("a version")), "{range} {outside}");
    }
    for name in ["1.x", "v1", "release/1.2", "HEAD"] {
        assert!(version_range(name).is_none(), "{name} is a branch or a tag");
    }
    for range in [">=", "semver:", "semver:one", "^1.2.3.4", "> >1"] {
        assert!(fault(&with("/source/targetRevision", json!(range))).contains("is no range of versions"), "{range}");
    }
}

#[test]
fn a_path_is_tidied_and_stays_inside() {
    for (typed, meant) in [(".", ""), ("", ""), ("./apps//api/", "apps/api"), ("apps", "apps")] {
        let plan = SyncPlan::try_from(&with("/source/path", json!(typed))).expect("valid");
        assert_eq!(plan.source.path, meant, "{typed}");
    }
    for typed in ["..", "apps/../../etc", "/etc", "apps\\api"] {
        assert!(fault(&with("/source/path", json!(typed))).contains("does not stay inside"), "{typed}");
    }
}

#[test]
fn intervals_and_backoffs_are_durations() {
    insta::assert_snapshot!(fault(&with("/source/interval", json!("5 minutes"))),
        @r#"spec.source.interval: "5 minutes" is not a duration; write a duration such as 30s, 2m or 1h30m"#);
    assert!(fault(&with("/source/interval", json!("10ms"))).contains("too often"));
    assert!(fault(&with("/syncPolicy/retry/backoff/duration", json!("0s"))).contains("no time at all"));
    assert!(fault(&with("/syncPolicy/retry/limit", json!(0))).contains("never gives up"));
}

#[test]
fn waits_grow_to_the_longest_and_stay_there() {
    let retry = RetryPlan { limit: 5, first: Duration::from_secs(2), factor: 2, longest: Duration::from_mins(3) };
    let waits: Vec<u64> = (0..=9).map(|failures| retry.wait(failures).as_secs()).collect();
    assert_eq!(waits, [0, 2, 4, 8, 16, 32, 64, 128, 180, 180]);
    assert_eq!(retry.wait(u32::MAX), retry.longest);
}

#[test]
fn a_bad_pointer_is_answered_with_the_good_one() {
    insta::assert_snapshot!(fault(&with("/ignoreDifferences", json!([{"kind": "Deployment", "jsonPointers": [".spec.replicas"]}]))),
        @r#"spec.ignoreDifferences[0].jsonPointers[0]: ".spec.replicas" does not start with '/'; write "/spec/replicas""#);
}

#[test]
fn a_pause_needs_a_reason_and_an_end() {
    let typed = json!({"reason": "INC-4211", "until": "2026-12-01T10:00:00Z"});
    let pause = SyncPlan::try_from(&with("/suspend", typed)).expect("valid").suspend.expect("typed");
    assert!(pause.holds("2026-12-01T09:59:59Z".parse().expect("a time")));
    let reminder = |now: &str| pause.reminder(now.parse().expect("a time")).map(|reminder| reminder.to_string());
    assert_eq!(reminder("2026-12-01T09:54:59Z").as_deref(), Some("2026-12-01T09:55:00Z"));
    assert_eq!(reminder("2026-12-01T09:55:00Z"), None, "a short one reminds of itself");
    assert!(!pause.holds("2026-12-01T10:00:00Z".parse().expect("a time")));
    assert!(
        fault(&with("/suspend", json!({"reason": " ", "until": "2026-12-01T10:00:00Z"})))
            .contains("spec.suspend.reason")
    );
    assert!(fault(&with("/suspend", json!({"reason": "x", "until": "tomorrow"}))).contains("spec.suspend.until"));
}

#[test]
fn every_mistake_is_reported_at_once() {
    let mut sync = with("/source/repoURL", json!(""));
    sync.spec.source.path = "..".to_owned();
    sync.spec.destination.namespace = String::new();
    assert_eq!(SyncPlan::try_from(&sync).expect_err("three mistakes").len(), 3);
}
