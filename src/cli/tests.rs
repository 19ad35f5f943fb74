//! The table of flags itself.

use super::*;

fn parse(words: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(words.split_whitespace())
}

fn help(words: &str) -> String {
    parse(words).expect_err("help is an early end").render().to_string()
}

#[test]
fn flags_do_not_contradict_each_other() {
    Cli::command().debug_assert();
}

#[test]
fn every_setting_has_a_flag_a_variable_and_a_word_about_it() {
    let command = Cli::command();
    let run = command.find_subcommand("run").expect("there");
    for argument in run.get_arguments().filter(|argument| argument.get_id() != "help" && argument.get_id() != "version")
    {
        let flag = argument.get_long().expect("a long flag");
        let variable = format!("HOLDFAST_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(argument.get_env().and_then(|env| env.to_str()), Some(variable.as_str()), "--{flag}");
        assert!(argument.get_help().is_some(), "--{flag}");
    }
}

#[test]
fn help_shows_how_it_is_used() {
    for (words, example) in [
        ("holdfast --help", "kubectl apply --server-side"),
        ("holdfast run --help", "--webhook-service holdfast-system/holdfast"),
        ("holdfast render --help", "namespace,crds,rbac"),
        ("holdfast diff --help", "--path ./apps/shop"),
        ("holdfast explain --help", "holdfast explain deploy/api -n shop"),
        ("holdfast certs --help", "holdfast certs --out certs"),
    ] {
        assert!(help(words).contains(example), "{words}:\n{}", help(words));
    }
}

#[test]
fn parts_are_a_list() {
    assert!(parse("holdfast render --only namespace,crds --only rbac").is_ok());
    let error = parse("holdfast render --only everything").expect_err("no such part").to_string();
    assert!(error.contains("workload"), "{error}");
}

#[test]
fn completions_know_the_subcommands() {
    assert!(completions(Shell::Bash).contains("render"));
}
