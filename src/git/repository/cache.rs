//! The cache folder of one URL: locked, opened, thrown away.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Each fetch that brings something adds a pack and, in a shallow repository, a line to what every later fetch sends along.
/// Beyond this many it is cheaper to begin anew than to maintain.
const PACKS: usize = 50;

/// The folder, while nobody else works in it.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// Released when dropped, or when the process dies.
    _lock: File,
}

// === impl Cache ===

impl Cache {
    /// Waits until the folder is free. Fetches end in bounded time, so this does too.
    pub(super) fn lock(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.lock()?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// The bare repository called `name`, made if it is not there or has grown too old.
    pub(super) fn open(&self, name: &str) -> gix::Result<gix::Repository> {
        let folder = self.folder.join(name);
        if packs(&folder) > PACKS {
            fs::remove_dir_all(&folder).map_err(gix::Error::from_error)?;
        }
        if folder.join("HEAD").exists() {
            return Ok(options().open(&folder)?.to_thread_local());
        }
        let bare = gix::create::Kind::Bare;
        Ok(gix::ThreadSafeRepository::init_opts(&folder, bare, gix::create::Options::default(), options())?
            .to_thread_local())
    }

    /// Throws everything away.
    pub(super) fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

/// Nothing of this machine's or this user's Git configuration may decide what is read from where. The objects are hashed and
/// the folder is ours, so its owner (often root, in a container) does not matter.
fn options() -> gix::open::Options {
    gix::open::Options::isolated().open_path_as_is(true).with(gix::sec::Trust::Full)
}

fn packs(repository: &Path) -> usize {
    let is_pack = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "pack");
    fs::read_dir(repository.join("objects").join("pack"))
        .map_or(0, |entries| entries.filter_map(Result::ok).filter(is_pack).count())
}
