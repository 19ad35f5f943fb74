//! From settings as typed to [`Config`]. Nothing here touches the world: paths are only checked for being there when they are
//! used, because a mounted Secret may come later than the process.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    CertificateFiles, Config, Log, Receiver, Replica, Webhook,
    settings::{Origin, Typed},
};
use crate::{
    api::duration,
    core::shards::MAX,
    telemetry::{self, Format, traces::Collector},
    webhook::register::{Client, FailurePolicy},
};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}; {remedy}")]
pub struct Error {
    /// The setting as it was given: `--webhook-url`, or a key of a file.
    pub setting: String,
    /// What is wrong, naming the value.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

/// The first of several values for one setting is the one that counts.
struct Given(Vec<Typed>);

// === impl Config ===

impl Config {
    /// What `typed` means. `cache_dir` is where the user's caches are, should nobody say otherwise.
    pub fn read(typed: Vec<Typed>, cache_dir: PathBuf) -> Result<Self, Error> {
        let given = Given(typed);
        Ok(Self {
            kubeconfig: given.path("kubeconfig"),
            namespace: given.or("namespace", "holdfast-system").dns_label()?,
            replica: replica(&given)?,
            default_service_account: given.get("default-service-account").map(|name| name.dns_label()).transpose()?,
            webhook: webhook(&given)?,
            admin_listen: given.or("admin-listen", "127.0.0.1:9090").address()?,
            receiver: receiver(&given)?,
            cache_dir: given.path("cache-dir").unwrap_or(cache_dir),
            log: log(&given)?,
            collector: given.get("otlp-endpoint").map(|typed| typed.collector()).transpose()?,
        })
    }
}

// === readers ===

fn replica(given: &Given) -> Result<Replica, Error> {
    let identity = given.get("identity").map(|typed| typed.identity()).transpose()?;
    let (lease, shards) = (given.or("lease-duration", "10s").lease()?, given.or("shards", "1").shards()?);
    Ok(Replica { identity, lease, shards })
}

fn webhook(given: &Given) -> Result<Webhook, Error> {
    let listen = given.or("webhook-listen", "127.0.0.1:9443");
    let webhook = Webhook {
        listen: listen.address()?,
        client: client(given)?,
        failure_policy: given.or("webhook-failure-policy", "Ignore").failure_policy()?,
        timeout: given.or("webhook-timeout", "1s").timeout()?,
        certificate: certificate(given)?,
        client_ca: given.path("client-ca-file"),
        on: given.or("webhook", "on").switch()?,
    };
    if webhook.client.is_none() && webhook.listen.ip().is_unspecified() {
        let remedy = "say how it is reached: --webhook-service NAMESPACE/NAME, or --webhook-url";
        return Err(listen.wrong("is every address of this machine, so the API server cannot be told one", remedy));
    }
    Ok(webhook)
}

fn client(given: &Given) -> Result<Option<Client>, Error> {
    match (given.get("webhook-url"), given.get("webhook-service")) {
        (Some(url), Some(service)) if url.origin != service.origin => nearest(&url, &service).map(Some),
        (Some(url), Some(_)) => Err(url.wrong("is given beside --webhook-service", "keep one of the two")),
        (Some(url), None) => url.url().map(Some),
        (None, Some(service)) => service.service().map(Some),
        (None, None) => Ok(None),
    }
}

/// The one on the command line; the file gave the other.
fn nearest(url: &Typed, service: &Typed) -> Result<Client, Error> {
    if url.origin == Origin::CommandLine { url.url() } else { service.service() }
}

fn certificate(given: &Given) -> Result<Option<CertificateFiles>, Error> {
    let files = ["cert-file", "key-file", "ca-file"].map(|name| given.get(name));
    match files {
        [None, None, None] => Ok(None),
        [Some(cert), Some(key), Some(ca)] => {
            let path = |typed: Typed| PathBuf::from(typed.value);
            Ok(Some(CertificateFiles { cert: path(cert), key: path(key), ca: path(ca) }))
        }
        some => {
            let one = some.into_iter().flatten().next().unwrap_or_else(|| default("cert-file", ""));
            Err(one.wrong("is not enough", "give --cert-file, --key-file and --ca-file, or none of them"))
        }
    }
}

fn receiver(given: &Given) -> Result<Option<Receiver>, Error> {
    match (given.get("receiver-listen"), given.get("receiver-secret-file")) {
        (Some(listen), _) => {
            Ok(Some(Receiver { listen: listen.address()?, secret: given.path("receiver-secret-file") }))
        }
        (None, Some(secret)) => {
            Err(secret.wrong("is of no use", "say where push webhooks are taken: --receiver-listen"))
        }
        (None, None) => Ok(None),
    }
}

fn log(given: &Given) -> Result<Log, Error> {
    let level = given.or("log-level", "info");
    let filter = telemetry::filter(&level.value).map_err(|_| {
        level.wrong("is not a filter", "write a level such as info, or a filter such as info,holdfast=debug")
    })?;
    Ok(Log { format: given.or("log-format", "text").log_format()?, filter })
}

// === impl Given ===

impl Given {
    fn get(&self, name: &str) -> Option<Typed> {
        self.0.iter().find(|typed| typed.name == name).cloned()
    }

