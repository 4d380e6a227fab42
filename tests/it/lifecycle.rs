//! Starting, ending, and what the process says about it.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::process::{Process, ended};
use crate::support::wechat::post_to;
use crate::support::{Bot, Client, Gate, Setup, eventually, ok, post, text};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_is_in_flight_is_finished_on_sigterm_and_sigint() {
    for signal in ["TERM", "INT"] {
        let bot = Bot::slow(Duration::from_millis(300), ok("late"));
        let mut gate = Setup::before(&bot).top("shutdown_grace = \"5s\"\nworkers = 2").spawn();
        let mut idle = gate.connect();
        idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").reply().is(200, "late");
        let mut busy = gate.connect();
        busy.send(post(text("hello")));
        bot.wait_for_requests(2);
        gate.signal(signal);
        idle.is_closed();
        busy.reply().is(200, "late");
        busy.is_closed();
        assert_eq!(gate.wait().code(), Some(0), "{}", gate.said());
        assert_eq!(gate.records("requests.log", 2).len(), 2);
    }
}

#[test]
fn idle_connections_do_not_delay_the_end() {
    let bot = Bot::saying(ok("hello"));
    let mut gate = Setup::before(&bot).spawn();
    let mut idle: Vec<_> = (0..5).map(|_| gate.connect()).collect();
    idle[0].send(GET).reply().is(200, "hello");
    let began = Instant::now();
    gate.signal("TERM");
    assert_eq!(gate.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn nobody_is_accepted_after_sigterm() {
    let bot = Bot::slow(Duration::from_millis(400), ok("late"));
    let mut gate = Setup::before(&bot).spawn();
    let mut busy = gate.connect();
    busy.send(post(text("hello")));
    bot.wait_for_requests(1);
    gate.signal("TERM");
    eventually("connections are refused", || TcpStream::connect(("127.0.0.1", gate.port)).err());
    busy.reply().is(200, "late");
    assert_eq!(gate.wait().code(), Some(0));
}

#[test]
fn a_request_that_takes_longer_than_the_grace_is_cut_off() {
    let bot = Bot::slow(Duration::from_secs(8), ok("late"));
    let mut gate = Setup::before(&bot).top("shutdown_grace = \"200ms\"").spawn();
    let mut busy = gate.connect();
    busy.send(post(text("hello")));
    bot.wait_for_requests(1);
    let began = Instant::now();
    gate.signal("TERM");
    assert_eq!(gate.wait().code(), Some(0));
    assert!((190..4000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    assert!(busy.ended().is_empty());
    gate.records("requests.log", 1);
}

#[test]
fn a_second_signal_ends_at_once() {
    for second in ["TERM", "INT"] {
        let bot = Bot::slow(Duration::from_secs(8), ok("late"));
        let mut gate = Setup::before(&bot).spawn();
        let mut busy = gate.connect();
        busy.send(post(text("hello")));
        bot.wait_for_requests(1);
        gate.signal("TERM");
        eventually("it is ending", || gate.said().contains("ending").then_some(()));
        assert!(gate.is_running());
        let began = Instant::now();
        gate.signal(second);
        gate.wait();
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

#[test]
fn a_late_answer_is_awaited_while_draining() {
    let bot = Bot::slow(Duration::from_millis(200), ok("late"));
    let gate = Setup::before(&bot).start();
    let mut client = gate.connect();
    client.send(post(text("hello")));
    bot.wait_for_requests(1);
    drop(client);
    gate.drain(Duration::from_secs(5));
    gate.record().has(serde_json::json!({"action": "forward", "upstream_status": 200}));
    eventually("the gate ends", || gate.has_ended().then_some(()));
}

#[test]
fn a_kept_connection_says_that_it_ends() {
    let bot = Bot::slow(Duration::from_millis(100), ok("late"));
    let gate = Gate::before(&bot);
    let mut client = gate.connect();
    client.send(GET);
    bot.wait_for_requests(1);
    gate.drain(Duration::from_secs(5));
    let answer = client.reply();
    answer.is(200, "late");
    assert_eq!(answer.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("close"));
    client.is_closed();
}

fn run(configuration: &str) -> (Option<i32>, String) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("kfgate.toml");
    fs::write(&file, configuration).unwrap();
    let (status, stdout, stderr) = ended(&["run", "--config", file.to_str().unwrap()]);
    assert_eq!(stdout, "");
    (status, stderr)
}

fn route(upstream: &str) -> String {
    format!("[[route]]\nname = \"bot\"\nupstream = \"{upstream}\"\n")
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (status, said) =
        run(&format!("listen = [\"127.0.0.1:0\", \"{address}\"]\nadmin = \"off\"\n{}", route("http://127.0.0.1:9000")));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains(&address.to_string()) && said.contains("already listens"), "{said}");
}

#[test]
fn a_log_in_no_folder_is_said_so() {
    let configuration = "listen = [\"127.0.0.1:0\"]\nadmin = \"off\"\n[log]\npath = \"none/requests.log\"\n";
    let (status, said) = run(&format!("{configuration}{}", route("http://127.0.0.1:9000")));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("none"), "{said}");
}

#[test]
fn a_bad_configuration_is_refused_with_all_that_is_wrong() {
    let (status, said) = run("lissten = []\nworkers = \"two\"\n[[route]]\nname = \"bot\"\n");
    assert_eq!(status, Some(2), "{said}");
    for word in ["lissten", "listen", "workers", "upstream", "kfgate.toml:1", "kfgate.toml:2"] {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[test]
fn a_missing_configuration_is_said_so() {
    let (status, _, said) = ended(&["run", "--config", "/nonexistent/kfgate.toml"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("/nonexistent/kfgate.toml"), "{said}");
}

#[test]
fn bad_usage_is_refused() {
    for arguments in
        [&["run", "--nonsense"][..], &["nonsense"], &["run", "--upstream", "nonsense"], &["run", "--keyword", "x"]]
    {
        assert_eq!(ended(arguments).0, Some(2), "{arguments:?}");
    }
}

#[test]
fn a_socket_file_left_over_from_a_crash_is_replaced() {
    let bot = Bot::saying(ok("hello"));
    let setup = Setup::before(&bot).top("listen = [\"unix:gate.sock\"]");
    let path = setup.dir().join("gate.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let _gate = setup.start();
    Client::connect_unix(&path).send(GET).reply().is(200, "hello");
}

#[test]
fn more_connections_than_allowed_are_turned_away() {
    let bot = Bot::saying(ok("hello"));
    let gate = Setup::before(&bot).limits("connections = 3").start();
    let mut held: Vec<_> = (0..3).map(|_| gate.connect()).collect();
    for client in &mut held {
        client.send(GET).reply().is(200, "hello");
    }
    assert!(gate.connect().ended().is_empty());
    held.pop();
    eventually("there is room again", || {
        let mut client = gate.connect();
        client.try_send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").ok()?;
        client.ended().ends_with(b"hello").then_some(())
    });
}

#[test]
fn many_connections_are_shared_out_among_the_workers() {
    let bot = Bot::answering(|request| ok(request.target()));
    let gate = Setup::before(&bot).top("workers = 4").start();
    thread::scope(|scope| {
        for number in 0..16 {
            let gate = &gate;
            scope.spawn(move || {
                let mut client = gate.connect();
                for turn in 0..10 {
                    let path = format!("/{number}/{turn}");
                    client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).reply().is(200, &path);
                }
                client.send(post_to(&format!("/{number}"), "", text("hello"))).reply();
            });
        }
    });
    gate.records(176);
}

/// While the process is stopped, the kernel takes in what it will find when it is told to end.
#[test]
fn what_was_sent_before_the_signal_is_answered() {
    const REQUESTS: usize = 100;
    let bot = Bot::saying(ok("hello"));
    let mut gate = Setup::before(&bot).top("workers = 4\nshutdown_grace = \"5s\"").spawn();
    gate.signal("STOP");
    let mut clients: Vec<_> = (0..REQUESTS).map(|_| gate.connect()).collect();
    answers_all_at_its_end(&mut gate, &mut clients);
    assert_eq!(gate.records("requests.log", REQUESTS).len(), REQUESTS);
    assert_eq!(bot.requests().len(), REQUESTS);
}

/// Each client of a gate that stands still sends a message, then the gate is told to end and goes on.
#[track_caller]
fn answers_all_at_its_end(gate: &mut Process, clients: &mut [Client]) {
    for client in &mut *clients {
        client.send(post(text("hello")));
    }
    gate.signal("TERM");
    gate.signal("CONT");
    for client in clients {
        client.reply().is(200, "hello");
        client.is_closed();
    }
    assert_eq!(gate.wait().code(), Some(0), "{}", gate.said());
}

#[test]
fn what_was_sent_on_open_connections_before_the_signal_is_answered_too() {
    const CLIENTS: usize = 50;
    let bot = Bot::saying(ok("hello"));
    let mut gate = Setup::before(&bot).top("workers = 4\nshutdown_grace = \"5s\"").spawn();
    // One half is between two requests, the other before its first.
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| gate.connect()).collect();
    for client in &mut clients[..CLIENTS / 2] {
        client.send(GET).reply().is(200, "hello");
    }
    gate.signal("STOP");
    answers_all_at_its_end(&mut gate, &mut clients);
}

#[test]
fn the_sockets_are_gone_while_the_last_requests_are_answered() {
    let may_answer = Arc::new(AtomicBool::new(false));
    let told = may_answer.clone();
    let bot = Bot::with(move |talk| {
        talk.request()?;
        eventually("it may answer", || told.load(Ordering::SeqCst).then_some(()));
        talk.send(ok("late"))
    });
    let setup = Setup::before(&bot)
        .top("workers = 4\nlisten = [\"127.0.0.1:0\", \"unix:gate.sock\"]\nshutdown_grace = \"20s\"");
    let mut gate = setup.spawn();
    let file = gate.path("gate.sock");
    let mut busy = [gate.connect(), Client::connect_unix(&file)];
    for client in &mut busy {
        client.send(post(text("hello")));
    }
    bot.wait_for_requests(2);
    gate.signal("TERM");
    eventually("the socket's file is gone", || (!file.exists()).then_some(()));
    eventually("connections are refused", || {
        let error = TcpStream::connect(("127.0.0.1", gate.port)).err()?;
        (error.kind() == io::ErrorKind::ConnectionRefused).then_some(())
    });
    assert!(gate.is_running());
    may_answer.store(true, Ordering::SeqCst);
    for client in &mut busy {
        client.reply().is(200, "late");
        client.is_closed();
    }
    assert_eq!(gate.wait().code(), Some(0), "{}", gate.said());
}
