//! Durations as people write them in Kubernetes: `30s`, `2m`, `1h30m`.
//!
//! jiff reads far more than that (`2 days ago`, `PT5M`); only the notation that the CRD's pattern and every Go program accept
//! is let through, so that a value cannot be valid here and refused by the API server.

use std::time::Duration;

use jiff::fmt::friendly::SpanParser;

/// Reads `text`, or says in words what is wrong with it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let units_known = text.split(|c: char| c.is_ascii_digit()).all(|unit| matches!(unit, "" | "ms" | "s" | "m" | "h"));
    if text.is_empty() || !plain || !units_known {
        return Err(format!("{text:?} is not a duration"));
    }
    SpanParser::new().parse_unsigned_duration(text).map_err(|_| format!("{text:?} is not a duration"))
}

/// Writes `duration` the way [`parse`] reads it, without parts that are zero.
pub fn display(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), u64::from(duration.subsec_millis()));
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"), (millis, "ms")];
    let written: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if written.is_empty() { "0s".to_owned() } else { written.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notation_of_kubernetes_is_read() {
        let cases =
            [("30s", 30_000), ("2m", 120_000), ("1h30m", 5_400_000), ("500ms", 500), ("0s", 0), ("90m", 5_400_000)];
        for (text, millis) in cases {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_even_where_jiff_would_read_it() {
        for text in
            ["", "30", "s", "1d", "PT5M", "2 m", "-5s", "1.5h", "5s ago", "3 minutes", "1m1h", "99999999999999999999h"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["30s", "1h30m", "2s500ms", "0s", "4h"] {
            assert_eq!(parse(text).map(display), Ok(text.to_owned()));
        }
    }
}
