//! Logging in as a GitHub App: a GitHub of the test's own checks the App's proof with the public key and hands out tokens, and the
//! real Git server behind it takes nothing but those.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::Value;

use super::super::super::testing::{Origin, full};
use super::super::{Access, Error, RepoUrl, Repository};
use super::http::{Request, Server, answer, backend};
use crate::git::yaml::base64;

/// `https` of GitHub is `http` of this very machine here.
const GRANT: &str = "/api/v3/app/installations/77/access_tokens";

/// A private key as GitHub hands them out, and its public half.
struct Key {
    pem: String,
    /// The same as other programs write it.
    pkcs8: String,
    public: String,
}

// === impl Key ===

impl Key {
    fn new() -> Self {
        let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
        // What is in PKCS#8 after its header of 26 bytes is PKCS#1, which is what GitHub writes.
        let body = base64::encode(&pair.serialize_der()[26..]);
        let lines: Vec<_> = body.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"));
        Self { pem, pkcs8: pair.serialize_pem(), public: pair.public_key_pem() }
    }
}

/// A key that no GitHub knows.
static STRANGER: LazyLock<Key> = LazyLock::new(Key::new);

type Granting = dyn Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// A GitHub with one App, whose tokens are `token-1` and so on, and last so long.
struct GitHub {
    key: Key,
    server: Server,
    state: Arc<State>,
}

struct State {
    root: PathBuf,
    public: String,
    granted: Mutex<usize>,
    /// How long the next tokens last.
    lasts: Mutex<SignedDuration>,
    /// What to do instead of granting one.
    instead: Mutex<Option<Box<Granting>>>,
    /// The only token the Git server takes; any that was granted last, if none.
    taken: Mutex<Option<String>>,
}

// === impl GitHub ===

impl GitHub {
    fn of(origin: &Origin) -> Self {
        let key = Key::new();
        let state = Arc::new(State {
            root: origin.path().parent().expect("it is in a folder").to_owned(),
            public: key.public.clone(),
            granted: Mutex::default(),
            lasts: Mutex::new(SignedDuration::from_hours(1)),
            instead: Mutex::default(),
            taken: Mutex::default(),
        });
        let serving = Arc::clone(&state);
        let server = Server::start(move |request, stream| serving.serve(request, stream));
        Self { key, server, state }
    }

    fn base(&self) -> String {
        format!("http://{}/api/v3/", self.server.address)
    }

    fn keys(&self) -> Vec<(&'static str, String)> {
        let GitHub { key, .. } = self;
        vec![
            ("githubAppID", "4711\n".to_owned()),
            ("githubAppInstallationID", "77".to_owned()),
            ("githubAppPrivateKey", key.pem.clone()),
            ("githubAppBaseURL", self.base()),
        ]
    }

    fn repository(&self, origin: &Origin) -> Repository {
        self.repository_with(origin, &self.keys())
    }

