//! Real repositories for tests, made with the `git` command and without a trace of the machine's configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use russh::keys::ssh_key::{LineEnding, private::Ed25519Keypair};
use russh::keys::{HashAlg, PrivateKey};
use tempfile::TempDir;

use super::{Access, RepoUrl, Repository};

/// A repository somebody pushes to, and a cache folder for whoever reads it.
pub(super) struct Origin {
    folder: TempDir,
}

// === impl Origin ===

impl Origin {
    /// An empty repository whose default branch is `main`.
    pub(super) fn empty() -> Self {
        let origin = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        fs::create_dir(origin.path()).expect("a folder for the repository");
        origin.git(&["init", "--quiet", "--initial-branch=main"]);
        // Servers differ in this; by default Git itself hands out tips only.
        origin.git(&["config", "uploadpack.allowAnySHA1InWant", "false"]);
        origin
    }

    /// A repository with one commit of these files.
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let origin = Self::empty();
        origin.commit("first", files);
        origin
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("origin")
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub(super) fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }

    pub(super) fn repository(&self) -> Repository {
        self.repository_at(&self.url())
    }

    pub(super) fn repository_at(&self, url: &str) -> Repository {
        Repository::open(&self.cache(), RepoUrl::parse(url).expect("a valid URL")).expect("a cache folder")
    }

    /// The same with what a Secret holds.
    pub(super) fn repository_with(&self, url: &str, keys: &[(&str, &str)]) -> Repository {
        let url = RepoUrl::parse(url).expect("a valid URL");
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        let access = Access::read(&keys, &url).expect("a usable Secret");
        Repository::open_with(&self.cache(), url, "team/repo", access).expect("a cache folder")
    }

    /// Writes the files, commits everything and returns the commit's id.
    pub(super) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            let path = self.path().join(name);
            fs::create_dir_all(path.parent().expect("it is in the repository")).expect("a folder");
            fs::write(path, content).expect("a file");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The same, signed by the SSH key made of `seed`.
    pub(super) fn signed(&self, seed: u8, message: &str, files: &[(&str, &str)]) -> String {
        self.commit(message, files);
        let commit = format!("{}\n", self.git(&["cat-file", "commit", "HEAD"]));
        let (headers, rest) = commit.split_once("\n\n").expect("headers end");
        let signature = sign(seed, commit.as_bytes());
        let signed = format!("{headers}\ngpgsig {}\n\n{rest}", signature.trim_end().replace('\n', "\n "));
        let signed = self.object("commit", signed.as_bytes());
        self.git(&["reset", "--quiet", "--hard", &signed]);
        signed
    }

    /// An annotated tag of this name for `HEAD`, which says it is called `called`, signed likewise.
    pub(super) fn signed_tag(&self, seed: u8, name: &str, called: &str) {
        let head = self.git(&["rev-parse", "HEAD"]);
        let tag =
            format!("object {head}\ntype commit\ntag {called}\ntagger Ann <ann@example.com> 1772366400 +0000\n\none\n");
        let tag = self.object("tag", format!("{tag}{}", sign(seed, tag.as_bytes())).as_bytes());
        self.git(&["update-ref", &format!("refs/tags/{name}"), &tag]);
    }

    /// Stores an object byte by byte, whatever it holds, and returns its id.
    pub(super) fn object(&self, kind: &str, bytes: &[u8]) -> String {
        let file = self.folder.path().join("object");
        fs::write(&file, bytes).expect("a file");
        let file = file.display().to_string();
        self.git(&["hash-object", "-t", kind, "-w", "--literally", &file])
    }

    /// Makes `main` a commit of this tree.
    pub(super) fn commit_tree(&self, tree: &str) -> String {
        let commit = self.git(&["commit-tree", tree, "-m", "a tree"]);
        self.git(&["update-ref", "refs/heads/main", &commit]);
        commit
    }

    /// Runs `git` in the repository and returns what it prints.
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        git(&self.path(), arguments)
    }
}

/// An SSH key, always the same.
fn key(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

/// What Git makes with `gpg.format=ssh`.
fn sign(seed: u8, payload: &[u8]) -> String {
    let signature = key(seed).sign("git", HashAlg::Sha512, payload).expect("it can sign");
    signature.to_pem(LineEnding::LF).expect("text")
}

/// The line of `allowed_signers` for the key made of `seed`.
pub(super) fn signer(seed: u8) -> String {
    format!("signer-{seed} {}\n", key(seed).public_key().to_openssh().expect("text"))
}

pub(super) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A tree of these entries, byte by byte: mode, name, id.
pub(super) fn tree(entries: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        let id = (0..id.len()).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).expect("hexadecimal"));
        bytes.extend(id);
    }
    bytes
}

/// An error with its causes, as a log or a condition shows it.
pub(super) fn full(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
