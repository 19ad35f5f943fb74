//! Where a value ends, without looking at what it holds.
//!
//! Most of a review is passed over: `status`, `managedFields`, whatever is the same before and after. To find the end of such a
//! value takes its quotes and brackets; that it is JSON in between is checked by whoever reads it. The API server writes
//! nothing else, and to anybody else the answer is of no use. What is found does not depend on what follows, so the end of a
//! value that is known is the end of every text that begins with it.
//!
//! A block of 64 bytes is looked at as bits, one a byte: where quotes are, what is between two of them, which brackets are not.
//! (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 2019, section 3.1.) Branches that nobody can foretell, one at
//! the end of each name, would cost more than all the rest.

use wide::u8x16;

/// So many bytes are looked at together: as many as a word has bits.
const BLOCK: usize = 64;

/// Every byte of a word.
const EVERY: u64 = 0x0101_0101_0101_0101;

/// What is where in a block, a bit for each byte.
#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    quotes: u64,
    backslashes: u64,
    opens: u64,
    closes: u64,
}

/// The end of the string, list or map that begins here; `None` if it has none, or is none of these.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => end_of_string(bytes),
        b'{' | b'[' => end_of_brackets(bytes),
        _ => None,
    }
}

/// The content of the string that begins here, if it is written as it is: without escapes, and without what has to be escaped.
pub(super) fn plain(bytes: &[u8]) -> Option<&[u8]> {
    let content = bytes.strip_prefix(b"\"")?;
    let end = special(content, 0)?;
    (content[end] == b'"').then(|| &content[..end])
}

/// Names are longer than they seem, and mostly shorter than a block. A document within a string has a backslash every few bytes.
fn end_of_string(bytes: &[u8]) -> Option<usize> {
    let start = special(bytes, 1)?;
    if bytes[start] == b'"' {
        return Some(start + 1);
    }
    let mut escaped = 0;
    for (number, block) in bytes[start..].chunks(BLOCK).enumerate() {
        let marks = Marks::of(block);
        let quotes = marks.quotes & !marks.escaped(&mut escaped);
        if quotes != 0 {
            return Some(start + number * BLOCK + quotes.trailing_zeros() as usize + 1);
        }
    }
    None
}

/// The first quote, backslash or control character from here on.
fn special(bytes: &[u8], mut at: usize) -> Option<usize> {
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let found = equal_to(word, b'"') | equal_to(word, b'\\') | below(word, b' ');
        if found != 0 {
            return Some(at + (found.trailing_zeros() / u8::BITS) as usize);
        }
        at += size_of::<u64>();
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' ')).map(|found| at + found)
}

/// The highest bit of the first byte that is this one, and of none before it.
fn equal_to(word: u64, byte: u8) -> u64 {
    below(word ^ (EVERY * u64::from(byte)), 1)
}

/// The highest bit of the first byte that is less, and of none before it; bytes behind the first may be wrong. (Warren, Hacker's
/// Delight, 6-1: the way to find a zero byte in a word.)
fn below(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(EVERY * u64::from(byte)) & !word & (EVERY << 7)
}

/// Brackets count that are not in a string, whatever kind they are of.
fn end_of_brackets(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_u32, 0, 0);
    for (number, block) in bytes.chunks(BLOCK).enumerate() {
        let marks = Marks::of(block);
        let quotes = marks.quotes & !marks.escaped(&mut escaped);
        let inside = between(quotes) ^ in_string;
        in_string = if inside >> (u64::BITS - 1) == 1 { u64::MAX } else { 0 };
        let (opens, mut closes) = (marks.opens & !inside, marks.closes & !inside);
        if depth > closes.count_ones() {
            depth = depth + opens.count_ones() - closes.count_ones();
            continue;
        }
        let mut counted = 0;
        while closes != 0 {
            let place = closes.trailing_zeros();
            let before = opens & !(u64::MAX << place);
            depth += (before & !counted).count_ones();
            counted |= before;
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(number * BLOCK + place as usize + 1);
            }
            closes &= closes - 1;
        }
        depth += (opens & !counted).count_ones();
    }
    None
}

/// From each opening quote up to its closing one. Each bit is the sum of those up to it.
fn between(quotes: u64) -> u64 {
    [1, 2, 4, 8, 16, 32].into_iter().fold(quotes, |bits, shift| bits ^ (bits << shift))
}

// === impl Marks ===

