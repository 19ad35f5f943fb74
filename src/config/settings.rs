//! The settings of `holdfast run` as typed: on the command line, in the environment, or in a file.
//!
//! One struct is all three, so that they cannot differ in names. Values are text here; [`super::Config`] knows what they mean.

use std::path::Path;

use serde::Deserialize;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, or in the environment.
    CommandLine,
    /// In the configuration file, at this path.
    File(String),
    /// Nowhere; it is the default.
    Default,
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed {
    /// Name of the setting, without dashes before it.
    pub name: &'static str,
    /// As written.
    pub value: String,
    /// Where.
    pub origin: Origin,
}

/// Why the file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or not readable.
    #[error("failed to read the configuration file {file}; check --config")]
    Read {
        /// Its path.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It does not say what a configuration file says.
    #[error(
        "failed to understand the configuration file {file}; its keys are the long flags of `holdfast run` without dashes before them"
    )]
    Parse {
        /// Its path.
        file: String,
        /// Where and why.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
}

/// Declares each setting once: as a flag, as a variable, as a key.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident, $name:literal, $env:literal, $value:literal, [$($arg:tt)*];)+) => {
        /// Every setting, as typed.
        #[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        pub struct Settings {
            $(
                $(#[doc = $doc])+
                #[arg(long = $name, env = $env, value_name = $value, $($arg)*)]
                pub $field: Option<String>,
            )+
        }

        impl Settings {
            /// Every setting that was given, with its name.
            fn given(self) -> Vec<(&'static str, String)> {
                let Self { $($field,)+ } = self;
                [$(($name, $field),)+].into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
            }
        }
    };
}

