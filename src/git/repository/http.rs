//! Smart HTTP: `gix`'s transport on `reqwest`, with our own idea of whom to trust.
//!
//! Credentials are added here and nowhere else, to each request by itself, and only if it goes to the very server the `GitSync`
//! names: a redirect elsewhere is followed without them.

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::http::reqwest::{Options, Remote};
use gix::protocol::transport::client::blocking_io::http::{self, GetResponse, Http, PostBodyDataKind, PostResponse};

use super::access::Access;
use super::bounds::{Bounded, Limits};
use super::url::RepoUrl;

/// The transport for one exchange with one server.
pub(super) type Transport = http::Transport<Trusting>;

/// Requests with credentials for those who may have them, and answers of bounded length.
pub(super) struct Trusting {
    remote: Remote,
    /// Scheme, host and port the credentials are for.
    origin: String,
    authorization: Option<String>,
    limits: Limits,
}

/// A transport to `url`.
pub(super) fn transport(url: &RepoUrl, authorization: Option<String>, limits: Limits) -> Transport {
    let origin = origin(&url.to_string());
    let http = Trusting { remote: Remote::default(), origin, authorization, limits };
    http::Transport::new_http(http, url.parsed().clone(), Protocol::V2, false)
}

/// How to make connections: with patience, and believing whom `access` says.
pub(super) fn options(access: &Access, stall: Duration) -> http::Options {
    let authorities = access.authorities.clone();
    let configure = move |client: reqwest::blocking::ClientBuilder| {
        let client = client.connect_timeout(stall).timeout(stall);
        Ok(match &authorities {
            Some(authorities) => client.tls_certs_only(authorities.clone()),
            None => client,
        })
    };
    let options = Options { configure_client: Some(Box::new(configure)), configure_request: None };
    http::Options { backend: Some(Arc::new(Mutex::new(options))), ..http::Options::default() }
}

// === impl Trusting ===

impl Trusting {
    fn headers(&self, url: &str, given: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
        let mut headers: Vec<_> = given.into_iter().map(|header| header.as_ref().to_owned()).collect();
        let ours = self.authorization.as_ref().filter(|_| origin(url) == self.origin);
        headers.extend(ours.map(|authorization| format!("Authorization: {authorization}")));
        headers
    }
}

impl Http for Trusting {
    type Headers = <Remote as Http>::Headers;
    type ResponseBody = Bounded<<Remote as Http>::ResponseBody>;
    type PostBody = <Remote as Http>::PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Self::ResponseBody>> {
        let headers = self.headers(url, headers);
        let GetResponse { headers, body } = self.remote.get(url, base_url, headers)?;
        Ok(GetResponse { headers, body: Bounded::new(body, self.limits) })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        body: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Self::ResponseBody, Self::PostBody>> {
        let headers = self.headers(url, headers);
        let PostResponse { post_body, headers, body } = self.remote.post(url, base_url, headers, body)?;
        Ok(PostResponse { post_body, headers, body: Bounded::new(body, self.limits) })
    }

    fn configure(&mut self, config: &dyn Any) -> gix::Result<()> {
        self.remote.configure(config)
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.remote.redirected_base_url()
    }
}

/// Scheme, host and port, as far as they are written: what differs only in writing counts as another server.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{}://{}", scheme.to_ascii_lowercase(), authority.to_ascii_lowercase())
}

/// Whether the server answered that this repository is not there, or not for us. `gix` classifies 401 and 403; 404 only
/// shows in its text.
pub(super) fn denied(error: &gix::Error) -> bool {
    error.is_unauthenticated() || error.is_permission_denied() || format!("{error:#}").contains("HTTP status 404")
}

/// Whether the exchange was cut short: by the network, by the server, or by us because it took too long.
pub(super) fn broke_off(error: &gix::Error) -> bool {
    let cause = error.downcast_any_ref::<io::Error>().map(io::Error::kind);
    matches!(cause, Some(io::ErrorKind::TimedOut | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe))
}
