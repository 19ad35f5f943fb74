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
        ("holdfast sync --help", "--revision 7987395d0c1f"),
        ("holdfast pause --help", "--for 2h"),
        ("holdfast resume --help", "holdfast resume shop"),
        ("holdfast history --help", "holdfast history shop"),
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

#[test]
fn a_pause_has_a_reason_and_one_end() {
    let pause = |words: &str| parse(&format!("holdfast pause shop {words}"));
    assert!(pause("--reason INC-1 --for 1h30m").is_ok());
    assert!(pause("--reason INC-1 --until 2026-12-01T10:00:00Z").is_ok());
    for (words, said) in [
        ("--for 2h", "--reason <TEXT>"),
        ("--reason INC-1", "--for <DURATION>|--until <TIME>"),
        ("--reason INC-1 --for 2h --until 2026-12-01T10:00:00Z", "cannot be used with"),
        ("--reason INC-1 --for 2days", "write a duration such as 30m"),
        ("--reason INC-1 --for 0s", "no time at all"),
        ("--reason INC-1 --until tomorrow", "write an RFC 3339 time"),
    ] {
        let error = pause(words).expect_err(words).to_string();
        assert!(error.contains(said), "{words}: {error}");
    }
    let blank = Cli::try_parse_from(["holdfast", "pause", "shop", "--reason", " ", "--for", "2h"]);
    assert!(blank.expect_err("no reason").to_string().contains("say why"));
}

#[test]
fn a_sync_is_of_a_commit_or_of_what_is_newest() {
    assert!(parse("holdfast sync shop --revision 7987395 --timeout 30s").is_ok());
    for (words, said) in [
        ("", "<GITSYNC>"),
        ("shop --revision main", "7 digits"),
        ("shop --revision 798739", "7 digits"),
        ("shop --timeout soon", "write a duration"),
    ] {
        let error = parse(&format!("holdfast sync {words}")).expect_err(words).to_string();
        assert!(error.contains(said), "{words}: {error}");
    }
}
