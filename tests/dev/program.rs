//! `dev`: the program behind `make up`, `make down` and `make demo`. What a world is stands in [`world`], the story in
//! [`demo`]; here is only what is typed and what is said.

mod demo;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use world::{Options, World};

/// A Kubernetes cluster with people, a Git server and Holdfast, on loopback.
#[derive(Parser)]
#[command(name = "dev")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start what does not run yet
    Up {
        /// The folder that holds the world
        #[arg(long, default_value = "target/dev")]
        dir: PathBuf,
        /// The holdfast program, if not the one built beside this
        #[arg(long)]
        holdfast: Option<PathBuf>,
    },
    /// End what runs; the data stays
    Down {
        /// The folder that holds the world
        #[arg(long, default_value = "target/dev")]
        dir: PathBuf,
    },
    /// Tell what Holdfast does, in a world of its own that ends with the story
    Demo,
    /// Serve Git repositories over HTTP (started by `up`)
    #[command(hide = true)]
    GitServer {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        root: PathBuf,
    },
    /// End a world when standard input closes (started by tests)
    #[command(hide = true)]
    Guard {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        owner: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Up { dir, holdfast } => up(&dir, holdfast).await,
        Command::Down { dir } => down(&dir).await,
        Command::Demo => demo::run().await,
        Command::GitServer { port, root } => {
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.context("failed to listen")?;
            world::git_server::serve(listener, root).await
        }
        Command::Guard { dir, owner } => {
            // Blocking is all this process does.
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
            world::guard::end_if_owner(&dir, &owner).await
        }
    }
}

async fn up(dir: &Path, holdfast: Option<PathBuf>) -> Result<()> {
    println!("A world in {}:", dir.display());
    let without_holdfast = std::env::var("HOLDFAST_SKIP").is_ok_and(|skip| !matches!(skip.as_str(), "" | "0"));
    let options = Options { sample: true, without_holdfast, holdfast, ..Options::default() };
    let world = World::start(dir, options).await?;
    print!("{}", next_steps(dir, &world, without_holdfast)?);
    Ok(())
}

async fn down(dir: &Path) -> Result<()> {
    println!("Ending the world in {}:", dir.display());
    World::end(dir, false).await?;
    println!("Nothing of it runs now. Its data is kept for the next `up`; delete the folder to begin anew.");
    Ok(())
}

fn next_steps(dir: &Path, world: &World, without_holdfast: bool) -> Result<String> {
    let remote = world.git_url()?;
    let again = if dir == Path::new("target/dev") { String::new() } else { format!(" DIR={}", shell_word(dir)) };
    let first = if without_holdfast {
        "  # Nobody follows Git and nobody guards it now. By hand (twice, so that its own kind is known the second time):
  $KUBECTL -n shop apply --recursive -f $GIT_WORKTREE/apps/shop
  $KUBECTL --kubeconfig $ALICE_KUBECONFIG -n shop scale deployment/api --replicas=5
  # `make up` then starts Holdfast in this world, and Git wins."
    } else {
        "  $KUBECTL get gitsyncs --all-namespaces
  $KUBECTL --kubeconfig $ALICE_KUBECONFIG -n shop scale deployment/api --replicas=5    # refused
  cd $GIT_WORKTREE                    # edit, commit and push: the cluster follows
  tail -f $LOG_DIR/records.jsonl      # who did what"
    };
    let env = shell_word(&dir.join("env").canonicalize()?);
    Ok(format!(
        "
Git is at {remote}. To try:

  . {env}; export KUBECONFIG
{first}

  make down{again}                           # end it
"
    ))
}

fn shell_word(path: &Path) -> String {
    world::report::quoted(&path.to_string_lossy())
}
