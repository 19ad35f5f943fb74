//! Private repositories: who gets the credentials, and who does not.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::super::super::testing::{Origin, full};
use super::super::{Access, Error, RepoUrl};
use super::http::{Request, Server, answer, backend};

const BASIC: &[(&str, &str)] = &[("username", "ann"), ("password", "s3cret")];
/// `ann:s3cret`
const BASIC_HEADER: &str = "Basic YW5uOnMzY3JldA==";

type Heard = Arc<Mutex<Vec<Option<String>>>>;

fn root(origin: &Origin) -> PathBuf {
    origin.path().parent().expect("it is in a folder").to_owned()
}

fn note(heard: &Heard, request: &Request) {
    heard.lock().expect("unpoisoned").push(request.header("authorization").map(str::to_owned));
}

fn all(heard: &Heard) -> Vec<Option<String>> {
    std::mem::take(&mut heard.lock().expect("unpoisoned"))
}

/// A server that wants this header, and what it was sent.
fn private(origin: &Origin, wanted: &'static str) -> (Server, Heard) {
    let (root, heard) = (root(origin), Heard::default());
    let noted = Arc::clone(&heard);
    let server = Server::start(move |request, stream| {
        note(&noted, request);
        if request.header("authorization") == Some(wanted) {
            return backend(&root, request, stream);
        }
        answer(stream, "401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n")
    });
    (server, heard)
}

#[test]
fn a_user_name_and_password_or_a_token_open_a_private_repository() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let cases: [(&[(&str, &str)], &'static str); 3] = [
        (BASIC, BASIC_HEADER),
        (&[("bearerToken", "s3cret\n")], "Bearer s3cret"),
        (&[("token", "s3cret")], "Bearer s3cret"),
    ];
    for (keys, header) in cases {
        let (server, _) = private(&origin, header);
        super::sha(&origin.repository_with(&server.url(), keys), "main");
        let error = super::fails(&origin.repository_at(&server.url()), "main");
        assert!(matches!(error, Error::Refused { .. }), "{}", full(&error));
    }
}

#[test]
fn what_is_refused_does_not_repeat_the_credentials() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let (server, heard) = private(&origin, "Bearer another");
    for keys in [BASIC, &[("bearerToken", "s3cret")]] {
        let repository = origin.repository_with(&server.url(), keys);
        let error = super::fails(&repository, "main");
        assert!(matches!(error, Error::Refused { .. }), "{}", full(&error));
        let said = format!("{} {error:?} {repository:?}", full(&error));
        assert!(!said.contains("s3cret") && !said.contains("YW5uOnMz"), "{said}");
    }
    assert_eq!(all(&heard).len(), 2, "no second try with the same credentials");
    let stored = std::process::Command::new("grep").args(["-r", "s3cret"]).arg(origin.cache()).status();
    assert!(!stored.expect("grep is installed").success(), "credentials were stored");
}

/// Everything, to the same place on another server.
fn redirecting(to: &str) -> (Server, Heard) {
    let (to, heard) = (to.to_owned(), Heard::default());
    let noted = Arc::clone(&heard);
    let server = Server::start(move |request, stream| {
        note(&noted, request);
        let location = format!("Location: http://{to}{}?{}\r\n", request.path, request.query);
        answer(stream, "302 Found", &location)
    });
    (server, heard)
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_server() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    for keys in [BASIC, &[("bearerToken", "s3cret")]] {
        // Another port is another server. One that takes anybody, so that the fetch goes through all its requests.
        let (root, heard) = (root(&origin), Heard::default());
        let noted = Arc::clone(&heard);
        let other = Server::start(move |request, stream| {
            note(&noted, request);
            backend(&root, request, stream)
        });
        let (server, given) = redirecting(&other.address);
        super::sha(&origin.repository_with(&server.url(), keys), "main");
        assert!(all(&given).iter().any(Option::is_some), "the server that is named gets them");
        let heard = all(&heard);
        assert!(heard.len() >= 2 && heard.iter().all(Option::is_none), "{heard:?}");
    }
}

#[test]
fn credentials_follow_a_redirect_on_the_same_server() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let root = root(&origin);
    let server = Server::start(move |request, stream| {
        if request.header("authorization") != Some(BASIC_HEADER) {
            return answer(stream, "401 Unauthorized", "");
        }
        match request.path.strip_prefix("/short") {
            Some(rest) => {
                let location = format!("Location: /origin/.git{rest}?{}\r\n", request.query);
                answer(stream, "301 Moved Permanently", &location)
            }
            None => backend(&root, request, stream),
        }
    });
    super::sha(&origin.repository_with(&format!("http://{}/short", server.address), BASIC), "main");
}

