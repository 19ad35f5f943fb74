//! The two webhook configurations, as typed values.
//!
//! They are written by the running process, because only it knows the `caBundle` and which kinds Git declares. Selection is
//! done with rules and selectors, which are nearly free; `matchConditions` cost the API server 0.1 to 0.6 ms per matching request and entry,
//! mostly to turn the object into what CEL reads. So they are one expression that ends early, and names only identities that must never
//! reach us: ourselves (a healer that needs its own webhook to be up would deadlock), nodes, and the controllers of kube-system.

mod changes;
mod entries;
pub mod upkeep;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ServiceReference, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::core::guard::Guard;
use crate::core::snapshot::Resource;
pub use changes::Change;
use entries::Entry;

/// Name of both configurations.
pub const NAME: &str = "holdfast";
/// Where the API server sends validating reviews.
pub const VALIDATE_PATH: &str = "/validate";
/// Where the API server sends mutating reviews.
pub const MUTATE_PATH: &str = "/mutate";
/// Where the API server sends our own kinds.
pub const VALIDATE_OWN_PATH: &str = "/validate/own";
/// Where it has them stamped.
pub const MUTATE_OWN_PATH: &str = "/mutate/own";
/// Between one of the first two and the name of a guard.
const GUARDS: &str = "/guards/";
/// The service account Holdfast runs as, in its own namespace.
pub const SERVICE_ACCOUNT: &str = "holdfast";

/// The Secret in Holdfast's namespace that all replicas share their serving certificate in.
pub const CERTIFICATE_SECRET: &str = "holdfast-webhook-certificate";

/// Everything the configurations depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// How the API server reaches us.
    pub client: Client,
    /// PEM certificates by which it recognises us.
    pub ca_bundle: Vec<u8>,
    /// What the API server does when it gets no decision.
    pub failure_policy: FailurePolicy,
    /// How long it waits for one.
    pub timeout_seconds: i32,
    /// The namespace we run in, under the service account [`SERVICE_ACCOUNT`].
    pub namespace: String,
    /// Every resource Git declares something of, in the version it is declared in.
    pub declared: Vec<Resource>,
    /// What is guarded for other tools.
    pub guards: Arc<[Guard]>,
}

/// How the API server reaches the webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// At a URL without a path, such as `https://127.0.0.1:9443`.
    Url(String),
    /// Through a Service.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
}

/// What the API server does when it gets no decision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// Let the edit pass: the reconciler heals it.
    #[default]
    Ignore,
    /// Refuse the edit.
    Fail,
}

// === impl FailurePolicy ===

impl FailurePolicy {
    /// As Kubernetes spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "Ignore",
            Self::Fail => "Fail",
        }
    }
}

// === impl Client ===

impl Client {
    /// The names the API server may look for in our certificate.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Url(url) => vec![host(url).to_owned()],
            Self::Service { namespace, name, .. } => {
                vec![format!("{name}.{namespace}.svc"), format!("{name}.{namespace}.svc.cluster.local")]
            }
        }
    }

    fn config(&self, path: &str, ca_bundle: &[u8]) -> WebhookClientConfig {
        let ca_bundle = Some(ByteString(ca_bundle.to_vec()));
        match self {
            Self::Url(url) => {
                let url = Some(format!("{}{path}", url.trim_end_matches('/')));
                WebhookClientConfig { url, ca_bundle, service: None }
            }
            Self::Service { namespace, name, port } => {
                let service = ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    port: Some(i32::from(*port)),
                    path: Some(path.to_owned()),
                };
                WebhookClientConfig { service: Some(service), ca_bundle, url: None }
            }
        }
    }
}

/// Where the API server sends what this guard selects. A name may be a parameter, `{guard}`.
pub(super) fn guard_path(path: &str, guard: &str) -> String {
    format!("{path}{GUARDS}{guard}")
}

/// The guard such a path names.
pub(super) fn guard_of(path: &str) -> Option<&str> {
    path.split_once(GUARDS).map(|(_, guard)| guard)
}

/// Both configurations, ready to be applied.
pub fn configurations(registration: &Registration) -> (ValidatingWebhookConfiguration, MutatingWebhookConfiguration) {
    let validating = Entry::validating(registration);
    let mutating = Entry::mutating(registration);
    (
        ValidatingWebhookConfiguration {
            metadata: metadata(),
            webhooks: Some(validating.into_iter().map(|entry| entry.into_validating(registration)).collect()),
        },
        MutatingWebhookConfiguration {
            metadata: metadata(),
            webhooks: Some(mutating.into_iter().map(|entry| entry.into_mutating(registration)).collect()),
        },
    )
}

/// The host of `https://host[:port]`, without the brackets of an IPv6 address.
fn host(url: &str) -> &str {
    let authority = url.trim_start_matches("https://").split('/').next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn metadata() -> ObjectMeta {
    let labels = BTreeMap::from([("app.kubernetes.io/name".to_owned(), NAME.to_owned())]);
    ObjectMeta { name: Some(NAME.to_owned()), labels: Some(labels), ..ObjectMeta::default() }
}

#[cfg(test)]
mod tests;
