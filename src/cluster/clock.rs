//! What time it is for the API server: the one clock all replicas can look at, and the one that counts where the API server judges by
//! time, as it does a certificate. It is in every answer.

use http::Request;
use http::header::DATE;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use kube::client::Body;

use super::{Cluster, Error};
use crate::evidence::metrics::Ask;

// === impl Cluster ===

impl Cluster {
    /// The API server's time, to the second. Our own, if something on the way takes it out of the answer.
    pub async fn time(&self) -> Result<Timestamp, Error> {
        let failed = |error: kube::Error| Error::new("ask the API server for the time", &error);
        let request =
            Request::get("/version").body(Body::empty()).map_err(|error| failed(kube::Error::HttpError(error)))?;
        self.metrics.called(Ask::Get);
        let answer = self.client.send(request).await.map_err(failed)?;
        let date = answer.headers().get(DATE).and_then(|date| read(date.as_bytes()));
        Ok(date.unwrap_or_else(Timestamp::now))
    }
}

fn read(date: &[u8]) -> Option<Timestamp> {
    DateTimeParser::new().parse_timestamp(date).ok()
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_date_is_read_as_http_writes_it() {
        let time = "2026-11-29T10:12:32Z".parse().expect("a time");
        assert_eq!(read(b"Sun, 29 Nov 2026 10:12:32 GMT"), Some(time));
        assert_eq!(read(b"soon"), None);
    }
}
