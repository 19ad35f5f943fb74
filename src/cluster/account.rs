//! Acting for a tenant: requests in the name of a service account, with its rights and no others.
//!
//! The API server is told by impersonation, request by request, so there is one connection and one account that holds rights. What is
//! written so must still be recognised at admission as ours, not the tenant's own doing: an *extra* of the impersonated user says
//! for which `GitSync` it is. To set that takes the verb `impersonate` on `userextras/holdfast.dev/sync`, which nobody but a cluster
//! administrator has.

use http::header::HeaderValue;

use crate::core::names::SYNC_EXTRA;

/// A service account, and the `GitSync` in whose name it acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its namespace, which is the `GitSync`'s.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The `GitSync`, as `namespace/name`.
    pub sync: String,
}

// === impl Account ===

impl Account {
    /// The name the API server knows it by.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// The same request, in its name. The API server adds the groups every service account has.
    pub(super) fn sign(&self, mut request: http::Request<Vec<u8>>) -> http::Request<Vec<u8>> {
        let headers = request.headers_mut();
        let value = |text: &str| HeaderValue::from_str(text).expect("names of the API server are plain text");
        headers.insert("impersonate-user", value(&self.user()));
        let extra = format!("impersonate-extra-{}", SYNC_EXTRA.replace('/', "%2f"));
        let extra = http::HeaderName::from_bytes(extra.as_bytes()).expect("a percent sign may be in a header");
        headers.insert(extra, value(&self.sync));
        request
    }
}