impl Marks {
    /// Which bytes are escaped. In a string or not: outside of one, no JSON has a backslash. `carried` is 1 if the byte after the last
    /// block was, and then if the one after this one is.
    ///
    /// Of backslashes in a row every second one is escaped itself. So where a row begins decides: added to its first bit, a row
    /// carries over to the byte behind it, and at an odd place that byte is escaped if its own place is even, and the other way round.
    fn escaped(self, carried: &mut u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        if self.backslashes | *carried == 0 {
            return 0;
        }
        let backslashes = self.backslashes & !*carried;
        let behind = (backslashes << 1) | *carried;
        let odd_begins = backslashes & !EVEN & !behind;
        let (ends, is_carried) = odd_begins.overflowing_add(backslashes);
        *carried = u64::from(is_carried);
        (EVEN ^ (ends << 1)) & behind
    }

    /// Of a block, or what there is of the last.
    #[inline]
    fn of(block: &[u8]) -> Self {
        if let Some(block) = block.first_chunk() {
            return Self::of_whole(block);
        }
        let mut whole = [0; BLOCK];
        whole[..block.len()].copy_from_slice(block);
        Self::of_whole(&whole)
    }

    #[inline]
    fn of_whole(block: &[u8; BLOCK]) -> Self {
        let mut marks = Self::default();
        for (number, part) in block.as_chunks().0.iter().enumerate() {
            let part = u8x16::new(*part);
            // This bit is the difference between `[` and `{`, and between `]` and `}`; it makes no other byte one of them.
            let folded = part | u8x16::splat(0x20);
            let mask = |part: u8x16, byte| u64::from(part.simd_eq(u8x16::splat(byte)).to_bitmask()) << (number * 16);
            marks.quotes |= mask(part, b'"');
            marks.backslashes |= mask(part, b'\\');
            marks.opens |= mask(folded, b'{');
            marks.closes |= mask(folded, b'}');
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let text = r#"[a"\\{}\[\]:, é\x00-\x1f]{0,20}"#;
        let scalar = prop_oneof![any::<i64>().prop_map(Value::from), text.prop_map(Value::from), Just(Value::Null)];
        scalar.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((text, inner), 0..5).prop_map(|fields| Map::from_iter(fields).into()),
            ]
        })
    }

    /// One byte after the other.
    fn end_by_steps(text: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'"' if !escaped => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth = depth.checked_sub(1)?,
                _ if !in_string && depth == 0 => return None,
                _ => {}
            }
            escaped = *byte == b'\\' && !escaped;
            if depth == 0 && !in_string {
                return Some(at + 1);
            }
        }
        None
    }

    proptest! {
        #[test]
        fn blocks_end_where_steps_do(text in r#"[\{\["]([a"\\{}\[\]:, ]|\\\\|\{\}|"[a{\]]*"){0,150}"#) {
            prop_assert_eq!(end(text.as_bytes()), end_by_steps(text.as_bytes()), "{}", text);
        }

        #[test]
        fn a_plain_string_is_what_serde_reads_as_it_is(text in r#""[a"\\é\x00-\x1f ]{0,20}"#) {
            let read = serde_json::Deserializer::from_str(&text).into_iter::<String>().next().and_then(Result::ok);
            let written = read.filter(|read| text[1..].starts_with(&format!("{read}\"")));
            prop_assert_eq!(plain(text.as_bytes()), written.as_deref().map(str::as_bytes), "{}", text);
        }

        #[test]
        fn a_value_ends_where_it_ends(value in value(), rest in r#"[a"\\{}\[\]:, ]{0,20}"#, pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let has_end = value.is_string() || value.is_array() || value.is_object();
            prop_assert_eq!(end(format!("{text}{rest}").as_bytes()), has_end.then_some(text.len()), "{} and {}", text, rest);
        }

        #[test]
        fn what_ends_before_the_text_does_not_depend_on_the_rest(text in r#"[a"\\{}\[\]:, ]{0,90}"#, rest in r#"[a"\\{}\[\]]{0,20}"#) {
            if let Some(found) = end(text.as_bytes()) {
                prop_assert_eq!(end(format!("{text}{rest}").as_bytes()), Some(found));
                prop_assert!(found <= text.len());
            }
        }
    }

    #[test]
    fn what_has_no_end_has_none() {
        for text in ["", "{", "[\"", "\"\\", "\"abc\\\"", "}", "1", "x{}", " {}", "{\"a\":[1}"] {
            assert_eq!(end(text.as_bytes()), None, "{text}");
        }
    }
}
