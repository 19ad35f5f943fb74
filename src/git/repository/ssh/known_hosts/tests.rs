//! Which keys are believed, for lines as OpenSSH writes them.

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::*;

fn key(seed: u8) -> PublicKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32])).public_key().clone()
}

/// A key of the kind `ssh-rsa`: its name, an exponent, and a modulus.
fn rsa() -> String {
    let field = |bytes: &[u8]| [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat();
    let modulus = [&[0, 0xc1][..], &[0x5b; 255]].concat();
    base64::encode(&[field(b"ssh-rsa"), field(&[1, 0, 1]), field(&modulus)].concat())
}

fn line(names: &str, seed: u8) -> String {
    format!("{names} {}\n", key(seed).to_openssh().expect("a line"))
}

fn trust(lines: &str, host: &str, port: u16, seed: u8) -> Trust {
    KnownHosts::read(lines).expect("readable").trust(host, port, &key(seed))
}

#[test]
fn a_key_counts_for_the_names_on_its_line() {
    let lines = [line("a.example.com,10.0.0.1", 1), line("[a.example.com]:2222", 2), "# a comment\n\n".to_owned()];
    let lines = lines.concat();
    assert_eq!(trust(&lines, "a.example.com", 22, 1), Trust::Known);
    assert_eq!(trust(&lines, "A.Example.COM", 22, 1), Trust::Known);
    assert_eq!(trust(&lines, "10.0.0.1", 22, 1), Trust::Known);
    assert_eq!(trust(&lines, "a.example.com", 2222, 2), Trust::Known);
    assert_eq!(trust(&lines, "a.example.com", 2222, 1), Trust::Changed);
    assert_eq!(trust(&lines, "a.example.com", 22, 2), Trust::Changed);
    assert_eq!(trust(&lines, "b.example.com", 22, 1), Trust::Unknown);
    assert_eq!(trust("", "a.example.com", 22, 1), Trust::Unknown);
}

#[test]
fn names_may_be_patterns_and_exceptions() {
    let lines = line("*.example.com,!bad.example.com", 1);
    assert_eq!(trust(&lines, "good.example.com", 22, 1), Trust::Known);
    assert_eq!(trust(&lines, "bad.example.com", 22, 1), Trust::Unknown);
    assert_eq!(trust(&lines, "example.com", 22, 1), Trust::Unknown);
}

#[test]
fn names_may_be_hashed() {
    let salt = b"salt of twenty bytes";
    let hash = Hmac::<Sha1>::new_from_slice(salt).expect("any length").chain_update("a.example.com");
    let hash = base64::encode(&hash.finalize().into_bytes());
    let lines = line(&format!("|1|{}|{hash}", base64::encode(salt)), 1);
    assert_eq!(trust(&lines, "a.example.com", 22, 1), Trust::Known);
    assert_eq!(trust(&lines, "b.example.com", 22, 1), Trust::Unknown);
    assert_eq!(trust(&line("|1|nonsense|x", 1), "a.example.com", 22, 1), Trust::Unknown);
}

#[test]
fn a_revoked_key_is_never_believed_and_an_authority_says_nothing() {
    let lines = [line("h", 1), format!("@revoked {}", line("*", 1))].concat();
    assert_eq!(trust(&lines, "h", 22, 1), Trust::Changed);
    let lines = format!("@cert-authority {}", line("h", 1));
    assert_eq!(trust(&lines, "h", 22, 1), Trust::Unknown);
}

#[test]
fn the_host_is_asked_for_the_kinds_of_key_that_are_known() {
    let known = |lines: &str| {
        let kinds = KnownHosts::read(lines).expect("readable").kinds("h", 22);
        kinds.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(known(&line("h", 1)), ["ssh-ed25519"]);
    assert_eq!(known(&[line("h", 1), line("h", 2)].concat()), ["ssh-ed25519"]);
    assert_eq!(known(&format!("h ssh-rsa {}\n", rsa())), ["rsa-sha2-512", "rsa-sha2-256"], "never with SHA-1");
    assert!(known(&line("other", 1)).is_empty());
    assert!(known(&format!("@revoked {}", line("h", 1))).is_empty());
}

#[test]
fn a_line_that_is_none_is_named() {
    let mislabelled = format!("h ssh-ed25519 {}", rsa());
    for (lines, at) in
        [("h ssh-ed25519", 1), ("\n# x\nh", 3), ("h ssh-ed25519 AAAA", 1), (&*mislabelled, 1), ("<html>", 1)]
    {
        assert_eq!(KnownHosts::read(lines).expect_err(lines), at, "{lines:?}");
    }
}
