//! Looking for what a guard selects, whatever kinds there are: for questions that are asked once, and need no snapshot of it.
//!
//! Only metadata are read: they say who wrote an object and what it carries. Kinds are asked about side by side, a page at a time, the
//! likely ones first, and nobody goes on once enough was found: where something is, it is found with the first few questions. What
//! could not be looked at is told beside what was found: it may be just there.

use futures::{StreamExt, stream};
use kube::api::ListParams;
use kube::core::Request;
use serde_json::{Value, json};

use super::{Cluster, Error, Kind};
use crate::core::guard::Guard;
use crate::evidence::metrics::Ask;

/// Kinds asked about at once.
const AT_ONCE: usize = 8;
/// Objects in a page.
const PAGE: u32 = 250;

/// What nearly everything that is delivered has some of.
const LIKELY: [&str; 8] =
    ["deployments", "services", "configmaps", "statefulsets", "secrets", "serviceaccounts", "daemonsets", "cronjobs"];

/// What was looked for.
#[derive(Debug)]
pub struct Found<T> {
    /// What was found.
    pub found: Vec<T>,
    /// Why some could not be looked at.
    pub unseen: Vec<Error>,
}

/// Takes what it is looking for out of the metadata of an object.
type Pick<'p, T> = &'p (dyn Fn(&Kind, Value) -> Option<T> + Sync);

// === impl Cluster ===

impl Cluster {
    /// Picks among the objects of these kinds that carry the labels of a guard, in one namespace or everywhere, until there are
    /// `enough`.
    pub async fn look_for<T: Send>(
        &self,
        kinds: &[Kind],
        guard: &Guard,
        namespace: Option<&str>,
        enough: usize,
        pick: Pick<'_, T>,
    ) -> Found<T> {
        let names = |kind: &&Kind| guard.names(&kind.resource.group, &kind.resource.plural);
        let mut kinds: Vec<_> = kinds.iter().filter(names).cloned().collect();
        kinds.retain(|kind| kind.namespaced || namespace.is_none());
        kinds.sort_by_key(|kind| {
            LIKELY.iter().position(|likely| *likely == kind.resource.plural).unwrap_or(LIKELY.len())
        });
        let looks =
            kinds.into_iter().map(|kind| async move { self.look_among(&kind, guard, namespace, enough, pick).await });
        let mut looks = std::pin::pin!(stream::iter(looks).buffer_unordered(AT_ONCE));
        let mut answer = Found { found: Vec::new(), unseen: Vec::new() };
        while let Some(look) = looks.next().await {
            match look {
                Ok(found) => answer.found.extend(found),
                Err(error) if error.is_not_found() => {}
                Err(error) => answer.unseen.push(error),
            }
            if answer.found.len() >= enough {
                break;
            }
        }
        answer
    }

    async fn look_among<T>(
        &self,
        kind: &Kind,
        guard: &Guard,
        namespace: Option<&str>,
        enough: usize,
        pick: Pick<'_, T>,
    ) -> Result<Vec<T>, Error> {
        let (path, mut found) = (kind.path_in(namespace), Vec::new());
        let mut page = ListParams::default().labels(&guard.objects.labels.to_string()).limit(PAGE);
        loop {
            let request = Request::new(path.clone()).list_metadata(&page);
            let mut answer = self.send(Ask::List, format!("list {}", kind.resource.plural), request).await?;
            if let Some(Value::Array(items)) = answer.get_mut("items").map(Value::take) {
                found.extend(items.into_iter().filter_map(|item| pick(kind, as_one_of(kind, item))));
            }
            match answer.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(token) if !token.is_empty() && found.len() < enough => page = page.continue_token(token),
                _ => return Ok(found),
            }
        }
    }
}

/// Metadata say of themselves that they are of a kind of their own.
fn as_one_of(kind: &Kind, mut item: Value) -> Value {
    item["apiVersion"] = json!(kind.resource.api_version);
    item["kind"] = json!(kind.resource.kind);
    item
}
