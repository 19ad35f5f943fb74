//! Fetching from real repositories: every kind of revision, and everything that goes wrong with servers and caches.

mod http;
mod lineage;
mod private;
mod ssh;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::testing::{Origin, full, git};
use super::{Error, RepoUrl, Repository};

fn sha(repository: &Repository, target: &str) -> String {
    repository.fetch(target).unwrap_or_else(|error| panic!("{target}: {}", full(&error))).sha
}

fn fails(repository: &Repository, target: &str) -> Error {
    repository.fetch(target).expect_err(target)
}

/// The content of `a.yaml` at `target`.
fn content(repository: &Repository, target: &str) -> String {
    let read = repository.at(target, |snapshot| {
        let entries = snapshot.list(&snapshot.root())?;
        let file = entries.iter().find(|entry| entry.name == "a.yaml").expect("it is there");
        snapshot.bytes(file)
    });
    String::from_utf8(read.unwrap_or_else(|error| panic!("{}", full(&error)))).expect("text")
}

fn packs(origin: &Origin) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                below(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "pack") {
                found.push(entry);
            }
        }
    }
    let mut found = Vec::new();
    below(&origin.cache(), &mut found);
    found
}

#[test]
fn a_commit_is_described() {
    let origin = Origin::empty();
    let id = origin.commit("Raise the limit\n\nBecause.", &[("a.yaml", "1")]);
    let commit = origin.repository().fetch("main").expect("it is there");
    assert_eq!(
        (commit.sha, commit.author.as_str(), commit.subject.as_str()),
        (id, "Ann <ann@example.com>", "Raise the limit")
    );
    assert!((jiff::Timestamp::now() - commit.time).get_seconds() < 600);
}

#[test]
fn every_way_to_name_a_commit() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let first = origin.git(&["rev-parse", "HEAD"]);
    origin.git(&["tag", "light"]);
    origin.git(&["tag", "--annotate", "v1.0", "--message", "one"]);
    let second = origin.commit("second", &[("a.yaml", "2")]);
    origin.git(&["branch", "team/feature", "HEAD"]);
    let third = origin.commit("third", &[("a.yaml", "3")]);
    let repository = origin.repository();
    let expected = [
        ("HEAD", &third),
        ("main", &third),
        ("refs/heads/main", &third),
        ("team/feature", &second),
        ("light", &first),
        ("v1.0", &first),
        ("refs/tags/v1.0", &first),
        (first.as_str(), &first),
        (second.as_str(), &second),
        (&second[..8], &second),
        (&third[..12], &third),
    ];
    for (target, id) in expected {
        assert_eq!(&sha(&repository, target), id, "{target}");
    }
    assert_eq!(content(&repository, "v1.0"), "1");
    assert_eq!(content(&repository, &second[..8]), "2");
}

#[test]
fn only_the_newest_commit_is_transferred() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let first = origin.git(&["rev-parse", "HEAD"]);
    for round in 0..5 {
        let id = origin.commit("more", &[("a.yaml", &format!("{round}"))]);
        assert_eq!(sha(&origin.repository(), "main"), id);
        assert_eq!(content(&origin.repository(), "main"), round.to_string());
    }
    let tips =
        fs::read_dir(origin.cache()).expect("a cache").next().expect("one URL").expect("readable").path().join("tips");
    let known = std::process::Command::new("git").args(["cat-file", "-e", &first]).current_dir(&tips).status();
    assert!(!known.expect("git is installed").success(), "history was transferred");
}

#[test]
fn what_did_not_change_is_not_transferred_again() {
    let mut state = 1_u32;
    let noise: String = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + u8::try_from((state >> 16) % 94).expect("small"))
    })
    .take(2 << 20)
    .collect();
    let origin = Origin::with(&[("a.yaml", "1"), ("noise", &noise)]);
    sha(&origin.repository(), "main");
    let before = packs(&origin);
    origin.commit("second", &[("a.yaml", "2")]);
    assert_eq!(content(&origin.repository(), "main"), "2");
    let size = |pack: &PathBuf| fs::metadata(pack).expect("it is there").len();
    let after: Vec<_> = packs(&origin).into_iter().filter(|pack| !before.contains(pack)).collect();
    assert!(before.iter().map(size).sum::<u64>() > 1 << 20);
    assert!(after.iter().map(size).sum::<u64>() < 10_000, "{after:?}");
}

