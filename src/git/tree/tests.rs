//! Which files count, on real commits.

use super::super::testing::{Origin, tree};
use super::{Error, FILE_LIMIT, files};

fn walk(origin: &Origin, path: &str) -> Result<(Vec<String>, Vec<String>), Error> {
    let (files, problems) = origin.repository().at("HEAD", |snapshot| files(snapshot, path))?;
    let files = files.iter().map(|file| file.path.to_string()).collect();
    Ok((files, problems.iter().map(ToString::to_string).collect()))
}

#[test]
fn manifests_are_found_in_nested_folders() {
    let origin = Origin::with(&[
        ("apps/b.yaml", ""),
        ("apps/a.yml", ""),
        ("apps/deep/er/c.json", ""),
        ("apps/README.md", ""),
        ("apps/.hidden.yaml", ""),
        ("apps/.github/workflow.yaml", ""),
        ("top.yaml", ""),
    ]);
    let expected = ["apps/a.yml", "apps/b.yaml", "apps/deep/er/c.json"];
    for path in ["apps", "apps/", "./apps", "apps//."] {
        assert_eq!(
            walk(&origin, path).expect("readable"),
            (expected.map(str::to_owned).to_vec(), Vec::new()),
            "{path}"
        );
    }
    for root in ["", ".", "./"] {
        assert_eq!(walk(&origin, root).expect("readable").0.len(), 4, "{root}");
    }
    assert_eq!(walk(&origin, "apps/.github").expect("asked for by name").0, ["apps/.github/workflow.yaml"]);
}

#[test]
fn a_single_file_may_be_named() {
    let origin = Origin::with(&[("apps/a.yaml", ""), ("apps/README.md", "")]);
    assert_eq!(walk(&origin, "apps/a.yaml").expect("readable").0, ["apps/a.yaml"]);
    assert!(matches!(walk(&origin, "apps/README.md"), Err(Error::NotManifests { .. })));
}

#[test]
fn paths_stay_inside_the_repository() {
    let origin = Origin::with(&[("apps/a.yaml", "")]);
    for path in ["../x", "apps/../../x", "apps/..", "/etc", "/", "apps\\..", "a\0b"] {
        assert!(matches!(walk(&origin, path), Err(Error::Path { .. })), "{path:?}");
    }
    for path in ["nope", "apps/nope", "apps/a.yaml/b", "APPS"] {
        assert!(matches!(walk(&origin, path), Err(Error::NoSuchPath { .. })), "{path:?}");
    }
}

#[test]
fn links_and_submodules_are_reported_and_not_followed() {
    let other = Origin::with(&[("x.yaml", "")]);
    let origin = Origin::with(&[("apps/a.yaml", "")]);
    std::os::unix::fs::symlink("/etc/passwd", origin.path().join("apps/passwd.yaml")).expect("a link");
    std::os::unix::fs::symlink("apps", origin.path().join("linked")).expect("a link");
    origin.git(&["submodule", "--quiet", "add", &other.url(), "apps/module"]);
    origin.commit("links", &[]);
    let (files, problems) = walk(&origin, "apps").expect("readable");
    assert_eq!(files, ["apps/a.yaml"]);
    assert!(problems[0].starts_with("apps/module: this is a submodule"), "{problems:?}");
    assert!(problems[1].starts_with("apps/passwd.yaml: this is a symbolic link"), "{problems:?}");
    assert!(matches!(walk(&origin, "linked"), Err(Error::NotManifests { .. })));
    assert!(matches!(walk(&origin, "linked/a.yaml"), Err(Error::NoSuchPath { .. })));
}

#[test]
fn pointers_of_lfs_are_reported_and_are_no_manifests() {
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "0".repeat(64));
    let origin = Origin::with(&[("apps/a.yaml", ""), ("apps/big.yaml", &pointer), ("apps/logo.png", &pointer)]);
    let (files, problems) = walk(&origin, "apps").expect("readable");
    assert_eq!(files, ["apps/a.yaml"]);
    assert_eq!(problems.len(), 1, "what is no manifest may be in LFS: {problems:?}");
    assert!(problems[0].starts_with("apps/big.yaml: this is a pointer of Git LFS"), "{problems:?}");
    assert!(problems[0].contains("commit the file itself"), "{problems:?}");
}

