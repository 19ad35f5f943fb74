//! An ssh server that knows one key and serves one repository, or misbehaves.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, Command};

/// What it does when it is asked to serve.
#[derive(Clone, Copy)]
pub(super) enum Behaviour {
    Serve,
    Refuse(&'static str),
    Silence,
}

/// A running server; it ends with the process.
pub(super) struct Server {
    pub(super) port: u16,
    path: PathBuf,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    commands: Vec<String>,
    protocols: Vec<String>,
    logins: usize,
}

struct Connection {
    client: PublicKey,
    path: PathBuf,
    behaviour: Behaviour,
    heard: Arc<Mutex<Heard>>,
    inputs: HashMap<ChannelId, ChildStdin>,
    protocol: String,
}

// === impl Server ===

impl Server {
    pub(super) fn start(host: PrivateKey, client: &PublicKey, path: &Path, behaviour: Behaviour) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        listener.set_nonblocking(true).expect("a socket");
        let heard = Arc::<Mutex<Heard>>::default();
        let server = Self { port, path: path.to_owned(), heard: Arc::clone(&heard) };
        let (client, path) = (client.clone(), path.to_owned());
        let connection = move || {
            let (client, path, heard) = (client.clone(), path.clone(), Arc::clone(&heard));
            Connection { client, path, behaviour, heard, inputs: HashMap::new(), protocol: String::new() }
        };
        let config = server::Config {
            keys: vec![host],
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            ..server::Config::default()
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let config = Arc::new(config);
                while let Ok((stream, _)) = listener.accept().await {
                    let (config, connection) = (Arc::clone(&config), connection());
                    tokio::spawn(async move {
                        // Clients that do not believe the server hang up.
                        if let Ok(running) = server::run_stream(config, stream, connection).await {
                            let _ = running.await;
                        }
                    });
                }
            });
        });
        server
    }

    /// For a port where something else is, or nothing.
    pub(super) fn nowhere(port: u16) -> Self {
        Self { port, path: PathBuf::from("/r"), heard: Arc::default() }
    }

    pub(super) fn url(&self) -> String {
        format!("ssh://git@127.0.0.1:{}{}", self.port, self.path.display())
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.heard.lock().expect("unpoisoned").commands.clone()
    }

    /// Every protocol that was asked for, once.
    pub(super) fn protocols(&self) -> Vec<String> {
        let mut protocols = self.heard.lock().expect("unpoisoned").protocols.clone();
        protocols.dedup();
        protocols
    }

    pub(super) fn logins(&self) -> usize {
        self.heard.lock().expect("unpoisoned").logins
    }
}

// === impl Connection ===

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.heard.lock().expect("unpoisoned").logins += 1;
        let known = user == "git" && key.public_key.key_data() == self.client.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        _channel: ChannelId,
        name: &str,
        value: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == "GIT_PROTOCOL" {
            value.clone_into(&mut self.protocol);
            self.heard.lock().expect("unpoisoned").protocols.push(value.to_owned());
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        let known = command == format!("git-upload-pack '{}'", self.path.display());
        self.heard.lock().expect("unpoisoned").commands.push(command);
        session.channel_success(channel)?;
        match self.behaviour {
            Behaviour::Serve if known => self.serve(channel, session),
            Behaviour::Silence => {}
            Behaviour::Serve => Self::refuse(channel, session, "fatal: no such repository"),
            Behaviour::Refuse(words) => Self::refuse(channel, session, words),
        }
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(input) = self.inputs.get_mut(&channel) {
            // A program that has ended reads no more.
            let _ = input.write_all(data).await;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.inputs.remove(&channel);
        Ok(())
    }
}

impl Connection {
    fn serve(&mut self, channel: ChannelId, session: &Session) {
        let mut command = Command::new("git");
        command.arg("upload-pack").arg(&self.path).env("GIT_PROTOCOL", &self.protocol);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
        let mut child = child.expect("git is installed");
        self.inputs.insert(channel, child.stdin.take().expect("piped"));
        let (mut output, handle) = (child.stdout.take().expect("piped"), session.handle());
        tokio::spawn(async move {
            let mut buffer = vec![0; 32 << 10];
            while let Ok(length @ 1..) = output.read(&mut buffer).await {
                if handle.data(channel, buffer[..length].to_vec()).await.is_err() {
                    return;
                }
            }
            let status = child.wait().await.ok().and_then(|status| status.code()).unwrap_or(1);
            let _ = handle.exit_status_request(channel, u32::try_from(status).unwrap_or(1)).await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        });
    }

    fn refuse(channel: ChannelId, session: &Session, words: &'static str) {
        let handle = session.handle();
        tokio::spawn(async move {
            let _ = handle.extended_data(channel, 1, words.as_bytes().to_vec()).await;
            let _ = handle.exit_status_request(channel, 1).await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        });
    }
}
