//! One commit, as folders and files. Nothing is checked out: objects are read where Git keeps them.

use gix::ObjectId;
use gix::objs::tree;
use jiff::Timestamp;

use super::super::error::{Error, Unverified};
use super::super::verify::{Distrust, Signed, Signers};
use super::url::RepoUrl;

/// A commit, for messages and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full id.
    pub sha: String,
    /// Who wrote it, as `Name <email>`.
    pub author: String,
    /// When it was committed (not when it was first written: a rebase keeps that, and then it can be years ago).
    pub time: Timestamp,
    /// First line of its message.
    pub subject: String,
}

/// A commit whose objects are here.
#[derive(Debug)]
pub struct Snapshot {
    repository: gix::Repository,
    url: String,
    commit: Commit,
    root: ObjectId,
    id: ObjectId,
    /// The annotated tags that led here, the outermost first.
    tags: Vec<ObjectId>,
    /// The branch or tag that it was found by, in full.
    name: Option<String>,
}

/// Something in a folder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name, without the folder's.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    id: ObjectId,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file, executable or not.
    File,
    /// A symbolic link; its content is where it leads.
    Symlink,
    /// Another repository's commit.
    Submodule,
}

// === impl Snapshot ===

impl Snapshot {
    /// The commit `id` is, or leads to if it is an annotated tag.
    pub(super) fn of(repository: gix::Repository, id: ObjectId, url: &RepoUrl, target: &str) -> Result<Self, Error> {
        let url = url.to_string();
        let broken = |source: gix::Error| Error::Cache { url: url.clone(), source: source.into() };
        let mut tags = Vec::new();
        let mut object = repository.find_object(id).map_err(broken)?.detach();
        while object.kind == gix::objs::Kind::Tag {
            tags.push(object.id);
            let next = gix::objs::TagRefIter::from_bytes(&object.data, object.id.kind()).target_id().map_err(broken)?;
            object = repository.find_object(next).map_err(broken)?.detach();
        }
        if object.kind != gix::objs::Kind::Commit {
            return Err(Error::NotACommit { url, revision: target.to_owned() });
        }
        let id = object.id;
        let (commit, root) = describe(&repository, id).map_err(broken)?;
        Ok(Self { repository, url, commit, root, id, tags, name: None })
    }

    /// The same, found by this branch or tag.
    pub(super) fn found_by(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Is it signed by somebody who may? The tags it was found by as well, if they have to be.
    pub(super) fn believed(&self, signers: &Signers, now: Timestamp) -> Result<(), Error> {
        let short = self.commit.sha.get(..7).unwrap_or(&self.commit.sha);
        let commit = format!("commit {short}");
        let signed = Signed::commit(&self.data(self.id)?);
        let judged = signed.map_err(Distrust::unclear).and_then(|signed| signers.check(&signed, self.commit.time, now));
        judged.map_err(|distrust| self.unverified(commit.clone(), distrust))?;
        if !signers.want_tags() {
            return Ok(());
        }
        if let Some(name) = self.name.as_ref().filter(|_| self.tags.is_empty()) {
            let distrust = Distrust::new(
                format!("it was found by {name}, which is no annotated tag"),
                "follow an annotated, signed tag, or set source.verify.mode to HEAD",
            );
            return Err(self.unverified(commit, distrust));
        }
        self.tags.iter().enumerate().try_for_each(|(at, id)| {
            let tag = self.data(*id)?;
            let (called, made) = self.describe_tag(&tag)?;
            let what = format!("tag {called}");
            if let Some(name) = self.name.as_ref().filter(|name| at == 0 && **name != format!("refs/tags/{called}")) {
                let distrust =
                    Distrust::new(format!("it was found by {name}"), "make that tag anew, with its own name in it");
                return Err(self.unverified(what, distrust));
            }
            signers.check(&Signed::tag(&tag), made, now).map_err(|distrust| self.unverified(what, distrust))
        })
    }

    fn unverified(&self, what: String, distrust: Distrust) -> Error {
        // The address is no business of whoever may look at a status.
        let author = self.commit.author.split(" <").next().unwrap_or_default().to_owned();
        let (sha, url) = (self.commit.sha.clone(), self.url.clone());
        Error::Unverified(Box::new(Unverified { what, sha, url, author, distrust }))
    }

    fn data(&self, id: ObjectId) -> Result<Vec<u8>, Error> {
        self.repository.find_object(id).map(|object| object.detach().data).map_err(|source| self.broken(source))
    }

    /// What a tag says it is called, and when it was made.
    fn describe_tag(&self, bytes: &[u8]) -> Result<(String, Timestamp), Error> {
        let tag = gix::objs::TagRef::from_bytes(bytes, self.id.kind()).map_err(|source| self.broken(source))?;
        let made = tag.tagger().ok().flatten().and_then(|tagger| tagger.time().ok()).map_or(0, |time| time.seconds);
        Ok((tag.name.to_string(), Timestamp::from_second(made).unwrap_or_default()))
    }

    /// Which commit this is.
    pub fn commit(&self) -> &Commit {
        &self.commit
    }

    /// The folder everything is in.
    pub fn root(&self) -> Entry {
        Entry { name: String::new(), kind: EntryKind::Folder, id: self.root }
    }

    /// What a folder holds.
    pub fn list(&self, folder: &Entry) -> Result<Vec<Entry>, Error> {
        let tree = self.repository.find_tree(folder.id).map_err(|source| self.broken(source))?;
        tree.iter()
            .map(|entry| entry.map(|entry| Entry::of(&entry)))
            .collect::<gix::Result<_>>()
            .map_err(|source| self.broken(source))
    }

    /// How large a file is, without reading it.
    pub fn size(&self, file: &Entry) -> Result<u64, Error> {
        self.repository.find_header(file.id).map(|header| header.size()).map_err(|source| self.broken(source))
    }

    /// What a file holds.
    pub fn bytes(&self, file: &Entry) -> Result<Vec<u8>, Error> {
        let mut blob = self.repository.find_blob(file.id).map_err(|source| self.broken(source))?;
        Ok(blob.take_data())
    }

    fn broken(&self, source: gix::Error) -> Error {
        Error::Cache { url: self.url.clone(), source: source.into() }
    }
}

// === impl Entry ===

impl Entry {
    fn of(entry: &gix::object::tree::EntryRef<'_, '_>) -> Self {
        let kind = match entry.mode().kind() {
            tree::EntryKind::Tree => EntryKind::Folder,
            tree::EntryKind::Blob | tree::EntryKind::BlobExecutable => EntryKind::File,
            tree::EntryKind::Link => EntryKind::Symlink,
            tree::EntryKind::Commit => EntryKind::Submodule,
        };
        Self { name: entry.filename().to_string(), kind, id: entry.object_id() }
    }
}

fn describe(repository: &gix::Repository, id: ObjectId) -> gix::Result<(Commit, ObjectId)> {
    let commit = repository.find_commit(id)?;
    let author = commit.author()?;
    let described = Commit {
        sha: id.to_string(),
        author: format!("{} <{}>", author.name, author.email),
        // Git takes any number as time; one beyond the year 9999 is as good as none.
        time: Timestamp::from_second(commit.time()?.seconds).unwrap_or_default(),
        subject: commit.message()?.summary().to_string(),
    };
    Ok((described, commit.tree_id()?.detach()))
}
