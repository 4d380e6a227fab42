//! Sockets that were open before this process was: those of systemd, or of whoever hands them over to the next
//! process during an upgrade.
//!
//! They are the way for two processes to serve one port, and there is no `SO_REUSEPORT`: under it a gate that is
//! started twice by mistake would take half of the callbacks, with memories of its own; and the connections that
//! wait at a socket of its own when a process closes it are refused. One socket that both have has one queue,
//! from which the new process takes what the old one leaves.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use listenfd::ListenFd;
use socket2::SockRef;

use super::listen::{BindError, Listener, bind};
use crate::config::Listen;

/// What was handed to this process and can not be used.
#[derive(Debug)]
pub enum InheritError {
    /// Neither a TCP nor a unix stream socket.
    NoListener(io::Error),
    /// No address of the configuration is left for it.
    Surplus(String),
    Bind(BindError),
}

impl fmt::Display for InheritError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener(error) => write!(f, "a socket that was handed over (LISTEN_FDS) can not be used: {error}"),
            Self::Surplus(name) => {
                write!(f, "the socket {name} was handed over (LISTEN_FDS), and `listen` has no address left for it")
            }
            Self::Bind(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for InheritError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoListener(error) => Some(error),
            Self::Surplus(_) => None,
            Self::Bind(error) => error.source(),
        }
    }
}

/// Listens on every address: with a socket that was handed over where one fits, else with one of our own.
///
/// A socket fits the address it is bound to, else one with its port, else the next of its kind. It may be bound to
/// another address than the configuration has: where it was made, the address was chosen.
///
/// To be called once, before there are other threads: what it learns from the environment it removes.
///
/// # Errors
/// When a socket is of no use, or an address can not be bound.
pub fn listen(addresses: &[Listen]) -> Result<Vec<Listener>, InheritError> {
    let mut inherited: Vec<_> = inherited()?.into_iter().map(Some).collect();
    let bound: Vec<_> = inherited
        .iter()
        .flatten()
        .map(Inherited::address)
        .collect::<io::Result<_>>()
        .map_err(InheritError::NoListener)?;
    let places = places(addresses, &bound);
    if let Some(surplus) = (0..bound.len()).find(|socket| !places.contains(&Some(*socket))) {
        return Err(InheritError::Surplus(bound[surplus].to_string()));
    }
    let taken = |place: Option<usize>| place.and_then(|socket| inherited[socket].take());
    let sockets: Vec<_> = places.into_iter().map(taken).collect();
    let listener = |(address, socket): (&Listen, Option<Inherited>)| match socket {
        Some(socket) => socket.listener().map_err(InheritError::NoListener),
        None => bind(address).map_err(InheritError::Bind),
    };
    addresses.iter().zip(sockets).map(listener).collect()
}

#[derive(Debug)]
enum Inherited {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// What a socket is bound to.
#[derive(Debug, PartialEq, Eq)]
enum Bound {
    Tcp(SocketAddr),
    /// None for a name that is no path.
    Unix(Option<PathBuf>),
}

fn inherited() -> Result<Vec<Inherited>, InheritError> {
    let mut sockets = ListenFd::from_env();
    let mut all = Vec::with_capacity(sockets.len());
    for at in 0..sockets.len() {
        let tcp = sockets.take_tcp_listener(at).ok().flatten().map(Inherited::Tcp);
        let socket = match tcp {
            None => sockets.take_unix_listener(at).map_err(InheritError::NoListener)?.map(Inherited::Unix),
            tcp => tcp,
        };
        all.extend(socket);
    }
    Ok(all)
}

impl Inherited {
    fn address(&self) -> io::Result<Bound> {
        Ok(match self {
            Self::Tcp(socket) => Bound::Tcp(socket.local_addr()?),
            Self::Unix(socket) => Bound::Unix(socket.local_addr()?.as_pathname().map(PathBuf::from)),
        })
    }

    fn listener(self) -> io::Result<Listener> {
        match self {
            Self::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                SockRef::from(&socket).set_tcp_nodelay(true)?;
                Ok(Listener::inherited_tcp(socket))
            }
            Self::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Ok(Listener::inherited_unix(socket))
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Self::Unix(None) => f.write_str("unix"),
        }
    }
}

/// Whether a socket fits an address.
type Fit = fn(&Listen, &Bound) -> bool;

/// For each address, which socket fits it.
fn places(addresses: &[Listen], bound: &[Bound]) -> Vec<Option<usize>> {
    let is_bound_so: Fit = |address, bound| match (address, bound) {
        (Listen::Tcp(address), Bound::Tcp(bound)) => address == bound,
        (Listen::Unix(path), Bound::Unix(bound)) => Some(path) == bound.as_ref(),
        _ => false,
    };
    let has_port: Fit = |address, bound| match (address, bound) {
        (Listen::Tcp(address), Bound::Tcp(bound)) => address.port() == bound.port(),
        _ => false,
    };
    let is_of_kind: Fit = |address, bound| {
        matches!((address, bound), (Listen::Tcp(_), Bound::Tcp(_)) | (Listen::Unix(_), Bound::Unix(_)))
    };
    let mut places = vec![None; addresses.len()];
    for fits in [is_bound_so, has_port, is_of_kind] {
        for (at, address) in addresses.iter().enumerate().filter(|(at, _)| places[*at].is_none()).collect::<Vec<_>>() {
            places[at] =
                (0..bound.len()).find(|socket| !places.contains(&Some(*socket)) && fits(address, &bound[*socket]));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(address: &str) -> Listen {
        Listen::Tcp(address.parse().unwrap())
    }

    #[test]
    fn a_socket_goes_where_it_fits_best() {
        let bound = |address: &str| Bound::Tcp(address.parse().unwrap());
        let unix = |path: &str| (Listen::Unix(path.into()), Bound::Unix(Some(path.into())));
        let ((run_a, bound_a), (run_b, bound_b)) = (unix("/run/a"), unix("/run/b"));
        for (addresses, sockets, expected) in [
            (vec![tcp("1.1.1.1:80")], vec![], vec![None]),
            (vec![tcp("1.1.1.1:80"), tcp("2.2.2.2:80")], vec![bound("2.2.2.2:80")], vec![None, Some(0)]),
            (vec![tcp("0.0.0.0:80"), tcp("0.0.0.0:443")], vec![bound("[::]:443")], vec![None, Some(0)]),
            (vec![tcp("0.0.0.0:80"), tcp("0.0.0.0:81")], vec![bound("[::]:8080")], vec![Some(0), None]),
            (vec![run_a.clone(), tcp("0.0.0.0:80")], vec![bound("[::]:8080"), bound_b], vec![Some(1), Some(0)]),
            (vec![run_b, run_a], vec![bound_a], vec![None, Some(0)]),
            (vec![tcp("0.0.0.0:80")], vec![bound("0.0.0.0:1"), bound("0.0.0.0:80")], vec![Some(1)]),
        ] {
            assert_eq!(places(&addresses, &sockets), expected, "{addresses:?} {sockets:?}");
        }
    }
}
