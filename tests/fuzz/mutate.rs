//! Mutations: of bytes, of pieces between brackets and quotes, with words that mean something to a parser, and out of all
//! proportion.

/// Words that mean something somewhere.
const WORDS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\",
    ":",
    ",",
    ".",
    "/",
    "~",
    "~0",
    "~1",
    "*",
    "=",
    "-",
    "\n",
    "\n  ",
    "\n- ",
    "---\n",
    "# ",
    "&a ",
    "*a",
    "<<: ",
    "null",
    "true",
    "-1",
    "1e400",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "ü",
    "日",
    "f:",
    "k:{\"name\":\"a\"}",
    "v:\"x\"",
    ".[]",
    "| ",
    "$x",
    "!!int ",
    "select(",
    "..",
    "metadata",
    "apiVersion",
];
/// Longer inputs cost more than they find.
const LONGEST: usize = 16 * 1024;

/// Numbers that look like chance and are not (splitmix64).
pub struct Chance(pub u64);

// === impl Chance ===

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `bound`, which is at least 1.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).expect("it fits");
        usize::try_from(self.next() % bound).expect("it is less than what fitted")
    }

    /// One of these.
    pub fn pick<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    /// A few of eight mutations of `input`, with pieces of `other`.
    pub fn mutate(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut changed = input.to_vec();
        for _ in 0..=self.below(4) {
            changed = self.once(&changed, other);
            changed.truncate(LONGEST);
        }
        changed
    }

    fn once(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let (start, end) = self.range(input);
        let with = |middle: &[u8]| [&input[..start], middle, &input[end..]].concat();
        let after = |middle: &[u8]| [&input[..end], middle, &input[end..]].concat();
        match self.below(8) {
            0 => with(&[]),
            1 => with(&[u8::try_from(self.below(256)).expect("a byte")]),
            2 => with(self.pick(&WORDS).as_bytes()),
            3 => after(self.pick(&WORDS).as_bytes()),
            4 => after(&input[start..end]),
            5 => {
                let (from, to) = self.range(other);
                with(&other[from..to])
            }
            6 => input[..end].to_vec(),
            _ => {
                let times = 1 << self.below(12);
                after(&self.pick(&WORDS).as_bytes().repeat(times))
            }
        }
    }

    /// A piece: mostly short, and mostly from one mark of punctuation to another.
    fn range(&mut self, input: &[u8]) -> (usize, usize) {
        let is_mark = |at: &usize| input[*at].is_ascii_punctuation() || input[*at] == b'\n';
        let start = self.below(input.len() + 1);
        let end = (start + self.below(32)).min(input.len());
        if self.below(2) == 0 {
            return (start, end);
        }
        let start = (start..input.len()).find(is_mark).unwrap_or(start);
        (start, (start + 1..input.len()).find(is_mark).unwrap_or(input.len()).max(start))
    }
}
