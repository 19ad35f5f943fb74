//! Signatures that `gpg` and `ssh-keygen` made, as `fixtures/make.sh` says, and everything that may be wrong with one.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}

const ALLOWED: &[u8] = fixture!("allowed_signers");

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// When all of the keys but `old` are valid.
fn spring() -> Timestamp {
    at("2026-04-01T00:00:00Z")
}

fn signers(keys: &[(&str, &[u8])]) -> Signers {
    let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
    Signers::read("team/signers", VerifyMode::Head, &keys).expect("usable")
}

/// When a fixture says it was made.
fn made() -> Timestamp {
    at("2026-03-01T12:00:00Z")
}

fn judge(signers: &Signers, commit: &[u8], now: Timestamp) -> Result<(), Distrust> {
    Signed::commit(commit).map_err(Distrust::unclear).and_then(|signed| signers.check(&signed, made(), now))
}

fn refusal(signers: &Signers, commit: &[u8], now: Timestamp) -> String {
    judge(signers, commit, now).expect_err("refused").reason
}

fn openpgp() -> Signers {
    signers(&[("ann.asc", fixture!("ann.asc")), ("bea.pub", fixture!("bea.asc"))])
}

fn all() -> &'static Signers {
    static ALL: LazyLock<Signers> = LazyLock::new(|| {
        let block = [fixture!("ann.asc"), fixture!("bea.asc")].concat();
        signers(&[("people", &block), ("allowed_signers", ALLOWED)])
    });
    &ALL
}

const SIGNED: [&[u8]; 5] = [
    fixture!("ann.commit"),
    fixture!("bea.commit"),
    fixture!("ed25519.commit"),
    fixture!("ecdsa.commit"),
    fixture!("rsa.commit"),
];

