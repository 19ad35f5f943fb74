//! A reader that is slow, gone or late must cost nobody a record; and nobody goes on before there is one. The readers are real pipes.

use std::fs::File;
use std::io::{PipeReader, Read, pipe};
use std::os::fd::OwnedFd;

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

use super::*;
use crate::evidence::{Kind, metrics};

fn record(reason: &str) -> Record {
    Record { reason: Some(reason.to_owned()), ..Record::new(Kind::Denied, Timestamp::UNIX_EPOCH) }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Evidence and who reads it.
fn read(folder: &TempDir) -> (Evidence, PipeReader) {
    let (reader, writer) = pipe().expect("a pipe");
    (start(File::from(OwnedFd::from(writer)), folder), reader)
}

fn start(out: File, folder: &TempDir) -> Evidence {
    Evidence::start(Output::to(out), folder.path(), Metrics::new().0).expect("a thread")
}

/// Where nobody looks.
fn nowhere() -> File {
    File::options().write(true).open("/dev/null").expect("every system has it")
}

/// Waits until nothing is left to be brought back.
fn settles(evidence: &Evidence) {
    while !matches!(*evidence.desk.way(), Way::Out) {
        thread::yield_now();
    }
}

fn has_something(reader: &PipeReader) -> bool {
    let mut asked = [PollFd::new(reader, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).expect("it is open") > 0
}

/// Ends it; answers with all there was to read.
async fn end(evidence: Evidence, mut reader: PipeReader) -> Vec<String> {
    let reading = thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).map(|_| all)
    });
    evidence.close().await;
    drop(evidence);
    let all = reading.join().expect("no panic").expect("text");
    all.lines().map(str::to_owned).collect()
}

/// What is kept. Lines go from the first file into the second.
fn spilled(folder: &TempDir) -> String {
    let text = |name| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    text("evidence.spill.jsonl") + &text("evidence.replay.jsonl")
}

