//! What the figures are measured against, and the table that says so.

use std::fmt::Write;

use super::results::{Figure, Results};

/// What a figure should be.
enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No more than this share of another figure.
    ShareOf(&'static str, f64),
    /// At least this many times another figure: somebody else's, which ours should leave behind.
    TimesOf(&'static str, f64),
    /// At least as much as another figure.
    AtLeast(&'static str),
    /// For comparison.
    Nothing,
}

/// A part of `make bench` and its figures, in the order of the table.
const PARTS: [(&str, &[(&str, Goal)]); 5] = [
    (
        "compare",
        &[
            ("compare_in_sync_us", Goal::AtMost(8.0)),
            ("compare_drifted_us", Goal::Nothing),
            ("compare_in_sync_allocs", Goal::AtMost(0.0)),
            // Linear is 1, a square 2; what no longer fits the caches takes up to half of the way.
            ("compare_growth_slope", Goal::AtMost(1.5)),
            ("declaration_kb", Goal::AtMost(10.0)),
            ("managed_kb", Goal::AtMost(12.0)),
            ("gitops_engine_diff_us", Goal::TimesOf("compare_in_sync_us", 1000.0)),
            ("smd_compare_us", Goal::TimesOf("compare_in_sync_us", 20.0)),
        ],
    ),
    (
        "review",
        &[
            ("review_cpu_us", Goal::ShareOf("floor_parse_cpu_us", 0.5)),
            ("floor_raw_cpu_us", Goal::Nothing),
            ("floor_parse_cpu_us", Goal::Nothing),
            ("opa_spec_cpu_us", Goal::TimesOf("review_cpu_us", 15.0)),
            ("review_apart_cpu_us", Goal::ShareOf("floor_parse_apart_cpu_us", 0.5)),
            ("floor_raw_apart_cpu_us", Goal::Nothing),
            ("floor_parse_apart_cpu_us", Goal::Nothing),
            ("review_16_cpu_us", Goal::ShareOf("floor_parse_16_cpu_us", 0.5)),
            ("floor_parse_16_cpu_us", Goal::Nothing),
            ("review_256_cpu_us", Goal::ShareOf("floor_parse_256_cpu_us", 0.5)),
            ("floor_parse_256_cpu_us", Goal::Nothing),
            ("review_new_cpu_us", Goal::Nothing), // mostly the handshake
            ("floor_parse_new_cpu_us", Goal::Nothing),
            ("review_rps_1", Goal::AtLeast("floor_parse_rps_1")),
            ("floor_parse_rps_1", Goal::Nothing),
            ("review_rps_16", Goal::AtLeast("floor_parse_rps_16")),
            ("floor_parse_rps_16", Goal::Nothing),
            ("review_rps_256", Goal::AtLeast("floor_parse_rps_256")),
            ("floor_parse_rps_256", Goal::Nothing),
            ("review_new_rps", Goal::AtLeast("floor_parse_new_rps")),
            ("floor_parse_new_rps", Goal::Nothing),
            ("patch_p50_us", Goal::ShareOf("patch_floor_p50_us", 1.15)),
            ("patch_floor_p50_us", Goal::Nothing),
            ("patch_bare_p50_us", Goal::Nothing),
        ],
    ),
    ("rules", &[("rules_worst_ms", Goal::AtMost(100.0))]),
    (
        "heal",
        &[
            ("heal_p50_ms", Goal::AtMost(15.0)),
            ("heal_p99_ms", Goal::AtMost(50.0)),
            ("heal_objects", Goal::Nothing),
            ("idle_calls_per_minute", Goal::AtMost(60.0)),
            ("commit_to_applied_ms", Goal::Nothing),
        ],
    ),
    (
        "scale",
        &[
            ("first_sync_10k_s", Goal::AtMost(60.0)),
            ("first_sync_floor_10k_s", Goal::Nothing),
            ("first_sync_tried_floor_10k_s", Goal::Nothing),
            ("restart_10k_s", Goal::AtMost(10.0)),
            ("restart_10k_writes", Goal::AtMost(100.0)),
            ("commit_10k_ms", Goal::Nothing),
            ("idle_10k_calls_per_minute", Goal::AtMost(60.0)),
            ("heal_10k_p50_ms", Goal::AtMost(15.0)),
            ("heal_10k_p99_ms", Goal::AtMost(50.0)),
            ("rss_10k_mb", Goal::AtMost(150.0)),
            ("rss_peak_10k_mb", Goal::Nothing),
        ],
    ),
];

/// The figures of these parts, with goal and ratio beside each, and the conditions below.
pub fn table(results: &Results, parts: &[&str]) -> String {
    let mut table = format!("\n{:<26} {:>12} {:<6} {:>32} {:>8}\n", "figure", "value", "unit", "goal", "ratio");
    let mut conditions = String::new();
    for (part, figures) in PARTS.iter().filter(|(part, _)| parts.contains(part)) {
        let _ = writeln!(table, "{part}");
        for (name, goal) in *figures {
            let _ = writeln!(table, "{}", line(name, goal, results));
            if let Some(figure) = results.get(name) {
                let _ = writeln!(conditions, "  {name}: {}", figure.conditions);
            }
        }
    }
    format!("{table}\nconditions\n{conditions}")
}

fn line(name: &str, goal: &Goal, results: &Results) -> String {
    let Some(Figure { value, unit, .. }) = results.get(name) else {
        return format!("  {name:<24} {:>12}", "not yet");
    };
    let (wanted, verdict) = goal.against(*value, results);
    format!("  {name:<24} {value:>12} {unit:<6} {wanted:>32} {verdict:>8}")
}

// === impl Goal ===

impl Goal {
    /// The goal in words, and how the value stands to it: a ratio up to 1 meets a limit, one from 1 up meets a minimum.
    fn against(&self, value: f64, results: &Results) -> (String, String) {
        let ratio = |limit: f64| format!("{:.2}", value / limit);
        let of =
            |name: &str, share: f64| results.get(name).map_or_else(|| "?".to_owned(), |of| ratio(of.value * share));
        match self {
            Self::AtMost(0.0) => ("none".to_owned(), if value == 0.0 { "met" } else { "not met" }.to_owned()),
            Self::AtMost(limit) => (format!("<= {limit}"), ratio(*limit)),
            Self::ShareOf(name, share) => (format!("<= {share} {name}"), of(name, *share)),
            Self::TimesOf(name, times) => (format!(">= {times} x ours"), of(name, *times)),
            Self::AtLeast(name) => (format!(">= {name}"), of(name, 1.0)),
            Self::Nothing => (String::new(), String::new()),
        }
    }
}