/// Nothing is ever checked out, so such names lead nowhere; they are told because no honest commit has them.
#[test]
fn names_that_lead_elsewhere_are_reported_and_not_read() {
    let origin = Origin::empty();
    let blob = origin.object("blob", b"kind: X\n");
    let evil = tree(&[("100644", "../evil.yaml", &blob), ("100644", "a.yaml", &blob), ("100644", "b\\c.yaml", &blob)]);
    let evil = origin.object("tree", &evil);
    let root =
        origin.object("tree", &tree(&[("40000", "..", &evil), ("40000", ".git", &evil), ("40000", "apps", &evil)]));
    origin.commit_tree(&root);
    let (files, problems) = walk(&origin, "").expect("readable");
    assert_eq!(files, ["apps/a.yaml"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("apps/../evil.yaml: no folder holds such a name"), "{problems:?}");
    assert!(matches!(walk(&origin, ".."), Err(Error::Path { .. })));
}

/// Ten times ten times ten… folders, in a handful of objects.
#[test]
fn a_bomb_of_folders_ends() {
    let origin = Origin::empty();
    let blob = origin.object("blob", b"");
    let mut id = origin.object("tree", &tree(&[("100644", "a.yaml", &blob)]));
    let names: Vec<_> = (0..10).map(|at| format!("d{at}")).collect();
    for _ in 0..9 {
        let entries: Vec<_> = names.iter().map(|name| ("40000", name.as_str(), id.as_str())).collect();
        id = origin.object("tree", &tree(&entries));
    }
    origin.commit_tree(&id);
    let (_, problems) = walk(&origin, "").expect("it ends");
    assert!(problems[0].contains("more than 100000 folders"), "{problems:?}");
}

#[test]
fn files_that_are_too_much_together_are_reported_and_not_read() {
    let origin = Origin::empty();
    let blob = origin.object("blob", "#".repeat(usize::try_from(FILE_LIMIT).expect("it fits")).as_bytes());
    let names: Vec<_> = (0..30).map(|at| format!("f{at:02}.yaml")).collect();
    let entries: Vec<_> = names.iter().map(|name| ("100644", name.as_str(), blob.as_str())).collect();
    let id = origin.object("tree", &tree(&entries));
    origin.commit_tree(&id);
    let (files, problems) = walk(&origin, "").expect("readable");
    assert_eq!((files.len(), problems.len()), (25, 5));
    assert!(problems[0].starts_with("f25.yaml: the files before this one have"), "{problems:?}");
}

/// A commit whose other folder is not even here: whoever looked into it would fail.
#[test]
fn only_what_is_below_the_path_is_looked_at() {
    let origin = Origin::with(&[("apps/a.yaml", "1"), ("apps/deep/b.yaml", "2")]);
    let repository = origin.repository();
    repository.fetch("main").expect("it is there");
    let tips = std::fs::read_dir(origin.cache()).expect("a cache").next().expect("one URL").expect("readable").path();
    let git = |arguments: &[&str]| super::super::testing::git(&tips.join("tips"), arguments);
    let apps = origin.git(&["rev-parse", "main:apps"]);
    let root = tree(&[("40000", "apps", &apps), ("40000", "other", &"1".repeat(40))]);
    let file = tips.join("tree");
    std::fs::write(&file, root).expect("a file");
    let root = git(&["hash-object", "-t", "tree", "-w", "--literally", &file.display().to_string()]);
    let commit = git(&["commit-tree", &root, "-m", "half of it"]);
    let (found, problems) = repository.at(&commit, |snapshot| files(snapshot, "apps")).expect("readable");
    assert_eq!((found.len(), problems.len()), (2, 0));
    repository.at(&commit, |snapshot| files(snapshot, "")).expect_err("the other folder is not here");
}

#[test]
fn folders_for_renderers_are_left_alone_and_reported() {
    let origin = Origin::with(&[
        ("a.yaml", ""),
        ("overlay/kustomization.yaml", ""),
        ("overlay/patch.yaml", ""),
        ("overlay/more/x.yaml", ""),
        ("chart/Chart.yaml", ""),
        ("chart/templates/x.yaml", ""),
    ]);
    let (files, problems) = walk(&origin, "").expect("readable");
    assert_eq!(files, ["a.yaml"]);
    assert!(problems[0].starts_with("chart/Chart.yaml: rendering with Helm"), "{problems:?}");
    assert!(problems[1].starts_with("overlay/kustomization.yaml: rendering with Kustomize"), "{problems:?}");
    let (files, problems) = walk(&origin, "overlay/kustomization.yaml").expect("readable");
    assert_eq!((files.len(), problems.len()), (0, 1));
}

#[test]
fn large_files_are_reported_and_not_read() {
    let large = "#".repeat(usize::try_from(FILE_LIMIT).expect("it fits") + 1);
    let origin = Origin::with(&[("a.yaml", ""), ("big.yaml", &large)]);
    let (files, problems) = walk(&origin, "").expect("readable");
    assert_eq!(files, ["a.yaml"]);
    assert_eq!(
        problems,
        [format!("big.yaml: the file has {} bytes; more than {FILE_LIMIT} are not read", FILE_LIMIT + 1)]
    );
}
