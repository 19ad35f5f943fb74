//! etcd, kube-apiserver and kube-controller-manager: which program with which flags, and when each counts as up.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;

use super::clients;
use super::layout::{Layout, write_atomically};
use super::people::{self, Person};
use super::pki::Pki;
use super::ports;
use super::server::{self, Start};

/// The names under which the three are recorded and logged.
pub const ETCD: &str = "etcd";
/// See [`ETCD`].
pub const API_SERVER: &str = "kube-apiserver";
/// See [`ETCD`].
pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";

/// Everything of a request but its body, and nothing of the leases that are renewed all day.
const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
  "rules": [{"level": "None", "resources": [{"group": "coordination.k8s.io"}]}, {"level": "Metadata"}]
}"#;

/// The control plane of one world.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    layout: Layout,
    pki: Pki,
    programs: PathBuf,
    audit: bool,
    arguments: Vec<String>,
}

impl ControlPlane {
    /// Prepares keys; starts nothing. With `audit`, every request is written down; `arguments` are the API server's besides.
    pub fn new(layout: &Layout, audit: bool, arguments: &[String]) -> Result<Self> {
        let (layout, arguments) = (layout.clone(), arguments.to_vec());
        Ok(Self { pki: Pki::create(&layout)?, layout, programs: programs()?, audit, arguments })
    }

    /// Keys and certificates.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// The path of kubectl.
    pub fn kubectl(&self) -> PathBuf {
        self.programs.join("kubectl")
    }

    /// Whether there is a controller manager: envtest's assets have none.
    pub fn has_controllers(&self) -> bool {
        self.programs.join(CONTROLLER_MANAGER).exists()
    }

    /// Where etcd listens.
    pub fn etcd(&self) -> Result<String> {
        Ok(format!("http://127.0.0.1:{}", ports::port(&self.layout, ETCD)?))
    }

    /// Where the API server listens.
    pub fn server(&self) -> Result<String> {
        Ok(format!("https://127.0.0.1:{}", ports::port(&self.layout, API_SERVER)?))
    }

    /// Starts etcd unless it runs.
    pub async fn start_etcd(&self) -> Result<Start> {
        server::start(&self.layout, ETCD, [ETCD], |[port]| Ok(self.etcd_command(port)), server::answers).await
    }

    /// Starts the API server unless it runs, and writes everybody's kubeconfig.
    pub async fn start_api_server(&self) -> Result<Start> {
        let ready = async |_| clients::is_ready(&self.administrator().await?).await;
        server::start(&self.layout, API_SERVER, [API_SERVER], |[port]| self.api_server_command(port), ready).await
    }

    /// Starts the controllers unless they run; they work once the account every namespace gets is there.
    pub async fn start_controller_manager(&self) -> Result<Start> {
        let works = async |_| {
            let accounts = Api::<ServiceAccount>::namespaced(self.administrator().await?, "default");
            accounts.get("default").await?;
            Ok(())
        };
        server::start(&self.layout, CONTROLLER_MANAGER, [], |_| Ok(self.controller_manager_command()), works).await
    }

    async fn administrator(&self) -> Result<kube::Client> {
        clients::client(&Person::Administrator.kubeconfig(&self.layout)).await
    }

    fn etcd_command(&self, port: u16) -> Command {
        let url = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(self.programs.join(ETCD));
        command
            .arg("--data-dir")
            .arg(self.layout.etcd())
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            // Nobody joins; any port will do.
            .args(["--listen-peer-urls", "http://127.0.0.1:0"])
            // A world may be lost with the machine, and a sync for each write would cost more than the write.
            .args(["--unsafe-no-fsync", "--log-level", "warn"]);
        command
    }

    fn api_server_command(&self, port: u16) -> Result<Command> {
        people::write_kubeconfigs(&self.layout, &self.pki, &self.server()?)?;
        let mut command = Command::new(self.programs.join(API_SERVER));
        command
            .args(["--bind-address", "127.0.0.1", "--secure-port", &port.to_string(), "--etcd-servers", &self.etcd()?])
            .arg("--tls-cert-file")
            .arg(self.pki.serving_certificate())
            .arg("--tls-private-key-file")
            .arg(self.pki.serving_key())
            .arg("--service-account-signing-key-file")
            .arg(self.pki.signing_key())
            .arg("--service-account-key-file")
            .arg(self.pki.signing_public_key())
            .args(["--service-account-issuer", "https://kubernetes.default.svc"])
            .arg("--token-auth-file")
            .arg(people::write_token_file(&self.layout, &self.pki)?)
            .args(["--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.96.0.0/16"])
            // Said, because it would otherwise look for a route to the world and refuse to start without one; not
            // published as an endpoint, because loopback may not be one.
            .args(["--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none"])
            .args(&self.arguments);
        self.add_audit(&mut command)?;
        Ok(command)
    }

    fn add_audit(&self, command: &mut Command) -> Result<()> {
        if self.audit {
            let policy = self.layout.run().join("audit-policy.json");
            write_atomically(&policy, AUDIT_POLICY)?;
            command.arg("--audit-policy-file").arg(policy).arg("--audit-log-path").arg(self.layout.audit());
        }
        Ok(())
    }

    fn controller_manager_command(&self) -> Command {
        let mut command = Command::new(self.programs.join(CONTROLLER_MANAGER));
        command
            .arg("--kubeconfig")
            .arg(Person::ControllerManager.kubeconfig(&self.layout))
            // Each controller under its own service account, as in a real cluster: that is who admission sees.
            .arg("--use-service-account-credentials")
            .arg("--service-account-private-key-file")
            .arg(self.pki.signing_key())
            .arg("--root-ca-file")
            .arg(self.pki.authority())
            .args(["--leader-elect=false", "--secure-port=0", "--kube-api-qps=200", "--kube-api-burst=400"])
            // Quick enough to be watched.
            .args(["--horizontal-pod-autoscaler-sync-period=2s"])
            .args(["--horizontal-pod-autoscaler-downscale-stabilization=4s"]);
        command
    }
}

/// The folder with the four programs. build.sh alone knows where: it honours `KUBEBUILDER_ASSETS`, else names its cache.
fn programs() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/control-plane/build.sh");
    let output = Command::new(script).arg("--print").output().context("failed to run tests/control-plane/build.sh")?;
    ensure!(output.status.success(), "no control plane: {}", String::from_utf8_lossy(&output.stderr).trim());
    let folder = PathBuf::from(String::from_utf8(output.stdout).context("a path that is not UTF-8")?.trim());
    ensure!(folder.join("kube-apiserver").exists(), "the control plane is not built yet: run `make control-plane`");
    Ok(folder)
}
