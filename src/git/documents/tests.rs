//! One file in, objects and complaints out.

use std::sync::Arc;

use super::{Document, read};

fn run(text: &str) -> (Vec<Document>, Vec<String>) {
    let file: Arc<str> = "apps/x.yaml".into();
    let (documents, problems) = read(&file, text.as_bytes());
    (documents, problems.iter().map(ToString::to_string).collect())
}

fn names(documents: &[Document]) -> Vec<String> {
    let name = |document: &Document| {
        let (kind, name) = (&document.value["kind"], &document.value["metadata"]["name"]);
        format!("{} {} :{}", kind.as_str().unwrap_or("?"), name.as_str().unwrap_or("?"), document.origin.lines.line)
    };
    documents.iter().map(name).collect()
}

fn problem(text: &str) -> String {
    let (documents, problems) = run(text);
    assert_eq!((documents.len(), problems.len()), (0, 1), "{problems:?}");
    problems.into_iter().next().expect("there is one")
}

const ONE: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n";
const TWO: &str = "apiVersion: v1\nkind: Secret\nmetadata: {name: two}\n";

#[test]
fn several_documents_and_empty_ones() {
    let (documents, problems) = run(&format!("# licence\n---\n{ONE}---\n---\n# nothing\n---\n{TWO}---\n"));
    assert_eq!(names(&documents), ["ConfigMap one :3", "Secret two :10"]);
    assert!(problems.is_empty());
    for empty in ["", "\n\n", "# only this", "---\n---\n", "\u{feff}"] {
        let (documents, problems) = run(empty);
        assert!(documents.is_empty() && problems.is_empty(), "{empty:?} {problems:?}");
    }
}

#[test]
fn a_broken_document_between_good_ones() {
    let (documents, problems) = run(&format!("{ONE}---\nkind: [\n---\n{TWO}"));
    assert_eq!(names(&documents), ["ConfigMap one :1", "Secret two :7"]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("apps/x.yaml:"), "{problems:?}");
}

#[test]
fn lists_are_taken_apart() {
    let (documents, problems) =
        run("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n\
         - apiVersion: v1\n  kind: SecretList\n  items:\n  - metadata: {name: b}\n  - metadata: {}\n");
    assert_eq!(names(&documents), ["ConfigMap a :4", "Secret b :10"]);
    assert_eq!(problems, ["apps/x.yaml:11: metadata.name is missing"]);
    let (documents, problems) = run("apiVersion: v1\nkind: List\nitems: []\n---\napiVersion: v1\nkind: List\nitems:\n");
    assert!(documents.is_empty() && problems.is_empty());
}

#[test]
fn a_kind_that_ends_in_list_is_not_a_list_without_items() {
    let (documents, _) = run("apiVersion: acme.io/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {}\n");
    assert_eq!(names(&documents), ["AllowList a :1"]);
}

#[test]
fn json() {
    let (documents, problems) = run(r#"{"apiVersion":"v1","kind":"List","items":[
        {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"}}]}"#);
    assert_eq!(names(&documents), ["ConfigMap j :2"]);
    assert!(problems.is_empty());
    let cut_off = problem("{\"apiVersion\": \"v1\",\n \"kind\": ");
    assert_eq!(cut_off, "apps/x.yaml:1: unclosed bracket '{'");
}

#[test]
fn what_is_missing_is_said_with_its_line() {
    let cases = [
        ("kind: A\nmetadata: {name: a}", "apps/x.yaml:1: apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: a}", "apps/x.yaml:1: kind is missing"),
        ("apiVersion: v1\nkind: A", "apps/x.yaml:1: metadata.name is missing"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  labels: {}", "apps/x.yaml:3: metadata.name is missing"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: ''", "apps/x.yaml:4: metadata.name is missing"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: 12", "apps/x.yaml:4: metadata.name is not text; quote it"),
        ("apiVersion: v1\nkind: A\nmetadata: [a]", "apps/x.yaml:3: metadata is not a mapping"),
        ("apiVersion: 1\nkind: A", "apps/x.yaml:1: apiVersion is not text; quote it"),
    ];
    for (text, expected) in cases {
        assert_eq!(problem(text), expected);
    }
    assert!(problem("- a\n- b").contains("not a Kubernetes object"));
    assert!(problem("just text").contains("not a Kubernetes object"));
    assert!(
        problem("apiVersion: v1\nkind: A\nmetadata:\n  generateName: a-")
            .starts_with("apps/x.yaml:4: metadata.generateName")
    );
}

#[test]
fn templates_get_a_hint() {
    assert!(problem("{{- if .Values.on }}\napiVersion: v1\n{{- end }}\n").contains("render Helm charts"));
    assert!(
        problem("apiVersion: v1\nkind: A\nmetadata:\n  name: {{ .Release.Name }}\n").contains("render Helm charts")
    );
    assert!(problem("apiVersion: v1\nkind: A\nmetadata:\n  name: '{{ .Release.Name }}'\n").contains("template"));
    let (documents, problems) = run("apiVersion: v1\nkind: A\nmetadata: {name: a}\ndata: {rule: '{{ $labels.x }}'}\n");
    assert_eq!((documents.len(), problems.len()), (1, 0), "templates inside text are nobody's business");
}

#[test]
fn bytes_that_are_not_text() {
    let (documents, problems) = read(&"b.yaml".into(), b"a: 1\nb: \xff\xfe\n");
    assert!(documents.is_empty());
    assert_eq!(problems[0].to_string(), "b.yaml:2: the file is not UTF-8 text from here on");
}