#[test]
fn commits_of_those_who_may_are_believed() {
    for commit in SIGNED {
        judge(all(), commit, spring()).unwrap_or_else(|error| panic!("{error}"));
    }
    for tag in [fixture!("ann.tag"), fixture!("ed25519.tag")] {
        all().check(&Signed::tag(tag), made(), spring()).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_is_not_signed_or_by_somebody_else_is_refused() {
    let said = judge(all(), fixture!("unsigned.commit"), spring()).expect_err("unsigned").to_string();
    insta::assert_snapshot!(said, @"it is not signed; sign it (`git commit -S`, `git tag -s`) with a key that Secret team/signers has");
    all().check(&Signed::tag(fixture!("unsigned.tag")), made(), spring()).expect_err("unsigned");
    let ssh = signers(&[("allowed_signers", ALLOWED)]);
    assert!(refusal(&ssh, fixture!("ann.commit"), spring()).contains("none of those that may sign"));
    assert!(refusal(&openpgp(), fixture!("rsa.commit"), spring()).contains("none of those that may sign"));
    let bea = signers(&[("bea", fixture!("bea.asc"))]);
    let said = refusal(&bea, fixture!("ann.commit"), spring());
    assert!(said.starts_with("it is signed with OpenPGP key ") && said.contains("none of those"), "{said}");
}

/// The payload of one commit with the signature of another by the same key.
#[test]
fn a_signature_of_another_commit_is_refused() {
    for (mine, theirs) in [("ann", "bea"), ("ed25519", "rsa")] {
        let of = |name: &str| {
            SIGNED[["ann", "bea", "ed25519", "ecdsa", "rsa"].iter().position(|n| *n == name).expect("there")]
        };
        let (mine, theirs) = (Signed::commit(of(mine)).expect("clear"), Signed::commit(of(theirs)).expect("clear"));
        let mixed = Signed { payload: theirs.payload, signature: mine.signature };
        let said = all().check(&mixed, made(), spring()).expect_err("refused").reason;
        assert!(said.contains("does not fit"), "{said}");
    }
}

#[test]
fn keys_count_while_they_are_valid_and_not_revoked() {
    let old = signers(&[("old", fixture!("old.asc"))]);
    let commit = fixture!("old.commit");
    judge(&old, commit, at("2020-07-01T00:00:00Z")).expect("valid then");
    assert!(refusal(&old, commit, spring()).contains("expired at 2020-12-31"));
    // Bea's own key lives for two years, the one she signs with for one.
    assert!(refusal(&openpgp(), fixture!("bea.commit"), at("2027-02-01T00:00:00Z")).contains("expired at 2027"));
    assert!(refusal(&openpgp(), fixture!("bea.commit"), at("2025-06-01T00:00:00Z")).contains("in the future"));
    let ann = signers(&[("ann", fixture!("ann-revoked.asc"))]);
    assert!(refusal(&ann, fixture!("ann.commit"), spring()).ends_with("of Ann was revoked"));
    let bea = signers(&[("bea", fixture!("bea-revoked.asc"))]);
    assert!(refusal(&bea, fixture!("bea.commit"), spring()).ends_with("of Bea was revoked"));
}

#[test]
fn what_can_be_forged_is_refused() {
    assert!(refusal(all(), fixture!("sha1.commit"), spring()).contains("uses SHA1"));
    let weak = signers(&[("weak", fixture!("weak.asc"))]);
    assert!(refusal(&weak, fixture!("weak.commit"), spring()).contains("too weak"));
}

#[test]
fn a_signature_for_something_else_is_refused() {
    assert!(refusal(all(), fixture!("namespace.commit"), spring()).contains(r#"is for "file", and not for Git"#));
}

#[test]
fn what_is_signed_must_be_clear() {
    let text = String::from_utf8(fixture!("ann.commit").to_vec()).expect("text");
    let start = text.find("gpgsig").expect("it is signed");
    let end = start + text[start..].find("\n\n").expect("it ends") + 1;
    let twice = format!("{}{}{}", &text[..end], &text[start..end], &text[end..]);
    assert_eq!(refusal(all(), twice.as_bytes(), spring()), "it bears several signatures");
    let other = text.replacen("gpgsig ", "gpgsig-sha256 ", 1);
    assert!(refusal(all(), other.as_bytes(), spring()).contains("another kind of repository"));
    let x509 = text.replacen("BEGIN PGP SIGNATURE", "BEGIN SIGNED MESSAGE", 1);
    assert!(refusal(all(), x509.as_bytes(), spring()).contains("neither"));
    // What a message says looks like a header, and is none.
    let message = format!("{}\ngpgsig -----BEGIN PGP SIGNATURE-----\n", text.replacen(&text[start..end], "", 1));
    assert_eq!(refusal(all(), message.as_bytes(), spring()), "it is not signed");
}

/// The lines of `allowed_signers`, each with these options.
fn allowing(options: &str) -> Signers {
    let lines = String::from_utf8(ALLOWED.to_vec()).expect("text");
    let lines: Vec<_> = lines.lines().map(|line| line.replacen(' ', &format!(" {options} "), 1)).collect();
    signers(&[("allowed_signers", format!("# who\n\n{}\n", lines.join(" a comment\n")).as_bytes())])
}

#[test]
fn ssh_keys_may_do_what_their_options_say() {
    let commit = fixture!("ed25519.commit");
    let good = [
        r#"namespaces="git""#,
        r#"namespaces="file,g*""#,
        r#"valid-after="20260101",valid-before="20270101Z""#,
        r#"NAMESPACES="git",valid-after="202603011200""#,
    ];
    for options in good {
        judge(&allowing(options), commit, spring()).unwrap_or_else(|error| panic!("{options}: {error}"));
    }
    let bad = [
        (r#"namespaces="file""#, "may not sign for Git"),
        (r#"namespaces="*,!git""#, "may not sign for Git"),
        (r#"valid-after="20260302""#, "is valid only from 2026-03-02"),
        (r#"valid-before="20260301""#, "expired at 2026-03-01"),
        (r#"valid-before="20260315""#, "expired at 2026-03-15"),
    ];
    for (options, said) in bad {
        let reason = refusal(&allowing(options), commit, spring());
        assert!(reason.contains(said) && reason.contains("of ed25519@example.com"), "{options}: {reason}");
    }
    assert!(refusal(all(), commit, at("2026-02-01T00:00:00Z")).contains("in the future"));
    // A key with two lives is valid in either of them.
    let line = String::from_utf8(ALLOWED.to_vec()).expect("text").lines().next().expect("a line").to_owned();
    let then = line.replacen(' ', r#" valid-before="20200101" "#, 1);
    let both = signers(&[("allowed_signers", format!("{then}\n{line}").as_bytes())]);
    judge(&both, commit, spring()).expect("the second counts");
}

#[test]
fn a_secret_that_names_nobody_says_which_key_and_what_to_write() {
    let said = |keys: &[(&str, &[u8])]| {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec())).collect();
        Signers::read("team/signers", VerifyMode::Head, &keys).expect_err("unusable").to_string()
    };
    insta::assert_snapshot!(said(&[]), @"key allowed_signers is missing, and so is every other: the Secret names no signer; add OpenPGP public keys, ASCII-armored, under any key, or SSH keys as allowed_signers");
    insta::assert_snapshot!(said(&[("allowed_signers", b"# nobody")]), @"key allowed_signers is missing, and so is every other: the Secret names no signer; add OpenPGP public keys, ASCII-armored, under any key, or SSH keys as allowed_signers");
    insta::assert_snapshot!(said(&[("password", b"x")]), @"key password holds no OpenPGP public key; write what `gpg --armor --export KEY` prints; SSH keys belong under allowed_signers, and credentials into a Secret of their own");
    insta::assert_snapshot!(said(&[("ann", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n")]), @"key ann holds a private key; take it out, and write what `gpg --armor --export KEY` prints");
    insta::assert_snapshot!(said(&[("allowed_signers", b"\nann@example.com cert-authority ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPsygjTB0Iqx+6gCLRZVYzc/78tECc3+mJPXQ4XxnFr9")]), @"key allowed_signers cannot be read at line 2: cert-authority is not supported, for certificates are not verified: list the keys; write lines as in ssh-keygen(1), ALLOWED SIGNERS: principals, options if any, kind of key, key");
    for (line, reason) in [
        ("ann", "nothing follows the principals"),
        ("ann ssh-ed25519", "there is no key"),
        ("ann ssh-ed25519 nonsense", "there is no key"),
        (r#"ann no-such="x" KEY"#, r#"there is no option "no-such""#),
        (r#"ann valid-before="soon" KEY"#, r#""soon" is no time"#),
        (r#"ann valid-before="20261301" KEY"#, r#""20261301" is no time"#),
        (r#"ann namespaces="g?t" KEY"#, "namespaces takes a list"),
    ] {
        let line =
            line.replace("KEY", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPsygjTB0Iqx+6gCLRZVYzc/78tECc3+mJPXQ4XxnFr9");
        let said = said(&[("allowed_signers", line.as_bytes())]);
        assert!(said.contains("line 1") && said.contains(reason), "{line}: {said}");
    }
    let cut = &fixture!("ann.asc")[..200];
    assert!(said(&[("ann", cut)]).contains("cannot be read"));
}

/// The bytes behind an armor, and the armor of other bytes.
fn rearmored(armored: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let text = String::from_utf8(armored.to_vec()).expect("text");
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    let body: Vec<_> = lines.iter().filter(|line| !line.starts_with(['-', '='])).copied().collect();
    let mut bytes = crate::git::yaml::base64::bytes(&body.concat()).expect("base64");
    change(&mut bytes);
    let encoded = crate::git::yaml::base64::encode(&bytes);
    let folded: Vec<_> =
        encoded.as_bytes().chunks(64).map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect();
    let gap = if text.contains("PGP") { "\n" } else { "" };
    format!("{}\n{gap}{}\n{}\n", lines[0], folded.join("\n"), lines[lines.len() - 1]).into_bytes()
}

proptest! {
    #[test]
    fn no_byte_of_what_is_signed_can_be_another(which in 0..SIGNED.len(), at: Index, flip in 1..=u8::MAX) {
        let mut signed = Signed::commit(SIGNED[which]).expect("clear");
        let at = at.index(signed.payload.len());
        signed.payload[at] ^= flip;
        prop_assert!(all().check(&signed, made(), spring()).is_err());
    }

    #[test]
    fn no_byte_of_a_signature_can_be_another(which in 0..SIGNED.len(), at: Index, flip in 1..=u8::MAX) {
        let signed = Signed::commit(SIGNED[which]).expect("clear");
        let signature = rearmored(&signed.signature.expect("signed"), |bytes| {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        });
        let changed = Signed { payload: signed.payload, signature: Some(signature) };
        prop_assert!(all().check(&changed, made(), spring()).is_err());
    }

    #[test]
    fn no_byte_of_a_commit_makes_it_say_something_else(which in 0..SIGNED.len(), at: Index, flip in 1..=u8::MAX) {
        let mut commit = SIGNED[which].to_vec();
        let at = at.index(commit.len());
        commit[at] ^= flip;
        if judge(all(), &commit, spring()).is_ok() {
            // In what only wraps the signature, and means nothing.
            let (before, after) = (Signed::commit(SIGNED[which]), Signed::commit(&commit));
            prop_assert_eq!(before.map(|signed| signed.payload), after.map(|signed| signed.payload));
        }
    }

    #[test]
    fn nonsense_is_refused_and_breaks_nothing(bytes: Vec<u8>, text in "\\PC{0,80}") {
        for begin in ["-----BEGIN PGP SIGNATURE-----\n\n", "-----BEGIN SSH SIGNATURE-----\n"] {
            let signature = [begin.as_bytes(), &bytes, text.as_bytes()].concat();
            let signed = Signed { payload: bytes.clone(), signature: Some(signature) };
            prop_assert!(all().check(&signed, made(), spring()).is_err());
        }
        let _ = Signed::commit(&bytes);
        let _ = allowed::read(text.as_bytes());
        let _ = certificate::read(text.as_bytes());
    }
}
