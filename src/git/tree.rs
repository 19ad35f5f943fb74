//! Which files of a commit, or of a working folder, are manifests.
//!
//! The rules are those of `kubectl apply --recursive`, made explicit about what they leave out: a file that would have been
//! applied but is not must be visible as a [`Problem`], because silence reads as "in sync".

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::error::Error;
use super::problem::Problem;
use super::repository::{Entry, EntryKind, Snapshot};

/// What has folders and files: a commit, or a working folder that may never become one.
pub(super) trait Source {
    /// A folder or a file in it.
    type Entry: Listed;

    /// What a folder holds.
    fn list(&self, folder: &Self::Entry) -> Result<Vec<Self::Entry>, Error>;
    /// How large a file is, without reading it.
    fn size(&self, file: &Self::Entry) -> Result<u64, Error>;
    /// What a file holds.
    fn bytes(&self, file: &Self::Entry) -> Result<Vec<u8>, Error>;
}

/// What a folder says of each thing in it.
pub(super) trait Listed {
    /// Its name, without the folder's.
    fn name(&self) -> &str;
    /// What it is.
    fn kind(&self) -> EntryKind;
}

/// Larger than any file of manifests a person would review; the API server takes no single object beyond 3 MiB.
const FILE_LIMIT: u64 = 10 << 20;

/// All files of one GitSync together. They compress well, so what is small to fetch may be large to hold.
const TOTAL_LIMIT: u64 = 256 << 20;
/// Folders of one GitSync. One that is in itself ten times over, ten levels deep, takes no space in Git.
const FOLDER_LIMIT: usize = 100_000;
/// How a file begins that only says where Git LFS keeps it.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A file of manifests, as committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path inside the repository.
    pub path: Arc<str>,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Walks folders, collecting files and problems.
struct Walk<'a, S> {
    source: &'a S,
    files: Vec<SourceFile>,
    problems: Vec<Problem>,
    /// Bytes that may still be read.
    left: u64,
}

/// Every manifest file at or below `path`, in Git's order, and what had to be left out.
pub fn files(snapshot: &Snapshot, path: &str) -> Result<(Vec<SourceFile>, Vec<Problem>), Error> {
    let components = components(path)?;
    let entry = find(snapshot, &components, path)?;
    files_from(snapshot, components.join("/"), entry)
}

/// Every manifest file at or below `start`, which is at `base`, and what had to be left out.
pub(super) fn files_from<S: Source>(
    source: &S,
    base: String,
    start: S::Entry,
) -> Result<(Vec<SourceFile>, Vec<Problem>), Error> {
    let mut walk = Walk { source, files: Vec::new(), problems: Vec::new(), left: TOTAL_LIMIT };
    match start.kind() {
        EntryKind::Folder => walk.folders(base, start)?,
        EntryKind::File if is_manifest(start.name()) => walk.file(base, &start)?,
        _ => return Err(Error::NotManifests { path: base }),
    }
    Ok((walk.files, walk.problems))
}

// === impl Snapshot ===

impl Source for Snapshot {
    type Entry = Entry;

    fn list(&self, folder: &Entry) -> Result<Vec<Entry>, Error> {
        self.list(folder)
    }

    fn size(&self, file: &Entry) -> Result<u64, Error> {
        self.size(file)
    }

    fn bytes(&self, file: &Entry) -> Result<Vec<u8>, Error> {
        self.bytes(file)
    }
}

impl Listed for Entry {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> EntryKind {
        self.kind
    }
}

// === impl Walk ===

