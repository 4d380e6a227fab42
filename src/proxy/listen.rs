//! Binding, outside of the server: it fails before anything runs.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use socket2::{Domain, Type};

use super::stream::{Accepted, Handed, Stream};
use crate::config::Listen;

/// A bound socket that accepts clients.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    /// Others hold the socket too, and serve it when we no longer do.
    is_inherited: bool,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    /// An inherited one has no file of ours.
    Unix(UnixListener, Option<SocketFile>),
}

/// The file of a unix socket, removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Nobody is there any more; a file that is gone already is what we want.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    address: String,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => f.write_str("another process already listens there"),
            io::ErrorKind::AddrNotAvailable => f.write_str("no interface of this machine has that address"),
            io::ErrorKind::PermissionDenied => {
                f.write_str("permission denied (ports below 1024 need CAP_NET_BIND_SERVICE)")
            }
            io::ErrorKind::NotFound => f.write_str("the directory does not exist"),
            _ => write!(f, "{}", self.source),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Binds one address of the configuration.
///
/// # Errors
/// When it is taken, not of this machine, or not allowed.
pub fn bind(address: &Listen) -> Result<Listener, BindError> {
    let (socket, name) = match address {
        Listen::Tcp(address) => (bind_tcp(*address), address.to_string()),
        Listen::Unix(path) => (bind_unix(path), format!("unix:{}", path.display())),
    };
    socket.map(|socket| Listener { socket, is_inherited: false }).map_err(|source| BindError { address: name, source })
}

/// Connections that may wait to be accepted; the kernel has its own limit (net.core.somaxconn).
const BACKLOG: i32 = 4096;

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // A restart does not wait for the old connections' last packets.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // A reply is written at once; waiting for more would only delay it. What is accepted takes after this socket.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(Socket::Tcp(socket.into()))
}

/// A socket file that nobody answers on is left over from a crash, and replaced.
fn bind_unix(path: &Path) -> io::Result<Socket> {
    let is_socket = path.symlink_metadata().is_ok_and(|file| file.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(Socket::Unix(listener, Some(SocketFile(path.to_owned()))))
}

impl Listener {
    /// Of a socket that others hold too.
    pub(super) fn inherited_tcp(socket: TcpListener) -> Self {
        Self { socket: Socket::Tcp(socket), is_inherited: true }
    }

    /// The same; its file is not ours.
    pub(super) fn inherited_unix(socket: UnixListener) -> Self {
        Self { socket: Socket::Unix(socket, None), is_inherited: true }
    }

    /// The address in use, with the port the system chose where 0 was asked for. None for a unix socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    /// Closes this handle; those that share the socket stay. What is left is the socket's file, if it has one.
    pub(super) fn close(self) -> Option<SocketFile> {
        match self.socket {
            Socket::Tcp(_) => None,
            Socket::Unix(_, file) => file,
        }
    }

    /// Another handle on the same socket, for the runtime that is entered.
    pub(super) fn share(&self) -> io::Result<Acceptor> {
        let door = match &self.socket {
            Socket::Tcp(listener) => Door::Tcp(listener.try_clone()?.try_into()?),
            Socket::Unix(listener, _) => Door::Unix(listener.try_clone()?.try_into()?),
        };
        Ok(Acceptor { door, is_inherited: self.is_inherited })
    }
}

/// As written in the configuration, with the port in use.
impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Socket::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => write!(f, "an unknown address ({error})"),
            },
            Socket::Unix(_, Some(file)) => write!(f, "unix:{}", file.0.display()),
            Socket::Unix(listener, None) => {
                match listener.local_addr().ok().as_ref().and_then(|name| name.as_pathname()) {
                    Some(path) => write!(f, "unix:{}", path.display()),
                    None => f.write_str("a unix socket without a file"),
                }
            }
        }
    }
}

/// One worker's handle on a listening socket.
pub(super) struct Acceptor {
    door: Door,
    is_inherited: bool,
}

enum Door {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Acceptor {
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Closes the socket, and returns the connections that were made and not accepted yet. The kernel is
    /// asked, not the runtime, which may not have heard of them. Those at a socket that others hold too are theirs.
    pub(super) fn close(self) -> io::Result<Vec<Handed>> {
        let mut waiting = Vec::new();
        match self.door {
            _ if self.is_inherited => {}
            Door::Tcp(listener) => {
                let listener = listener.into_std()?;
                while let Ok((socket, address)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    waiting.push(Handed::Tcp(socket, Some(address.ip().to_canonical())));
                }
            }
            Door::Unix(listener) => {
                let listener = listener.into_std()?;
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    waiting.push(Handed::Unix(socket));
                }
            }
        }
        Ok(waiting)
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        Poll::Ready(match &self.door {
            Door::Tcp(listener) => {
                let (socket, address) = ready!(listener.poll_accept(cx))?;
                Ok(Accepted { stream: Stream::Tcp(socket), peer: Some(address.ip().to_canonical()) })
            }
            Door::Unix(listener) => {
                let (socket, _) = ready!(listener.poll_accept(cx))?;
                Ok(Accepted { stream: Stream::Unix(socket), peer: None })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_delays_no_reply() {
        let listener = bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let Socket::Tcp(socket) = listener.socket else { panic!("a TCP socket") };
        assert!(socket.accept().unwrap().0.nodelay().unwrap());
    }
}
