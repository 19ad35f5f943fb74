//! `holdfast render`.

use clap::Args;

use crate::deploy::{self, Installation, Part};

const NOTES: &str = "\
The webhook configurations are not printed: the running process registers them
itself, because only it knows its certificate and which kinds Git declares.

Examples:
  Everything:
    holdfast render --image IMAGE | kubectl apply --server-side -f -

  To run the program somewhere else:
    holdfast render --only namespace,crds,rbac | kubectl apply --server-side -f -";

/// What to print.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// Only these parts
    #[arg(long, value_name = "PART", value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Image of the program
    #[arg(long, default_value_t = Installation::default().image)]
    image: String,
    /// Namespace to run in
    #[arg(long, default_value_t = Installation::default().namespace)]
    namespace: String,
}

// === impl Arguments ===

impl Arguments {
    pub(super) fn yaml(self) -> Result<String, deploy::Error> {
        let Self { only, image, namespace } = self;
        let parts = if only.is_empty() { Part::ALL.to_vec() } else { only };
        deploy::render(&Installation { namespace, image }, &parts)
    }
}
