//! What a scrape looks like: names are an interface that alerts are written against.

use super::*;

/// Names and types, as printed.
fn names(registry: &Registry) -> String {
    let page = encode(registry).expect("text");
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn names_are_stable() {
    let (_, registry) = Metrics::new();
    insta::assert_snapshot!(names(&registry), @r#"
    holdfast_reviews counter
    holdfast_would_deny counter
    holdfast_review_errors counter
    holdfast_review_duration_seconds histogram
    holdfast_reviews_in_flight gauge
    holdfast_drifts counter
    holdfast_heals counter
    holdfast_remediation_seconds histogram
    holdfast_rule_errors counter
    holdfast_policy_readable gauge
    holdfast_prunes counter
    holdfast_applies counter
    holdfast_break_glass_opened counter
    holdfast_break_glass_refused counter
    holdfast_break_glass_open gauge
    holdfast_fights counter
    holdfast_fighting_objects gauge
    holdfast_windows_waited_for gauge
    holdfast_objects gauge
    holdfast_drifted_objects gauge
    holdfast_syncs gauge
    holdfast_git_fetches counter
    holdfast_git_last_success_timestamp_seconds gauge
    holdfast_unverified_commits counter
    holdfast_pushes counter
    holdfast_certificate_expiry_timestamp_seconds gauge
    holdfast_certificate_failures counter
    holdfast_snapshot_timestamp_seconds gauge
    holdfast_webhook_restores counter
    holdfast_webhooks_registered gauge
    holdfast_leader gauge
    holdfast_shards gauge
    holdfast_shards_held gauge
    holdfast_connections gauge
    holdfast_connections_refused counter
    holdfast_connections_evicted counter
    holdfast_records counter
    holdfast_api_calls counter
    "#);
}

#[test]
fn clones_share_the_same_numbers() {
    let (metrics, registry) = Metrics::new();
    metrics.clone().reviewed(Verdict::Deny, Operation::Update, Duration::from_micros(90));
    metrics.clone().called(Ask::DryRun);
    let page = encode(&registry).expect("text");
    assert!(page.contains(r#"holdfast_reviews_total{verdict="deny",operation="update"} 1"#), "{page}");
    assert!(page.contains(r#"holdfast_api_calls_total{verb="dry-run"} 1"#), "{page}");
    assert!(page.contains(r#"holdfast_review_duration_seconds_bucket{le="0.00005"} 0"#), "{page}");
    assert!(page.contains(r#"holdfast_review_duration_seconds_bucket{le="0.0001"} 1"#), "{page}");
}

#[test]
fn a_failed_fetch_does_not_move_the_time_of_the_last_good_one() {
    let (metrics, registry) = Metrics::new();
    metrics.fetched(Outcome::Success, "2026-11-21T10:00:00Z".parse().expect("a time"));
    metrics.fetched(Outcome::Failure, "2026-11-21T11:00:00Z".parse().expect("a time"));
    let expected = "holdfast_git_last_success_timestamp_seconds 1795255200";
    let page = encode(&registry).expect("text");
    assert!(page.contains(expected), "{page}");
}
