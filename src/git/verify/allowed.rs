//! SSH keys that may sign: the format of Git's `gpg.ssh.allowedSignersFile`, see ALLOWED SIGNERS in ssh-keygen(1).
//!
//! ```text
//! ann@example.com namespaces="git",valid-before="20270101Z" ssh-ed25519 AAAA…
//! ```
//! What is not understood is refused: an option that was passed over would let somebody sign who may not. Times without a zone
//! are UTC here, and not the local time of whichever machine reads them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use russh::keys::PublicKey;
use russh::keys::ssh_key::authorized_keys::ConfigOpts;

use crate::core::exclude::glob;

/// What a signature says it is for, if it is Git's.
pub(super) const NAMESPACE: &str = "git";

/// Digits of a time, at its longest.
const DIGITS: usize = 14;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Who it is, as written.
    pub(super) principals: String,
    pub(super) key: PublicKey,
    /// What the key may sign; anything, if it does not say.
    namespaces: Option<String>,
    /// From when on it is valid, and until when, in seconds.
    pub(super) from: Option<i64>,
    pub(super) until: Option<i64>,
}

/// What is wrong, and what to write instead.
type Fault = (String, &'static str);

/// All lines.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Allowed>, Fault> {
    let remedy = "write lines as in ssh-keygen(1), ALLOWED SIGNERS: principals, options if any, kind of key, key";
    let text = std::str::from_utf8(bytes).map_err(|_| ("is not text".to_owned(), remedy))?;
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let read = lines.map(|(at, line)| {
        Allowed::read(line).map_err(|reason| (format!("cannot be read at line {}: {reason}", at + 1), remedy))
    });
    read.collect()
}

// === impl Allowed ===

impl Allowed {
    fn read(line: &str) -> Result<Self, String> {
        let (principals, rest) = field(line).ok_or("nothing follows the principals")?;
        let (options, key) = match PublicKey::from_openssh(&squeezed(rest)) {
            Ok(key) => (String::new(), key),
            Err(_) => with_options(rest)?,
        };
        let mut allowed =
            Self { principals: principals.replace('"', ""), key, namespaces: None, from: None, until: None };
        let options = ConfigOpts::new(options).map_err(|_| "the options are malformed")?;
        options.iter().try_for_each(|option| allowed.take(option))?;
        Ok(allowed)
    }

    fn take(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        match name.to_ascii_lowercase().as_str() {
            "namespaces" if !value.is_empty() && !value.contains('?') => self.namespaces = Some(value.to_owned()),
            "valid-after" => self.from = Some(time(value)?),
            "valid-before" => self.until = Some(time(value)?),
            "cert-authority" => {
                return Err(
                    "cert-authority is not supported, for certificates are not verified: list the keys".to_owned()
                );
            }
            "namespaces" => return Err("namespaces takes a list of names, and of patterns with `*`".to_owned()),
            _ => return Err(format!("there is no option {name:?}")),
        }
        Ok(())
    }

    /// May this key sign commits at all?
    pub(super) fn is_for_git(&self) -> bool {
        let Some(namespaces) = &self.namespaces else { return true };
        let (refused, taken): (Vec<_>, Vec<_>) = namespaces.split(',').partition(|pattern| pattern.starts_with('!'));
        let any = |patterns: &[&str]| patterns.iter().any(|pattern| glob(pattern.trim_start_matches('!'), NAMESPACE));
        any(&taken) && !any(&refused)
    }
}

/// Everything up to white space that is not quoted, and what follows it.
fn field(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let end = text.find(|c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    })?;
    let (field, rest) = text.split_at(end);
    Some((field, rest.trim_start()))
}

fn with_options(rest: &str) -> Result<(String, PublicKey), String> {
    let (options, key) = field(rest).ok_or("there is no key")?;
    let key = PublicKey::from_openssh(&squeezed(key)).map_err(|error| format!("there is no key: {error}"))?;
    Ok((options.to_owned(), key))
}

/// Kind and key with one space between, and no comment.
fn squeezed(key: &str) -> String {
    key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// `YYYYMMDD`, with `HHMM` or `HHMMSS`, with `Z` or without.
fn time(text: &str) -> Result<i64, String> {
    let malformed = || format!("{text:?} is no time such as 20270101 or 202701011200Z");
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if ![8, 12, DIGITS].contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let padded = format!("{digits:0<DIGITS$}");
    let time = DateTime::strptime("%Y%m%d%H%M%S", padded).map_err(|_| malformed())?;
    let time = time.to_zoned(TimeZone::UTC).map_err(|_| malformed())?;
    Ok(Timestamp::as_second(time.timestamp()))
}
