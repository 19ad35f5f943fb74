//! Every request that changes something, by everybody: the decision table of admission as it is on a real API server.
//!
//! kubectl's verbs stand in `refused` and `accepted`; here is what they and everything else come down to, as the API server
//! gets it. A row says who passes and which rule of the table decides. Each is asked as a dry run; who is refused then asks
//! again in earnest, and the object must not have moved.

mod door;
mod harmless;
mod loosened;
mod spoofed;
mod table;

use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    table::trials().into_iter().chain(harmless::trials()).chain(spoofed::trials()).chain(loosened::trials()).collect()
}
