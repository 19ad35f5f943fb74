//! What of a commit or a tag is signed, and by which signature.
//!
//! Of a commit that is all of it but its header `gpgsig`; of a tag, all that stands before the signature at its end.

/// The words that begin a signature.
const BEGIN: [&[u8]; 2] = [b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN SSH SIGNATURE-----"];

/// An object taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::git) struct Signed {
    /// What was signed.
    pub(super) payload: Vec<u8>,
    /// The signature, armored; `None` if there is none.
    pub(super) signature: Option<Vec<u8>>,
}

// === impl Signed ===

impl Signed {
    /// A commit. Git itself makes one signature; of several it is not clear which one counts, so they are refused.
    pub(in crate::git) fn commit(bytes: &[u8]) -> Result<Self, String> {
        let mut payload = Vec::with_capacity(bytes.len());
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let (mut inside, mut read) = (false, 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line == b"\n" {
                break;
            }
            read += line.len();
            match (line.strip_prefix(b" "), found.last_mut().filter(|_| inside)) {
                (Some(more), Some((_, signature))) => signature.extend_from_slice(more),
                (Some(_), None) => payload.extend_from_slice(line),
                (None, _) => {
                    let (name, value) = header(line);
                    inside = name.starts_with(b"gpgsig");
                    if inside {
                        found.push((name.to_owned(), value.to_owned()));
                    } else {
                        payload.extend_from_slice(line);
                    }
                }
            }
        }
        payload.extend_from_slice(&bytes[read..]);
        if found.len() > 1 {
            return Err("it bears several signatures".to_owned());
        }
        match found.pop() {
            Some((name, _)) if name != b"gpgsig" => Err("its signature is for another kind of repository".to_owned()),
            Some((_, signature)) => Ok(Self { payload, signature: Some(signature) }),
            None => Ok(Self { payload, signature: None }),
        }
    }

    /// An annotated tag.
    pub(in crate::git) fn tag(bytes: &[u8]) -> Self {
        let mut at = 0;
        let mut begins = None;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if BEGIN.iter().any(|begin| line.starts_with(begin)) {
                begins = Some(at);
            }
            at += line.len();
        }
        let (payload, signature) = bytes.split_at(begins.unwrap_or(bytes.len()));
        Self { payload: payload.to_owned(), signature: begins.map(|_| signature.to_owned()) }
    }
}

/// The name of a header, and its first line.
fn header(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    (&line[..end], line.get(end + 1..).unwrap_or_default())
}
