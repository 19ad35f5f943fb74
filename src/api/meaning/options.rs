//! `spec.syncPolicy.syncOptions`: switches written as text, because that is how people know them from Argo CD.
//!
//! Unknown ones are refused by name. Argo CD has twenty more; one that is silently ignored would be believed to work.

use super::Faults;

/// Every switch of `syncOptions`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncOptions {
    /// Create the destination namespace when it is missing.
    pub create_namespace: bool,
    /// Dry-run a whole commit before writing any of it.
    pub validate: bool,
    /// Delete what left Git only when all that was written is ready.
    pub prune_last: bool,
}

// === impl SyncOptions ===

impl Default for SyncOptions {
    fn default() -> Self {
        Self { create_namespace: false, validate: true, prune_last: false }
    }
}

impl SyncOptions {
    fn switch(&mut self, name: &str) -> Option<&mut bool> {
        let Self { create_namespace, validate, prune_last } = self;
        match name {
            "CreateNamespace" => Some(create_namespace),
            "Validate" => Some(validate),
            "PruneLast" => Some(prune_last),
            _ => None,
        }
    }
}

// === readers ===

pub(super) fn read(typed: &[String], faults: &mut Faults) -> SyncOptions {
    let mut options = SyncOptions::default();
    for (index, option) in typed.iter().enumerate() {
        if let Err((reason, remedy)) = set(&mut options, option) {
            faults.add(&format!("spec.syncPolicy.syncOptions[{index}]"), reason, remedy);
        }
    }
    options
}

fn set(options: &mut SyncOptions, typed: &str) -> Result<(), (String, &'static str)> {
    let (name, value) = typed.split_once('=').unwrap_or((typed, ""));
    let Some(switch) = options.switch(name) else {
        return Err((
            format!("{name:?} is not an option here"),
            "the options are CreateNamespace, Validate and PruneLast",
        ));
    };
    *switch = match value {
        "true" => true,
        "false" => false,
        _ => return Err((format!("{typed:?} says neither true nor false"), "write it as Name=true or Name=false")),
    };
    Ok(())
}
