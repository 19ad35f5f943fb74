//! On which core what runs.
//!
//! Two processes that wake each other cost more when each has a core of its own: the hardware, and below a virtual machine the host, has
//! to wake that core, whose caches and predictors have gone cold. Where the scheduler puts them changes between rounds, and is the larger
//! part of what a short answer takes. So neither is left to it: both are measured.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Those this process may run on.
pub struct Cores {
    all: CpuSet,
    numbers: Vec<usize>,
}

// === impl Cores ===

impl Cores {
    /// As they are given to this process.
    pub fn given() -> Result<Self> {
        let all = sched_getaffinity(Pid::from_raw(0))?;
        let numbers = (0..CpuSet::count()).filter(|number| all.is_set(*number).unwrap_or(false)).collect();
        Ok(Self { all, numbers })
    }

    /// This thread, and what it starts, runs on the first one.
    pub fn first(&self) -> Result<()> {
        only(*self.numbers.first().context("no core")?)
    }

    /// On another one, if there is another.
    pub fn other(&self) -> Result<()> {
        only(*self.numbers.last().context("no core")?)
    }

    /// On any of them.
    pub fn any(&self) -> Result<()> {
        Ok(sched_setaffinity(Pid::from_raw(0), &self.all)?)
    }
}

fn only(number: usize) -> Result<()> {
    let mut one = CpuSet::new();
    one.set(number)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &one)?)
}
