//! Whatever names a commit, it is read only if somebody signed it who may.

use super::super::super::testing::{Origin, full, signer};
use super::super::{Error, Repository};
use crate::api::VerifyMode;
use crate::git::Signers;

const ANN: u8 = 1;
const BEA: u8 = 2;

fn by(seed: u8, mode: VerifyMode) -> Signers {
    let keys = [("allowed_signers".to_owned(), signer(seed).into_bytes())].into();
    Signers::read("team/signers", mode, &keys).expect("usable")
}

fn verifying(origin: &Origin, mode: VerifyMode) -> Repository {
    origin.repository().signed_by(by(ANN, mode))
}

/// What is said when it is not believed.
fn refused(repository: &Repository, target: &str) -> String {
    let read = repository.at(target, |_| -> Result<(), Error> { panic!("{target} was read") });
    let error = read.expect_err(target);
    assert_eq!((error.condition(), error.unverified().is_some()), ("Unverified", true), "{}", full(&error));
    full(&error)
}

#[test]
fn whatever_names_a_commit_it_must_be_signed() {
    let origin = Origin::empty();
    let signed = origin.signed(ANN, "first", &[("a.yaml", "1")]);
    let repository = verifying(&origin, VerifyMode::Head);
    for target in ["main", "HEAD", &signed, &signed[..10]] {
        assert_eq!(super::sha(&repository, target), signed, "{target}");
    }
    let unsigned = origin.commit("second", &[("a.yaml", "2")]);
    origin.git(&["tag", "v1.0.0"]);
    origin.git(&["tag", "--annotate", "v1.1.0", "--message", "one"]);
    for target in ["main", "HEAD", "v1.0.0", "v1.1.0", "^1.0", &unsigned, &unsigned[..10]] {
        let said = refused(&repository, target);
        assert!(said.contains("it is not signed") && said.contains("Secret team/signers"), "{said}");
        assert!(said.starts_with(&format!("refused commit {} of file://", &unsigned[..7])), "{said}");
        assert!(said.contains(", by Ann: ") && !said.contains("ann@example.com"), "{said}");
    }
    // The one before is as good as it was, and whoever asks for no signature reads what he likes from the same cache.
    assert_eq!(super::content(&repository, &signed), "1");
    assert_eq!(super::content(&origin.repository(), "main"), "2");
    refused(&repository, "main");
    let third = origin.signed(ANN, "third", &[("a.yaml", "3")]);
    assert_eq!(super::sha(&repository, "main"), third);
}

#[test]
fn a_key_is_judged_by_the_clock_that_is_given() {
    let origin = Origin::empty();
    let signed = origin.signed(ANN, "first", &[("a.yaml", "1")]);
    let line = signer(ANN).replacen(' ', r#" valid-before="21000101Z" "#, 1);
    let keys = [("allowed_signers".to_owned(), line.into_bytes())].into();
    let signers = Signers::read("team/signers", VerifyMode::Head, &keys).expect("usable");
    let repository = origin.repository().signed_by(signers);
    assert_eq!(super::sha(&repository, "main"), signed);
    let later = repository.with_clock(|| "2100-01-02T00:00:00Z".parse().expect("a time"));
    assert!(refused(&later, "main").contains("expired at 2100-01-01"));
}

#[test]
fn a_signature_by_somebody_else_is_none() {
    let origin = Origin::empty();
    let signed = origin.signed(BEA, "first", &[("a.yaml", "1")]);
    let said = refused(&verifying(&origin, VerifyMode::Head), "main");
    assert!(said.contains("it is signed with SSH key SHA256:") && said.contains("none of those"), "{said}");
    assert_eq!(super::sha(&origin.repository().signed_by(by(BEA, VerifyMode::Head)), "main"), signed);
}

#[test]
fn with_tag_and_head_the_tag_must_be_signed_too_and_be_itself() {
    let origin = Origin::empty();
    let signed = origin.signed(ANN, "first", &[("a.yaml", "1")]);
    origin.signed_tag(ANN, "v1.0.0", "v1.0.0");
    let both = verifying(&origin, VerifyMode::TagAndHead);
    for target in ["v1.0.0", "refs/tags/v1.0.0", "^1.0", &signed] {
        assert_eq!(super::sha(&both, target), signed, "{target}");
    }
    assert!(refused(&both, "main").contains("refs/heads/main, which is no annotated tag"));
    origin.git(&["tag", "light"]);
    assert!(refused(&both, "light").contains("refs/tags/light, which is no annotated tag"));
    origin.git(&["tag", "--annotate", "unsigned", "--message", "one"]);
    assert!(refused(&both, "unsigned").starts_with("refused tag unsigned of file://"));
    origin.signed_tag(BEA, "theirs", "theirs");
    assert!(refused(&both, "theirs").contains("none of those"));
    // A signed tag of long ago under a new name would bring that commit back.
    origin.signed_tag(ANN, "v2.0.0", "v1.0.0");
    assert!(refused(&both, "v2.0.0").contains("it was found by refs/tags/v2.0.0"));
    let head = verifying(&origin, VerifyMode::Head);
    for target in ["main", "light", "unsigned", "theirs", "v2.0.0"] {
        assert_eq!(super::sha(&head, target), signed, "{target}");
    }
    origin.commit("second", &[("a.yaml", "2")]);
    origin.signed_tag(ANN, "v3.0.0", "v3.0.0");
    assert!(refused(&both, "v3.0.0").contains("refused commit"), "a signed tag of a commit that is not");
}
