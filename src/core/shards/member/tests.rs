//! Nobody writes for a shard that another writes for, and nobody by one number of shards while another writes by another: whatever
//! clocks, requests, watches and processes do. And where everybody goes by one number, shards come to be held evenly, and stay.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TERM: Duration = Duration::from_secs(10);
const REPLICAS: usize = 3;

/// The Leases, as the API server keeps them, with everything each ever was.
#[derive(Default)]
struct Server {
    versions: u32,
    history: BTreeMap<Post, Vec<Record>>,
}

#[derive(Clone)]
struct Request {
    post: Post,
    asked: Moment,
    what: Move,
}

enum Answer {
    Is(Option<Record>),
    Wrote(Record),
    Conflict,
}

/// A process with a clock of its own.
struct Replica {
    member: Member,
    offset: Duration,
    percent: u32,
    asking: BTreeMap<Post, (Request, Option<Answer>)>,
}

struct World {
    now: Duration,
    server: Server,
    replicas: Vec<Replica>,
    /// Requests nobody waits for any more; they may arrive all the same.
    astray: Vec<Request>,
    numbers: u32,
}

/// What happens, to which replica and about which of its Leases.
#[derive(Debug, Clone)]
enum Event {
    Pass(u64),
    Turn(usize, usize),
    /// All Leases of a replica, one after the other.
    Round(usize),
    Ask(usize, usize),
    Arrive(usize, usize),
    Answer(usize, usize),
    GiveUp(usize, usize),
    Late(usize),
    Hear(usize, usize, usize),
    /// It is killed, and started again by the same name, with another number of shards.
    Restart(usize, u32),
    /// It lets go of everything, and is started again later.
    Leave(usize),
}

fn member(name: &str, number: u32, shards: u32) -> Member {
    Member::new(&Candidate { name: name.to_owned(), number: number.to_string() }, TERM, shards)
}

// === impl Server ===

impl Server {
    fn now(&self, post: Post) -> Option<Record> {
        self.history.get(&post)?.last().cloned()
    }

    fn take(&mut self, Request { post, what, .. }: &Request) -> Answer {
        let claim = match what {
            Move::Confirm(_) => return Answer::Is(self.now(Post::Shard(0))),
            Move::Read | Move::Wait(_) => return Answer::Is(self.now(*post)),
            Move::Write(claim) => claim.clone(),
        };
        if claim.over != self.now(*post).map(|record| record.version) {
            return Answer::Conflict;
        }
        self.versions += 1;
        let Claim { holder, duration, transitions, spread, .. } = claim;
        let record = Record { holder, duration, transitions, spread, version: self.versions.to_string() };
        self.history.entry(*post).or_default().push(record.clone());
        Answer::Wrote(record)
    }
}

// === impl Replica ===

impl Replica {
    fn clock(&self, now: Duration) -> Moment {
        self.offset + now * self.percent / 100
    }

    fn post(&self, which: usize) -> Post {
        let posts = self.member.posts();
        posts[which % posts.len()]
    }

    /// For which shards it may write, and out of how many.
    fn writes(&self, now: Duration) -> Vec<(usize, usize)> {
        let may = |post: &Post| self.member.until(*post, self.clock(now)).is_some();
        let posts = self.member.posts().into_iter().filter(may);
        posts
            .filter_map(|post| if let Post::Shard(shard) = post { Some((shard, self.member.shards)) } else { None })
            .collect()
    }
}

// === impl World ===

impl World {
    fn of(clocks: &[(u64, u32)], shards: &[u32]) -> Self {
        let (server, replicas, astray) = (Server::default(), Vec::new(), Vec::new());
        let mut world = Self { now: Duration::ZERO, server, replicas, astray, numbers: 0 };
        for (index, (&(offset, percent), &shards)) in clocks.iter().zip(shards).enumerate() {
            let (member, offset) = (member(&format!("replica-{index}"), 0, shards), Duration::from_secs(offset));
            world.replicas.push(Replica { member, offset, percent, asking: BTreeMap::new() });
        }
        world
    }

    fn ask(&mut self, index: usize, post: Post) {
        let replica = &mut self.replicas[index];
        let asked = replica.clock(self.now);
        if replica.asking.contains_key(&post) {
            return;
        }
        let what = replica.member.step(post, asked);
        if !matches!(what, Move::Wait(_)) {
            replica.asking.insert(post, (Request { post, asked, what }, None));
        }
    }

    fn arrive(&mut self, index: usize, post: Post) {
        if let Some((request, answer @ None)) = self.replicas[index].asking.get_mut(&post) {
            *answer = Some(self.server.take(request));
        }
    }