    fn repository_with(&self, origin: &Origin, keys: &[(&'static str, String)]) -> Repository {
        let keys: Vec<_> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
        origin.repository_with(&self.server.url(), &keys).with_stall_timeout(Duration::from_secs(5))
    }

    fn granted(&self) -> usize {
        *self.state.granted.lock().expect("unpoisoned")
    }

    fn lasts(&self, minutes: i64) {
        *self.state.lasts.lock().expect("unpoisoned") = SignedDuration::from_mins(minutes);
    }

    fn instead(&self, act: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) {
        *self.state.instead.lock().expect("unpoisoned") = Some(Box::new(act));
    }
}

// === impl State ===

impl State {
    fn serve(&self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        if request.path.starts_with("/api/") {
            return self.grant(request, stream);
        }
        let token = self.taken.lock().expect("unpoisoned").clone();
        let token = token.unwrap_or_else(|| format!("token-{}", self.granted.lock().expect("unpoisoned")));
        let wanted = format!("Basic {}", base64::encode(format!("x-access-token:{token}").as_bytes()));
        if request.header("authorization") != Some(&wanted) {
            return answer(stream, "401 Unauthorized", "");
        }
        backend(&self.root, request, stream)
    }

    fn grant(&self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        if let Some(act) = &*self.instead.lock().expect("unpoisoned") {
            return act(stream);
        }
        if (request.method.as_str(), request.path.as_str()) != ("POST", GRANT) {
            return answer(stream, "404 Not Found", "");
        }
        if !self.believes(request) {
            return answer(stream, "401 Unauthorized", "");
        }
        let mut granted = self.granted.lock().expect("unpoisoned");
        *granted += 1;
        let ends = Timestamp::now() + *self.lasts.lock().expect("unpoisoned");
        let body = serde_json::json!({"token": format!("token-{granted}"), "expires_at": ends.to_string()}).to_string();
        let length = body.len();
        write!(stream, "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    }

    /// The App's proof: by its key, by its name, begun already, over within ten minutes.
    fn believes(&self, request: &Request) -> bool {
        let proof =
            request.header("authorization").and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_required_spec_claims(&["exp", "iss"]);
        validation.set_issuer(&["4711"]);
        validation.leeway = 0;
        let key = DecodingKey::from_rsa_pem(self.public.as_bytes()).expect("a public key");
        let Ok(proof) = decode::<Value>(proof, &key, &validation) else { return false };
        let [from, until] = ["iat", "exp"].map(|name| proof.claims[name].as_i64().unwrap_or_default());
        from <= Timestamp::now().as_second() && until - from <= 600
    }
}

fn login_error(repository: &Repository) -> String {
    let error = super::fails(repository, "main");
    assert_eq!(error.condition(), "SecretUnusable", "{}", full(&error));
    full(&error)
}

#[test]
fn an_app_logs_in_and_all_who_use_it_share_one_token() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    for _ in 0..3 {
        assert_eq!(super::content(&github.repository(&origin), "main"), "1");
    }
    origin.commit("second", &[("a.yaml", "2")]);
    let all: Vec<_> = (0..4).map(|_| github.repository(&origin)).collect();
    std::thread::scope(|scope| {
        let reading: Vec<_> = all.iter().map(|repository| scope.spawn(|| super::content(repository, "main"))).collect();
        reading.into_iter().for_each(|reading| assert_eq!(reading.join().expect("read"), "2"));
    });
    assert_eq!(github.granted(), 1);
    // PKCS#8 serves as well, and so does the base URL's name as Argo CD has it.
    let mut keys = github.keys();
    keys[2].1.clone_from(&github.key.pkcs8);
    keys[3].0 = "githubAppEnterpriseBaseUrl";
    super::sha(&github.repository_with(&origin, &keys), "main");
}

#[test]
fn a_token_is_renewed_before_it_ends_and_used_on_while_github_is_down() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    github.lasts(10);
    super::sha(&github.repository(&origin), "main");
    let before = github.granted();
    super::sha(&github.repository(&origin), "main");
    assert!(github.granted() > before, "ten minutes are too few");
    github.instead(|stream| answer(stream, "503 Service Unavailable", ""));
    super::sha(&github.repository(&origin), "main");
}

#[test]
fn the_proof_of_an_app_is_of_the_time_that_is_given() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    let repository = github.repository(&origin).with_clock(|| Timestamp::now() - Duration::from_mins(20));
    assert!(login_error(&repository).contains("it says 401"));
    assert_eq!(super::content(&repository.with_clock(Timestamp::now), "main"), "1");
}

#[test]
fn a_token_that_is_taken_back_is_replaced() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    super::sha(&github.repository(&origin), "main");
    *github.state.taken.lock().expect("unpoisoned") = Some("token-2".to_owned());
    let error = super::fails(&github.repository(&origin), "main");
    assert!(matches!(error, Error::Refused { .. }), "{}", full(&error));
    super::sha(&github.repository(&origin), "main");
    assert_eq!(github.granted(), 2);
    // Whatever is refused again and again, GitHub is not asked for a token each time.
    *github.state.taken.lock().expect("unpoisoned") = Some("nothing".to_owned());
    for _ in 0..3 {
        super::fails(&github.repository(&origin), "main");
    }
    assert_eq!(github.granted(), 2);
}

