//! A client that sends exactly what it is told to, and reads what comes back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::tls::{self, Session};
use super::wire::{self, Message};
use super::{PATIENCE, shown};

pub(crate) struct Client {
    stream: BufReader<Socket>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Session>),
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
            Self::Tls(session) => session.read(bytes),
        }
    }
}

impl Client {
    pub(crate) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gate listens");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        stream.set_write_timeout(Some(PATIENCE)).expect("an option");
        Self { stream: BufReader::new(Socket::Tcp(stream)) }
    }

    /// Over TLS, which begins with the first request.
    pub(crate) fn connect_tls(port: u16, config: rustls::ClientConfig) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gate listens");
        stream.set_nodelay(true).expect("an option");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        Self { stream: BufReader::new(Socket::Tls(Box::new(tls::session(config, stream)))) }
    }

    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the gate listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an option");
        Self { stream: BufReader::new(Socket::Unix(stream)) }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).expect("the gate takes what is sent");
        self
    }

    /// Sends what may be cut off: the gate may have refused already.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        match self.stream.get_mut() {
            Socket::Tcp(stream) => stream.write_all(bytes.as_ref()),
            Socket::Unix(stream) => stream.write_all(bytes.as_ref()),
            Socket::Tls(session) => session.write_all(bytes.as_ref()).and_then(|()| session.flush()),
        }
    }

    /// The next response, whole, to any request but HEAD. Interim ones are passed over.
    #[track_caller]
    pub(crate) fn reply(&mut self) -> Message {
        loop {
            let mut reply = self.head();
            match reply.status() {
                100..200 => {}
                204 | 304 => return reply,
                _ => {
                    self.try_body(&mut reply).expect("a whole body");
                    return reply;
                }
            }
        }
    }

    /// The head of the next response, which may be an interim one.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Message {
        let head = wire::read_head(&mut self.stream).expect("a response");
        head.expect("a response, and the connection was closed instead")
    }

    /// Reads the body of a response whose head has been read.
    pub(crate) fn try_body(&mut self, reply: &mut Message) -> io::Result<()> {
        wire::read_body(&mut self.stream, reply, true)
    }

    /// Reads exactly so many bytes.
    #[track_caller]
    pub(crate) fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("more bytes");
        bytes
    }

    /// The same, or None if the connection is over before.
    pub(crate) fn try_read(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.stream.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("nothing comes"),
            Err(_) => None,
        }
    }

    /// Reads so many bytes, and keeps none.
    #[track_caller]
    pub(crate) fn skip(&mut self, count: u64) {
        let skipped = io::copy(&mut self.stream.by_ref().take(count), &mut io::sink()).expect("more bytes");
        assert_eq!(skipped, count);
    }

    /// The gate has closed the connection, and nothing more has come.
    #[track_caller]
    pub(crate) fn is_closed(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection stays open: {error}"),
        }
        assert!(rest.is_empty(), "{}", shown(&rest));
    }

    /// The gate has ended the connection, whatever came before.
    pub(crate) fn ended(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        while let Ok(bytes) = self.stream.fill_buf()
            && !bytes.is_empty()
        {
            rest.extend_from_slice(bytes);
            let length = bytes.len();
            self.stream.consume(length);
        }
        rest
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) -> &mut Self {
        let done = match self.stream.get_mut() {
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Socket::Unix(stream) => stream.shutdown(Shutdown::Write),
            Socket::Tls(session) => session.sock.shutdown(Shutdown::Write),
        };
        done.expect("a connection");
        self
    }

    /// Another handle, to send while this one reads.
    pub(crate) fn sender(&self) -> TcpStream {
        match self.stream.get_ref() {
            Socket::Tcp(stream) => stream.try_clone().expect("a handle"),
            Socket::Unix(_) | Socket::Tls(_) => panic!("over TCP only"),
        }
    }
}
