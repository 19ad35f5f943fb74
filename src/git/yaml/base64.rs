//! Base64, by way of the type that `Secret.data` itself has: one definition of the encoding, and no dependency of our own.

use k8s_openapi::ByteString;
use serde_json::Value;

/// Bytes as the API server expects them in `Secret.data`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    match serde_json::to_value(ByteString(bytes.to_vec())) {
        Ok(Value::String(encoded)) => encoded,
        _ => unreachable!("bytes are serialised as one base64 string"),
    }
}

/// The bytes behind one base64 string.
pub(in crate::git) fn bytes(encoded: &str) -> Option<Vec<u8>> {
    serde_json::from_value(encoded.into()).ok().map(|ByteString(bytes)| bytes)
}

/// The text behind a YAML `!!binary` scalar, which may be wrapped over several lines.
pub(super) fn decode(encoded: &str) -> Result<String, String> {
    let encoded: String = encoded.split_ascii_whitespace().collect();
    let bytes = bytes(&encoded).ok_or_else(|| "!!binary is not valid base64".to_owned())?;
    String::from_utf8(bytes).map_err(|_| "!!binary holds bytes that are not text, which JSON cannot carry".to_owned())
}
