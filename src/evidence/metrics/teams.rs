//! Who would have been refused, by GitSync and team: the one metric whose labels are no closed enums.
//!
//! There are as many GitSyncs as somebody made on purpose. Names of teams come from groups and labels, which anybody may be given,
//! so they are bounded here: the first [`TEAMS`] names count under their own, all later ones as `other`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family};

/// Names of teams that are told apart.
const TEAMS: usize = 64;
/// A longer name than any label of Kubernetes is nobody's idea of a team.
const LONGEST: usize = 63;
/// All the rest.
const OTHER: &str = "other";

/// Counts by GitSync and team.
#[derive(Debug, Clone, Default)]
pub(super) struct WouldDeny {
    family: Family<Labels, Counter>,
    teams: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Labels {
    gitsync: String,
    team: String,
}

// === impl WouldDeny ===

impl WouldDeny {
    pub(super) fn family(&self) -> &Family<Labels, Counter> {
        &self.family
    }

    pub(super) fn count(&self, gitsync: &str, team: &str) {
        self.family.get_or_create(&Labels::new(gitsync, &self.named(team))).inc();
    }

    /// There is such a sync, or no longer.
    pub(super) fn knows(&self, gitsync: &str, there: bool) {
        if there {
            drop(self.family.get_or_create(&Labels::new(gitsync, "")));
            return;
        }
        let teams = self.teams.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for team in teams.iter().map(String::as_str).chain(["", OTHER]) {
            self.family.remove(&Labels::new(gitsync, team));
        }
    }

    /// The name a team is counted under.
    fn named(&self, team: &str) -> String {
        let mut teams = self.teams.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = teams.len() < TEAMS && team.len() <= LONGEST;
        if team.is_empty() || teams.contains(team) || (has_room && teams.insert(team.to_owned())) {
            return team.to_owned();
        }
        OTHER.to_owned()
    }
}

// === impl Labels ===

impl Labels {
    fn new(gitsync: &str, team: &str) -> Self {
        Self { gitsync: gitsync.to_owned(), team: team.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(counts: &WouldDeny) -> usize {
        let names = (0..200).map(|at| format!("team-{at}")).chain([String::new(), OTHER.to_owned()]);
        names.filter(|team| counts.family.get(&Labels::new("shop", team)).is_some()).count()
    }

    #[test]
    fn however_many_teams_there_are_the_series_are_few_and_end_with_their_sync() {
        let counts = WouldDeny::default();
        counts.knows("shop", true);
        (0..200).for_each(|at| counts.count("shop", &format!("team-{at}")));
        counts.count("shop", &"x".repeat(64));
        counts.count("shop", "team-0");
        let of = |team: &str| counts.family.get(&Labels::new("shop", team)).map(|count| count.get());
        assert_eq!((of("team-0"), of("team-63"), of("team-64"), of(OTHER)), (Some(2), Some(1), None, Some(137)));
        assert_eq!(series(&counts), TEAMS + 2);
        counts.knows("shop", false);
        assert_eq!(series(&counts), 0);
    }
}