impl<S: Source> Walk<'_, S> {
    /// Depth is the committer's choice, so the folders still to visit are kept in a list and not on the stack.
    fn folders(&mut self, path: String, folder: S::Entry) -> Result<(), Error> {
        let mut pending = vec![(path, folder)];
        let mut visited = 0;
        while let Some((path, folder)) = pending.pop() {
            visited += 1;
            if visited > FOLDER_LIMIT {
                self.problem(
                    &path,
                    format!("more than {FOLDER_LIMIT} folders are not read, so this one and others are left out"),
                );
                break;
            }
            let below = self.folder(&path, &folder)?;
            pending.extend(below.into_iter().rev());
        }
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }

    /// Takes the files of one folder and returns its subfolders.
    fn folder(&mut self, path: &str, folder: &S::Entry) -> Result<Vec<(String, S::Entry)>, Error> {
        let entries = self.source.list(folder)?;
        if let Some((marker, reason)) =
            entries.iter().find_map(|entry| Some((entry.name(), unsupported(entry.name())?)))
        {
            self.problem(&join(path, marker), reason);
            return Ok(Vec::new());
        }
        let mut folders = Vec::new();
        for entry in entries.into_iter().filter(|entry| !is_hidden(entry.name())) {
            let path = join(path, entry.name());
            if leads_elsewhere(entry.name()) {
                self.problem(
                    &path,
                    "no folder holds such a name: the commit is malformed, perhaps on purpose; make it with git",
                );
                continue;
            }
            match entry.kind() {
                EntryKind::Folder => folders.push((path, entry)),
                EntryKind::File if is_manifest(entry.name()) => self.file(path, &entry)?,
                EntryKind::File => {}
                EntryKind::Symlink => {
                    self.problem(&path, "this is a symbolic link, which is not followed; commit the file itself");
                }
                EntryKind::Submodule => {
                    self.problem(&path, "this is a submodule, which is not followed; give it a GitSync of its own");
                }
            }
        }
        Ok(folders)
    }

    fn file(&mut self, path: String, entry: &S::Entry) -> Result<(), Error> {
        if let Some(reason) = unsupported(entry.name()) {
            self.problem(&path, reason);
            return Ok(());
        }
        let size = self.source.size(entry)?;
        if size > FILE_LIMIT {
            let reason = format!("the file has {size} bytes; more than {FILE_LIMIT} are not read");
            self.problem(&path, reason);
            return Ok(());
        }
        if size > self.left {
            let reason = format!(
                "the files before this one have {TOTAL_LIMIT} bytes together; more are not read. Use several GitSyncs"
            );
            self.problem(&path, reason);
            return Ok(());
        }
        self.left -= size;
        let bytes = self.source.bytes(entry)?;
        if bytes.starts_with(LFS_POINTER) {
            let reason = "this is a pointer of Git LFS, and what it points to is not fetched; commit the file itself";
            self.problem(&path, reason);
            return Ok(());
        }
        self.files.push(SourceFile { path: path.into(), bytes });
        Ok(())
    }

    fn problem(&mut self, path: &str, reason: impl Into<String>) {
        self.problems.push(Problem::in_file(&path.into(), reason));
    }
}

/// `spec.source.path` taken apart. It must stay inside the repository, whatever the folders in it may be.
fn components(path: &str) -> Result<Vec<&str>, Error> {
    let refuse = |reason| Err(Error::Path { path: path.to_owned(), reason });
    if path.starts_with('/') {
        return refuse("it is absolute; write it relative to the root of the repository");
    }
    if path.contains(['\\', '\0']) {
        return refuse("it contains a backslash or a zero byte");
    }
    let components: Vec<_> = path.split('/').filter(|component| !matches!(*component, "" | ".")).collect();
    if components.contains(&"..") {
        return refuse("`..` could leave the repository");
    }
    Ok(components)
}

fn find(snapshot: &Snapshot, components: &[&str], path: &str) -> Result<Entry, Error> {
    let mut entry = snapshot.root();
    for component in components {
        let below = if entry.kind == EntryKind::Folder { snapshot.list(&entry)? } else { Vec::new() };
        let found = below.into_iter().find(|entry| entry.name == *component);
        entry = found.ok_or_else(|| Error::NoSuchPath { path: path.to_owned(), sha: snapshot.commit().sha.clone() })?;
    }
    Ok(entry)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && !leads_elsewhere(name)
}

fn leads_elsewhere(name: &str) -> bool {
    name.contains(['/', '\\', '\0'])
}

fn is_manifest(name: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|extension| name.ends_with(extension))
}

/// Files that say "what lies here is input for a renderer". Applying such a folder as it is would be wrong, so all of it,
/// subfolders included, is left alone.
fn unsupported(name: &str) -> Option<&'static str> {
    match name {
        "kustomization.yaml" | "kustomization.yml" | "Kustomization" => Some(
            "rendering with Kustomize is not supported, and applying its input unrendered would be wrong, so nothing in this \
             folder is applied; commit the output of `kustomize build` instead",
        ),
        "Chart.yaml" => Some(
            "rendering with Helm is not supported, and applying a chart unrendered would be wrong, so nothing in this folder \
             is applied; commit the output of `helm template` instead",
        ),
        _ => None,
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
