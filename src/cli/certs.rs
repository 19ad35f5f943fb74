//! `holdfast certs`: development certificates on disk.
//!
//! `holdfast run` needs none of this: it makes its own at start. They are for trying out certificates that somebody else looks
//! after (`--cert-file`), and for talking to the webhook by hand.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::Args;
use jiff::Timestamp;

use crate::certs;

const NOTES: &str = "\
Writes ca.crt, tls.crt and tls.key (readable by its owner only). The CA's own key is not kept.

Example:
  holdfast certs --out certs --host 127.0.0.1 --host localhost
  holdfast run --cert-file certs/tls.crt --key-file certs/tls.key --ca-file certs/ca.crt";

/// The files, with the mode they must have.
const READABLE: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// Which certificates.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// Folder to write them to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name or address the webhook is reached at; may be repeated
    #[arg(long = "host", value_name = "HOST", default_values = ["127.0.0.1", "localhost", "::1"])]
    hosts: Vec<String>,
    /// How many days they are good for
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Overwrite what is there
    #[arg(long)]
    force: bool,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        let Self { out, hosts, days, force } = self;
        let validity = Duration::from_hours(24 * u64::from(days));
        let certs::Bundle { ca, chain, key, expires } = certs::issue(&hosts, validity, Timestamp::now())?;
        let files = [("ca.crt", ca, READABLE), ("tls.crt", chain, READABLE), ("tls.key", key, PRIVATE)]
            .map(|(name, text, mode)| (out.join(name), text, mode));
        ensure_absent(force, files.iter().map(|(path, ..)| path))?;
        fs::create_dir_all(&out).with_context(|| format!("failed to make {}", out.display()))?;
        for (path, text, mode) in files {
            write(&path, &text, mode).with_context(|| format!("failed to write {}", path.display()))?;
            eprintln!("wrote {}", path.display());
        }
        eprintln!("good for {} until {expires:.0}", hosts.join(", "));
        Ok(())
    }
}

/// Looks at all of them before writing any: half a set of certificates is worse than none.
fn ensure_absent<'a>(force: bool, paths: impl Iterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    for path in paths {
        ensure!(force || !path.exists(), "{} is there already; remove it, or overwrite with --force", path.display());
    }
    Ok(())
}

/// A new file each time: the mode of an old one would stay.
fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn arguments(out: &Path, force: bool) -> Arguments {
        Arguments { out: out.to_owned(), hosts: vec!["localhost".to_owned()], days: 1, force }
    }

    #[test]
    fn the_key_is_private_and_nothing_is_overwritten_unasked() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("new");
        arguments(&out, false).execute().expect("written");
        let key = fs::metadata(out.join("tls.key")).expect("written");
        assert_eq!(key.permissions().mode() & 0o777, 0o600);

        let before = fs::read(out.join("tls.key")).expect("written");
        let error = arguments(&out, false).execute().expect_err("there already");
        assert!(error.to_string().contains("ca.crt is there already"), "{error}");
        assert_eq!(fs::read(out.join("tls.key")).expect("kept"), before);

        arguments(&out, true).execute().expect("asked for");
        assert_ne!(fs::read(out.join("tls.key")).expect("new"), before);
    }
}
