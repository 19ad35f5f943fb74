//! The same over smart HTTP: `git http-backend` behind a few lines of CGI, and servers that misbehave.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::super::super::testing::{Origin, full};
use super::super::{Error, Repository};

/// What a server does with a connection, after noting the request line.
type Handler = dyn Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

pub(super) struct Server {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

// === impl Server ===

impl Server {
    pub(super) fn start(
        handler: impl Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (handler, seen): (Arc<Handler>, _) = (Arc::new(handler), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().filter_map(Result::ok) {
                let (handler, noted) = (Arc::clone(&handler), Arc::clone(&noted));
                std::thread::spawn(move || {
                    let Some(request) = Request::read(&stream) else { return };
                    noted.lock().expect("unpoisoned").push(format!("{} {}", request.method, request.path));
                    // The client may be gone already; that is its right.
                    let _ = handler(&request, &mut stream);
                });
            }
        });
        Self { address, seen }
    }

    /// Serves the folder `origin` is in.
    pub(super) fn git(origin: &Origin) -> Self {
        let root = origin.path().parent().expect("it is in a folder").to_owned();
        Self::start(move |request, stream| backend(&root, request, stream))
    }

    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().expect("unpoisoned"))
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/origin/.git", self.address)
    }
}

// === impl Request ===

impl Request {
    pub(super) fn read(stream: impl Read) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let headers: Vec<_> = reader
            .by_ref()
            .lines()
            .map_while(|line| line.ok().filter(|line| !line.is_empty()))
            .filter_map(|line| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())))
            .collect();
        let mut request = Self { method, path, query, headers, body: Vec::new() };
        request.body = request.read_body(&mut reader)?;
        Some(request)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    fn read_body(&self, reader: &mut impl std::io::BufRead) -> Option<Vec<u8>> {
        let mut body = vec![0; self.header("content-length").map_or(Some(0), |length| length.parse().ok())?];
        reader.read_exact(&mut body).ok()?;
        while self.header("transfer-encoding") == Some("chunked") {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
        Some(body)
    }
}

/// `git http-backend` is a CGI program: headers first, `Status:` among them.
pub(super) fn backend(root: &std::path::Path, request: &Request, stream: &mut impl Write) -> std::io::Result<()> {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("GIT_PROTOCOL", request.header("git-protocol").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().expect("piped").write_all(&request.body)?;
    let output = child.wait_with_output()?.stdout;
    let status = String::from_utf8_lossy(&output[..output.len().min(40)]);
    let status = status.strip_prefix("Status: ").and_then(|rest| rest.lines().next()).unwrap_or("200 OK");
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    stream.write_all(&output)
}

pub(super) fn answer(stream: &mut impl Write, status: &str, headers: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n")
}

fn at(origin: &Origin, url: &str) -> Repository {
    origin.repository_at(url).with_stall_timeout(Duration::from_secs(2))
}

#[test]
fn branches_tags_and_commits_over_http() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let first = origin.git(&["rev-parse", "HEAD"]);
    origin.git(&["tag", "--annotate", "v1", "--message", "one"]);
    let second = origin.commit("second", &[("a.yaml", "2")]);
    let server = Server::git(&origin);
    let repository = at(&origin, &server.url());
    for (target, id) in [("HEAD", &second), ("main", &second), ("v1", &first), (&first[..9], &first)] {
        assert_eq!(&super::sha(&repository, target), id, "{target}");
    }
    let third = origin.commit("third", &[("a.yaml", "3")]);
    assert_eq!(super::sha(&repository, "main"), third);
    origin.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    let forced = origin.commit("forced", &[("a.yaml", "4")]);
    assert_eq!(super::sha(&repository, "main"), forced);
    assert_eq!(super::content(&repository, "main"), "4");
}

#[test]
fn asking_whether_anything_changed_takes_two_requests() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let server = Server::git(&origin);
    let repository = at(&origin, &server.url());
    let id = super::sha(&repository, "main");
    server.requests();
    super::sha(&repository, "main");
    assert_eq!(server.requests(), ["GET /origin/.git/info/refs", "POST /origin/.git/git-upload-pack"]);
    super::sha(&repository, &id);
    assert!(server.requests().is_empty(), "a full commit id that is here needs no server");
}

