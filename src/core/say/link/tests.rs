//! Each forge's spelling, each way to write a repository, and what must not get into a link.

use super::link;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn at(repository: &str) -> Option<String> {
    link(repository, SHA, "apps/api.yaml", 12)
}

fn is(repository: &str, link: &str) {
    assert_eq!(at(repository).as_deref(), Some(link.replace("SHA", SHA).as_str()), "{repository}");
}

#[test]
fn every_forge_has_its_spelling() {
    is("https://github.com/org/shop.git", "https://github.com/org/shop/blob/SHA/apps/api.yaml#L12");
    is("https://gitlab.com/org/team/shop.git", "https://gitlab.com/org/team/shop/-/blob/SHA/apps/api.yaml#L12");
    is("https://codeberg.org/org/shop", "https://codeberg.org/org/shop/src/commit/SHA/apps/api.yaml#L12");
    is("https://bitbucket.org/org/shop.git", "https://bitbucket.org/org/shop/src/SHA/apps/api.yaml#lines-12");
    is(
        "https://dev.azure.com/org/My%20Project/_git/shop",
        "https://dev.azure.com/org/My%20Project/_git/shop?path=/apps/api.yaml&version=GCSHA&line=12&lineEnd=13&lineStartColumn=1&lineEndColumn=1",
    );
}

#[test]
fn hosts_of_ones_own_say_by_their_name_what_they_run() {
    is("https://github.example.com/org/shop", "https://github.example.com/org/shop/blob/SHA/apps/api.yaml#L12");
    is("https://gitlab.example.com/org/shop", "https://gitlab.example.com/org/shop/-/blob/SHA/apps/api.yaml#L12");
    is("http://gitea.local:3000/org/shop", "http://gitea.local:3000/org/shop/src/commit/SHA/apps/api.yaml#L12");
    is("https://forgejo.example.com/org/shop", "https://forgejo.example.com/org/shop/src/commit/SHA/apps/api.yaml#L12");
}

#[test]
fn ssh_and_https_lead_to_the_same_page() {
    let page = "https://github.com/org/shop/blob/SHA/apps/api.yaml#L12";
    for repository in [
        "git@github.com:org/shop.git",
        "github.com:org/shop.git",
        "ssh://git@github.com/org/shop.git",
        "ssh://git@github.com:22/org/shop.git",
        "ssh://git@ssh.github.com:443/org/shop.git",
        "git+ssh://git@github.com/org/shop",
        "https://GitHub.com/org/shop.git/",
        " https://github.com/org/shop ",
    ] {
        is(repository, page);
    }
    is("ssh://git@gitea.local:2222/org/shop.git", "https://gitea.local/org/shop/src/commit/SHA/apps/api.yaml#L12");
    is(
        "git@ssh.dev.azure.com:v3/org/project/shop",
        "https://dev.azure.com/org/project/_git/shop?path=/apps/api.yaml&version=GCSHA&line=12&lineEnd=13&lineStartColumn=1&lineEndColumn=1",
    );
}

#[test]
fn credentials_stay_behind() {
    for repository in [
        "https://alice:hunter2@github.com/org/shop.git",
        "https://hunter2@github.com/org/shop.git",
        "https://alice:hunt@er2@github.com/org/shop.git",
        "ssh://alice:hunter2@github.com:22/org/shop.git",
        "alice@github.com:org/shop.git",
    ] {
        is(repository, "https://github.com/org/shop/blob/SHA/apps/api.yaml#L12");
    }
}

#[test]
fn paths_are_escaped() {
    let link = |repository, file| link(repository, SHA, file, 1).expect("a known host");
    let found = link("https://github.com/org/shop", "apps/über uns/50%?#x [1].yaml");
    assert_eq!(
        found,
        format!("https://github.com/org/shop/blob/{SHA}/apps/%C3%BCber%20uns/50%25%3F%23x%20%5B1%5D.yaml#L1")
    );
    let found = link("git@gitlab.com:org/a b.git", "a&b\n.yaml");
    assert_eq!(found, format!("https://gitlab.com/org/a%20b/-/blob/{SHA}/a%26b%0A.yaml#L1"));
}

#[test]
fn where_it_is_not_certain_there_is_none() {
    for repository in [
        "https://git.example.com/org/shop.git",
        "https://notgithub.com/org/shop.git",
        "https://bitbucket.example.com/scm/org/shop.git",
        "https://github.com/shop.git",
        "https://github.com/org/shop/more",
        "https://github.com/org/../shop",
        "https://github.com//shop",
        "https://github.com:x/org/shop",
        "https://github.com\u{1b}[31m/org/shop",
        "https://dev.azure.com/org/shop",
        "https://github/org/shop",
        "https://github.com",
        "file:///srv/github.com/org/shop",
        "/srv/git/shop.git",
        "",
    ] {
        assert_eq!(at(repository), None, "{repository}");
    }
    for revision in ["", "main", "0123456", &SHA.replace('0', "x")] {
        assert_eq!(link("https://github.com/org/shop", revision, "a.yaml", 1), None, "{revision}");
    }
}
