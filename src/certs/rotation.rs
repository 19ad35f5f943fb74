//! Which certificate is served when: a pure state machine over what the shared Secret holds.
//!
//! ```text
//! fresh ─ 2/3 of its life ─► prepared ─ everybody trusts both, and an hour is over ─► promoted ─► …
//! ```
//! A leaf has an authority of its own, whose key is gone before the leaf is used. So a rotation exchanges both, and the order
//! is what matters: the new authority is in `ca.crt`, and so in every `caBundle`, well before the new leaf is served; the old one
//! stays there until it has run out, because other replicas may serve their old leaf for a moment longer. Whatever is written
//! is written over the version that was read, so of two replicas with the same idea one wins, and the other reads what it wrote.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::validity::{Unusable, Validity, belong_together, verify};
use super::{CLOCK_SKEW, Error, issue};

/// How long a leaf is good for.
pub const LIFE: Duration = Duration::from_hours(90 * 24);
/// How long a new authority is registered before its leaf is served: every API server and every replica has read it by then.
pub const SETTLE: Duration = Duration::from_hours(1);

/// What the Secret holds, and what it is called there.
pub type Data = BTreeMap<String, ByteString>;

const TRUST: &str = "ca.crt";
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
const NEXT_CHAIN: &str = "next.crt";
const NEXT_KEY: &str = "next.key";

/// The certificate that is served, the one that will be, and everybody to trust meanwhile.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// What is served.
    pub serving: Pair,
    /// What will be served once everybody trusts it.
    pub next: Option<Pair>,
    /// PEM of every authority to trust: the `caBundle`.
    pub trust: String,
}

/// A chain and its key, as PEM, with the dates of the leaf.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The leaf, followed by its authority.
    pub chain: String,
    /// The leaf's private key.
    pub key: String,
    /// When it is good.
    pub validity: Validity,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing, before this.
    Rest(Timestamp),
    /// Make the next pair, and trust both authorities.
    Prepare,
    /// Nothing, before both configurations hold exactly what is to be trusted.
    Publish,
    /// Serve the next pair.
    Promote,
}

/// What is in the Secret is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Garbage {
    /// A key is missing, or is not text.
    #[error("it holds no {0}")]
    Missing(&'static str),
    /// Nobody would take the certificate.
    #[error("its certificate is of no use")]
    Unusable(#[from] Unusable),
}

// === impl Kept ===

impl Kept {
    /// A first certificate for `names`.
    pub fn fresh(names: &[String], now: Timestamp) -> Result<Self, Error> {
        // Certificates know no fractions of a second: what is made here and what is read again are one and the same.
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let made = issue(names, LIFE, now)?;
        let validity = Validity { from: now - CLOCK_SKEW, until: made.expires };
        Ok(Self { serving: Pair { chain: made.chain, key: made.key, validity }, next: None, trust: made.ca })
    }

    /// What a Secret holds, if clients that trust its authorities would take it as `names`. A next pair that is of no use is
    /// as good as none.
    pub fn read(data: &Data, names: &[String], now: Timestamp) -> Result<Self, Garbage> {
        let text = |key| data.get(key).and_then(|bytes| std::str::from_utf8(&bytes.0).ok()).map(str::to_owned);
        let needed = |key| text(key).filter(|text| !text.trim().is_empty()).ok_or(Garbage::Missing(key));
        let (trust, chain, key) = (needed(TRUST)?, needed(CHAIN)?, needed(KEY)?);
        let pair = |chain: String, key: String| -> Result<Pair, Unusable> {
            belong_together(chain.as_bytes(), key.as_bytes())?;
            let validity = verify(chain.as_bytes(), trust.as_bytes(), names, now)?;
            Ok(Pair { chain, key, validity })
        };
        let serving = pair(chain, key)?;
        let next = text(NEXT_CHAIN).zip(text(NEXT_KEY)).and_then(|(chain, key)| pair(chain, key).ok());
        Ok(Self { serving, next, trust })
    }

    /// For a Secret to hold.
    pub fn data(&self) -> Data {
        let Self { serving, next, trust } = self;
        let mut data = vec![(TRUST, trust), (CHAIN, &serving.chain), (KEY, &serving.key)];
        data.extend(next.iter().flat_map(|next| [(NEXT_CHAIN, &next.chain), (NEXT_KEY, &next.key)]));
        data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.clone().into_bytes()))).collect()
    }

    /// Would clients still take it?
    pub fn holds(&self, names: &[String], now: Timestamp) -> bool {
        verify(self.serving.chain.as_bytes(), self.trust.as_bytes(), names, now).is_ok()
    }

    /// What to do at `now`; `published` says whether both configurations hold exactly [`Kept::trust`].
    pub fn step(&self, published: bool, now: Timestamp) -> Step {
        let renewal = self.serving.validity.two_thirds();
        match &self.next {
            None if now < renewal => Step::Rest(renewal),
            None => Step::Prepare,
            Some(_) if !published => Step::Publish,
            Some(next) => {
                let settled = next.validity.from + CLOCK_SKEW + SETTLE;
                if now < settled { Step::Rest(settled) } else { Step::Promote }
            }
        }
    }

    /// Trusts a new authority besides, and has its leaf ready.
    pub fn prepared(&self, names: &[String], now: Timestamp) -> Result<Self, Error> {
        let Self { serving: next, trust: new, .. } = Self::fresh(names, now)?;
        Ok(Self { serving: self.serving.clone(), next: Some(next), trust: new + &current(&self.trust, now) })
    }

    /// Serves what was prepared.
    #[must_use]
    pub fn promoted(&self) -> Self {
        let serving = self.next.clone().unwrap_or_else(|| self.serving.clone());
        Self { serving, next: None, trust: self.trust.clone() }
    }
}

impl std::fmt::Debug for Kept {
    /// Without the keys: what is kept ends up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let next = self.next.as_ref().map(|next| next.validity);
        f.debug_struct("Kept").field("serving", &self.serving.validity).field("next", &next).finish_non_exhaustive()
    }
}

const END: &str = "-----END CERTIFICATE-----";

/// Of some PEM, those certificates that have not run out.
fn current(trust: &str, now: Timestamp) -> String {
    let certificates = trust.split_inclusive(END).filter(|text| text.contains(END));
    let is_current = |text: &&str| Validity::of_pem(text.as_bytes()).is_ok_and(|validity| now < validity.until);
    certificates.filter(is_current).flat_map(|text| [text.trim(), "\n"]).collect()
}

#[cfg(test)]
mod tests;
