//! It reads what `serde_json` reads, in the same parts, whatever is known already.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Every member of a map, read through the reader.
fn members(text: &str) -> Result<Vec<(String, Value)>, Malformed> {
    let mut reader = Reader::new(text);
    let mut members = Vec::new();
    reader.open()?;
    while let Some(name) = reader.member()? {
        members.push((name.into_owned(), reader.read()?));
    }
    reader.end()?;
    Ok(members)
}

/// A value put together from its parts, as serde reads each of them.
fn outlined(text: &str, known: Option<&Outline<'_>>) -> Option<Value> {
    let mut reader = Reader::new(text);
    let outline = reader.outline(known).ok()?;
    reader.end().ok()?;
    if !outline.text.starts_with('{') {
        return serde_json::from_str(outline.text).ok();
    }
    let is_known = known.is_some_and(|known| known.text == outline.text);
    let members = if is_known { Outline::of(text, None).members } else { outline.members };
    members
        .into_iter()
        .map(|(name, text)| Some((name.into_owned(), serde_json::from_str::<Value>(text).ok()?)))
        .collect()
}

#[test]
fn members_come_in_order_with_their_values() {
    let read = members(" { \"a\" : 1 ,\n\"b\\n\":[{}, \"}\"],\t\"c\":{\"d\":null} } ").expect("a map");
    let expected = [("a", "1"), ("b\n", r#"[{},"}"]"#), ("c", r#"{"d":null}"#)];
    assert_eq!(read.len(), 3);
    for ((name, value), (expected, text)) in read.iter().zip(expected) {
        assert_eq!((name.as_str(), value.to_string().as_str()), (expected, text));
    }
    assert!(members("{}").expect("a map").is_empty());
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let said = |text| members(text).expect_err(text).to_string();
    insta::assert_snapshot!(said("[]"), @"expected a map in what begins at byte 0");
    insta::assert_snapshot!(said(r#"{"a":1 "b":2}"#), @"expected `,` or `}` in what begins at byte 7");
    insta::assert_snapshot!(said(r#"{"a":tru}"#), @"expected ident in what begins at byte 5");
    insta::assert_snapshot!(said(r#"{"a":1,}"#), @"expected value in what begins at byte 7");
    insta::assert_snapshot!(said(r#"{"a" 1}"#), @"expected `:` in what begins at byte 5");
    insta::assert_snapshot!(said(r#"{"a":1} x"#), @"trailing characters in what begins at byte 8");
}

#[test]
fn only_what_has_an_end_of_its_own_is_jumped_over() {
    let known = Outline::of(r#"{"a":1,"b":"x","c":[1]}"#, None);
    assert_eq!(known.members.len(), 3);
    let beside = Outline::of(r#"{"a":12,"b":"xy","c":[1],"d":2}"#, Some(&known));
    let values: Vec<_> = beside.members.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, ["12", r#""xy""#, "[1]", "2"]);
}

/// Texts that are nearly JSON.
fn mutilated() -> impl Strategy<Value = String> {
    let text = r#"{"a":{"b":[1,"\"x\\",{}],"c":-1.5e3},"d":"é\u00e9","e":{"b":true,"f":null}}"#;
    let byte = prop::sample::select(b"{}[]\",:\\ 1ae\n".to_vec());
    prop::collection::vec((0..text.len(), byte), 0..3).prop_map(move |changes| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

proptest! {
    #[test]
    fn it_reads_what_serde_reads(text in mutilated(), known in mutilated()) {
        let is_map = serde_json::from_str::<serde_json::Map<String, Value>>(&text).is_ok();
        prop_assert_eq!(members(&text).is_ok(), is_map, "{}", text);
        let known = Reader::new(&known).outline(None).ok();
        let whole = serde_json::from_str::<Value>(&text).ok();
        prop_assert_eq!(outlined(&text, known.as_ref()), whole, "{} beside {:?}", text, known);
    }
}
