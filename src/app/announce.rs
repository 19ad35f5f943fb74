//! What follows the snapshot: readiness, and the gauges that tell its age and its size.

use crate::admin::Pending;
use crate::cluster::clock;
use crate::evidence::Metrics;
use crate::reconcile::Desired;

/// Tells of every snapshot until there are no more. Who is told that all is ready finds the first one's size in the metrics.
pub async fn announce(mut desired: Desired, published: Pending, metrics: Metrics) {
    let mut published = Some(published);
    loop {
        let objects =
            desired.wait_for(Option::is_some).await.map(|snapshot| snapshot.as_ref().map_or(0, |it| it.len()));
        let Ok(objects) = objects else { return };
        metrics.snapshot_built(clock::now(), objects);
        published.take().into_iter().for_each(Pending::ready);
        if desired.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::admin::Readiness;
    use crate::core::snapshot::Snapshot;
    use crate::evidence::metrics::encode;
    use crate::inspect::testing::secret;

    #[tokio::test]
    async fn who_is_told_that_all_is_ready_is_told_how_much_there_is() {
        let (metrics, registry) = Metrics::new();
        let readiness = Readiness::new();
        let (sender, desired) = watch::channel(None);
        tokio::spawn(announce(desired, readiness.expect("the first snapshot"), metrics));
        let snapshot = Snapshot::new([Arc::new(secret())]);
        sender.send_replace(Some(Arc::new(snapshot)));
        readiness.ready().await;
        let page = encode(&registry).expect("text");
        assert!(page.contains("holdfast_objects 1\n"), "{page}");
    }
}
