//! What a scalar means, as kubectl reads it.
//!
//! kubectl reads YAML with a fork of go-yaml v2 that follows YAML 1.1: `yes`, `on` and even `y` are booleans, and
//! `defaultMode: 0644` is 420. A file written for kubectl must not mean something else here, so this file follows that fork's
//! `resolve.go` branch by branch instead of YAML 1.2; `golden.json` holds its answers, recorded from the real library.

use serde_json::{Number, Value};

/// A scalar with its type, before it becomes JSON: mapping keys need to know a float from an integer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer too large for `Int`.
    Big(u64),
    Float(f64),
    Text(String),
}

// === impl Scalar ===

impl Scalar {
    /// The meaning of an untagged plain (unquoted) scalar.
    pub(super) fn plain(text: &str) -> Self {
        well_known(text).or_else(|| number(text)).unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    /// The meaning of a scalar under a `!!tag` of YAML's own schema, quoted or not.
    pub(super) fn tagged(text: &str, tag: &str) -> Result<Self, String> {
        let resolved = Self::plain(text);
        match (tag, resolved) {
            ("null", found @ Self::Null) | ("bool", found @ Self::Bool(_)) => Ok(found),
            ("int", found @ (Self::Int(_) | Self::Big(_))) | ("float", found @ (Self::Float(_) | Self::Int(_))) => {
                Ok(found)
            }
            ("binary", _) => super::base64::decode(text).map(Self::Text),
            ("null" | "bool" | "int" | "float", _) => Err(format!("this value cannot be read as !!{tag}")),
            _ => Ok(Self::Text(text.to_owned())),
        }
    }

    /// As a JSON value. JSON has no infinities; and like kubectl, a float without a fraction is an integer.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => truth.into(),
            Self::Int(number) => number.into(),
            Self::Big(number) => number.into(),
            Self::Float(number) => float_value(number)?,
            Self::Text(text) => text.into(),
        })
    }

    /// As a mapping key: kubectl turns integers, booleans and everyday floats into text; the rest is refused.
    pub(super) fn into_key(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Bool(truth) => Ok(truth.to_string()),
            Self::Int(number) => Ok(number.to_string()),
            Self::Float(number) => float_key(number),
            Self::Null => Err("a mapping key is empty or null; quote it if it is meant as text".to_owned()),
            Self::Big(number) => Err(format!("the mapping key {number} is too large for a number; quote it")),
        }
    }
}

fn well_known(text: &str) -> Option<Scalar> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

/// Numbers start with a digit, a sign or a dot; underscores between digits do not count.
fn number(text: &str) -> Option<Scalar> {
    match text.as_bytes().first()? {
        b'.' if !text.starts_with("._") => float(&text.replace('_', "")),
        b'0'..=b'9' | b'+' | b'-' => {
            let digits = text.replace('_', "");
            integer(&digits).or_else(|| float(&digits))
        }
        _ => None,
    }
}

/// `12`, `0x1f`, `0b101`, `0o17`, and `0644`, which is octal.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, signed, magnitude) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let magnitude = unsigned(magnitude)?;
    let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    match i64::try_from(value) {
        Ok(value) => Some(Scalar::Int(value)),
        Err(_) if signed => None,
        Err(_) => Some(Scalar::Big(magnitude)),
    }
}

fn unsigned(text: &str) -> Option<u64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    digits.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| u64::from_str_radix(digits, radix).ok())?
}

/// YAML's own notion of a float is narrower than Rust's: no `inf`, no `NaN`, no hexadecimal.
fn float(text: &str) -> Option<Scalar> {
    let number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let number = number.then(|| text.parse::<f64>().ok())?.filter(|number| number.is_finite())?;
    Some(Scalar::Float(number))
}

fn float_value(number: f64) -> Result<Value, String> {
    const INTEGERS: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && number.abs() < INTEGERS {
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is in range")]
        return Ok((number as i64).into());
    }
    Number::from_f64(number)
        .map(Value::Number)
        .ok_or_else(|| "infinity and not-a-number cannot be declared; quote it".to_owned())
}

fn float_key(number: f64) -> Result<String, String> {
    if number == 0.0 || (1e-4..1e6).contains(&number.abs()) {
        #[expect(clippy::cast_possible_truncation, reason = "kubectl prints float keys with 32 bits")]
        return Ok((number as f32).to_string());
    }
    Err(format!("the mapping key {number} is a number with no obvious text; quote it"))
}
