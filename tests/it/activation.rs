//! Sockets that are handed over, and readiness, as systemd has them.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Bot, Client, PATIENCE, eventually, ok, post, text};

/// What a service manager does: it holds the socket, and starts gates with it.
struct Manager {
    dir: TempDir,
    notices: UnixDatagram,
}

impl Manager {
    fn of(bot: &Bot, listen: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let configuration = format!(
            "listen = [{listen}]\nadmin = \"off\"\nworkers = 2\n[log]\npath = \"requests.log\"\n[[route]]\nname = \"bot\"\nupstream = \"{}\"\n",
            bot.url()
        );
        fs::write(dir.path().join("kfgate.toml"), configuration).unwrap();
        let notices = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { dir, notices }
    }

    /// Starts a gate that has this socket as its third file. `LISTEN_PID` can only be known by itself.
    fn start(&self, socket: impl Into<OwnedFd>) -> Running {
        const SCRIPT: &str = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" run --config kfgate.toml 3<&0 </dev/null";
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, env!("CARGO_BIN_EXE_kfgate")]).current_dir(self.dir.path());
        command.env_remove("RUST_LOG").env("NOTIFY_SOCKET", self.dir.path().join("notify"));
        command.stdin(Stdio::from(socket.into())).stdout(Stdio::null()).stderr(Stdio::piped());
        Running(command.spawn().expect("sh"))
    }

    fn notice(&self) -> String {
        let mut bytes = [0; 100];
        let length = self.notices.recv(&mut bytes).expect("a notice");
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    }
}

struct Running(Child);

impl Running {
    fn terminate(&self) {
        let status = Command::new("kill").args(["-s", "TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    #[track_caller]
    fn wait(&mut self) -> (Option<i32>, String) {
        let status = eventually("the gate ends", || self.0.try_wait().unwrap());
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_socket_that_is_handed_over_is_served_in_place_of_the_address() {
    let bot = Bot::saying(ok("hello"));
    let manager = Manager::of(&bot, "\"127.0.0.1:1\"");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    // It waits at the socket until somebody serves it.
    let mut early = Client::connect(port);
    early.send(post(text("hi")));
    let mut gate = manager.start(socket.try_clone().unwrap());
    assert_eq!(manager.notice(), "READY=1");
    early.reply().is(200, "hello");
    gate.terminate();
    assert_eq!(manager.notice(), "STOPPING=1");
    let (status, said) = gate.wait();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains(&format!("listening on 127.0.0.1:{port}")), "{said}");
    // Nobody serves it, and nobody is refused.
    TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn a_unix_socket_is_handed_over_and_its_file_stays() {
    let bot = Bot::saying(ok("hello"));
    let manager = Manager::of(&bot, "\"127.0.0.1:0\", \"unix:gate.sock\"");
    let path = manager.dir.path().join("gate.sock");
    let socket = UnixListener::bind(&path).unwrap();
    let mut gate = manager.start(socket.try_clone().unwrap());
    assert_eq!(manager.notice(), "READY=1");
    Client::connect_unix(&path).send(post(text("hi"))).reply().is(200, "hello");
    gate.terminate();
    assert_eq!(gate.wait().0, Some(0));
    assert!(path.exists());
}

#[test]
fn a_socket_that_nobody_would_serve_is_said_so() {
    let bot = Bot::saying(ok("hello"));
    let manager = Manager::of(&bot, "\"unix:gate.sock\"");
    let mut gate = manager.start(TcpListener::bind("127.0.0.1:0").unwrap());
    let (status, said) = gate.wait();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("`listen` has no address left"), "{said}");
}

/// Clients that come one after another until they are told to stop. How many were answered.
fn clients(port: u16, stop: &AtomicBool, answered: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        Client::connect(port).send(post(text("hi"))).reply().is(200, "hello");
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Restarts a gate in this way, three times, while clients come all the time: each is answered.
fn restarting(restart: impl Fn(&Manager, &TcpListener, &mut Running) -> Running) {
    let bot = Bot::slow(Duration::from_millis(5), ok("hello"));
    let manager = Manager::of(&bot, "\"127.0.0.1:0\"");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut gate = manager.start(socket.try_clone().unwrap());
    assert_eq!(manager.notice(), "READY=1");
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| clients(port, &stop, &answered))).collect();
        for _ in 0..3 {
            let before = answered.load(Ordering::Relaxed);
            eventually("clients are answered", || (answered.load(Ordering::Relaxed) > before + 20).then_some(()));
            gate = restart(&manager, &socket, &mut gate);
        }
        let before = answered.load(Ordering::Relaxed);
        eventually("clients are answered", || (answered.load(Ordering::Relaxed) > before + 20).then_some(()));
        stop.store(true, Ordering::Relaxed);
        for client in all {
            client.join().expect("every client is answered");
        }
    });
}

#[test]
fn a_restart_refuses_nobody() {
    restarting(|manager, socket, gate| {
        gate.terminate();
        assert_eq!(manager.notice(), "STOPPING=1");
        assert_eq!(gate.wait().0, Some(0));
        let next = manager.start(socket.try_clone().unwrap());
        assert_eq!(manager.notice(), "READY=1");
        next
    });
}

#[test]
fn two_processes_on_one_socket_during_an_upgrade_refuse_nobody() {
    restarting(|manager, socket, gate| {
        let next = manager.start(socket.try_clone().unwrap());
        assert_eq!(manager.notice(), "READY=1");
        gate.terminate();
        assert_eq!(manager.notice(), "STOPPING=1");
        assert_eq!(gate.wait().0, Some(0));
        next
    });
}
