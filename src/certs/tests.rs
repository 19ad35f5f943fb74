//! Proved with a real handshake: a certificate that merely parses is not one that is accepted.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use super::*;

fn names() -> Vec<String> {
    ["holdfast.holdfast-system.svc", "127.0.0.1"].map(str::to_owned).to_vec()
}

fn bundle() -> Bundle {
    issue(&names(), Duration::from_hours(24), Timestamp::now()).expect("made")
}

fn chain(bundle: &Bundle) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bundle.chain.as_bytes()).collect::<Result<_, _>>().expect("PEM")
}

fn roots(bundle: &Bundle) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(bundle.ca.as_bytes()).expect("PEM")).expect("a CA");
    Arc::new(roots)
}

fn client(bundle: &Bundle, name: &str) -> ClientConnection {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots(bundle));
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    ClientConnection::new(Arc::new(config.with_no_client_auth()), name).expect("a client")
}

fn server(bundle: &Bundle) -> ServerConnection {
    let key = PrivateKeyDer::from_pem_slice(bundle.key.as_bytes()).expect("PEM");
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    ServerConnection::new(Arc::new(config.with_single_cert(chain(bundle), key).expect("a pair"))).expect("a server")
}

/// Passes bytes to and fro in memory until both are satisfied or one is not.
fn shake(mut client: ClientConnection, mut server: ServerConnection) -> Result<(), rustls::Error> {
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).expect("memory");
        server.read_tls(&mut bytes.as_slice()).expect("memory");
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).expect("memory");
        client.read_tls(&mut bytes.as_slice()).expect("memory");
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_client_that_knows_the_ca_accepts_every_name_and_no_other() {
    let bundle = bundle();
    for name in names() {
        shake(client(&bundle, &name), server(&bundle)).expect("accepted");
    }
    shake(client(&bundle, "example.org"), server(&bundle)).expect_err("a name it was not made for");
}

#[test]
fn a_client_that_knows_another_ca_does_not() {
    shake(client(&bundle(), "127.0.0.1"), server(&bundle())).expect_err("a stranger's CA");
}

#[test]
fn it_runs_out_when_it_says() {
    let (bundle, name) = (bundle(), ServerName::try_from("127.0.0.1").expect("an address"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(&bundle), provider).build().expect("a verifier");
    let chain = chain(&bundle);
    let verify = |seconds: i64| {
        let at = u64::try_from(bundle.expires.as_second() + seconds).expect("after 1970");
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], at)
    };
    verify(-60).expect("still good");
    verify(60).expect_err("run out");
}

#[test]
fn a_name_that_cannot_be_written_is_an_error_that_names_it() {
    let error = issue(&["bücher".to_owned()], Duration::from_hours(1), Timestamp::now()).expect_err("not ASCII");
    assert_eq!(error.to_string(), "failed to make a certificate for bücher");
}

#[test]
fn the_key_stays_out_of_logs() {
    assert!(!format!("{:?}", bundle()).contains("PRIVATE"));
}
