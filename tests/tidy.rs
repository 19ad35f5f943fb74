//! The shape of the program, kept by a program: layers point inward, the core is pure, every file is compiled, nothing grows
//! past reading.
//!
//! A rule that only reviewers know is forgotten in the one review that matters. This reads source text with nothing but the
//! standard library: comments and literals are blanked first, so that words in them count for nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// For each layer, the others it may name. The outermost compose everything and are named by nobody.
const LAYERS: [(&str, &[&str]); 10] = [
    ("core", &[]),
    ("api", &["core"]),
    ("git", &["core", "api"]),
    ("cluster", &["core", "api"]),
    ("certs", &["core", "api", "cluster"]),
    ("evidence", &["core", "api"]),
    ("webhook", &["core", "api", "evidence", "certs"]),
    ("reconcile", &["core", "api", "cluster", "git", "evidence"]),
    ("receiver", &["core", "api", "git", "evidence", "reconcile"]),
    ("inspect", &["core", "api", "cluster", "git", "reconcile"]),
];

/// Files that name a layer they should not, until they no longer have to: (file, layer, why).
const EXCEPTIONS: [(&str, &str, &str); 7] = [
    ("src/cluster/mod.rs", "evidence", "every request to the API server is counted where it is made"),
    ("src/cluster/objects.rs", "evidence", "likewise"),
    ("src/cluster/rights.rs", "evidence", "likewise"),
    ("src/cluster/select.rs", "evidence", "likewise"),
    ("src/cluster/rights.rs", "webhook", "it implements what the webhook asks of the API server (webhook::upstream)"),
    ("src/receiver/mod.rs", "shutdown", "the two stages of stopping are one signal for all"),
    ("src/webhook/serve.rs", "shutdown", "the two stages of stopping are one signal for all"),
];

/// What the core must not name: it has no clock, no files, no network, no environment, and never waits.
const IMPURE: [&str; 15] = [
    "tokio",
    "axum",
    "kube",
    "k8s_openapi",
    "hyper",
    "reqwest",
    "async fn",
    "async move",
    ".await",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "::now()",
];

/// Lines in a file of `src`, sibling tests aside. Longer files have more than one idea in them.
const FILE: usize = 400;
/// Lines in a function.
const FUNCTION: usize = 60;

#[test]
fn layers_point_inward() {
    let mut faults = Vec::new();
    let mut needed = BTreeSet::<&(&str, &str, &str)>::new();
    for file in sources("src") {
        let layer = file.layer();
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else { continue };
        for (line, named) in file.crate_modules() {
            let is_inward = named == layer || allowed.contains(&named.as_str()) || !is_module(&named);
            let exception = EXCEPTIONS.iter().find(|(name, layer, _)| *name == file.name && *layer == named);
            needed.extend(exception);
            if !is_inward && exception.is_none() {
                faults.push(format!(
                    "{}:{line}: `{layer}` must not name `crate::{named}` (allowed: {allowed:?})",
                    file.name
                ));
            }
        }
    }
    let stale = EXCEPTIONS.iter().filter(|exception| !needed.contains(exception));
    faults.extend(
        stale.map(|(name, layer, _)| format!("{name}:1: no longer names `crate::{layer}`: take the exception out")),
    );
    report("Layers point inward: move what is shared into a layer further in", &faults);
}

#[test]
fn the_core_is_pure() {
    let core = sources("src").into_iter().filter(|file| file.layer() == "core");
    let faults: Vec<_> =
        core.flat_map(|file| IMPURE.iter().flat_map(move |word| file.lines_with(word)).collect::<Vec<_>>()).collect();
    report("The core takes values and gives values: hand it what it needs", &faults);
}

#[test]
fn every_file_is_compiled() {
    let mut reached = BTreeSet::new();
    let mut waiting = targets().to_vec();
    while let Some(root) = waiting.pop() {
        if reached.insert(root.clone()) {
            waiting.extend(Source::read(&root).modules());
        }
    }
    let all = sources("src").into_iter().chain(sources("tests"));
    let dead =
        all.filter(|file| !reached.contains(&file.path)).map(|file| format!("{}:1: no `mod` leads here", file.name));
    report("A file no module declares is never compiled", &dead.collect::<Vec<_>>());
}

#[test]
fn files_and_functions_stay_short() {
    let mut faults = Vec::new();
    for file in sources("src").iter().chain(&sources("tests")) {
        let lines = file.text.lines().count();
        if file.name.starts_with("src") && !file.is_test() && lines > FILE {
            faults.push(format!("{}:{lines}: {lines} lines; a file has {FILE} at most", file.name));
        }
        let long = file.functions().into_iter().filter(|(_, _, length)| *length > FUNCTION);
        faults.extend(
            long.map(|(line, name, length)| format!("{}:{line}: `{name}` has {length} lines of {FUNCTION}", file.name)),
        );
    }
    report("One idea a file, one thought a function", &faults);
}

