//! Names fall into shards evenly, alike everywhere, and move no more than they must.

use proptest::prelude::*;

use super::*;

fn names() -> impl Iterator<Item = String> {
    (0..2000).map(|number| format!("team-{}/app-{number}", number % 17))
}

proptest! {
    #[test]
    fn one_more_shard_takes_from_the_others_and_moves_nothing_among_them(name in "[a-z]{1,9}/[a-z0-9-]{1,20}", shards in 1..MAX) {
        let (before, after) = (shard_of(&name, shards), shard_of(&name, shards + 1));
        prop_assert!(before < shards);
        prop_assert!(after == before || after == shards);
    }

    #[test]
    fn a_spread_is_read_as_it_was_written(shards in 1..=MAX, settled: bool) {
        let spread = Spread { shards, settled };
        prop_assert_eq!(Spread::read(spread.annotation().as_deref()), spread);
    }
}

#[test]
fn each_shard_gets_its_share() {
    for shards in [2, 3, 8] {
        let mut counts = vec![0; shards as usize];
        names().for_each(|name| counts[shard_of(&name, shards) as usize] += 1);
        let fair = 2000 / counts.len();
        assert!(counts.iter().all(|count| (fair * 8 / 10..=fair * 12 / 10).contains(count)), "{counts:?}");
    }
}

/// A version that sorts them otherwise would write beside one that sorts them like this.
#[test]
fn every_version_sorts_alike() {
    let sorted = |shards| ["shop/api", "shop/web", "team-a/x", "infra/dns"].map(|name| shard_of(name, shards));
    assert_eq!(
        (sorted(1), sorted(2), sorted(4), sorted(32)),
        ([0, 0, 0, 0], [0, 1, 0, 0], [2, 1, 2, 0], [13, 10, 11, 12])
    );
}

#[test]
fn what_makes_no_sense_may_be_anything() {
    for nonsense in ["", "0", "33", "-1", "four", "4,changing", "4, soon", "4, ", "4 "] {
        assert_eq!(Spread::read(Some(nonsense)), Spread { shards: MAX, settled: false }, "{nonsense:?}");
    }
    assert_eq!(Spread::read(None), Spread::default());
    assert_eq!(Spread::default().annotation(), None, "one shard is what there always was");
}