#[test]
fn nothing_is_transferred_when_nothing_changed() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let repository = origin.repository();
    sha(&repository, "main");
    let before = packs(&origin);
    for target in ["main", "HEAD", "refs/heads/main"] {
        sha(&repository, target);
    }
    assert_eq!(packs(&origin), before);
}

#[test]
fn a_commit_id_that_is_here_needs_no_server() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let repository = origin.repository();
    let id = sha(&repository, "main");
    fs::rename(origin.path(), origin.path().with_extension("away")).expect("it can be moved");
    assert_eq!(sha(&repository, &id), id);
    assert!(matches!(fails(&repository, "main"), Error::Refused { .. }));
}

#[test]
fn a_forced_push_is_followed() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let repository = origin.repository();
    origin.commit("second", &[("a.yaml", "2")]);
    sha(&repository, "main");
    origin.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let rewritten = origin.commit("rewritten", &[("a.yaml", "3")]);
    assert_eq!(sha(&repository, "main"), rewritten);
    assert_eq!(content(&repository, "main"), "3");
    origin.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    assert_eq!(content(&repository, "main"), "1", "and back to a commit from before");
}

#[test]
fn a_moved_tag_is_followed() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    origin.git(&["tag", "--annotate", "stable", "--message", "1"]);
    let repository = origin.repository();
    assert_eq!(content(&repository, "stable"), "1");
    origin.commit("second", &[("a.yaml", "2")]);
    origin.git(&["tag", "--force", "--annotate", "stable", "--message", "2"]);
    assert_eq!(content(&repository, "stable"), "2");
}

#[test]
fn a_deleted_branch_is_gone_and_its_name_can_become_a_folder() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    origin.git(&["branch", "release"]);
    let repository = origin.repository();
    sha(&repository, "release");
    origin.git(&["branch", "--delete", "--force", "release"]);
    assert!(matches!(fails(&repository, "release"), Error::NoSuchRevision { .. }));
    let id = origin.commit("second", &[("a.yaml", "2")]);
    origin.git(&["branch", "release/1"]);
    assert_eq!(sha(&repository, "release/1"), id);
}

#[test]
fn commits_outside_of_branches() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let middle = origin.commit("middle", &[("a.yaml", "2")]);
    origin.commit("third", &[("a.yaml", "3")]);
    origin.git(&["checkout", "--quiet", "--detach"]);
    let outside = origin.commit("outside", &[("a.yaml", "4")]);
    origin.git(&["checkout", "--quiet", "main"]);
    let repository = origin.repository();
    assert_eq!(content(&repository, &middle), "2");
    match repository.fetch(&outside) {
        Ok(commit) => assert_eq!(commit.sha, outside),
        Err(error) => assert!(matches!(error, Error::NoSuchRevision { .. }), "{}", full(&error)),
    }
}

#[test]
fn what_does_not_exist_is_named_with_the_url() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let repository = origin.repository();
    let missing = "0123456789012345678901234567890123456789";
    for target in [
        "nope",
        "dead",
        "deadbeef",
        missing,
        "",
        "-x",
        "main:x",
        "+main",
        "^main",
        "a b",
        "main~1",
        "refs/heads/*",
        "@{u}",
        "*",
    ] {
        let error = fails(&repository, target);
        assert!(matches!(error, Error::NoSuchRevision { .. }), "{target:?}: {}", full(&error));
        assert!(error.to_string().contains(&origin.url()) && error.to_string().contains(target), "{error}");
    }
}