#[test]
fn every_file_says_what_and_why() {
    let silent = sources("src").into_iter().filter(|file| !file.text.starts_with("//! "));
    let faults: Vec<_> = silent.map(|file| format!("{}:1: does not begin with `//! `", file.name)).collect();
    report("The first line of a file says what it is", &faults);
}

#[test]
fn nothing_is_left_undone() {
    let mut faults = Vec::new();
    for file in sources("src").iter().chain(&sources("tests")) {
        faults.extend(file.lines_with("#[ignore"));
        if file.name.starts_with("src") {
            faults.extend(file.lines_with(".unwrap()"));
        }
        let later = ["TO", "DO"].concat();
        let notes = file.text.lines().enumerate().filter(|(_, line)| line.contains(&later));
        faults.extend(notes.map(|(at, _)| format!("{}:{}: {later}", file.name, at + 1)));
    }
    report("Do it, or say in a module's doc that it is not done; `expect` says why a value is there", &faults);
}

/// The rules would hold for anything if the reader were blind.
#[test]
fn the_reader_sees_code_and_nothing_else() {
    let text = "// crate::a\nconst S: &str = \"crate::b {\";\nlet c = '{'; /* crate::c */\nuse crate::{git::x, core};\n\
                fn f<'a>() { crate::api::g(r#\"}\"#) }\nmod m { mod n; }\n";
    let file = Source::new(PathBuf::from("src/x.rs"), text.to_owned());
    let named: Vec<_> = file.crate_modules().into_iter().map(|(line, name)| format!("{line} {name}")).collect();
    assert_eq!(named, ["4 git", "4 core", "5 api"]);
    assert_eq!(file.functions(), [(5, "f".to_owned(), 1)]);
    assert_eq!(file.modules(), [PathBuf::from("src/x/m/n.rs")]);
}

// --- reading ---

struct Source {
    path: PathBuf,
    /// The path as messages show it.
    name: String,
    text: String,
    /// The text with comments and literals blanked, byte for byte.
    code: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &str) -> Vec<Source> {
    paths(folder).iter().map(|path| Source::read(path)).collect()
}

fn paths(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is part of the package") {
            let path = entry.expect("a folder of the package can be listed").path();
            match path.extension().and_then(|extension| extension.to_str()) {
                _ if path.is_dir() => folders.push(path),
                Some("rs") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// What cargo compiles by itself: the library, the binary, tests, and whatever the manifest names by path.
fn targets() -> &'static [PathBuf] {
    static TARGETS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    TARGETS.get_or_init(find_targets)
}

fn find_targets() -> Vec<PathBuf> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the package has a manifest");
    let named = manifest.lines().filter_map(|line| line.strip_prefix("path = \"")?.split('"').next());
    let named: Vec<_> = named.map(|path| root().join(path)).collect();
    let in_tests = |path: &PathBuf| path.strip_prefix(root().join("tests")).map_or(0, |path| path.components().count());
    let is_target = |path: &PathBuf| in_tests(path) == 1 || (in_tests(path) == 2 && path.ends_with("main.rs"));
    let tests = paths("tests").into_iter().filter(is_target);
    tests.chain(named).chain(["src/lib.rs", "src/main.rs"].map(|path| root().join(path))).collect()
}

/// Is this a module of the crate, and not an item at its root?
fn is_module(name: &str) -> bool {
    let src = root().join("src");
    src.join(name).is_dir() || src.join(format!("{name}.rs")).is_file()
}

fn report(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "\n{rule}:\n  {}\n", faults.join("\n  "));
}

