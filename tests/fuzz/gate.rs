//! The whole path of a request, from the bytes of a client to what the bot gets: over real sockets, judged by a reader
//! that is made of nothing the gate is made of.

#[path = "../it/support/strict.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests of the gate use the rest of it")]
mod strict;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use kfgate::config::parse;
use kfgate::proxy::{Stop, bind, serve};
use kfgate::state::Live;
use kfgate::telemetry::RequestLog;
use tokio::sync::watch;

use self::strict::{Read, Request};

const PATIENCE: Duration = Duration::from_secs(10);

/// Addresses to listen on: a connection that has ended keeps its port for a minute, and of one address the ports
/// would not suffice.
const DOORS: usize = 32;

struct Scene {
    doors: Vec<SocketAddr>,
    next: AtomicUsize,
    seen: Arc<Mutex<Vec<Result<Request, String>>>>,
}

/// Where the input is cut into two pieces (its first byte), and what a client sends.
pub(crate) fn request(input: &[u8]) {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    let Some((cut, bytes)) = input.split_first() else { return };
    let scene = SCENE.get_or_init(start);
    let (first, second) = bytes.split_at(bytes.len() * usize::from(*cut) / 256);
    let door = scene.doors[scene.next.fetch_add(1, Ordering::Relaxed) % DOORS];
    let mut stream = TcpStream::connect(door).expect("the gate listens");
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    // It may have been refused already.
    let _ = stream.write_all(first).and_then(|()| stream.write_all(second));
    let _ = stream.shutdown(Shutdown::Write);
    let mut answers = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answers) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the gate hangs");
    }
    let seen = std::mem::take(&mut *scene.seen.lock().expect("nobody panicked"));
    let (expected, stop) = strict::all(bytes);
    let is_odd = matches!(stop, Read::OddChunks(_));
    assert!(seen.len() <= expected.len() + usize::from(is_odd), "{seen:?} of {expected:?}");
    for (number, seen) in seen.iter().enumerate() {
        let seen = seen.as_ref().unwrap_or_else(|fault| panic!("{fault}"));
        let Some(expected) = expected.get(number) else { continue };
        let key = |request: &Request| (request.method.clone(), request.target.clone(), request.body.clone());
        assert_eq!(key(seen), key(expected));
    }
}

fn start() -> Scene {
    let seen: Arc<Mutex<Vec<Result<Request, String>>>> = Arc::default();
    let bot = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = bot.local_addr().expect("an address");
    let all = seen.clone();
    thread::spawn(move || {
        while let Ok((stream, _)) = bot.accept() {
            let seen = all.clone();
            thread::spawn(move || record(stream, &seen));
        }
    });
    let listen: Vec<_> = (1..=DOORS).map(|last| format!("\"127.0.0.{last}:0\"")).collect();
    let listen = listen.join(", ");
    let file = format!(
        "listen = [{listen}]\nadmin = \"off\"\nworkers = 1\n[log]\npath = \"off\"\n\
         [[route]]\nname = \"bot\"\nupstream = \"http://{address}\"\n"
    );
    let config =
        parse(&file, Path::new("kfgate.toml")).map_err(|errors| errors.render(false)).expect("it is valid").config;
    let listeners: Vec<_> = config.listen.iter().map(|listen| bind(listen).expect("a port")).collect();
    let doors = listeners.iter().map(|listener| listener.local_addr().expect("an address")).collect();
    let log = RequestLog::open(&config.log).expect("no log");
    let live = Arc::new(Live::new(config));
    thread::spawn(move || {
        let (stop, stopped) = watch::channel(Stop::Never);
        serve(listeners, &live, &log, &stopped).expect("workers");
        drop(stop);
    });
    Scene { doors, next: AtomicUsize::new(0), seen }
}

/// A bot that answers everything, and reads by the strict reader alone.
fn record(mut stream: TcpStream, seen: &Mutex<Vec<Result<Request, String>>>) {
    let (mut bytes, mut room) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match strict::one(&bytes) {
            Read::One(request, length) => {
                bytes.drain(..length);
                let body = if request.method == "HEAD" { "" } else { "ok" };
                seen.lock().expect("nobody panicked").push(Ok(*request));
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{body}");
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
            Read::Partial => match stream.read(&mut room) {
                Ok(read @ 1..) => bytes.extend_from_slice(&room[..read]),
                _ => return,
            },
            odd => {
                let fault = format!("the bot got {odd:?}: {}", bytes.escape_ascii());
                return seen.lock().expect("nobody panicked").push(Err(fault));
            }
        }
    }
}