#[test]
fn an_empty_repository_has_no_head() {
    let origin = Origin::empty();
    for target in ["HEAD", "main", "deadbeef"] {
        let error = fails(&origin.repository(), target);
        assert!(matches!(error, Error::NoSuchRevision { .. }), "{target} {}", full(&error));
    }
    let id = origin.commit("first", &[("a.yaml", "1")]);
    assert_eq!(sha(&origin.repository(), "HEAD"), id);
}

#[test]
fn a_name_that_is_branch_and_tag_is_not_guessed() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    origin.git(&["tag", "main"]);
    let repository = origin.repository();
    let error = fails(&repository, "main").to_string();
    assert!(error.contains("refs/heads/main and refs/tags/main"), "{error}");
    sha(&repository, "refs/heads/main");
}

#[test]
fn what_is_no_commit_is_refused() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let blob = origin.git(&["rev-parse", "HEAD:a.yaml"]);
    origin.git(&["tag", "blob", &blob]);
    let error = fails(&origin.repository(), "blob");
    assert!(matches!(error, Error::NotACommit { .. }), "{}", full(&error));
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let origin = Origin::with(&[("a.yaml", "content")]);
    let repository = origin.repository();
    let tips = || {
        fs::read_dir(origin.cache()).expect("a cache").next().expect("one URL").expect("readable").path().join("tips")
    };
    let damages: [(&str, &dyn Fn()); 7] = [
        ("empty pack", &|| packs(&origin).iter().for_each(|pack| overwrite(pack, b""))),
        ("garbage pack", &|| packs(&origin).iter().for_each(|pack| overwrite(pack, &[7; 400]))),
        ("no pack", &|| packs(&origin).iter().for_each(|pack| fs::remove_file(pack).expect("removable"))),
        ("no HEAD", &|| fs::remove_file(tips().join("HEAD")).expect("removable")),
        ("garbage config", &|| overwrite(&tips().join("config"), b"[[[[")),
        ("left-over lock", &|| overwrite(&tips().join("shallow.lock"), b"")),
        ("no objects", &|| fs::remove_dir_all(tips().join("objects")).expect("removable")),
    ];
    for (name, damage) in damages {
        assert_eq!(content(&repository, "main"), "content", "before {name}");
        damage();
        assert_eq!(content(&repository, "main"), "content", "{name}, nothing new on the server");
        damage();
        let id = origin.commit(name, &[]);
        assert_eq!(sha(&repository, "main"), id, "{name}");
        assert_eq!(content(&repository, &id), "content", "{name}: known and readable");
    }
}

fn overwrite(path: &Path, bytes: &[u8]) {
    // Packs are read-only; replacing them is what a failing disk amounts to.
    let _ = fs::remove_file(path);
    fs::write(path, bytes).expect("writable");
}

#[test]
fn a_cache_that_has_grown_old_is_made_anew() {
    let origin = Origin::with(&[("a.yaml", "0")]);
    let repository = origin.repository();
    for round in 0..60 {
        origin.commit("more", &[("a.yaml", &round.to_string())]);
        assert_eq!(content(&repository, "main"), round.to_string());
    }
    assert!(packs(&origin).len() < 55);
}

#[test]
fn many_threads_share_a_cache() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    for name in ["b0", "b1", "b2", "b3"] {
        origin.git(&["checkout", "--quiet", "-b", name]);
        origin.commit(name, &[("a.yaml", name)]);
    }
    std::thread::scope(|scope| {
        for name in ["b0", "b1", "b2", "b3", "b0", "b1"] {
            let repository = origin.repository();
            scope.spawn(move || assert_eq!(content(&repository, name), name));
        }
    });
}