#[test]
fn a_server_that_wants_credentials_or_has_no_such_repository() {
    let origin = Origin::empty();
    for (status, headers) in
        [("401 Unauthorized", "WWW-Authenticate: Basic realm=x\r\n"), ("403 Forbidden", ""), ("404 Not Found", "")]
    {
        let server = Server::start(move |_, stream| answer(stream, status, headers));
        let error = super::fails(&at(&origin, &server.url()), "main");
        assert!(matches!(error, Error::Refused { .. }), "{status}: {}", full(&error));
    }
}

#[test]
fn a_server_that_is_broken_or_not_there() {
    let origin = Origin::empty();
    let broken = Server::start(|_, stream| answer(stream, "503 Service Unavailable", ""));
    let web = Server::start(|_, stream| answer(stream, "200 OK", "Content-Type: text/html\r\n"));
    for url in [broken.url(), web.url(), "http://127.0.0.1:1/r".to_owned(), "http://no-such-host.invalid/r".to_owned()]
    {
        let error = super::fails(&at(&origin, &url), "main");
        assert!(matches!(error, Error::Unreachable { .. }), "{url}: {}", full(&error));
        assert!(error.to_string().contains(&url), "{error}");
    }
}

/// A server whose answers to fetches are changed on their way.
fn meddling(origin: &Origin, meddle: impl Fn(&Request, &mut Vec<u8>) + Send + Sync + 'static) -> Server {
    let root = origin.path().parent().expect("it is in a folder").to_owned();
    Server::start(move |request, stream| {
        let mut answer = Vec::new();
        backend(&root, request, &mut answer)?;
        meddle(request, &mut answer);
        stream.write_all(&answer)
    })
}

fn is_fetch(request: &Request) -> bool {
    request.body.windows(13).any(|window| window == b"command=fetch")
}

#[test]
fn packs_that_are_cut_short_or_damaged_are_not_believed() {
    let large: Vec<_> = (0..20_000).map(|line| format!("{line}: {}", line * 7919 % 10007)).collect();
    let large = large.join("\n");
    let origin = Origin::with(&[("a.yaml", "1"), ("large", &large)]);
    let cut = |_: &Request, answer: &mut Vec<u8>| answer.truncate(answer.len() / 2);
    let flip = |_: &Request, answer: &mut Vec<u8>| {
        let middle = answer.len() / 2;
        answer[middle] ^= 0x55;
    };
    let none = |_: &Request, answer: &mut Vec<u8>| answer.truncate(0);
    let meddlers: [fn(&Request, &mut Vec<u8>); 3] = [cut, flip, none];
    for (at, meddle) in meddlers.into_iter().enumerate() {
        let honest = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let switch = Arc::clone(&honest);
        let server = meddling(&origin, move |request, answer| {
            if is_fetch(request) && !switch.load(std::sync::atomic::Ordering::SeqCst) {
                meddle(request, answer);
            }
        });
        let repository = at_most(&origin, &server);
        let error = super::fails(&repository, "main");
        assert!(matches!(error, Error::Fetch { .. } | Error::Unreachable { .. }), "{at}: {}", full(&error));
        honest.store(true, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(super::content(&repository, "main"), "1", "{at}: the cache is as good as new");
    }
}

fn at_most(origin: &Origin, server: &Server) -> Repository {
    at(origin, &server.url()).with_stall_timeout(Duration::from_secs(5))
}

#[test]
fn a_server_that_lies_about_what_a_branch_is_brings_nothing() {
    let origin = Origin::with(&[("a.yaml", "1")]);
    let truth = origin.git(&["rev-parse", "HEAD"]);
    let lie = "1".repeat(40);
    let server = meddling(&origin, move |_, answer| {
        let at = |answer: &[u8]| answer.windows(40).position(|window| window == truth.as_bytes());
        while let Some(at) = at(answer) {
            answer[at..at + 40].copy_from_slice(lie.as_bytes());
        }
    });
    let error = super::fails(&at_most(&origin, &server), "main");
    let known = matches!(error, Error::Fetch { .. } | Error::Unreachable { .. } | Error::Cache { .. });
    assert!(known, "{}", full(&error));
}

#[test]
fn a_server_that_keeps_silent_is_given_up_on() {
    let origin = Origin::empty();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let server = Server::start(move |_, _| {
        held.lock().map(|held| held.recv().unwrap_or_default()).map_err(|_| std::io::ErrorKind::Other.into())
    });
    let repository = at(&origin, &server.url()).with_stall_timeout(Duration::from_millis(300));
    let start = Instant::now();
    let error = super::fails(&repository, "main");
    assert!(matches!(error, Error::Unreachable { .. }), "{}", full(&error));
    assert!(start.elapsed() < Duration::from_secs(10));
    drop(release);
}
