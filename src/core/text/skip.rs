//! Where a value ends, without looking at what it holds.
//!
//! Most of a review is passed over: `status`, `managedFields`, whatever is the same before and after. To find the end of such a
//! value takes its quotes and brackets; that it is JSON in between is checked by whoever reads it. The API server writes
//! nothing else, and to anybody else the answer is of no use. What is found does not depend on what follows, so the end of a
//! value that is known is the end of every text that begins with it.

/// Every byte of a word.
const EVERY: u64 = 0x0101_0101_0101_0101;

/// The end of the string, list or map that begins here; `None` if it has none, or is none of these.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => at = end_of_string(bytes, at + 1)?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' => (at, depth) = (at + 1, depth.checked_sub(1)?),
            _ if depth == 0 => return None,
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Behind the closing quote of the string whose content begins at `at`. Eight bytes at a time: names are longer than they seem.
fn end_of_string(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let word = u64::from_le_bytes(*word);
            let found = equal_to(word, b'"') | equal_to(word, b'\\');
            if found != 0 {
                at += (found.trailing_zeros() / u8::BITS) as usize;
                break;
            }
            at += size_of::<u64>();
        }
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The highest bit of the first byte that is this one, and of none before it. (The usual way to find a zero byte in a word, see
/// Warren, Hacker's Delight, 6-1; bytes behind the first may be wrong.)
fn equal_to(word: u64, byte: u8) -> u64 {
    let differs = word ^ (EVERY * u64::from(byte));
    differs.wrapping_sub(EVERY) & !differs & (EVERY << 7)
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

    proptest! {
        #[test]
        fn a_value_ends_where_it_ends(value in value(), rest in r#"[a"\\{}\[\]:, ]{0,20}"#, pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let has_end = value.is_string() || value.is_array() || value.is_object();
            prop_assert_eq!(end(format!("{text}{rest}").as_bytes()), has_end.then_some(text.len()), "{} and {}", text, rest);
        }

        #[test]
        fn what_ends_before_the_text_does_not_depend_on_the_rest(text in r#"[a"\\{}\[\]:, ]{0,40}"#, rest in r#"[a"\\{}\[\]]{0,20}"#) {
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
