//! The parsers of what others write, given nonsense: field ownership, places, rules, our own kinds, manifests, reviews.
//!
//! A target takes bytes, checks what must hold for any bytes at all, and answers with what it saw in short. An input that leads
//! to something not seen before is mutated further, which finds its way into a parser without an instrumented build of the
//! whole tree. `cargo test` runs the corpus in `tests/fuzz/<target>` and a few hundred mutations of it, always the same ones;
//! `make fuzz ONLY=review SECONDS=60` goes on for as long as it is told to, from another seed each time. What breaks a target
//! is written into its corpus, where it stays.

mod common;
#[path = "webhook/desk.rs"]
#[allow(dead_code)] // its other half is the webhook's own tests'
mod desk;
#[path = "fuzz/hunt.rs"]
mod hunt;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/targets.rs"]
mod targets;

use hunt::hunt;

#[test]
fn fields() {
    hunt("fields", targets::fields);
}

#[test]
fn field_path() {
    hunt("field_path", targets::field_path);
}

#[test]
fn pointer() {
    hunt("pointer", targets::pointer);
}

#[test]
fn jq() {
    hunt("jq", targets::jq);
}

#[test]
fn kinds() {
    hunt("kinds", targets::kinds);
}

#[test]
fn manifest() {
    hunt("manifest", targets::manifest);
}

#[test]
fn review() {
    let asked = targets::Webhook::new();
    hunt("review", |input| asked.review(input));
}

/// What a hunt rests on: an input that breaks a target is found, made known and kept.
#[test]
fn what_breaks_a_target_is_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("seed"), "hello [world]").expect("a file can be written");
    let fragile = |input: &[u8]| {
        assert!(!input.ends_with(b"["), "it is cut off");
        input.len().to_string()
    };
    let hunted = std::panic::catch_unwind(|| hunt::hunt_in(folder.path(), 20_000, None, &fragile));
    assert!(hunted.is_err(), "it was not found");
    let kept = std::fs::read_dir(folder.path()).expect("the folder is there").count();
    assert_eq!(kept, 2, "it was not kept");
}