    fn answer(&mut self, index: usize, post: Post) {
        let replica = &mut self.replicas[index];
        let now = replica.clock(self.now);
        let Some((Request { asked, what, .. }, Some(answer))) = replica.asking.remove(&post) else {
            return;
        };
        match (what, answer) {
            (Move::Confirm(version), Answer::Is(first)) => replica.member.confirmed(post, now, version, first),
            (_, Answer::Is(record)) => replica.member.read(post, now, record),
            (_, Answer::Wrote(record)) => replica.member.wrote(post, asked, now, record),
            (_, Answer::Conflict) => replica.member.lost(post),
        }
    }

    fn give_up(&mut self, index: usize, post: Post) {
        let replica = &mut self.replicas[index];
        let now = replica.clock(self.now);
        let Some((request, answer)) = replica.asking.remove(&post) else { return };
        self.astray.extend(answer.is_none().then_some(request));
        replica.member.failed(post, now);
    }

    fn restart(&mut self, index: usize, shards: u32) {
        self.numbers += 1;
        let replica = &mut self.replicas[index];
        replica.member = member(&format!("replica-{index}"), self.numbers, shards);
        self.astray.extend(std::mem::take(&mut replica.asking).into_values().map(|(request, _)| request));
    }

    fn leave(&mut self, index: usize) {
        let asked = self.replicas[index].clock(self.now);
        for post in self.replicas[index].member.posts() {
            if let Some(claim) = self.replicas[index].member.release(post) {
                self.server.take(&Request { post, asked, what: Move::Write(claim) });
            }
        }
        let shards = self.replicas[index].member.ours().shards;
        self.restart(index, shards);
    }

    fn turn(&mut self, index: usize, post: Post) {
        self.ask(index, post);
        self.arrive(index, post);
        self.answer(index, post);
    }

    fn round(&mut self, index: usize) {
        self.replicas[index].member.posts().into_iter().for_each(|post| self.turn(index, post));
    }

    fn hear(&mut self, index: usize, post: Post, back: usize) {
        let history = self.server.history.get(&post).map(Vec::as_slice).unwrap_or_default();
        let shown = history.len().checked_sub(1 + back).map(|at| history[at].clone());
        let replica = &mut self.replicas[index];
        replica.member.heard(post, replica.clock(self.now), shown);
    }

    fn play(&mut self, event: &Event) {
        let post = |world: &Self, index: usize, which| world.replicas[index].post(which);
        match *event {
            Event::Pass(millis) => self.now += Duration::from_millis(millis),
            Event::Round(index) => self.round(index),
            Event::Turn(index, which) => self.turn(index, post(self, index, which)),
            Event::Ask(index, which) => self.ask(index, post(self, index, which)),
            Event::Arrive(index, which) => self.arrive(index, post(self, index, which)),
            Event::Answer(index, which) => self.answer(index, post(self, index, which)),
            Event::GiveUp(index, which) => self.give_up(index, post(self, index, which)),
            Event::Late(which) if !self.astray.is_empty() => {
                let request = self.astray.remove(which % self.astray.len());
                self.server.take(&request);
            }
            Event::Late(_) => {}
            Event::Hear(index, which, back) => self.hear(index, post(self, index, which), back),
            Event::Restart(index, shards) => self.restart(index, shards),
            Event::Leave(index) => self.leave(index),
        }
        self.nobody_writes_what_another_writes();
    }

    fn nobody_writes_what_another_writes(&self) {
        let writes: Vec<_> = self.replicas.iter().map(|replica| replica.writes(self.now)).collect();
        let mut all = writes.concat();
        all.sort_unstable();
        let once = all.windows(2).all(|pair| pair[0] != pair[1]);
        let alike = all.windows(2).all(|pair| pair[0].1 == pair[1].1);
        assert!(once && alike, "they write (shard, of so many) {writes:?} at {:?}", self.now);
    }

    /// Everybody does what is due, for so long.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            for index in 0..self.replicas.len() {
                for post in self.replicas[index].member.posts() {
                    self.hear(index, post, 0);
                }
                self.round(index);
                self.nobody_writes_what_another_writes();
            }
            self.now += Duration::from_millis(100);
        }
    }

    /// How many shards each replica writes for, if every shard is somebody's.
    fn counts(&self) -> Option<Vec<usize>> {
        let counts: Vec<_> = self.replicas.iter().map(|replica| replica.writes(self.now).len()).collect();
        (counts.iter().sum::<usize>() == self.replicas[0].member.shards).then_some(counts)
    }

    /// How often any Lease has changed hands.
    fn changes(&self) -> usize {
        let hands = |records: &Vec<Record>| records.windows(2).filter(|pair| pair[0].holder != pair[1].holder).count();
        self.server.history.values().map(hands).sum()
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let (who, which) = (0..REPLICAS, 0_usize..6);
    let one = (who.clone(), which.clone());
    let event = prop_oneof![
        6 => (1_u64..4000).prop_map(Event::Pass),
        6 => one.clone().prop_map(|(who, which)| Event::Turn(who, which)),
        8 => who.clone().prop_map(Event::Round),
        3 => one.clone().prop_map(|(who, which)| Event::Ask(who, which)),
        3 => one.clone().prop_map(|(who, which)| Event::Arrive(who, which)),
        3 => one.clone().prop_map(|(who, which)| Event::Answer(who, which)),
        1 => one.clone().prop_map(|(who, which)| Event::GiveUp(who, which)),
        1 => (0_usize..8).prop_map(Event::Late),
        2 => (who.clone(), which, 0_usize..4).prop_map(|(who, which, back)| Event::Hear(who, which, back)),
        1 => (who.clone(), 1_u32..4).prop_map(|(who, shards)| Event::Restart(who, shards)),
        1 => who.prop_map(Event::Leave),
    ];
    vec(event, 1..400)
}

