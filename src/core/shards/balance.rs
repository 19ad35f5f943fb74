//! Who should hold how many shards: nobody two fewer than another.
//!
//! A replica that holds two fewer than the one that holds most *asks*, by a Lease of its own ([`member`](super::member)); the one that
//! holds most *gives*, to whoever asks, one at a time. Each gift makes the two more equal and no others less so, so it ends; and when
//! no two differ by two, nobody asks, so nothing moves in a steady state. A shard nobody holds is taken by whoever comes first, and
//! those that hold more come later.

/// Who holds each shard, as far as one replica knows; empty or unknown is nobody.
pub type Holders<'a> = [Option<&'a str>];

/// At most so much later comes who holds many.
const LATEST: u32 = 3;

/// How many shards this one holds.
pub fn count(holders: &Holders<'_>, who: &str) -> usize {
    holders.iter().flatten().filter(|holder| **holder == who).count()
}

/// Does somebody hold two more than `me`?
pub fn wants(holders: &Holders<'_>, me: &str) -> bool {
    richest(holders).is_some_and(|richest| count(holders, richest) >= count(holders, me) + 2)
}

/// What `me` is to give to whoever asks: the last of its shards, since the first is where others look.
pub fn gives(holders: &Holders<'_>, me: &str, asker: &str) -> Option<usize> {
    let is_due = richest(holders) == Some(me) && count(holders, me) >= count(holders, asker) + 2;
    holders.iter().rposition(|holder| is_due && *holder == Some(me))
}

/// How much later than somebody without shards `me` takes what nobody holds.
pub fn patience(holders: &Holders<'_>, me: &str) -> u32 {
    u32::try_from(count(holders, me)).unwrap_or(LATEST).min(LATEST)
}

/// Of several that hold most, the first by name.
fn richest<'a>(holders: &Holders<'a>) -> Option<&'a str> {
    let named = holders.iter().flatten().filter(|holder| !holder.is_empty()).copied();
    named.max_by(|one, other| count(holders, one).cmp(&count(holders, other)).then_with(|| other.cmp(one)))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn counts(holders: &Holders<'_>) -> Vec<usize> {
        NAMES.iter().map(|name| count(holders, name)).collect()
    }

    proptest! {
        /// However they are held at first, and whoever asks first.
        #[test]
        fn giving_ends_in_balance_and_then_nobody_asks(first in vec(0..4_usize, 1..20), order in Just(NAMES.to_vec()).prop_shuffle()) {
            let mut holders: Vec<_> = first.into_iter().map(|index| Some(NAMES[index])).collect();
            let mut gifts = 0;
            while let Some(asker) = order.iter().find(|name| wants(&holders, name)) {
                let given: Vec<_> = NAMES.iter().filter_map(|name| gives(&holders, name, asker)).collect();
                prop_assert_eq!(given.len(), 1, "exactly one gives");
                holders[given[0]] = Some(asker);
                gifts += 1;
                prop_assert!(gifts <= holders.len(), "it goes in circles");
            }
            let counts = counts(&holders);
            prop_assert!(counts.iter().max().zip(counts.iter().min()).is_some_and(|(most, least)| most - least <= 1));
            prop_assert!(NAMES.iter().all(|me| NAMES.iter().all(|asker| gives(&holders, me, asker).is_none())));
        }
    }

    #[test]
    fn who_holds_more_comes_later() {
        let holders = [Some("a"), Some("a"), Some("b"), Some(""), None];
        assert_eq!(["a", "b", "c"].map(|me| patience(&holders, me)), [2, 1, 0]);
        assert_eq!(patience(&[Some("a"); 9], "a"), LATEST);
    }

    #[test]
    fn the_first_shard_is_given_last() {
        assert_eq!(gives(&[Some("a"), Some("a"), Some("b")], "a", "c"), Some(1));
        assert_eq!(gives(&[Some("a"), Some("b")], "a", "c"), None);
        assert_eq!(gives(&[None, Some("")], "a", "c"), None);
    }
}
