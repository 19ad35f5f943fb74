//! A certificate that somebody else looks after, in files that are read again every few seconds.
//!
//! A new authority is trusted besides the old one, and registered, before its leaf is served; and the old one stays trusted until
//! the next change, because files change one after the other and replicas do not look at the same moment.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep, timeout};

use super::{Certificate, HOURLY, warn_if_near};
use crate::cluster::clock;
use crate::config::CertificateFiles;
use crate::webhook::tls::{Brought, Files, Found, POLL};

/// A new authority is waited for this long; then its leaf is served whoever trusts it: the old leaf may have run out.
const PATIENCE: Duration = Duration::from_mins(1);
/// From a configuration's being written to every API server's having read it.
const HEARD: Duration = Duration::from_secs(5);

/// Serves what the files hold, for as long as the process lives.
pub(super) async fn keep(
    mut certificate: Certificate,
    CertificateFiles { cert, key, ca }: CertificateFiles,
) -> anyhow::Result<()> {
    let files = Files { chain: cert, key, ca };
    let (mut brought, found) = Brought::read(files).await.context("check --cert-file, --key-file and --ca-file")?;
    let (mut authorities, mut validity) = (found.authorities.clone(), found.validity);
    certificate.trust(&found.authorities);
    certificate.serve(found.pair, found.validity);
    let mut warned = None::<Instant>;
    loop {
        if warned.is_none_or(|warned| warned.elapsed() > HOURLY) {
            warn_if_near(validity, clock::now(), "whoever brings it has not renewed it");
            warned = Some(Instant::now());
        }
        sleep(POLL).await;
        match brought.changed().await {
            Ok(None) => {}
            Ok(Some(found)) => {
                validity = found.validity;
                authorities = exchange(&mut certificate, found, &authorities).await?;
            }
            Err(error) => {
                certificate.metrics.certificate_failures.inc();
                tracing::warn!(error = &error as &dyn std::error::Error, "keeping the certificate in use");
            }
        }
    }
}

/// Answers with the new authorities.
async fn exchange(
    certificate: &mut Certificate,
    Found { pair, authorities, validity }: Found,
    old: &[u8],
) -> anyhow::Result<Vec<u8>> {
    if authorities != old {
        certificate.trust(&[&authorities, &b"\n"[..], old].concat());
        if timeout(PATIENCE, published(certificate)).await.is_err() {
            tracing::error!("the new authority is not registered; serving its certificate all the same");
        } else {
            sleep(HEARD).await;
        }
    }
    certificate.serve(pair, validity);
    Ok(authorities)
}

async fn published(certificate: &mut Certificate) -> anyhow::Result<()> {
    while !certificate.is_published() {
        certificate.published_otherwise().await?;
    }
    Ok(())
}
