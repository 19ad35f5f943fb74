//! Which files count, on real commits.

use super::super::testing::Origin;
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
