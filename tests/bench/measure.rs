//! CPU time per operation, and what else must be known to read it.
//!
//! The machines this runs on are small and shared. Wall time there says how busy the neighbours were; CPU time says what an
//! operation costs. It is taken from the clocks the kernel keeps per thread and per process, in nanoseconds.

use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Samples of one figure: sorted, never empty.
#[derive(Debug, Clone)]
pub struct Samples(Vec<f64>);

/// How many samples one figure has.
const SAMPLES: usize = 31;

/// How long one sample takes: far above what a clock or a timer interrupt weighs.
const PER_SAMPLE: Duration = Duration::from_millis(15);

/// CPU microseconds per call of `operation`, on this thread.
pub fn per_call<T>(mut operation: impl FnMut() -> T) -> Samples {
    let calls = calls_per_sample(&mut operation);
    (0..SAMPLES).map(|_| micros(spent(&mut operation, calls)) / f64::from(calls)).collect()
}

/// Doubles until a sample is long enough; by then caches and branch predictors have seen it too.
fn calls_per_sample<T>(operation: &mut impl FnMut() -> T) -> u32 {
    let mut calls = 1;
    while spent(operation, calls) < PER_SAMPLE {
        calls *= 2;
    }
    calls
}

fn spent<T>(operation: &mut impl FnMut() -> T, calls: u32) -> Duration {
    let before = this_thread();
    for _ in 0..calls {
        black_box(operation());
    }
    this_thread().saturating_sub(before)
}

/// CPU time this thread has used.
fn this_thread() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every thread has a CPU clock");
    Duration::from(time)
}

/// A duration in microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Cores, load and the profile: what every figure of this run has in common.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    let profile = if cfg!(debug_assertions) { ", DEBUG BUILD" } else { "" };
    format!("{cores} cores, load {load}{profile}")
}

// === impl Samples ===

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        let mut samples: Vec<_> = samples.into_iter().collect();
        samples.sort_by(f64::total_cmp);
        assert!(!samples.is_empty(), "a figure needs a sample");
        Self(samples)
    }
}

impl Samples {
    /// The middle one.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The sample below which this share of them lies.
    pub fn quantile(&self, share: f64) -> f64 {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (share * (self.0.len() - 1) as f64).round() as usize;
        self.0[index]
    }
}

impl fmt::Display for Samples {
    /// How far the samples lie apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples, {:.2} to {:.2}", self.0.len(), self.quantile(0.0), self.quantile(1.0))
    }
}
