//! Spans for an OpenTelemetry collector: OTLP over HTTP, as protobuf, in batches, beside everything else.
//!
//! Nothing waits for the collector: spans it does not take are dropped after a while, and the log says so. Headers (a token,
//! say), sampling, batching and time limits are the specification's `OTEL_…` variables, so that nothing secret stands in a flag.

use http::Uri;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Where a collector takes traces, below the address that is given for all signals.
/// Source: OpenTelemetry specification, "OTLP Exporter", endpoint URLs for OTLP/HTTP.
const PATH: &str = "/v1/traces";

/// A collector of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(Uri);

/// The spans on their way to a collector. They are sent while this is there; [`Traces::close`] sends the last.
pub struct Traces(SdkTracerProvider);

// === impl Collector ===

impl Collector {
    /// The collector at this URL: `http://` or `https://`, a host, perhaps a port, and a path unless it is the usual one.
    pub fn parse(url: &str) -> Option<Self> {
        let base = url.strip_suffix('/').unwrap_or(url);
        let uri: Uri = base.parse().ok()?;
        let is_plain = uri.query().is_none() && !uri.authority()?.as_str().contains('@');
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_path = !matches!(uri.path(), "" | "/");
        let whole = if has_path { uri } else { format!("{base}{PATH}").parse().ok()? };
        (is_plain && is_http).then_some(Self(whole))
    }
}

// === impl Traces ===

impl Traces {
    /// Begins to export to a collector, whether it can be reached or not.
    pub fn to(collector: &Collector) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder().with_http().with_endpoint(collector.0.to_string()).build()?;
        let ourselves = Resource::builder().with_service_name(env!("CARGO_PKG_NAME"));
        let ourselves =
            ourselves.with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        Ok(Self(SdkTracerProvider::builder().with_resource(ourselves.build()).with_batch_exporter(exporter).build()))
    }

    /// Takes our own spans; those of the libraries that send them would never end.
    pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let is_ours =
            |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with(env!("CARGO_PKG_NAME"));
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(env!("CARGO_PKG_NAME")))
            .with_filter(filter_fn(is_ours))
    }

    /// Sends what is left. Waits for the collector, but not for ever.
    pub fn close(self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "failed to send the last traces");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_path_need_not_be_said() {
        let at = |url| Collector::parse(url).map(|Collector(uri)| uri.to_string());
        assert_eq!(at("http://127.0.0.1:4318").as_deref(), Some("http://127.0.0.1:4318/v1/traces"));
        assert_eq!(at("https://otel.example.com/").as_deref(), Some("https://otel.example.com/v1/traces"));
        assert_eq!(at("http://h/tenant/a").as_deref(), Some("http://h/tenant/a"));
    }

    #[test]
    fn what_is_no_address_of_a_collector_is_none() {
        for url in ["", "127.0.0.1:4318", "grpc://h:4317", "http://", "http://user:secret@h", "http://h/?x=y"] {
            assert_eq!(Collector::parse(url), None, "{url}");
        }
    }
}
