//! The hunt: corpus first, then mutations, of which those that lead to something new are mutated again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::mutate::Chance;

/// Mutations in an ordinary test run.
const A_FEW: usize = 300;
/// Far more than any input takes, in a debug build on a busy machine.
const TOO_LONG: Duration = Duration::from_secs(5);
/// What is worth keeping is short.
const SHORT: usize = 1024;

/// Hunts in `tests/fuzz/<target>`: a few mutations, or for `FUZZ_SECONDS`. `FUZZ_KEEP` adds what was new to the corpus.
pub fn hunt(target: &str, run: impl Fn(&[u8]) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(target);
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|text| text.parse().expect("FUZZ_SECONDS is a number"));
    hunt_in(&folder, A_FEW, seconds.map(Duration::from_secs), &run);
}

/// Hunts in a folder, for so many mutations or for so long.
pub fn hunt_in(folder: &Path, times: usize, long: Option<Duration>, run: &dyn Fn(&[u8]) -> String) {
    let mut hunt = Hunt { folder, run, pool: corpus(folder), seen: HashSet::new() };
    assert!(!hunt.pool.is_empty(), "there is no corpus in {}", folder.display());
    for input in hunt.pool.clone() {
        hunt.seen.insert(hunt.try_on(&input));
    }
    let (known, began) = (hunt.pool.len(), Instant::now());
    let mut chance = Chance(long.map_or(1, |_| seed()));
    let mut tried = 0;
    while long.map_or(tried < times, |long| began.elapsed() < long) {
        hunt.mutate(&mut chance);
        tried += 1;
    }
    if long.is_some() {
        let name = folder.file_name().unwrap_or_default().display();
        println!("{name}: {tried} inputs, {} of them led to something new", hunt.pool.len() - known);
    }
}

struct Hunt<'a> {
    folder: &'a Path,
    run: &'a dyn Fn(&[u8]) -> String,
    pool: Vec<Vec<u8>>,
    seen: HashSet<String>,
}

// === impl Hunt ===

impl Hunt<'_> {
    fn mutate(&mut self, chance: &mut Chance) {
        let input = chance.pick(&self.pool).clone();
        let other = chance.pick(&self.pool).clone();
        let input = chance.mutate(&input, &other);
        let saw = self.try_on(&input);
        if self.seen.insert(saw) {
            if std::env::var_os("FUZZ_KEEP").is_some() && input.len() <= SHORT {
                keep(self.folder, "found", &input);
            }
            self.pool.push(input);
        }
    }

    fn try_on(&self, input: &[u8]) -> String {
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(input)));
        let took = began.elapsed();
        if outcome.is_err() || took > TOO_LONG {
            let file = keep(self.folder, "broke", input);
            println!("this took {took:?}, and is kept in {}", file.display());
        }
        assert!(outcome.is_err() || took <= TOO_LONG, "it took {took:?}");
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a file can be read")).collect()
}

fn keep(folder: &Path, why: &str, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let file = folder.join(format!("{why}-{:016x}", hasher.finish()));
    std::fs::write(&file, input).expect("the corpus can be written");
    file
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    now.subsec_nanos().into()
}
