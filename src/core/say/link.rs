//! The address at which a browser shows a line of a file as it was at a commit.
//!
//! Every forge spells it differently, and none can be asked from here, so only hosts are taken whose name says what they run:
//! the public ones, and names such as `gitlab.example.com`. A wrong link is worse than none; whoever gets none is told
//! repository, file and line instead. An address given for cloning holds more than may be shown: user, password, port of ssh.

use std::borrow::Cow;
use std::fmt::Write;

/// A forge, by how it spells links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forge {
    GitHub,
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// The public one; Bitbucket Data Center spells its links differently.
    Bitbucket,
    Azure,
}

/// What a clone address says: `https://host:port` and the path, escaped, without `.git`.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    scheme: &'static str,
    host: String,
    port: Option<String>,
    path: String,
}

/// Where ssh is served under another name than the pages: the first is known by the second.
const SSH_ONLY: [(&str, &str); 4] = [
    ("ssh.github.com", "github.com"),
    ("altssh.gitlab.com", "gitlab.com"),
    ("altssh.bitbucket.org", "bitbucket.org"),
    ("ssh.dev.azure.com", "dev.azure.com"),
];

/// The link to `line` of `file` in `repository` at `revision`, a full commit id. `None` where it is not certain.
pub fn link(repository: &str, revision: &str, file: &str, line: u32) -> Option<String> {
    let is_commit = matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let address = is_commit.then(|| Address::read(repository)).flatten()?;
    let (forge, file) = (Forge::of(&address.host)?, escaped(file, ""));
    let base = address.page(forge)?;
    Some(match forge {
        Forge::GitHub => format!("{base}/blob/{revision}/{file}#L{line}"),
        Forge::GitLab => format!("{base}/-/blob/{revision}/{file}#L{line}"),
        Forge::Gitea => format!("{base}/src/commit/{revision}/{file}#L{line}"),
        Forge::Bitbucket => format!("{base}/src/{revision}/{file}#lines-{line}"),
        Forge::Azure => {
            let next = line.saturating_add(1);
            format!(
                "{base}?path=/{file}&version=GC{revision}&line={line}&lineEnd={next}&lineStartColumn=1&lineEndColumn=1"
            )
        }
    })
}

// === impl Forge ===

impl Forge {
    fn of(host: &str) -> Option<Self> {
        match host {
            "codeberg.org" => Some(Self::Gitea),
            "bitbucket.org" => Some(Self::Bitbucket),
            "dev.azure.com" => Some(Self::Azure),
            _ => match host.split('.').next()? {
                "github" => Some(Self::GitHub),
                "gitlab" => Some(Self::GitLab),
                "gitea" | "forgejo" => Some(Self::Gitea),
                _ => None,
            },
        }
    }
}

// === impl Address ===

impl Address {
    /// Reads `https://…`, `http://…`, `ssh://…` and `user@host:path`.
    fn read(repository: &str) -> Option<Self> {
        let repository = repository.trim();
        let (scheme, rest) = match repository.split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            Some(("ssh" | "git+ssh" | "ssh+git", rest)) => ("ssh", rest),
            Some(_) => return None,
            None => return Self::read_short(repository),
        };
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
        // The port of ssh is not that of the pages.
        let port = port.filter(|port| scheme != "ssh" && !port.is_empty());
        let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        let scheme = if scheme == "http" { "http" } else { "https" };
        is_port.then(|| Self::of(scheme, host, port, &escaped(path, "%")))?
    }

    /// Reads `git@host:path`, as ssh and scp write it; the path is plain there.
    fn read_short(repository: &str) -> Option<Self> {
        let (authority, path) = repository.split_once(':')?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        Self::of("https", host, None, &escaped(path, ""))
    }

    fn of(scheme: &'static str, host: &str, port: Option<&str>, path: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let host = SSH_ONLY.iter().find(|(ssh, _)| *ssh == host).map_or(host, |(_, page)| (*page).to_owned());
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).to_owned();
        let is_host =
            host.contains('.') && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        is_host.then(|| Self { scheme, host, port: port.map(str::to_owned), path })
    }

    /// The page of the repository, if the path can be one.
    fn page(&self, forge: Forge) -> Option<String> {
        let Self { scheme, host, port, path } = self;
        let steps: Vec<_> = path.split('/').collect();
        let path = match (forge, &steps[..]) {
            _ if steps.iter().any(|step| matches!(*step, "" | "." | "..")) => None,
            (Forge::Azure, ["v3", organisation, project, name]) => {
                Some(format!("{organisation}/{project}/_git/{name}"))
            }
            (Forge::Azure, [.., "_git", _])
            | (Forge::GitLab, [_, _, ..])
            | (Forge::GitHub | Forge::Gitea | Forge::Bitbucket, [_, _]) => Some(path.clone()),
            _ => None,
        }?;
        let port = port.as_ref().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{scheme}://{host}{port}/{path}"))
    }
}

/// A path as addresses spell it; bytes of `also` are left as they are, because they are escaped already.
fn escaped<'p>(path: &'p str, also: &str) -> Cow<'p, str> {
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/')
            || also.as_bytes().contains(&byte)
    };
    if path.bytes().all(is_plain) {
        return path.into();
    }
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if is_plain(byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped.into()
}

#[cfg(test)]
mod tests;
