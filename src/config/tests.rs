//! Precedence, meaning, and errors one can act on.

use std::path::Path;

use super::*;

fn settings(yaml: &str) -> Settings {
    serde_saphyr::from_str(yaml).expect("known settings")
}

fn read(flags: &str, file: &str) -> Result<Config, Error> {
    let typed = settings(flags).over(Some((Path::new("holdfast.yaml"), settings(file))));
    Config::read(typed, PathBuf::from("caches"))
}

fn error(flags: &str, file: &str) -> String {
    read(flags, file).expect_err("cannot be used").to_string()
}

#[test]
fn without_settings_it_listens_on_this_machine_only() {
    let config = read("{}", "{}").expect("defaults");
    assert_eq!(config.namespace, "holdfast-system");
    assert!(config.webhook.listen.ip().is_loopback() && config.admin_listen.ip().is_loopback());
    assert_eq!(config.webhook.timeout, Duration::from_secs(1));
    assert_eq!(config.cache_dir, PathBuf::from("caches"));
    let bound = "127.0.0.1:4711".parse().expect("an address");
    assert_eq!(config.webhook.client(bound), Client::Url("https://127.0.0.1:4711".to_owned()));
    assert_eq!(config.webhook.names(bound), ["127.0.0.1"]);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let config = read("namespace: here", "{namespace: there, webhook-timeout: 2s}").expect("valid");
    assert_eq!((config.namespace.as_str(), config.webhook.timeout), ("here", Duration::from_secs(2)));
}

#[test]
fn a_service_is_reached_by_its_name() {
    let config = read("{webhook-listen: '0.0.0.0:9443', webhook-service: 'ops/guard:8443'}", "{}").expect("valid");
    let client = Client::Service { namespace: "ops".to_owned(), name: "guard".to_owned(), port: 8443 };
    assert_eq!(config.webhook.client, Some(client));
    assert_eq!(config.webhook.names(config.webhook.listen), ["guard.ops.svc", "guard.ops.svc.cluster.local"]);
}

#[test]
fn a_flag_wins_over_another_way_of_saying_it_in_the_file() {
    let config = read("webhook-url: https://h", "webhook-service: a/b").expect("valid");
    assert_eq!(config.webhook.client, Some(Client::Url("https://h".to_owned())));
}

#[test]
fn push_webhooks_are_taken_only_where_asked_for() {
    assert_eq!(read("{}", "{}").expect("defaults").receiver, None);
    let receiver = read("receiver-listen: '0.0.0.0:9292'", "receiver-secret-file: hook").expect("valid").receiver;
    let receiver = receiver.expect("asked for");
    assert_eq!((receiver.listen.port(), receiver.secret), (9292, Some(PathBuf::from("hook"))));
    insta::assert_snapshot!(error("receiver-secret-file: hook", "{}"), @r#"--receiver-secret-file: "hook" is of no use; say where push webhooks are taken: --receiver-listen"#);
    insta::assert_snapshot!(error("receiver-listen: here", "{}"), @r#"--receiver-listen: "here" is not an address to listen on; write an IP address and a port, such as 127.0.0.1:9443 or [::]:9443"#);
}

#[test]
fn shards_are_counted() {
    assert_eq!(read("{}", "{}").expect("defaults").replica.shards, 1);
    assert_eq!(read("shards: '4'", "shards: '8'").expect("valid").replica.shards, 4);
    for wrong in ["0", "33", "1000", "-1", "two", "2.5", "", "99999999999999999999"] {
        let said = error(&format!("shards: '{wrong}'"), "{}");
        let wanted = format!("--shards: {wrong:?} is no number of shards; write a whole number from 1 to 32");
        assert_eq!(said, wanted);
    }
}

#[test]
fn errors_name_the_flag_the_value_and_the_way_out() {
    insta::assert_snapshot!(error("webhook-url: http://127.0.0.1:9443", "{}"), @r#"--webhook-url: "http://127.0.0.1:9443" is not a URL an API server can call; write https:// and a host, with a port if needed, and no path"#);
    insta::assert_snapshot!(error("webhook-timeout: 500ms", "{}"), @r#"--webhook-timeout: "500ms" is not a timeout Kubernetes knows; write whole seconds from 1s to 30s"#);
    insta::assert_snapshot!(error("webhook-listen: 0.0.0.0:9443", "{}"), @r#"--webhook-listen: "0.0.0.0:9443" is every address of this machine, so the API server cannot be told one; say how it is reached: --webhook-service NAMESPACE/NAME, or --webhook-url"#);
    insta::assert_snapshot!(error("cert-file: tls.crt", "{}"), @r#"--cert-file: "tls.crt" is not enough; give --cert-file, --key-file and --ca-file, or none of them"#);
    insta::assert_snapshot!(error("otlp-endpoint: '127.0.0.1:4318'", "{}"), @r#"--otlp-endpoint: "127.0.0.1:4318" is no address of a collector; write http:// or https://, a host and a port, such as http://127.0.0.1:4318; credentials go into the variable OTEL_EXPORTER_OTLP_HEADERS"#);
    insta::assert_snapshot!(error("{webhook-url: 'https://h', webhook-service: a/b}", "{}"), @r#"--webhook-url: "https://h" is given beside --webhook-service; keep one of the two"#);
}

#[test]
fn errors_in_a_file_name_the_file() {
    insta::assert_snapshot!(error("{}", "log-format: xml"), @r#"log-format in holdfast.yaml: "xml" is not a format; write text or json"#);
    insta::assert_snapshot!(error("{}", "webhook-service: holdfast"), @r#"webhook-service in holdfast.yaml: "holdfast" does not name a Service; write it as namespace/name, or namespace/name:port"#);
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("holdfast.yaml");
    std::fs::write(&path, "namespace: ops\nwebhook-lisen: 127.0.0.1:9443\n").expect("written");
    let error = anyhow::Error::new(Settings::from_file(&path).expect_err("misspelt"));
    let error = format!("{error:#}");
    assert!(error.contains("holdfast.yaml") && error.contains("webhook-lisen") && error.contains("line 2"), "{error}");
}
