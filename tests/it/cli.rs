//! The commands, as they are typed.

#![allow(clippy::unwrap_used, reason = "a test that can not go on ends there")]

mod demo;
mod explain;
mod safe_mode;
mod send;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use tempfile::TempDir;

const KFGATE: &str = env!("CARGO_BIN_EXE_kfgate");

fn kfgate(arguments: &[&str]) -> Output {
    kfgate_reading("", arguments)
}

fn kfgate_reading(stdin: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(KFGATE);
    command.args(arguments).env_remove("KFGATE_CONFIG").env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Asserts that a command ended with this status, and with one line that says why.
fn assert_refused(output: &Output, status: i32, reason: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert!(stderr.starts_with("kfgate: ") && stderr.contains(reason), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

fn assert_says(output: &Output, status: i32, lines: &[&str]) {
    let said = stdout(output);
    assert_eq!(output.status.code(), Some(status), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let squeezed = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in lines {
        assert!(squeezed.contains(line), "{line:?} is missing in:\n{said}");
    }
}

/// A folder with the files of one test.
struct Files(TempDir);

impl Files {
    fn with(configuration: &str) -> Self {
        let files = Self(TempDir::new().unwrap());
        files.write("kfgate.toml", configuration);
        files
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn explain(&self, stdin: &str, more: &[&str]) -> Output {
        let config = self.path("kfgate.toml");
        let arguments = [&["explain", "--config", config.to_str().unwrap()], more].concat();
        kfgate_reading(stdin, &arguments)
    }
}

fn text_reply(words: &str) -> String {
    format!(
        "<xml><ToUserName>o1</ToUserName><FromUserName>gh_2b7da7a439a4</FromUserName><CreateTime>1</CreateTime>\
         <MsgType>text</MsgType><Content>{words}</Content></xml>"
    )
}

#[test]
fn errors_are_one_line_and_say_what_to_do() {
    let files = Files::with(explain::ROUTES);
    assert_refused(&files.explain("", &["/no/such/file"]), 1, "can not read /no/such/file");
    assert_refused(&files.explain("GET / HTTP/1.1\nno header\n", &[]), 1, "line 2");
    let nowhere = files.path("nowhere.toml");
    for command in ["run", "check", "explain"] {
        assert_refused(&kfgate(&[command, "--config", nowhere.to_str().unwrap()]), 2, "kfgate demo");
    }
    assert_refused(&kfgate(&["run", "--upstream", "http://a", "--admin", "a"]), 2, "--admin: not available yet");
    assert_refused(&kfgate(&["demo", "--admin", "a"]), 2, "--admin: not available yet");
    assert_refused(&kfgate(&["demo", "--listen", "a"]), 2, "--listen");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused(&kfgate(&["demo", "--listen", &address]), 1, "another process already listens there");
    let safe = ["send", "--to", "http://a/", "--text", "a", "--aes-key", "k", "--app-id", "wx1", "--token", "t"];
    assert_refused(&kfgate(&safe), 2, "43 letters and digits");
    assert_refused(&kfgate(&safe[..9]), 2, "--token");
    assert_refused(&kfgate(&safe[..7]), 2, "--app-id");
    assert_refused(&kfgate(&["send", "--to", "a:80", "--text", "a"]), 2, "http://127.0.0.1:8080/");
    assert_refused(&kfgate(&["send", "--form", "a"]), 2, "'--from'");
}

#[test]
fn help_has_examples_and_the_exit_status() {
    for command in ["run", "check", "explain", "send", "demo"] {
        let help = stdout(&kfgate(&[command, "--help"]));
        assert!(help.contains("Examples:\n  kfgate ") && help.contains("\nExit status: 0 "), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
    }
}

fn plain(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A bot that answers every request, a connection each.
struct Bot {
    address: SocketAddr,
    heard: Receiver<String>,
}

impl Bot {
    fn start(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read_request(&mut stream);
                stream.write_all(answer(&request).as_bytes()).unwrap();
                let _ = sender.send(request);
            }
        });
        Self { address, heard }
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).unwrap() > 0 {}
    let length = request.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    request + &String::from_utf8(body).unwrap()
}

fn signal(name: &str, child: &Child) {
    let killed = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(killed.unwrap().success());
}
