//! Names of fields, kept once.
//!
//! A few hundred names (`name`, `image`, `resources`) stand in nearly every object. Each text of its own costs more than the
//! pointer to one, thousands of times over. This is a memo and no state: who asks gets the text asked for, old or new.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// How many names are kept: far more than Kubernetes has, and a bound for keys that people invent.
const MOST: usize = 4096;

/// Longer names are keys that people invent, and stand in one object.
const LONGEST: usize = 40;

static NAMES: LazyLock<Mutex<HashSet<Arc<str>>>> = LazyLock::new(Mutex::default);

/// This name, shared with everybody who has it.
pub fn shared(name: &str) -> Arc<str> {
    if name.len() > LONGEST {
        return name.into();
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known.clone();
    }
    let new = Arc::<str>::from(name);
    if names.len() < MOST {
        names.insert(new.clone());
    }
    new
}