#[test]
fn what_github_says_no_to_is_told_with_a_remedy() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    let with = |key: usize, value: &str| {
        let mut keys = github.keys();
        value.clone_into(&mut keys[key].1);
        login_error(&github.repository_with(&origin, &keys))
    };
    for (said, words) in [
        (with(0, "4712"), ["it says 401", "one of App 4712"]),
        (with(1, "78"), ["it says 404", "App 4711 has no installation 78"]),
        (with(2, &STRANGER.pem), ["it says 401", "make a new one in GitHub"]),
    ] {
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(said.starts_with("failed to log in to http://127.0.0.1:"), "{said}");
    }
    for (status, headers, words) in [
        ("401 Unauthorized", "Date: Tue, 01 Jan 2030 00:00:00 GMT\r\n", "the clock here is"),
        ("403 Forbidden", "", "installation 77 is suspended"),
        ("422 Unprocessable Entity", "", "it says 422"),
    ] {
        github.instead(move |stream| answer(stream, status, headers));
        let said = login_error(&github.repository(&origin));
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_github_that_hangs_or_talks_nonsense_is_unreachable() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    let unreachable = |words: &str| {
        let repository = github.repository(&origin).with_stall_timeout(Duration::from_millis(300));
        let error = super::fails(&repository, "main");
        assert!(matches!(error, Error::Unreachable { .. }), "{}", full(&error));
        assert!(full(&error).contains(words), "{}", full(&error));
    };
    for body in ["", "{}", "nonsense", r#"{"token": "a b", "expires_at": "2030-01-01T00:00:00Z"}"#] {
        github.instead(move |stream| {
            let length = body.len();
            write!(stream, "HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        });
        unreachable("the answer is no token");
    }
    github.instead(|stream| answer(stream, "500 Internal Server Error", ""));
    unreachable("it says 500");
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    github.instead(move |_| {
        held.lock().map(|held| held.recv().unwrap_or_default()).map_err(|_| std::io::ErrorKind::Other.into())
    });
    unreachable("cannot be had");
    drop(release);
}

#[test]
fn the_proof_of_an_app_does_not_follow_a_redirect() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    let other = Server::start(|_, stream| answer(stream, "404 Not Found", ""));
    let location = format!("Location: http://{}/\r\n", other.address);
    github.instead(move |stream| answer(stream, "307 Temporary Redirect", &location));
    let said = login_error(&github.repository(&origin));
    assert!(said.contains("it says 307") && said.contains("githubAppBaseURL"), "{said}");
    assert!(other.requests().is_empty(), "the other server heard of it");
}

#[test]
fn neither_key_nor_token_is_told_or_stored() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let github = GitHub::of(&origin);
    let repository = github.repository(&origin);
    super::sha(&repository, "main");
    github.instead(|stream| answer(stream, "403 Forbidden", ""));
    *github.state.taken.lock().expect("unpoisoned") = Some("another".to_owned());
    let refused = super::fails(&repository, "main");
    let denied = super::fails(&repository, "main");
    let told = format!("{repository:?} {refused:?} {} {denied:?} {}", full(&refused), full(&denied));
    let key = github.key.pem.lines().nth(3).expect("a key has lines");
    for secret in ["token-1", key, "eyJ", &base64::encode(b"x-access-token:token-1")] {
        assert!(!told.contains(secret), "{told}");
        let stored = std::process::Command::new("grep").args(["-r", "--", secret]).arg(origin.cache()).status();
        assert!(!stored.expect("grep is installed").success(), "{secret} was stored");
    }
}

#[test]
fn an_app_that_cannot_be_used_says_which_key_and_what_to_write() {
    let pem = STRANGER.pem.as_str();
    let whole = [("githubAppID", "1"), ("githubAppInstallationID", "2"), ("githubAppPrivateKey", pem)];
    let said = |url: &str, keys: &[(&str, &str)]| {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        Access::read(&keys, &RepoUrl::parse(url).expect("valid")).map(drop).map_err(|error| error.to_string())
    };
    let with = |key: &'static str, value: &'static str| {
        let mut keys = whole.to_vec();
        keys.retain(|(name, _)| *name != key);
        keys.push((key, value));
        said("https://github.com/o/r", &keys).expect_err("unusable")
    };
    insta::assert_snapshot!(said("https://github.com/o/r", &whole[1..]).expect_err("unusable"), @"key githubAppID is missing; a GitHub App takes githubAppID, githubAppInstallationID and githubAppPrivateKey; add it");
    insta::assert_snapshot!(with("githubAppID", "a b"), @"key githubAppID is no App id; write the number, or the client id, that the App's page shows");
    insta::assert_snapshot!(with("githubAppInstallationID", "x"), @"key githubAppInstallationID is no number; write the number at the end of the installation's page");
    insta::assert_snapshot!(with("githubAppPrivateKey", "x"), @"key githubAppPrivateKey holds no RSA private key; write the whole .pem file GitHub made, with its first and last line");
    insta::assert_snapshot!(with("token", "x"), @"it has both a GitHub App and a token or password; keep the keys that begin with githubApp, or the others");
    insta::assert_snapshot!(with("githubAppBaseURL", "http://ghe.example.com/api/v3"), @"key githubAppBaseURL is no https:// URL, and the App's proof would be sent in clear text; write it as https://HOST/api/v3");
    insta::assert_snapshot!(said("https://ghe.example.com/o/r", &whole).expect_err("unusable"), @"its GitHub App gets tokens from api.github.com, and the repository is elsewhere; for a GitHub of your own, add githubAppBaseURL, as https://HOST/api/v3");
    for (url, base) in [
        ("https://github.com/o/r", "https://api.github.com/"),
        ("https://ghe.example.com/o/r", "https://ghe.example.com/api/v3"),
        ("https://team.ghe.com/o/r", "https://api.team.ghe.com"),
        ("https://ghe.example.com:8443/o/r", "https://ghe.example.com:8443/api/v3"),
        ("http://127.0.0.1:1/o/r", "http://127.0.0.1:2/api/v3"),
    ] {
        let keys = [&whole[..], &[("githubAppBaseURL", base)]].concat();
        said(url, &keys).unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}
