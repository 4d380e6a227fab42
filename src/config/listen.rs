//! Addresses to listen on.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::Listen;
use super::fault::Fault;

/// The longest path of a socket, in bytes: `sun_path` has room for 108 with its closing zero.
const SOCKET_PATH: usize = 107;

/// `0.0.0.0:8080`, `[::]:8080`, `localhost:8080`, `:8080` (every IPv4 address) or `unix:/path.sock`.
pub(super) fn listen(text: &str, base: &Path) -> Result<Listen, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        return socket(path, base).map(Listen::Unix);
    }
    let fault = Fault::new("not an address to listen on, such as \"0.0.0.0:8080\" or \"unix:/run/kfgate.sock\"");
    if text.parse::<u16>().is_ok() {
        return Err(fault.help(format!("\"0.0.0.0:{text}\"")));
    }
    if text == "localhost" || text.parse::<Ipv4Addr>().is_ok() {
        return Err(fault.help(format!("with its port: \"{text}:8080\"")));
    }
    let address = match text.rsplit_once(':') {
        Some(("", port)) => port.parse().map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).ok(),
        Some(("localhost", port)) => port.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok(),
        _ => text.parse().ok(),
    };
    address.map(Listen::Tcp).ok_or(fault)
}

/// The path of a unix socket, relative to `base`.
pub(super) fn socket(path: &str, base: &Path) -> Result<PathBuf, Fault> {
    let joined = base.join(path);
    if path.is_empty() || path.contains('\0') {
        Err(Fault::new("the path of the socket is missing").help("\"unix:/path.sock\""))
    } else if joined.as_os_str().len() > SOCKET_PATH {
        Err(Fault::new(format!("the path of a socket can not be longer than {SOCKET_PATH} bytes")))
    } else {
        Ok(joined)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Listen;
    use super::listen;

    #[test]
    fn addresses_are_read_as_an_operator_means_them() {
        for (text, address) in [
            ("0.0.0.0:8080", "0.0.0.0:8080"),
            ("[::]:80", "[::]:80"),
            (":8080", "0.0.0.0:8080"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(listen(text, Path::new("")).unwrap(), Listen::Tcp(address.parse().unwrap()), "{text}");
        }
        for (text, path) in [("unix:/run/a.sock", "/run/a.sock"), ("unix:a.sock", "/etc/kfgate/a.sock")] {
            assert_eq!(listen(text, Path::new("/etc/kfgate")).unwrap(), Listen::Unix(path.into()), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("unix:/{}", "x".repeat(107));
        for text in ["", "8080", "127.0.0.1", "example.com:80", "::1:80", "1.2.3.4:65536", ":", "unix:", &long] {
            assert!(listen(text, Path::new("")).is_err(), "{text:?}");
        }
    }
}
