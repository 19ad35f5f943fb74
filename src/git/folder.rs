//! A folder on this machine, read by the rules for commits: what is not even committed yet can be judged like what is.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::problem::Problem;
use super::repository::EntryKind;
use super::tree::{Listed, Source, SourceFile, files_from};

/// The folder.
struct Folder;

/// A folder or file in it.
struct Entry {
    name: String,
    kind: EntryKind,
    path: PathBuf,
}

/// Every manifest file at or below `folder`, named relative to it, and what had to be left out.
pub(super) fn files(folder: &Path) -> Result<(Vec<SourceFile>, Vec<Problem>), Error> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let metadata = fs::metadata(folder).map_err(|source| failed(folder, source))?;
    let kind = if metadata.is_dir() { EntryKind::Folder } else { EntryKind::File };
    let base = if metadata.is_dir() { String::new() } else { name.clone() };
    files_from(&Folder, base, Entry { name, kind, path: folder.to_owned() })
}

// === impl Folder ===

impl Source for Folder {
    type Entry = Entry;

    fn list(&self, folder: &Entry) -> Result<Vec<Entry>, Error> {
        let read = || fs::read_dir(&folder.path)?.map(|entry| Entry::of(&entry?)).collect::<io::Result<Vec<_>>>();
        read().map_err(|source| failed(&folder.path, source))
    }

    fn size(&self, file: &Entry) -> Result<u64, Error> {
        fs::metadata(&file.path).map(|metadata| metadata.len()).map_err(|source| failed(&file.path, source))
    }

    fn bytes(&self, file: &Entry) -> Result<Vec<u8>, Error> {
        fs::read(&file.path).map_err(|source| failed(&file.path, source))
    }
}

// === impl Entry ===

impl Entry {
    fn of(entry: &fs::DirEntry) -> io::Result<Self> {
        let path = entry.path();
        // Of the link itself, not of what it leads to.
        let kind = kind(&entry.metadata()?, &path);
        Ok(Self { name: entry.file_name().to_string_lossy().into_owned(), kind, path })
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

fn kind(metadata: &Metadata, path: &Path) -> EntryKind {
    if metadata.is_symlink() {
        EntryKind::Symlink
    } else if metadata.is_dir() && path.join(".git").exists() {
        EntryKind::Submodule
    } else if metadata.is_dir() {
        EntryKind::Folder
    } else {
        EntryKind::File
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Folder { path: path.display().to_string(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_like_a_commit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (file, text) in [("b/x.yaml", "x: 1"), ("a.json", "{}"), ("notes.md", ""), (".hidden/y.yaml", "y: 1")] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        fs::create_dir_all(folder.path().join("sub/.git")).expect("made");
        std::os::unix::fs::symlink("a.json", folder.path().join("link.json")).expect("linked");
        let (files, problems) = files(folder.path()).expect("readable");
        let files: Vec<_> = files.iter().map(|file| &*file.path).collect();
        assert_eq!(files, ["a.json", "b/x.yaml"]);
        let mut problems: Vec<_> = problems.iter().map(|problem| &*problem.file).collect();
        problems.sort_unstable();
        assert_eq!(problems, ["link.json", "sub"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = files(Path::new("/nowhere/at/all")).expect_err("not there").to_string();
        assert_eq!(error, "failed to read /nowhere/at/all");
    }
}
