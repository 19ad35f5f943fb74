//! Never two leaders: replicas whose clocks differ in offset and speed, an API server with optimistic concurrency between them,
//! requests that are late or lost, answers that are lost, watches that tell old news, processes that stand still or die.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TERM: Duration = Duration::from_secs(10);
const REPLICAS: usize = 3;

/// The Lease, as the API server keeps it.
#[derive(Default)]
struct Server {
    record: Option<Record>,
    versions: u32,
    /// Everything it ever was: a watch may show any of it.
    history: Vec<Option<Record>>,
}

/// A request on its way, and when it was sent.
#[derive(Clone)]
struct Request {
    asked: Moment,
    /// `None` reads.
    claim: Option<Claim>,
}

/// What came back.
enum Answer {
    Is(Option<Record>),
    Wrote(Record),
    Conflict,
}

/// A process with a clock of its own.
struct Replica {
    election: Election,
    offset: Duration,
    percent: u32,
    asking: Option<Request>,
    answered: Option<Answer>,
    leaving: bool,
}

#[derive(Default)]
struct World {
    now: Duration,
    server: Server,
    replicas: Vec<Replica>,
    /// Requests nobody waits for any more; they may arrive all the same.
    astray: Vec<Request>,
    numbers: u32,
    leaders: Vec<String>,
}

#[derive(Debug, Clone)]
enum Event {
    /// Time passes, in milliseconds.
    Pass(u64),
    /// A replica does what is next and gets its answer at once.
    Turn(usize),
    /// A replica does what is next; what it asks is on its way.
    Ask(usize),
    /// What it asked has arrived.
    Arrive(usize),
    /// The answer has.
    Answer(usize),
    /// It has waited for long enough.
    GiveUp(usize),
    /// Something nobody waits for arrives.
    Late(usize),
    /// A watch shows one of the last records.
    Hear(usize, usize),
    /// It is killed, and started again by the same name.
    Restart(usize),
    /// It lets go of the Lease.
    Release(usize),
}

fn candidate(name: &str, number: u32) -> Candidate {
    Candidate { name: name.to_owned(), number: number.to_string() }
}

