//! The same over ssh: a real ssh server, in this process, that runs `git upload-pack`.

mod server;

use std::time::{Duration, Instant};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::{LineEnding, private::Ed25519Keypair};

use super::super::super::testing::{Origin, full};
use super::super::{Error, Repository};
use server::{Behaviour, Server};

const HOST: u8 = 1;
const CLIENT: u8 = 2;
const STRANGER: u8 = 3;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn pem(key: &PrivateKey) -> String {
    key.to_openssh(LineEnding::LF).expect("it can be written").to_string()
}

fn fingerprint(key: &PrivateKey) -> String {
    key.public_key().fingerprint(russh::keys::HashAlg::Sha256).to_string()
}

fn serve(origin: &Origin) -> Server {
    Server::start(key(HOST), key(CLIENT).public_key(), &origin.path().join(".git"), Behaviour::Serve)
}

fn known(server: &Server, host: u8) -> String {
    format!("[127.0.0.1]:{} {}", server.port, key(host).public_key().to_openssh().expect("a line"))
}

fn repository(origin: &Origin, server: &Server, client: u8, host: u8) -> Repository {
    let keys = [("identity", &*pem(&key(client))), ("known_hosts", &*known(server, host))];
    origin.repository_with(&server.url(), &keys).with_stall_timeout(Duration::from_secs(10))
}

#[test]
fn branches_tags_and_commits_over_ssh() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let first = origin.git(&["rev-parse", "HEAD"]);
    origin.git(&["tag", "--annotate", "v1.0.0", "--message", "one"]);
    let second = origin.commit("second", &[("a.yaml", "2")]);
    let server = serve(&origin);
    let repository = repository(&origin, &server, CLIENT, HOST);
    let expected = [
        ("HEAD", &second),
        ("main", &second),
        ("v1.0.0", &first),
        ("^1", &first),
        (&first[..9], &first),
        (first.as_str(), &first),
    ];
    for (target, id) in expected {
        assert_eq!(&super::sha(&repository, target), id, "{target}");
    }
    let large = "x".repeat(3 << 20);
    let third = origin.commit("third", &[("a.yaml", "3"), ("large", &large)]);
    assert_eq!(super::sha(&repository, "main"), third);
    assert_eq!(super::content(&repository, "main"), "3");
    assert!(matches!(super::fails(&repository, "nope"), Error::NoSuchRevision { .. }));
    let commands = server.commands();
    assert!(commands.iter().all(|command| command.starts_with("git-upload-pack '/")), "{commands:?}");
    assert_eq!(server.protocols(), ["version=2"]);
}

#[test]
fn a_host_nobody_knows_is_not_talked_to() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let server = serve(&origin);
    let other = format!("elsewhere.example.com {}", key(HOST).public_key().to_openssh().expect("a line"));
    let keys = [("identity", &*pem(&key(CLIENT))), ("known_hosts", &other)];
    let error = super::fails(&origin.repository_with(&server.url(), &keys), "main");
    assert!(matches!(error, Error::Untrusted { .. }), "{}", full(&error));
    assert_eq!(error.condition(), "ServerUntrusted");
    assert!(error.to_string().contains(&format!("no key of [127.0.0.1]:{}", server.port)), "{error}");
    assert!(error.to_string().contains("ssh-keyscan"), "{error}");
    assert_eq!(server.logins(), 0, "nothing was offered to it");
}

#[test]
fn a_host_whose_key_has_changed_is_refused_loudly() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let server = serve(&origin);
    super::sha(&repository(&origin, &server, CLIENT, HOST), "main");
    let logins = server.logins();
    let error = super::fails(&repository(&origin, &server, CLIENT, STRANGER), "main");
    assert!(matches!(error, Error::Untrusted { .. }), "{}", full(&error));
    let (shown, known) = (fingerprint(&key(HOST)), fingerprint(&key(STRANGER)));
    for word in ["HAS CHANGED", &shown, &known, "Somebody may be in between"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert_eq!(server.logins(), logins, "nothing was offered to the changed host");
}

#[test]
fn a_key_the_server_does_not_take_is_named_by_its_fingerprint() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let server = serve(&origin);
    let error = super::fails(&repository(&origin, &server, STRANGER, HOST), "main");
    assert!(matches!(error, Error::Refused { .. }), "{}", full(&error));
    assert!(full(&error).contains(&fingerprint(&key(STRANGER))), "{}", full(&error));
    assert!(!full(&error).contains("PRIVATE"), "{}", full(&error));
}

#[test]
fn without_a_secret_ssh_says_what_it_takes() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let error = super::fails(&origin.repository_at(&serve(&origin).url()), "main");
    assert!(error.to_string().contains("identity and known_hosts"), "{error}");
}

#[test]
fn what_the_server_says_is_told() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let behaviour = Behaviour::Refuse("ERROR: Repository not found.\nPlease make sure\u{7} you have access.\n");
    let server = Server::start(key(HOST), key(CLIENT).public_key(), &origin.path(), behaviour);
    let error = super::fails(&repository(&origin, &server, CLIENT, HOST), "main");
    assert!(matches!(error, Error::Refused { .. }), "{}", full(&error));
    let said = "ERROR: Repository not found. Please make sure you have access.";
    assert!(full(&error).contains(said), "{}", full(&error));
}

#[test]
fn an_ssh_server_that_keeps_silent_is_given_up_on() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let silent = Server::start(key(HOST), key(CLIENT).public_key(), &origin.path(), Behaviour::Silence);
    // Accepts connections and never greets.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mute = Server::nowhere(mute.local_addr().expect("bound").port());
    let start = Instant::now();
    for server in [&silent, &mute, &Server::nowhere(1)] {
        let repository = repository(&origin, server, CLIENT, HOST).with_stall_timeout(Duration::from_secs(1));
        let error = super::fails(&repository, "main");
        assert!(matches!(error, Error::Unreachable { .. }), "{}", full(&error));
    }
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_path_cannot_leave_its_quotes() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let server = serve(&origin);
    let url = format!("ssh://git@127.0.0.1:{}/x';id;'", server.port);
    let keys = [("identity", &*pem(&key(CLIENT))), ("known_hosts", &*known(&server, HOST))];
    super::fails(&origin.repository_with(&url, &keys), "main");
    assert_eq!(server.commands()[0], r"git-upload-pack '/x'\'';id;'\'''");
}
