//! The gate as a process, where signals, exit statuses and memory matter.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::gate::Record;
use super::{Client, eventually};

pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    said: Arc<Mutex<String>>,
    dir: TempDir,
}

/// The program, with these arguments.
pub(crate) fn kfgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kfgate"));
    command.args(arguments).env_remove("RUST_LOG").env_remove("KFGATE_CONFIG").stdin(Stdio::null());
    command
}

impl Process {
    /// `kfgate run` with the configuration in this folder; waits until it listens.
    pub(crate) fn run(dir: TempDir) -> Self {
        let mut command = kfgate(&["run", "--config", "kfgate.toml"]);
        command.current_dir(dir.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kfgate starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("its stderr"));
        let said = Arc::new(Mutex::new(String::new()));
        let port = loop {
            let mut line = String::new();
            stderr.read_line(&mut line).expect("a line");
            assert!(!line.is_empty(), "kfgate ended: {}", said.lock().unwrap());
            said.lock().unwrap().push_str(&line);
            let port = line.split_once("listening on 127.0.0.1:").map(|(_, rest)| rest);
            if let Some(port) = port.and_then(|rest| rest.split_whitespace().next()) {
                break port.parse().expect("a port");
            }
        };
        let heard = said.clone();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut said = heard.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        Self { child, port, said, dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", signal, &id]).status().expect("kill");
        assert!(status.success());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        eventually("the process ends", || self.child.try_wait().expect("a child"))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// The records in this file, as soon as there are so many.
    #[track_caller]
    pub(crate) fn records(&self, file: &str, count: usize) -> Vec<Record> {
        eventually("the records are written", || {
            let text = fs::read_to_string(self.path(file)).unwrap_or_default();
            let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let records = whole.map(|line| Record(serde_json::from_str::<Value>(line).expect("a JSON record")));
            let records: Vec<_> = records.collect();
            (records.len() >= count).then_some(records)
        })
    }

    /// The most memory it has ever used, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a running process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") * 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- kfgate said\n{}---", self.said());
        }
    }
}

/// Runs the program to its end: status, stdout, stderr.
pub(crate) fn ended(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut child = kfgate(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kfgate starts");
    let (mut stdout, mut stderr) = (child.stdout.take().expect("stdout"), child.stderr.take().expect("stderr"));
    let status = eventually("kfgate ends", || {
        let status = child.try_wait().expect("a child");
        status.or_else(|| {
            thread::yield_now();
            None
        })
    });
    let (mut out, mut err) = (String::new(), String::new());
    stdout.read_to_string(&mut out).expect("UTF-8");
    stderr.read_to_string(&mut err).expect("UTF-8");
    (status.code(), out, err)
}