/// Between asking what a branch is and fetching it, it may become something else: that is then what is read.
#[test]
fn a_push_in_the_middle_of_a_fetch_does_no_harm() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let pushes = (0..500).take_while(|_| !done.load(Ordering::Relaxed));
            pushes.for_each(|_| drop(origin.git(&["commit", "--quiet", "--allow-empty", "--message", "another"])));
        });
        for _ in 0..30 {
            assert_eq!(content(&origin.repository(), "main"), "1");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_shallow_origin_can_be_read() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let id = origin.commit("second", &[("a.yaml", "2")]);
    let folder = tempfile::tempdir().expect("a folder");
    git(folder.path(), &["clone", "--quiet", "--depth=1", &origin.url(), "copy"]);
    let url = format!("file://{}", folder.path().join("copy").display());
    assert_eq!(sha(&origin.repository_at(&url), "main"), id);
}

#[test]
fn the_newest_tag_in_a_range_of_versions_is_followed() {
    let origin = Origin::with(&[("a.yaml", "0")]);
    let tags = [("v1.2.0", false), ("1.9.3", true), ("v1.10.0", true), ("v2.0.0-rc.1", true), ("v2.1.0", false)];
    for (tag, annotated) in tags {
        origin.commit(tag, &[("a.yaml", tag)]);
        let message: &[&str] = if annotated { &["--annotate", "--message", "x"] } else { &[] };
        origin.git(&[&["tag", tag][..], message].concat());
    }
    for odd in ["latest", "v3", "v1.99", "x1.2.3", "1.2.3.4"] {
        origin.git(&["tag", odd]);
    }
    let repository = origin.repository();
    for (range, tag) in [
        (">=1.2 <2", "v1.10.0"),
        ("semver:1.x", "v1.10.0"),
        ("~1.9", "1.9.3"),
        ("semver:*", "v2.1.0"),
        (">=2.0.0-rc.0, <2.0.1", "v2.0.0-rc.1"),
    ] {
        assert_eq!(content(&repository, range), tag, "{range}");
    }
    origin.git(&["tag", "--annotate", "v1.10.1", "--message", "x"]);
    assert_eq!(content(&repository, ">=1.2 <2"), "v2.1.0", "a new tag is taken up");
    for range in [">=3", "semver:0.x", "semver:nonsense"] {
        assert!(matches!(fails(&repository, range), Error::NoSuchRevision { .. }), "{range}");
    }
}

#[test]
fn urls_are_checked_and_credentials_in_them_are_refused_without_being_shown() {
    for typed in
        ["https://example.com/r.git", "ssh://git@example.com/r", "git@example.com:o/r", "ssh://git@[::1]:2222/~u/r"]
    {
        assert_eq!(RepoUrl::parse(typed).expect("valid").to_string(), typed);
    }
    for typed in [
        "https://user:s3cret@example.com/r.git",
        "https://s3cret@example.com/r.git",
        "ssh://git:s3cret@example.com/r",
        "ssh://-oProxyCommand=x/r",
        "ssh://-x@h/r",
        "/etc",
        "ftp://u:s3cret@h/r",
        "s3cret:x@",
        "",
        "https://",
        "../r",
    ] {
        let error = RepoUrl::parse(typed).expect_err(typed);
        assert!(!full(&error).contains("s3cret@") && !full(&error).contains("u:s3cret"), "{error}");
    }
}

#[test]
fn another_secret_is_another_cache() {
    let name = |secret| RepoUrl::parse("https://h/r").expect("valid").cache_name(secret);
    assert_ne!(name("a/repo"), name("b/repo"));
    assert_ne!(name("a/repo"), name(""));
    assert_eq!(name("").len(), 32);
}

/// What one may read with a Secret, another must not be able to ask for by its commit id.
#[test]
fn what_was_read_with_a_secret_is_not_read_without() {
    let origin = Origin::with(&[("a.yaml", "private")]);
    let url = RepoUrl::parse(&origin.url()).expect("valid");
    let with = Repository::open_with(&origin.cache(), url, "team/repo", super::Access::default()).expect("a cache");
    let id = sha(&with, "main");
    fs::rename(origin.path(), origin.path().with_extension("away")).expect("it can be moved");
    assert_eq!(sha(&with, &id), id);
    assert!(matches!(fails(&origin.repository(), &id), Error::Refused { .. }));
}
