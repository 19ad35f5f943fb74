//! A reader that is slow, gone or late must cost nobody a record.

use std::sync::mpsc as std_mpsc;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::evidence::{Kind, metrics};

/// Hands each written line to the test.
struct Lines(std_mpsc::Sender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Blocks every write until the test lets it go, by sending or by hanging up.
struct Gate(std_mpsc::Receiver<()>, Lines);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.recv().ok();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn record(reason: &str) -> Record {
    Record { reason: Some(reason.to_owned()), ..Record::new(Kind::Denied, Timestamp::UNIX_EPOCH) }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn records_are_written_as_lines_in_order() {
    let (sender, lines) = std_mpsc::channel();
    let evidence = Evidence::start(Lines(sender), folder().path(), Metrics::new().0).expect("a thread");
    let id = evidence.record(record("first"));
    evidence.record(record("second"));
    evidence.close().await;
    let lines: Vec<String> = lines.try_iter().collect();
    assert_eq!(
        lines[0],
        format!("{{\"id\":\"{id}\",\"time\":\"1970-01-01T00:00:00.000Z\",\"kind\":\"Denied\",\"reason\":\"first\"}}\n")
    );
    assert!(lines[1].contains("second"));
}

#[tokio::test]
async fn a_stuck_reader_neither_blocks_the_caller_nor_costs_a_record() {
    let (gate, opened) = std_mpsc::channel();
    let (sender, lines) = std_mpsc::channel();
    let (metrics, registry) = Metrics::new();
    let folder = folder();
    let evidence = Evidence::with_queue(2, Gate(opened, Lines(sender)), folder.path(), metrics).expect("a thread");
    for n in 0..20 {
        evidence.record(record(&format!("r{n}.")));
    }
    assert!(folder.path().join("evidence.spill.jsonl").exists());
    drop(gate);
    evidence.close().await;
    let all: String = lines.try_iter().collect();
    assert_eq!(all.lines().count(), 20);
    assert!((0..20).all(|n| all.contains(&format!("\"r{n}.\""))));
    assert!(metrics::encode(&registry).expect("text").contains("holdfast_records_total{fate=\"written\"} 20"));
}

#[tokio::test]
async fn what_nobody_could_read_is_told_to_the_next_run() {
    let folder = folder();
    let (sender, gone) = std_mpsc::channel();
    drop(gone);
    let evidence = Evidence::start(Lines(sender), folder.path(), Metrics::new().0).expect("a thread");
    evidence.record(record("unread"));
    evidence.close().await;

    let (sender, lines) = std_mpsc::channel();
    let evidence = Evidence::start(Lines(sender), folder.path(), Metrics::new().0).expect("a thread");
    evidence.close().await;
    assert!(lines.try_iter().collect::<String>().contains("unread"));
}

#[tokio::test]
async fn a_record_after_the_end_is_kept_for_the_next_run() {
    let folder = folder();
    let evidence = Evidence::start(io::sink(), folder.path(), Metrics::new().0).expect("a thread");
    evidence.close().await;
    evidence.record(record("late"));
    let kept = std::fs::read_to_string(folder.path().join("evidence.spill.jsonl")).expect("spilled");
    assert!(kept.contains("late"));
}

#[tokio::test]
async fn a_write_whose_process_is_killed_is_told_by_the_next_and_by_the_same_id() {
    let folder = folder();
    let killed = Evidence::start(io::sink(), folder.path(), Metrics::new().0).expect("a thread");
    let intent =
        killed.intend(Record { reason: Some("stuck".to_owned()), ..Record::new(Kind::Healed, Timestamp::UNIX_EPOCH) });
    let id = intent.id;
    std::mem::forget(intent);
    // Its thread must not be there to tell it itself.
    killed.close().await;
    std::fs::write(folder.path().join("evidence.intents/half"), "{\"kind\":").expect("written");

    for told in [1, 0] {
        let (sender, lines) = std_mpsc::channel();
        let evidence = Evidence::start(Lines(sender), folder.path(), Metrics::new().0).expect("a thread");
        evidence.close().await;
        let lines: Vec<String> = lines.try_iter().collect();
        assert_eq!(lines.len(), told, "{lines:?}");
        let whole = format!("\"kind\":\"Healed\",\"reason\":\"stuck; {UNKNOWN}\"}}\n");
        assert!(lines.iter().all(|line| line.contains(&id.to_string()) && line.ends_with(&whole)), "{lines:?}");
    }
}

#[tokio::test]
async fn a_write_that_is_on_record_or_was_not_made_is_told_no_more() {
    let folder = folder();
    let noted = || std::fs::read_dir(folder.path().join("evidence.intents")).expect("a folder").count();
    let (gate, opened) = std_mpsc::channel();
    let (sender, lines) = std_mpsc::channel();
    let evidence =
        Evidence::with_queue(1, Gate(opened, Lines(sender)), folder.path(), Metrics::new().0).expect("a thread");
    drop(evidence.intend(record("given up")));
    assert_eq!(noted(), 0);
    let intents: Vec<_> = (0..5).map(|_| evidence.intend(record("done"))).collect();
    for intent in intents {
        evidence.record_end(intent, record("done"));
    }
    // What is in memory only is noted still; what did not fit lies on disk.
    assert!((1..=3).contains(&noted()), "{}", noted());
    drop(gate);
    evidence.close().await;
    assert_eq!((noted(), lines.try_iter().count()), (0, 5));
}
