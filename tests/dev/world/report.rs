//! What a world tells whoever started it: each step with its time, and the `env` file for shells.

use std::time::Instant;

use anyhow::Result;

use super::server::Start;

/// Prints steps as they are done, or keeps quiet (in tests).
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// Print nothing.
    pub quiet: bool,
}

impl Steps {
    /// Does one step.
    pub async fn step<T>(self, what: &str, doing: impl Future<Output = Result<T>>) -> Result<T> {
        let begun = Instant::now();
        let outcome = doing.await;
        self.print(outcome.is_ok(), &format!("{what:<58} {:>6.2} s", begun.elapsed().as_secs_f64()));
        outcome
    }

    /// Starts something, which may run already.
    pub async fn start(self, what: &str, doing: impl Future<Output = Result<Start>>) -> Result<()> {
        let begun = Instant::now();
        let outcome = doing.await;
        let result = match outcome {
            Ok(Start::Before) => "   runs already".to_owned(),
            _ => format!("{:>6.2} s", begun.elapsed().as_secs_f64()),
        };
        self.print(outcome.is_ok(), &format!("{what:<58} {result}"));
        outcome.map(|_| ())
    }

    fn print(self, done: bool, line: &str) {
        if !self.quiet {
            println!("  {} {}", if done { "✓" } else { "✗" }, line.trim_end());
        }
    }
}

/// Lines of `KEY=value` that any shell reads back exactly.
pub fn env_lines(variables: &[(&str, String)]) -> String {
    variables.iter().map(|(key, value)| format!("{key}={}\n", quoted(value))).collect::<Vec<_>>().concat()
}

/// Plain words stay plain; everything else goes between single quotes, in which a shell sees nothing special but their end.
pub fn quoted(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@%+,=".contains(&byte);
    if value.bytes().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_shell_reads_back_what_was_written() {
        for value in ["", "/plain/path", "with space", "it's", "$HOME `id` \"x\" \\", "a;b&c|d"] {
            let script = format!("{}printf %s \"$VALUE\"", super::env_lines(&[("VALUE", value.to_owned())]));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout), value);
        }
    }
}
