//! A repository of a hundred thousand files, of which a GitSync wants a few.
//!
//! All of a commit's files are fetched, once and packed: no more than that, nothing is checked out, and what lies beside the path is
//! not looked at. `cargo test --lib a_hundred_thousand -- --nocapture` says how long it takes and how much it is.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::super::super::testing::{Origin, tree};
use super::super::super::{Reading, RenderOptions, read};
use super::super::Repository;

const FOLDERS: usize = 1000;
const FILES: usize = 100;
const PATH: &str = "team-7/app-7";

fn manifest(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{value: '{value}'}}\n"
    )
}

/// Fifty teams of twenty apps of a hundred files each, in one commit.
fn large() -> Origin {
    let origin = Origin::empty();
    let mut stream =
        String::from("commit refs/heads/main\ncommitter Ann <ann@example.com> 1772366400 +0000\ndata 5\nlarge\n");
    for at in 0..FOLDERS * FILES {
        let (folder, file) = (at / FILES, at % FILES);
        let text = manifest(&format!("c-{file}"), &format!("{at}"));
        let path = format!("team-{}/app-{}/c-{file}.yaml", folder / 20, folder % 20);
        write!(stream, "M 100644 inline {path}\ndata {}\n{text}", text.len()).expect("writing to a String cannot fail");
    }
    let mut import = Command::new("git");
    import.args(["fast-import", "--quiet"]).current_dir(origin.path()).stdin(Stdio::piped());
    let mut import = import.spawn().expect("git is installed");
    import.stdin.take().expect("it is piped").write_all(stream.as_bytes()).expect("it reads");
    assert!(import.wait().expect("it ends").success());
    origin
}

fn read_path(repository: &Repository) -> Reading {
    let options =
        RenderOptions { default_namespace: Some("shop"), sync: "team/app", cluster_scoped: &|_, _| Some(false) };
    let reading = read(repository, "main", PATH, &options).expect("readable");
    assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    reading
}

/// Files in a folder, and their bytes.
fn below(folder: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.fold((0, 0), |(files, bytes), entry| {
        let metadata = entry.metadata().expect("it is there");
        let (more, larger) = if metadata.is_dir() { below(&entry.path()) } else { (1, metadata.len()) };
        (files + more, bytes + larger)
    })
}

#[test]
fn of_a_hundred_thousand_files_those_below_the_path_are_read() {
    let origin = large();
    let repository = origin.repository();
    let begin = Instant::now();
    assert_eq!(read_path(&repository).manifests.len(), FILES);
    let (first, (files, bytes)) = (begin.elapsed(), below(&origin.cache()));
    assert!(files < 50, "{files} files in the cache: something is checked out, or not packed");
    let begin = Instant::now();
    assert_eq!(read_path(&repository).manifests.len(), FILES);
    let again = begin.elapsed();
    origin.git(&["reset", "--quiet", "--hard"]);
    origin.commit("one more", &[(&format!("{PATH}/more.yaml"), &manifest("more", "1"))]);
    let begin = Instant::now();
    assert_eq!(read_path(&repository).manifests.len(), FILES + 1);
    let (next, (_, after)) = (begin.elapsed(), below(&origin.cache()));
    let more = after - bytes;
    println!("first {first:?} and {bytes} bytes, again {again:?}, one file more {next:?} and {more} bytes");
    assert!(more < 64 << 10, "one file more brought {more} bytes");
}

/// What was never there cannot have been read.
#[test]
fn what_lies_beside_the_path_may_even_be_missing() {
    let origin = Origin::with(&[("a.yaml", &manifest("a", "1"))]);
    let repository = origin.repository();
    super::sha(&repository, "main");
    let cache = std::fs::read_dir(origin.cache()).expect("a folder").next().expect("one repository").expect("an entry");
    let tips = cache.path().join("tips");
    let object = |kind: &str, bytes: &[u8]| {
        let file = tips.join("object");
        std::fs::write(&file, bytes).expect("a file");
        let file = file.display().to_string();
        super::git(&tips, &["hash-object", "-t", kind, "-w", "--literally", &file])
    };
    let file = object("blob", manifest("mine", "1").as_bytes());
    let missing = "1".repeat(40);
    let mine = object("tree", &tree(&[("100644", "c.yaml", &file)]));
    let team = object(
        "tree",
        &tree(&[("40000", "app-6", &missing), ("40000", "app-7", &mine), ("100644", "x.yaml", &missing)]),
    );
    let root = object("tree", &tree(&[("40000", "team-6", &missing), ("40000", "team-7", &team)]));
    let commit = super::git(&tips, &["commit-tree", &root, "-m", "most of it is missing"]);
    let options =
        RenderOptions { default_namespace: Some("shop"), sync: "team/app", cluster_scoped: &|_, _| Some(false) };
    let reading = read(&repository, &commit, PATH, &options).expect("all that is needed is there");
    assert_eq!((reading.manifests.len(), reading.problems.len()), (1, 0));
}
