//! Deletions that take our own kinds along: of a namespace with GitSyncs in it, of the namespace we run in, of the definition of a
//! kind of ours. Whoever may not delete a `GitSync` could end its guard that way, and that of all the others besides.
//!
//! What GitSyncs a namespace holds is in no snapshot: one that declares nothing, or could not be read yet, counts as well. So the API
//! server is asked, once for each such deletion that would pass otherwise.

use super::loosen::{Loosening, actor};
use crate::api::loosening::Loosened;
use crate::core::names::GROUP;
use crate::core::object::ObjectKey;
use crate::evidence::record::Actor;
use crate::webhook::object::Object;
use crate::webhook::review::{Operation, Review};
use crate::webhook::upstream::{LOOSEN_VERB, Right, Unanswered, Upstream};

/// So many GitSyncs are named; the rest is counted.
const NAMED: usize = 3;

/// A deletion that may take along what guards.
pub(in crate::webhook) struct Ending {
    takes: Takes,
    key: ObjectKey,
    by: Actor,
}

/// What goes.
enum Takes {
    /// The GitSyncs of this namespace, if there are any.
    SyncsIn(String),
    /// Holdfast itself.
    Ourselves,
    /// All objects of this resource of ours.
    All(&'static str),
}

// === impl Ending ===

impl Ending {
    /// The deletion of something that may hold what is ours, where we run in this namespace. One that is under way ends nothing more.
    pub(in crate::webhook) fn of(review: &Review<'_>, ours: &str) -> Option<Self> {
        let is_going = review.old_object.as_ref().is_none_or(Object::is_terminating);
        let is_deletion = review.operation == Operation::Delete && review.sub_resource.is_empty();
        let (name, group) = (review.object_name(), &*review.resource.group);
        let takes = match (&*review.resource.plural, group) {
            _ if is_going || !is_deletion => return None,
            ("namespaces", "") if name == ours => Takes::Ourselves,
            ("namespaces", "") => Takes::SyncsIn(name.to_owned()),
            ("customresourcedefinitions", "apiextensions.k8s.io") => Takes::All(ours_of(name)?),
            _ => return None,
        };
        let (group, kind) = (group.to_owned(), review.kind.kind.to_string());
        let key = ObjectKey { group, kind, namespace: None, name: name.to_owned() };
        Some(Self { takes, key, by: actor(review) })
    }

    /// What of the guard it ends, if any of it.
    pub(in crate::webhook) async fn loosening(self, upstream: &dyn Upstream) -> Result<Option<Loosening>, Unanswered> {
        let Self { takes, key, by } = self;
        let (resource, namespace, gone) = match takes {
            Takes::SyncsIn(namespace) => {
                let syncs = upstream.syncs_in(&namespace).await?;
                let named = syncs.iter().take(NAMED).map(|name| format!("GitSync {namespace}/{name}"));
                let more = syncs.len().checked_sub(NAMED).filter(|more| *more > 0);
                let gone = named.chain(more.map(|more| format!("{more} more"))).collect();
                ("gitsyncs", namespace, gone)
            }
            Takes::Ourselves => ("gitsyncs", String::new(), vec!["Holdfast, and so every guard".to_owned()]),
            Takes::All(resource) => (resource, String::new(), vec![format!("every one of the {resource}")]),
        };
        let right = Right { verb: LOOSEN_VERB, resource, namespace, name: String::new() };
        Ok((!gone.is_empty()).then(|| Loosening::of_deletion(right, key, by, gone.into_iter().map(deleted).collect())))
    }
}

/// The resource of ours that is defined by this.
fn ours_of(definition: &str) -> Option<&'static str> {
    let (plural, group) = definition.split_once('.')?;
    ["gitsyncs", "driftpolicies"].into_iter().find(|ours| *ours == plural && group == GROUP)
}

fn deleted(field: String) -> Loosened {
    Loosened { field, from: "in force".to_owned(), to: "deleted".to_owned() }
}