fn clocks() -> impl Strategy<Value = Vec<(u64, u32)>> {
    vec((0_u64..100_000, 92_u32..=108), REPLICAS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Also while some go by one number of shards and some by another.
    #[test]
    fn never_two_who_write_the_same(clocks in clocks(), shards in vec(1_u32..4, REPLICAS), events in events()) {
        let mut world = World::of(&clocks, &shards);
        for event in &events {
            world.play(event);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever has happened: left alone, every shard comes to be held, evenly, and then none changes hands any more.
    #[test]
    fn all_are_held_evenly_in_the_end(clocks in clocks(), mixed in vec(1_u32..4, REPLICAS), events in events(), shards in 1_u32..7) {
        let mut world = World::of(&clocks, &mixed);
        for event in &events {
            world.play(event);
        }
        (0..REPLICAS).for_each(|index| world.restart(index, shards));
        world.run(TERM * 12);
        let counts = world.counts().expect("every shard is held");
        prop_assert!(counts.iter().max().zip(counts.iter().min()).is_some_and(|(most, least)| most - least <= 1), "{counts:?}");
        let changes = world.changes();
        world.run(TERM * 4);
        prop_assert_eq!(world.changes(), changes);
    }
}

#[test]
fn one_shard_is_one_lease_that_says_nothing_of_shards() {
    let mut world = World::of(&[(0, 100), (5, 103)], &[1, 1]);
    world.run(TERM * 3);
    assert_eq!(world.server.history.keys().collect::<Vec<_>>(), [&Post::Shard(0)]);
    assert!(world.server.history[&Post::Shard(0)].iter().all(|record| record.spread.annotation().is_none()));
    assert_eq!(world.counts(), Some(vec![1, 0]));
}

#[test]
fn who_comes_later_gets_its_share_and_who_dies_is_followed() {
    let mut world = World::of(&[(0, 100), (5, 103), (9, 97)], &[6, 6, 6]);
    let third = world.replicas.pop().expect("three");
    let second = world.replicas.pop().expect("two");
    world.run(TERM);
    assert_eq!(world.counts(), Some(vec![6]), "all of it, while it is alone");
    world.replicas.push(second);
    world.run(TERM);
    assert_eq!(world.counts(), Some(vec![3, 3]));
    world.replicas.push(third);
    world.run(TERM);
    assert_eq!(world.counts(), Some(vec![2, 2, 2]));
    world.replicas.remove(0);
    world.run(TERM * 3);
    assert_eq!(world.counts(), Some(vec![3, 3]));
}

/// One by one, as a Deployment is rolled: nobody writes by the new number before nobody does by the old one.
#[test]
fn a_roll_to_another_number_ends_with_that_number() {
    for (from, to) in [(1, 4), (4, 1), (2, 3), (5, 2)] {
        let mut world = World::of(&[(0, 100), (5, 103)], &[from, from]);
        world.run(TERM);
        assert!(world.counts().is_some());
        for index in 0..2 {
            world.restart(index, to);
            world.run(TERM * 3);
        }
        let counts = world.counts().unwrap_or_default();
        assert!(counts.iter().all(|count| *count >= to as usize / 2), "{from} to {to}: {counts:?}");
        let said = world.server.now(Post::Shard(0)).expect("held").spread;
        assert_eq!(said, Spread::settled(to));
    }
}

#[test]
fn a_hand_that_writes_nonsense_stops_nobody_for_long() {
    let mut world = World::of(&[(0, 100), (5, 103)], &[2, 2]);
    world.run(TERM);
    let mut record = world.server.now(Post::Shard(0)).expect("held");
    (record.spread, record.version) = (Spread::read(Some("nonsense")), "by hand".to_owned());
    world.server.history.get_mut(&Post::Shard(0)).expect("held").push(record);
    world.run(TERM * 3);
    assert_eq!(world.counts(), Some(vec![1, 1]));
}
