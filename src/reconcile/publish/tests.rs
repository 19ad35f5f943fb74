//! What is published, and when.

use super::*;

fn is_published(desired: &Desired) -> bool {
    desired.borrow().is_some()
}

fn gadgets() -> Resource {
    let [group, version, plural] = ["example.com", "v1", "gadgets"].map(str::to_owned);
    Resource { group, version, plural }
}

#[test]
fn nothing_is_published_before_every_known_sync_was_read() {
    let (publisher, desired) = Publisher::new();
    publisher.declare("team/early", Vec::new(), &HashSet::new(), &Surroundings::default());
    publisher.failed("team/hasty", None);
    assert!(!is_published(&desired), "it is not known yet which syncs there are");
    publisher.expect(["team/early", "team/hasty", "team/late", "team/broken", "team/gone"].map(str::to_owned));
    publisher.declare("team/late", Vec::new(), &HashSet::new(), &Surroundings::default());
    publisher.failed("team/broken", Some(vec![gadgets()]));
    assert!(!is_published(&desired));
    let awaited = ["team/early", "team/hasty", "team/broken", "team/gone"].map(|sync| publisher.awaits(sync));
    assert_eq!(awaited, [false, false, false, true]);
    publisher.forget("team/gone");
    assert!(is_published(&desired), "a sync that cannot be read holds nobody up");
    let unread = |sync| desired.borrow().as_ref().is_some_and(|snapshot| snapshot.is_unread(sync));
    assert_eq!(["team/hasty", "team/late", "team/broken"].map(unread), [false, false, true]);
    let resources = || desired.borrow().as_ref().map(|snapshot| snapshot.resources());
    assert_eq!(resources(), Some(vec![gadgets()]), "edits of those are still to be asked about");
    publisher.declare("team/broken", Vec::new(), &HashSet::new(), &Surroundings::default());
    publisher.failed("team/broken", Some(vec![gadgets()]));
    assert!(!unread("team/broken"), "what it declared before still holds");
    assert_eq!(resources(), Some(Vec::new()));
}

#[test]
fn a_cluster_without_syncs_is_ready_at_once() {
    let (publisher, desired) = Publisher::new();
    publisher.expect([]);
    assert!(is_published(&desired));
}

#[test]
fn a_list_made_again_does_not_take_readiness_back() {
    let (publisher, desired) = Publisher::new();
    publisher.expect([]);
    publisher.expect(["team/new".to_owned()]);
    publisher.declare("team/other", Vec::new(), &HashSet::new(), &Surroundings::default());
    assert!(is_published(&desired));
}

#[test]
fn labels_of_syncs_are_told_only_where_a_team_hangs_on_them() {
    use crate::core::team::{Mark, Teams};
    let (publisher, _) = Publisher::new();
    let labels = LabelMap::from([("team".to_owned(), "shop".to_owned())]);
    publisher.labelled("team/shop", &labels);
    assert!(publisher.around().borrow().syncs.is_empty());
    let teams = Teams { people: Vec::new(), objects: vec![Mark::SyncLabel("team".to_owned())] };
    publisher.exempt(Exempt { teams: teams.into(), ..Exempt::default() });
    assert_eq!(publisher.around().borrow().syncs.get("team/shop"), Some(&labels));
    publisher.forget("team/shop");
    assert!(publisher.around().borrow().syncs.is_empty());
}
