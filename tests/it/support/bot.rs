//! A bot that says what a test tells it to say, byte for byte, and remembers what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::wire::{self, Message};
use super::{PATIENCE, eventually};

/// Where nobody listens: an address of this machine that no other test uses, with a port that is not given out.
pub(crate) const DEAD: &str = "http://127.99.99.99:1";

pub(crate) struct Bot {
    door: Door,
    seen: Arc<Seen>,
}

enum Door {
    Tcp(SocketAddr),
    Unix(PathBuf, #[expect(dead_code, reason = "the folder goes with it")] TempDir),
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Message>>,
    connections: Mutex<usize>,
    ended: Mutex<usize>,
    stopping: AtomicBool,
}

/// A connection of a bot.
pub(crate) trait Wire: Read + Write + Send {
    fn close(&mut self);
}

impl Wire for TcpStream {
    fn close(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Wire for UnixStream {
    fn close(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// What one side of a connection to a bot does: reads requests, sends bytes.
pub(crate) struct Talk {
    stream: BufReader<Box<dyn Wire>>,
    /// The number of this connection, from 1.
    pub(crate) connection: usize,
    seen: Arc<Seen>,
}

impl Talk {
    /// The next request, whole. None when the gate has closed the connection.
    pub(crate) fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(mut request) = wire::read_head(&mut self.stream)? else { return Ok(None) };
        request.connection = self.connection;
        wire::read_body(&mut self.stream, &mut request, false)?;
        self.seen.requests.lock().unwrap().push(request.clone());
        Ok(Some(request))
    }

    /// The head of the next request alone; it is remembered without a body.
    pub(crate) fn head(&mut self) -> io::Result<Option<Message>> {
        let Some(mut request) = wire::read_head(&mut self.stream)? else { return Ok(None) };
        request.connection = self.connection;
        self.seen.requests.lock().unwrap().push(request.clone());
        Ok(Some(request))
    }

    /// The body of a request whose head has been read.
    pub(crate) fn body(&mut self, mut request: Message) -> io::Result<Message> {
        wire::read_body(&mut self.stream, &mut request, false)?;
        Ok(request)
    }

    /// Reads so many bytes, and keeps none.
    pub(crate) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.stream.by_ref().take(bytes), &mut io::sink())?;
        if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// The next bytes, so many.
    pub(crate) fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())?;
        self.stream.get_mut().flush()
    }

    /// Waits until the gate closes the connection, or breaks it.
    pub(crate) fn wait_for_close(&mut self) {
        while self.stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
            let length = self.stream.buffer().len();
            self.stream.consume(length);
        }
    }
}

impl Bot {
    /// A bot that treats each connection like this.
    pub(crate) fn with(talk: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let accept = move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        };
        Self { door: Door::Tcp(address), seen: serve(accept, talk) }
    }

    /// The same on a unix socket.
    pub(crate) fn on_unix_socket(talk: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let dir = TempDir::new().expect("a folder");
        let path = dir.path().join("bot.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let accept = move || {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        };
        Self { door: Door::Unix(path, dir), seen: serve(accept, talk) }
    }

    /// The same over TLS.
    pub(crate) fn over_tls(
        tls: Arc<rustls::ServerConfig>,
        talk: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let accept = move || {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let session = rustls::ServerConnection::new(tls.clone()).map_err(io::Error::other)?;
            Ok(Box::new(rustls::StreamOwned::new(session, stream)) as Box<dyn Wire>)
        };
        Self { door: Door::Tcp(address), seen: serve(accept, talk) }
    }

    /// A bot that answers every request with these bytes.
    pub(crate) fn saying(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::answering(move |_| reply.clone())
    }

    /// A bot that answers each request with the bytes this makes of it.
    pub(crate) fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::with(move |talk| {
            while let Some(request) = talk.request()? {
                talk.send(answer(&request))?;
            }
            Ok(())
        })
    }

    /// A bot that sends these bytes in answer to every request, and closes the connection.
    pub(crate) fn saying_and_closing(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::with(move |talk| match talk.request()? {
            Some(_) => talk.send(&reply),
            None => Ok(()),
        })
    }

    /// A bot that takes so long for each answer.
    pub(crate) fn slow(delay: Duration, reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::answering(move |_| {
            thread::sleep(delay);
            reply.clone()
        })
    }

    /// As an upstream in a configuration.
    pub(crate) fn url(&self) -> String {
        match &self.door {
            Door::Tcp(address) => format!("http://{address}"),
            Door::Unix(path, _) => format!("unix:{}", path.display()),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match &self.door {
            Door::Tcp(address) => address.port(),
            Door::Unix(..) => panic!("a unix socket has no port"),
        }
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.seen.requests.lock().unwrap().clone()
    }

    pub(crate) fn was_not_asked(&self) -> bool {
        self.seen.requests.lock().unwrap().is_empty()
    }

    /// The one request it was asked.
    #[track_caller]
    pub(crate) fn request(&self) -> Message {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    #[track_caller]
    pub(crate) fn wait_for_requests(&self, count: usize) -> Vec<Message> {
        eventually("the bot is asked", || (self.seen.requests.lock().unwrap().len() >= count).then_some(()));
        self.requests()
    }

    /// How many connections were opened to it.
    pub(crate) fn connections(&self) -> usize {
        *self.seen.connections.lock().unwrap()
    }

    /// Waits until so many connections have ended.
    #[track_caller]
    pub(crate) fn wait_for_ends(&self, count: usize) {
        eventually("the connections to the bot end", || (*self.seen.ended.lock().unwrap() >= count).then_some(()));
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        self.seen.stopping.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, which then ends.
        match &self.door {
            Door::Tcp(address) => drop(TcpStream::connect(address)),
            Door::Unix(path, _) => drop(UnixStream::connect(path as &Path)),
        }
    }
}

fn serve(
    accept: impl Fn() -> io::Result<Box<dyn Wire>> + Send + 'static,
    talk: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
) -> Arc<Seen> {
    let (seen, talk) = (Arc::new(Seen::default()), Arc::new(talk));
    let all = seen.clone();
    thread::spawn(move || {
        while let Ok(stream) = accept() {
            if all.stopping.load(Ordering::Relaxed) {
                return;
            }
            let connection = {
                let mut connections = all.connections.lock().unwrap();
                *connections += 1;
                *connections
            };
            let (seen, talk) = (all.clone(), talk.clone());
            thread::spawn(move || {
                let mut one = Talk { stream: BufReader::new(stream), connection, seen };
                // A connection that breaks is a part of many tests.
                let _ = talk(&mut one);
                one.stream.get_mut().close();
                *one.seen.ended.lock().unwrap() += 1;
            });
        }
    });
    seen
}