    fn or(&self, name: &'static str, value: &str) -> Typed {
        self.get(name).unwrap_or_else(|| default(name, value))
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|typed| PathBuf::from(typed.value))
    }
}

fn default(name: &'static str, value: &str) -> Typed {
    Typed { name, value: value.to_owned(), origin: Origin::Default }
}

// === impl Typed ===

impl Typed {
    fn wrong(&self, reason: &str, remedy: impl Into<String>) -> Error {
        Error { setting: self.to_string(), reason: format!("{:?} {reason}", self.value), remedy: remedy.into() }
    }

    fn address(&self) -> Result<SocketAddr, Error> {
        let remedy = "write an IP address and a port, such as 127.0.0.1:9443 or [::]:9443";
        self.value.parse().map_err(|_| self.wrong("is not an address to listen on", remedy))
    }

    fn dns_label(&self) -> Result<String, Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=63).contains(&self.value.len()) && self.value.bytes().all(plain);
        let remedy = "write the name of a namespace: lower-case letters, digits and dashes";
        if fits { Ok(self.value.clone()) } else { Err(self.wrong("cannot be a namespace", remedy)) }
    }

    fn failure_policy(&self) -> Result<FailurePolicy, Error> {
        match self.value.as_str() {
            "Ignore" => Ok(FailurePolicy::Ignore),
            "Fail" => Ok(FailurePolicy::Fail),
            _ => Err(self.wrong("is not a policy", "write Ignore or Fail")),
        }
    }

    fn switch(&self) -> Result<bool, Error> {
        match self.value.as_str() {
            "on" => Ok(true),
            "off" => Ok(false),
            _ => Err(self.wrong("is neither on nor off", "write on or off")),
        }
    }

    fn log_format(&self) -> Result<Format, Error> {
        match self.value.as_str() {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(self.wrong("is not a format", "write text or json")),
        }
    }

    fn collector(&self) -> Result<Collector, Error> {
        let remedy = "write http:// or https://, a host and a port, such as http://127.0.0.1:4318; credentials go into the variable \
                      OTEL_EXPORTER_OTLP_HEADERS";
        Collector::parse(&self.value).ok_or_else(|| self.wrong("is no address of a collector", remedy))
    }

    fn timeout(&self) -> Result<Duration, Error> {
        let allowed = Duration::from_secs(1)..=Duration::from_secs(30);
        let timeout = duration::parse(&self.value).ok();
        let whole = timeout.filter(|timeout| allowed.contains(timeout) && timeout.subsec_nanos() == 0);
        whole.ok_or_else(|| self.wrong("is not a timeout Kubernetes knows", "write whole seconds from 1s to 30s"))
    }

    fn lease(&self) -> Result<Duration, Error> {
        let allowed = Duration::from_secs(2)..=Duration::from_mins(5);
        let lease = duration::parse(&self.value).ok();
        let whole = lease.filter(|lease| allowed.contains(lease) && lease.subsec_nanos() == 0);
        whole.ok_or_else(|| self.wrong("is not a time to wait for a leader", "write whole seconds from 2s to 5m"))
    }

    fn shards(&self) -> Result<u32, Error> {
        let shards = self.value.parse().ok().filter(|shards| (1..=MAX).contains(shards));
        shards.ok_or_else(|| self.wrong("is no number of shards", format!("write a whole number from 1 to {MAX}")))
    }

    fn identity(&self) -> Result<String, Error> {
        let fits = (1..=200).contains(&self.value.len()) && self.value.bytes().all(|byte| byte.is_ascii_graphic());
        let remedy = "write the name of the Pod, or leave it out";
        if fits { Ok(self.value.clone()) } else { Err(self.wrong("cannot be a name", remedy)) }
    }

    /// `https://host[:port]`; the paths are ours.
    fn url(&self) -> Result<Client, Error> {
        let host = self.value.strip_prefix("https://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let bare = host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']));
        let remedy = "write https:// and a host, with a port if needed, and no path";
        bare.map(|host| Client::Url(format!("https://{host}")))
            .ok_or_else(|| self.wrong("is not a URL an API server can call", remedy))
    }

    fn service(&self) -> Result<Client, Error> {
        let named = self.value.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
        let remedy = "write it as namespace/name, or namespace/name:port";
        let service = named.and_then(|(namespace, rest)| {
            let (name, port) = rest.split_once(':').unwrap_or((rest, "443"));
            let port = port.parse().ok().filter(|port| *port > 0)?;
            Some(Client::Service { namespace: namespace.to_owned(), name: name.to_owned(), port })
        });
        service.ok_or_else(|| self.wrong("does not name a Service", remedy))
    }
}

impl fmt::Display for Typed {
    /// As whoever typed it would look for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, origin, .. } = self;
        match origin {
            Origin::CommandLine | Origin::Default => write!(f, "--{name}"),
            Origin::File(file) => write!(f, "{name} in {file}"),
        }
    }
}
