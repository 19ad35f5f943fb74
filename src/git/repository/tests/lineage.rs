//! What may be gone back to: what is followed came from it, or it was synced before.

use super::super::super::testing::{Origin, full};
use super::super::{Error, Lineage};

/// A repository with a history, and what is beside it.
struct Scene {
    origin: Origin,
    first: String,
    second: String,
    tip: String,
    /// A commit of a branch that was never merged.
    beside: String,
}

// === impl Scene ===

impl Scene {
    fn new() -> Self {
        let origin = Origin::with(&[("a.yaml", "1")]);
        // As hosts do: everything there is, is handed out by its id.
        origin.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let first = origin.git(&["rev-parse", "HEAD"]);
        origin.git(&["tag", "--annotate", "v1.0", "--message", "one"]);
        let second = origin.commit("second", &[("a.yaml", "2")]);
        origin.git(&["checkout", "--quiet", "-b", "beside"]);
        let beside = origin.commit("not reviewed", &[("a.yaml", "evil")]);
        origin.git(&["tag", "v6.6"]);
        origin.git(&["checkout", "--quiet", "main"]);
        let tip = origin.commit("third", &[("a.yaml", "3")]);
        Self { origin, first, second, tip, beside }
    }

    fn within(&self, revision: &str, known: &[String]) -> Result<String, Error> {
        let lineage = Lineage { target: "main", tip: &self.tip, known };
        self.origin.repository().within(revision, &lineage)
    }

    fn refused(&self, revision: &str) -> Error {
        self.within(revision, &[]).expect_err(revision)
    }
}

#[test]
fn what_the_followed_came_from_is_found_by_every_name() {
    let scene = Scene::new();
    let Scene { first, second, tip, .. } = &scene;
    for (revision, commit) in [
        (first.as_str(), first),
        (&first[..8], first),
        ("v1.0", first),
        ("refs/tags/v1.0", first),
        (&second[..12], second),
        (tip.as_str(), tip),
        (&tip[..7], tip),
    ] {
        let found = scene.within(revision, &[]).unwrap_or_else(|error| panic!("{revision}: {}", full(&error)));
        assert_eq!(&found, commit, "{revision}");
    }
}

/// A server hands out what nobody has reviewed as well.
#[test]
fn what_was_never_part_of_what_is_followed_is_refused() {
    let scene = Scene::new();
    let beside = scene.beside.clone();
    assert_eq!(scene.origin.repository().fetch(&beside).expect("it is handed out").sha, beside);
    for revision in [beside.as_str(), &beside[..9], "v6.6"] {
        let error = scene.refused(revision);
        assert!(matches!(error, Error::Elsewhere { .. }), "{revision}: {}", full(&error));
        let said = error.to_string();
        assert!(said.contains(revision) && said.contains("not in the history of main"), "{said}");
        assert_eq!(error.of_rollback().condition(), "RollbackFailed");
    }
    // And what belongs to no branch or tag of the repository is not even looked for: a fork, a request.
    scene.origin.git(&["tag", "--delete", "v6.6"]);
    scene.origin.git(&["update-ref", "refs/pull/1/head", &beside]);
    scene.origin.git(&["branch", "--delete", "--force", "beside"]);
    let elsewhere = Origin::cache(&scene.origin);
    std::fs::remove_dir_all(elsewhere).expect("a cache may be thrown away");
    assert_eq!(scene.origin.repository().fetch(&beside).expect("it is handed out").sha, beside);
    assert!(matches!(scene.refused(&beside), Error::NoSuchRevision { .. }));
}

#[test]
fn what_was_synced_before_needs_no_proof_and_no_history() {
    let scene = Scene::new();
    let Scene { second, beside, .. } = &scene;
    let known = [beside.clone(), second.clone()];
    assert_eq!(&scene.within(&second[..7], &known).expect("known"), second);
    assert_eq!(&scene.within(beside, &known).expect("it was followed once"), beside);
    let folders =
        std::fs::read_dir(scene.origin.cache()).expect("a cache").map(|entry| entry.expect("an entry").path());
    assert!(folders.into_iter().all(|folder| !folder.join("history").exists()), "the whole history was fetched");
    // A tag says which commit it is, and that one is known.
    assert_eq!(&scene.within("v6.6", &known).expect("known"), beside);
}

#[test]
fn what_is_not_there_is_named() {
    let scene = Scene::new();
    for revision in ["0123456", &"0".repeat(40), "v9", "main", "beside"] {
        let error = scene.refused(revision);
        assert!(matches!(error, Error::NoSuchRevision { .. }), "{revision}: {}", full(&error));
        assert!(error.to_string().contains(revision), "{error}");
    }
}

#[test]
fn after_a_forced_push_only_what_was_synced_is_left() {
    let mut scene = Scene::new();
    let gone = scene.tip.clone();
    scene.origin.git(&["reset", "--quiet", "--hard", &scene.second]);
    scene.tip = scene.origin.commit("rewritten", &[("a.yaml", "4")]);
    assert!(scene.within(&gone, &[]).is_err());
    assert_eq!(scene.within(&gone, std::slice::from_ref(&gone)).expect("it was synced"), gone);
}