#[test]
fn credentials_are_not_sent_in_clear_to_another_machine() {
    for keys in [BASIC, &[("bearerToken", "s3cret")]] {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        for host in ["git.example.com", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com"] {
            let url = RepoUrl::parse(&format!("http://{host}/r.git")).expect("valid");
            let error = Access::read(&keys, &url).expect_err(host).to_string();
            assert!(error.contains("clear text") && error.contains("https://"), "{error}");
        }
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            Access::read(&keys, &RepoUrl::parse(&format!("http://{host}:1/r.git")).expect("valid")).expect(host);
        }
    }
}

/// The origin over TLS, for the name `localhost`; the CA that signed its certificate.
fn over_tls(origin: &Origin) -> (String, String) {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = ca.self_signed(&ca_key).expect("a certificate").pem();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key);
    let (config, root) = (Arc::new(config.expect("a certificate")), root(origin));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).expect("a valid configuration");
            let mut stream = rustls::StreamOwned::new(connection, stream);
            // Clients that do not believe the certificate hang up.
            let Some(request) = Request::read(&mut stream) else { continue };
            let answered = match request.header("authorization") {
                Some(BASIC_HEADER) => backend(&root, &request, &mut stream),
                _ => answer(&mut stream, "401 Unauthorized", ""),
            };
            stream.conn.send_close_notify();
            let _ = answered.and_then(|()| stream.flush());
        }
    });
    (format!("https://localhost:{port}/origin/.git"), authority)
}

#[test]
fn a_server_with_a_ca_of_its_own_is_believed_for_that_ca_only() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let (url, authority) = over_tls(&origin);
    let (_, stranger) = over_tls(&origin);
    let with = |authority: &str| origin.repository_with(&url, &[BASIC, &[("ca.crt", authority)]].concat());
    super::sha(&with(&authority), "main");
    super::sha(&with(&format!("{stranger}{authority}")), "main");
    for repository in [with(&stranger), origin.repository_with(&url, BASIC)] {
        let error = super::fails(&repository, "main");
        assert!(matches!(error, Error::Unreachable { .. }), "{}", full(&error));
        assert!(full(&error).to_lowercase().contains("certificate"), "{}", full(&error));
    }
}

#[test]
fn a_secret_that_cannot_be_used_says_which_key_and_what_to_write() {
    let said = |url: &str, keys: &[(&str, &str)]| {
        let keys = keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        Access::read(&keys, &RepoUrl::parse(url).expect("valid")).expect_err("unusable").to_string()
    };
    let https = "https://h/r";
    insta::assert_snapshot!(said(https, &[]),
        @"it has none of the keys an https:// repository takes; add username and password, or bearerToken, or githubAppID and its kin, or ca.crt for a server with a CA of its own");
    insta::assert_snapshot!(said(https, &[("username", "ann")]),
        @"key username is there without password; add password; for a token, it is the token");
    insta::assert_snapshot!(said(https, &[("password", "x"), ("username", "ann"), ("token", "x")]),
        @"it has both a bearer token and a user name or password; keep username and password, or the token");
    insta::assert_snapshot!(said(https, &[("bearerToken", " \n")]), @"key bearerToken is empty; write it anew");
    insta::assert_snapshot!(said(https, &[("bearerToken", "a\nX-Evil: 1")]),
        @"key bearerToken holds a line break or another control character; write it anew");
    insta::assert_snapshot!(said(https, &[("ca.crt", "nonsense")]),
        @"key ca.crt holds no certificate; write one or more CA certificates as PEM");
    insta::assert_snapshot!(said("file:///srv/r", BASIC),
        @"a file:// repository takes no credentials; take source.secretRef out");
    insta::assert_snapshot!(said("git@h:r", BASIC),
        @"an ssh repository takes a private key, and key identity is missing; add identity, the private key as OpenSSH or PEM, and known_hosts");
    insta::assert_snapshot!(said("git@h:r", &[("identity", "s3cret")]),
        @"key known_hosts is missing, and no server is believed without it; add known_hosts, such as what `ssh-keyscan HOST` prints, compared with what the host publishes");
    insta::assert_snapshot!(said("git@h:r", &[("identity", "s3cret"), ("known_hosts", "# x\nh ssh-ed25519 nonsense")]),
        @"key known_hosts cannot be read at line 2; write lines as in ~/.ssh/known_hosts: host, kind of key, key");
    insta::assert_snapshot!(said("git@h:r", &[("identity", "s3cret"), ("known_hosts", "# nobody")]),
        @"the private key cannot be read; write a whole OpenSSH or PEM private key, with its first and last line");
    let bytes = [("username".to_owned(), vec![0xff]), ("password".to_owned(), b"x".to_vec())].into();
    let error = Access::read(&bytes, &RepoUrl::parse(https).expect("valid")).expect_err("unusable");
    assert_eq!(error.to_string(), "key username is not text; write it anew");
    let webhook = [("webhookSecret".to_owned(), b"x".to_vec())].into();
    for url in [https, "http://h/r", "file:///r"] {
        Access::read(&webhook, &RepoUrl::parse(url).expect("valid")).expect("public, with a push webhook");
    }
}