// === impl Source ===

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        Self::new(path.to_owned(), text)
    }

    fn new(path: PathBuf, text: String) -> Self {
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let code = blanked(&text);
        Self { path, name, text, code }
    }

    fn layer(&self) -> String {
        let below = self.name.strip_prefix("src/").unwrap_or(&self.name);
        below.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
    }

    fn is_test(&self) -> bool {
        self.name.ends_with("tests.rs") || self.name.contains("/tests/") || self.name.ends_with("testing.rs")
    }

    fn line_at(&self, offset: usize) -> usize {
        self.code[..offset].matches('\n').count() + 1
    }

    fn lines_with(&self, word: &str) -> Vec<String> {
        let begins = |at: usize| !self.code[..at].ends_with(is_word) || !word.starts_with(is_word);
        let ends = |at: usize| !self.code[at + word.len()..].starts_with(is_word) || !word.ends_with(is_word);
        let found = self.code.match_indices(word).filter(|(at, _)| begins(*at) && ends(*at));
        found.map(|(at, _)| format!("{}:{}: {word}", self.name, self.line_at(at))).collect()
    }

    /// Every module of the crate that is named, with the line.
    fn crate_modules(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        for (at, prefix) in self.code.match_indices("crate::") {
            let rest = &self.code[at + prefix.len()..];
            let names = if rest.starts_with('{') { first_of_each(rest) } else { vec![word(rest)] };
            found.extend(names.into_iter().map(|name| (self.line_at(at), name)));
        }
        found
    }

    /// Line, name and length of every function with a body.
    fn functions(&self) -> Vec<(usize, String, usize)> {
        let starts = self.code.match_indices("fn ").filter(|(at, _)| !self.code[..*at].ends_with(is_word));
        let measured = starts.filter_map(|(at, _)| {
            let rest = &self.code[at..];
            let body = rest.find(['{', ';']).filter(|body| rest[*body..].starts_with('{'))?;
            let end = body + closing(&rest[body..])?;
            let name = word(&rest["fn ".len()..]);
            (!name.is_empty()).then(|| (self.line_at(at), name, rest[..end].matches('\n').count() + 1))
        });
        measured.collect()
    }

    /// The files of the modules declared here.
    fn modules(&self) -> Vec<PathBuf> {
        let folder = self.path.parent().expect("a file is in a folder");
        let stem = self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let is_root = matches!(stem, "mod" | "lib" | "main") || targets_if_real(&self.path);
        let below = if is_root { folder.to_owned() } else { folder.join(stem) };
        let mut found = Vec::new();
        self.modules_in(0, self.code.len(), &below, &mut found);
        found
    }

    fn modules_in(&self, start: usize, end: usize, below: &Path, found: &mut Vec<PathBuf>) {
        let mut at = start;
        while let Some(next) = self.code[at..end].find("mod ").map(|next| at + next) {
            at = next + "mod ".len();
            let name = word(&self.code[at..]);
            let after = self.code[at + name.len()..].trim_start();
            if self.code[..next].ends_with(is_word) || name.is_empty() {
                continue;
            }
            if after.starts_with(';') {
                found.push(self.file_of(&name, next, below));
            } else if after.starts_with('{') {
                let body = self.code.len() - after.len();
                let close = body + closing(after).unwrap_or(1);
                self.modules_in(body, close, &below.join(&name), found);
                at = close;
            }
        }
    }

    /// Where `mod name;` leads: where `#[path]` says, or to one of the two usual places.
    fn file_of(&self, name: &str, declared: usize, below: &Path) -> PathBuf {
        let attributes = self.text[..declared].rfind([';', '}']).map_or(0, |end| end + 1);
        let said =
            self.text[attributes..declared].split_once("#[path = \"").and_then(|(_, rest)| rest.split('"').next());
        if let Some(said) = said {
            return self.path.parent().expect("a file is in a folder").join(said);
        }
        let usual = below.join(format!("{name}.rs"));
        let folder = below.join(name).join("mod.rs");
        if folder.is_file() { folder } else { usual }
    }
}

/// Is this file a target, and so the root of its own modules?
fn targets_if_real(path: &Path) -> bool {
    path.is_file() && targets().iter().any(|target| target == path)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

/// The first name of each item of a `{…}` list of imports.
fn first_of_each(list: &str) -> Vec<String> {
    let end = closing(list).unwrap_or(list.len());
    let (mut names, mut depth, mut expected) = (Vec::new(), 0, true);
    for (at, c) in list[..end].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' => expected = true,
            c if is_word(c) && depth == 1 && expected => {
                names.push(word(&list[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

/// Just behind the brace that closes the one `text` starts with.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// The text with comments, strings and characters blanked; newlines and offsets stay.
fn blanked(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = literal(rest, code.chars().next_back());
        let taken = skipped.unwrap_or(c.len_utf8());
        match skipped {
            None => code.push(c),
            Some(length) => code.extend(rest[..length].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' })),
        }
        rest = &rest[taken..];
    }
    code
}

/// How long the comment or literal is that starts here, if one does.
fn literal(text: &str, before: Option<char>) -> Option<usize> {
    let raw = text.strip_prefix('r').filter(|_| !before.is_some_and(is_word));
    let hashes = raw.map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    if raw.is_some_and(|raw| raw[hashes..].starts_with('"')) {
        let open = 2 + hashes;
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(text[open..].find(&close).map_or(text.len(), |end| open + end + close.len()));
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    // A quote is a character only if it closes again: lifetimes have one, too.
    let inner = text.strip_prefix('\'')?;
    let is_char = inner.starts_with('\\') || inner.chars().nth(1) == Some('\'');
    is_char.then(|| quoted(text, '\''))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = true; // the opening quote does not close
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}