#[tokio::test]
async fn records_are_written_as_lines_in_order() {
    let folder = folder();
    let (evidence, reader) = read(&folder);
    let id = evidence.record(record("first"));
    evidence.record(record("second"));
    let lines = end(evidence, reader).await;
    let first = format!(r#"{{"id":"{id}","time":"1970-01-01T00:00:00.000Z","kind":"Denied","reason":"first"}}"#);
    assert!(lines.len() == 2 && lines[0] == first && lines[1].contains("second"), "{lines:?}");
}

/// Whatever kills the process afterwards.
#[tokio::test]
async fn a_record_is_written_before_its_maker_goes_on() {
    let folder = folder();
    let (evidence, mut reader) = read(&folder);
    settles(&evidence);
    for _ in 0..100 {
        assert!(!has_something(&reader));
        evidence.record(record("now"));
        assert!(has_something(&reader), "it will be written some time");
        let mut line = vec![0; 4096];
        let length = reader.read(&mut line).expect("something");
        assert!(line[..length].ends_with(b"}\n"), "{}", String::from_utf8_lossy(&line));
    }
    assert_eq!(spilled(&folder), "");
}

#[tokio::test]
async fn a_stuck_reader_neither_blocks_the_caller_nor_costs_a_record() {
    let folder = folder();
    let (reader, writer) = pipe().expect("a pipe");
    let (metrics, registry) = Metrics::new();
    let evidence = Evidence::start(Output::to(File::from(OwnedFd::from(writer))), folder.path(), metrics);
    let evidence = evidence.expect("a thread");
    settles(&evidence);
    let padding = "x".repeat(1000);
    for n in 0..300 {
        evidence.record(record(&format!("r{n}. {padding}")));
    }
    assert!(spilled(&folder).contains("r299."), "it is in memory only");
    let lines = end(evidence, reader).await;
    assert_eq!(lines.len(), 300);
    assert!(lines.iter().enumerate().all(|(n, line)| line.contains(&format!("r{n}. "))), "they are out of order");
    assert!(metrics::encode(&registry).expect("text").contains("holdfast_records_total{fate=\"written\"} 300"));
}

#[tokio::test]
async fn a_reader_that_catches_up_gets_records_directly_again() {
    let folder = folder();
    let (evidence, mut reader) = read(&folder);
    let mut kept = 0;
    while spilled(&folder).is_empty() {
        evidence.record(record(&"x".repeat(1000)));
        kept += 1;
    }
    let mut some = vec![0; 4096];
    while kept > 0 {
        let length = reader.read(&mut some).expect("something");
        kept -= String::from_utf8_lossy(&some[..length]).matches('\n').count();
    }
    settles(&evidence);
    evidence.record(record("directly"));
    assert!(has_something(&reader) && spilled(&folder).is_empty());
}

/// Of what is longer than a pipe takes at once, nobody can say that it would not wait.
#[tokio::test]
async fn long_records_stay_in_order() {
    let folder = folder();
    let (evidence, reader) = read(&folder);
    settles(&evidence);
    let long = "x".repeat(200_000);
    for reason in ["first", &long, "third"] {
        evidence.record(record(reason));
    }
    let lines = end(evidence, reader).await;
    let reasons = ["first", &long, "third"].map(|reason| format!(r#""reason":"{reason}"}}"#));
    assert!(lines.len() == 3 && lines.iter().zip(&reasons).all(|(line, reason)| line.ends_with(reason)));
}

#[tokio::test]
async fn what_nobody_could_read_is_told_to_the_next_run() {
    let folder = folder();
    let (evidence, gone) = read(&folder);
    drop(gone);
    evidence.record(record("unread"));
    evidence.close().await;

    let (evidence, reader) = read(&folder);
    let lines = end(evidence, reader).await;
    assert!(lines.len() == 1 && lines[0].contains("unread"), "{lines:?}");
}

#[tokio::test]
async fn a_record_after_the_end_is_kept_for_the_next_run() {
    let folder = folder();
    let evidence = start(nowhere(), &folder);
    evidence.close().await;
    evidence.record(record("late"));
    assert!(spilled(&folder).contains("late"));
}

#[tokio::test]
async fn a_write_whose_process_is_killed_is_told_by_the_next_and_by_the_same_id() {
    let folder = folder();
    let killed = start(nowhere(), &folder);
    let intent =
        killed.intend(Record { reason: Some("stuck".to_owned()), ..Record::new(Kind::Healed, Timestamp::UNIX_EPOCH) });
    let id = intent.id;
    std::mem::forget(intent);
    // Its thread must not be there to tell it itself.
    killed.close().await;
    std::fs::write(folder.path().join("evidence.intents/half"), "{\"kind\":").expect("written");

    for told in [1, 0] {
        let (evidence, reader) = read(&folder);
        let lines = end(evidence, reader).await;
        assert_eq!(lines.len(), told, "{lines:?}");
        let whole = format!("\"kind\":\"Healed\",\"reason\":\"stuck; {UNKNOWN}\"}}");
        assert!(lines.iter().all(|line| line.contains(&id.to_string()) && line.ends_with(&whole)), "{lines:?}");
    }
}

#[tokio::test]
async fn a_write_that_is_on_record_or_was_not_made_is_told_no_more() {
    let folder = folder();
    let notes = || std::fs::read_dir(folder.path().join("evidence.intents")).expect("a folder").flatten();
    let noted = || notes().filter(|note| note.metadata().is_ok_and(|note| note.len() > 0)).count();
    let (evidence, reader) = read(&folder);
    drop(evidence.intend(record("given up")));
    assert_eq!(noted(), 0);
    let padding = "x".repeat(30_000);
    let intents: Vec<_> = (0..5).map(|_| evidence.intend(record(&padding))).collect();
    assert_eq!(noted(), 5);
    for intent in intents {
        evidence.record_end(intent, record(&padding));
    }
    assert_eq!(noted(), 0, "nobody reads, and all is on disk nevertheless");
    let files = notes().count();
    drop(evidence.intend(record("another")));
    assert_eq!(notes().count(), files, "a file is used again");
    std::fs::remove_dir_all(folder.path().join("evidence.intents")).expect("removed");
    let intent = evidence.intend(record("after all"));
    assert_eq!(noted(), 1, "it is noted where the next run looks");
    drop(intent);
    assert_eq!(end(evidence, reader).await.len(), 5);
}