settings! {
    /// Cluster to work on; without it `KUBECONFIG`, the user's own file or the pod's service account
    kubeconfig, "kubeconfig", "HOLDFAST_KUBECONFIG", "FILE", [];
    /// Namespace Holdfast runs in [default: holdfast-system]
    namespace, "namespace", "HOLDFAST_NAMESPACE", "NAME", [];
    /// Name by which the next process in this place is known as this one's successor: never have two at once by one name [default: a new one each time]
    identity, "identity", "HOLDFAST_IDENTITY", "NAME", [help_heading = "Replicas"];
    /// How long a leader that is gone holds up the others: whole seconds, 2s to 5m [default: 10s]
    lease_duration, "lease-duration", "HOLDFAST_LEASE_DURATION", "DURATION", [help_heading = "Replicas"];
    /// Over how many shards GitSyncs are spread, each written by one replica; all replicas need the same number: 1 to 32 [default: 1]
    shards, "shards", "HOLDFAST_SHARDS", "NUMBER", [help_heading = "Replicas"];
    /// Service account whose rights apply to every GitSync that names none, in the GitSync's own namespace [default: Holdfast's own]
    default_service_account, "default-service-account", "HOLDFAST_DEFAULT_SERVICE_ACCOUNT", "NAME", [];
    /// Whether edits are reviewed at all; off takes the webhook configurations away and leaves only the reconciler [default: on]
    webhook, "webhook", "HOLDFAST_WEBHOOK", "SWITCH", [help_heading = "Webhook", value_parser = ["on", "off"]];
    /// Where admission reviews are answered [default: 127.0.0.1:9443]
    webhook_listen, "webhook-listen", "HOLDFAST_WEBHOOK_LISTEN", "ADDRESS", [help_heading = "Webhook"];
    /// URL at which the API server reaches the webhook [default: https:// and the address it listens on]
    webhook_url, "webhook-url", "HOLDFAST_WEBHOOK_URL", "URL", [help_heading = "Webhook"];
    /// Service through which the API server reaches the webhook, instead of a URL
    webhook_service, "webhook-service", "HOLDFAST_WEBHOOK_SERVICE", "NAMESPACE/NAME[:PORT]", [help_heading = "Webhook"];
    /// What happens to edits while the webhook cannot be reached: Ignore lets them pass, to be healed afterwards; Fail refuses them [default: Ignore]
    webhook_failure_policy, "webhook-failure-policy", "HOLDFAST_WEBHOOK_FAILURE_POLICY", "POLICY", [help_heading = "Webhook", value_parser = ["Ignore", "Fail"]];
    /// How long the API server waits for the webhook: whole seconds, 1s to 30s [default: 1s]
    webhook_timeout, "webhook-timeout", "HOLDFAST_WEBHOOK_TIMEOUT", "DURATION", [help_heading = "Webhook"];
    /// Serving certificate, as PEM; without it one is made, renewed, and kept in a Secret
    cert_file, "cert-file", "HOLDFAST_CERT_FILE", "FILE", [help_heading = "Webhook"];
    /// Private key of --cert-file
    key_file, "key-file", "HOLDFAST_KEY_FILE", "FILE", [help_heading = "Webhook"];
    /// CA that signed --cert-file, for the API server to trust
    ca_file, "ca-file", "HOLDFAST_CA_FILE", "FILE", [help_heading = "Webhook"];
    /// CA that signs the API server's own certificate; with it, nobody else gets past the handshake
    client_ca_file, "client-ca-file", "HOLDFAST_CLIENT_CA_FILE", "FILE", [help_heading = "Webhook"];
    /// Where /livez, /readyz and /metrics are served, as plain HTTP [default: 127.0.0.1:9090]
    admin_listen, "admin-listen", "HOLDFAST_ADMIN_LISTEN", "ADDRESS", [];
    /// Where push webhooks of Git hosts are taken, at /hooks/github, gitlab, gitea and generic, as plain HTTP; without it, none are
    receiver_listen, "receiver-listen", "HOLDFAST_RECEIVER_LISTEN", "ADDRESS", [help_heading = "Push webhooks"];
    /// File with a secret for push webhooks of every repository, beside key webhookSecret of each GitSync's own Secret
    receiver_secret_file, "receiver-secret-file", "HOLDFAST_RECEIVER_SECRET_FILE", "FILE", [help_heading = "Push webhooks"];
    /// Folder for clones of repositories and for evidence that could not be written yet [default: the user's cache folder]
    cache_dir, "cache-dir", "HOLDFAST_CACHE_DIR", "DIR", [];
    /// How log lines look [default: text]
    log_format, "log-format", "HOLDFAST_LOG_FORMAT", "FORMAT", [help_heading = "Log", value_parser = ["text", "json"]];
    /// What is logged: a level (error, warn, info, debug, trace), or a filter such as info,holdfast=debug [default: info]
    log_level, "log-level", "HOLDFAST_LOG_LEVEL", "FILTER", [help_heading = "Log"];
    /// Collector that traces are sent to, by OTLP over HTTP; headers, sampling and batches go by the usual OTEL variables [default: none]
    otlp_endpoint, "otlp-endpoint", "HOLDFAST_OTLP_ENDPOINT", "URL", [help_heading = "Log"];
}

// === impl Settings ===

impl Settings {
    /// The settings in the file at `path`.
    pub fn from_file(path: &Path) -> Result<Self, FileError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| FileError::Read { file: file.clone(), source })?;
        serde_saphyr::from_str(&text).map_err(|source| FileError::Parse { file, source: Box::new(source) })
    }

    /// What was given here, and what `file` adds to it.
    pub fn over(self, file: Option<(&Path, Self)>) -> Vec<Typed> {
        let here = self.given().into_iter().map(|(name, value)| Typed { name, value, origin: Origin::CommandLine });
        let mut typed: Vec<Typed> = here.collect();
        if let Some((path, settings)) = file {
            let origin = Origin::File(path.display().to_string());
            let there = settings.given().into_iter().map(|(name, value)| Typed { name, value, origin: origin.clone() });
            typed.extend(there);
        }
        typed
    }
}