fn held(holder: &str, version: u32) -> Record {
    let (holder, version) = (holder.to_owned(), version.to_string());
    Record { holder, duration: TERM, transitions: 0, spread: Spread::default(), version }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

// === impl Server ===

impl Server {
    fn take(&mut self, request: &Request) -> Answer {
        let Some(claim) = request.claim.clone() else { return Answer::Is(self.record.clone()) };
        if claim.over != self.record.as_ref().map(|record| record.version.clone()) {
            return Answer::Conflict;
        }
        self.versions += 1;
        let Claim { holder, duration, transitions, spread, .. } = claim;
        let record = Record { holder, duration, transitions, spread, version: self.versions.to_string() };
        self.record = Some(record.clone());
        self.history.push(self.record.clone());
        Answer::Wrote(record)
    }
}

// === impl Replica ===

impl Replica {
    fn clock(&self, now: Duration) -> Moment {
        self.offset + now * self.percent / 100
    }

    fn leads(&self, now: Duration) -> bool {
        self.election.until(self.clock(now)).is_some()
    }
}

// === impl World ===

impl World {
    fn of(clocks: &[(u64, u32)]) -> Self {
        let mut world = Self::default();
        for (index, &(offset, percent)) in clocks.iter().enumerate() {
            let election = world.process(index);
            let (asking, answered, leaving) = (None, None, false);
            world.replicas.push(Replica { election, offset: seconds(offset), percent, asking, answered, leaving });
        }
        world
    }

    fn process(&mut self, index: usize) -> Election {
        self.numbers += 1;
        Election::new(candidate(&format!("replica-{index}"), self.numbers), TERM)
    }

    fn ask(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        if replica.asking.is_some() || replica.leaving {
            return;
        }
        let asked = replica.clock(self.now);
        replica.asking = match replica.election.step(asked) {
            Step::Wait(_) => None,
            Step::Read => Some(Request { asked, claim: None }),
            Step::Write(claim) => Some(Request { asked, claim: Some(claim) }),
        };
    }

    fn arrive(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        if let (Some(request), None) = (&replica.asking, &replica.answered) {
            replica.answered = Some(self.server.take(request));
        }
    }

    fn answer(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        let now = replica.clock(self.now);
        let Some(answer) = replica.answered.take() else { return };
        let asked = replica.asking.take().map_or(now, |request| request.asked);
        match answer {
            Answer::Is(record) => replica.election.read(now, record),
            Answer::Wrote(record) => replica.election.wrote(asked, now, record),
            Answer::Conflict => replica.election.lost(),
        }
    }

    fn give_up(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        let now = replica.clock(self.now);
        let Some(request) = replica.asking.take() else { return };
        if replica.answered.take().is_none() {
            self.astray.push(request);
        }
        replica.election.failed(now);
    }

    fn restart(&mut self, index: usize) {
        let election = self.process(index);
        let replica = &mut self.replicas[index];
        self.astray.extend(replica.asking.take());
        (replica.election, replica.answered, replica.leaving) = (election, None, false);
    }

    fn release(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        let asked = replica.clock(self.now);
        replica.leaving = true;
        self.astray.extend(replica.election.release().map(|claim| Request { asked, claim: Some(claim) }));
    }

    fn play(&mut self, event: &Event) {
        match *event {
            Event::Pass(millis) => self.now += Duration::from_millis(millis),
            Event::Turn(index) => {
                self.ask(index);
                self.arrive(index);
                self.answer(index);
            }
            Event::Ask(index) => self.ask(index),
            Event::Arrive(index) => self.arrive(index),
            Event::Answer(index) => self.answer(index),
            Event::GiveUp(index) => self.give_up(index),
            Event::Late(which) if !self.astray.is_empty() => {
                let request = self.astray.remove(which % self.astray.len());
                self.server.take(&request);
            }
            Event::Late(_) => {}
            Event::Hear(index, back) => {
                let history = &self.server.history;
                let shown = history.len().checked_sub(1 + back).and_then(|at| history[at].clone());
                let replica = &mut self.replicas[index];
                replica.election.heard(replica.clock(self.now), shown);
            }
            Event::Restart(index) => self.restart(index),
            Event::Release(index) => self.release(index),
        }
        let leaders = self.replicas.iter().filter(|replica| replica.leads(self.now));
        let names: Vec<_> = leaders.map(|replica| replica.election.me.holder()).collect();
        assert!(names.len() <= 1, "{names:?} lead at once, {:?} after the start", self.now);
        if let [name] = names.as_slice()
            && self.leaders.last() != Some(name)
        {
            self.leaders.push(name.clone());
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let who = 0..REPLICAS;
    let event = prop_oneof![
        6 => (1_u64..4000).prop_map(Event::Pass),
        8 => who.clone().prop_map(Event::Turn),
        3 => who.clone().prop_map(Event::Ask),
        3 => who.clone().prop_map(Event::Arrive),
        3 => who.clone().prop_map(Event::Answer),
        1 => who.clone().prop_map(Event::GiveUp),
        1 => (0_usize..8).prop_map(Event::Late),
        1 => (who.clone(), 0_usize..4).prop_map(|(who, back)| Event::Hear(who, back)),
        1 => who.clone().prop_map(Event::Restart),
        1 => who.prop_map(Event::Release),
    ];
    vec(event, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Each clock as fast as it likes within eight percent, and as wrong as it likes.
    #[test]
    fn never_two_leaders_at_once(
        clocks in vec((0_u64..100_000, 92_u32..=108), REPLICAS),
        events in events(),
    ) {
        let mut world = World::of(&clocks);
        for event in &events {
            world.play(event);
        }
    }
}

/// What the property would be worth if nobody ever led.
#[test]
fn a_dead_leader_is_followed_and_a_live_one_is_not() {
    let mut world = World::of(&[(5000, 100), (0, 105), (70, 95)]);
    for _ in 0..60 {
        (0..REPLICAS).for_each(|index| world.play(&Event::Turn(index)));
        world.play(&Event::Pass(1000));
    }
    assert_eq!(world.leaders, ["replica-0_1"]);
    let died = world.now;
    while world.leaders.len() < 2 {
        world.play(&Event::Turn(1));
        world.play(&Event::Turn(2));
        world.play(&Event::Pass(100));
    }
    assert!(world.now < died + TERM * 12 / 10, "it died at {died:?} and was followed at {:?}", world.now);
}

#[test]
fn what_is_free_is_taken_at_once() {
    let mut fresh = Election::new(candidate("a", 1), TERM);
    assert_eq!(fresh.step(seconds(5)), Step::Read);
    fresh.read(seconds(5), None);
    assert!(matches!(fresh.step(seconds(5)), Step::Write(Claim { over: None, is_new: true, .. })));
    for free in ["", "a_7"] {
        let mut next = Election::new(candidate("a", 1), TERM);
        next.read(seconds(5), Some(held(free, 3)));
        let Step::Write(claim) = next.step(seconds(5)) else { panic!("it waits, although {free:?} holds it") };
        assert_eq!((claim.over.as_deref(), claim.transitions), (Some("3"), 1));
    }
}

#[test]
fn what_was_deleted_is_held_for_as_long_as_it_was() {
    let mut election = Election::new(candidate("a", 1), TERM);
    election.read(seconds(1), Some(held("b_1", 1)));
    election.heard(seconds(4), None);
    assert_eq!(election.step(seconds(13)), Step::Wait(seconds(14)));
    assert!(matches!(election.step(seconds(14)), Step::Write(Claim { over: None, .. })));
}

#[test]
fn a_leader_counts_from_before_it_asked() {
    let mut election = Election::new(candidate("a", 1), TERM);
    election.wrote(seconds(1), seconds(7), held("a_1", 1));
    assert_eq!(election.until(seconds(8)), Some(seconds(9)));
    assert_eq!(election.until(seconds(9)), None, "a fifth before the Lease runs out");
    election.wrote(seconds(8), seconds(9), held("a_1", 2));
    assert_eq!((election.until(seconds(9)), election.terms()), (Some(seconds(16)), 2), "it did not lead in between");
    election.wrote(seconds(10), seconds(11), held("a_1", 3));
    assert_eq!(election.terms(), 2);
}

#[test]
fn another_process_by_the_same_name_is_a_stranger_once_this_one_has_led() {
    let mut election = Election::new(candidate("a", 1), TERM);
    election.wrote(seconds(0), seconds(0), held("a_1", 1));
    election.heard(seconds(1), Some(held("a_2", 2)));
    assert_eq!((election.step(seconds(1)), election.until(seconds(1))), (Step::Read, Some(seconds(8))));
    election.read(seconds(1), Some(held("a_2", 2)));
    assert_eq!((election.step(seconds(1)), election.until(seconds(1))), (Step::Wait(seconds(11)), None));
    assert_eq!(election.release(), None);
}
