//! Where an upstream's name leads: looked up when a connection is made, and remembered for a moment.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long an answer is taken without asking again.
const FRESH: Duration = Duration::from_secs(5);

/// How old an answer counts as that led nowhere: it is asked for again a second later.
const AGED: Duration = Duration::from_secs(4);

/// How long an answer is waited for where an older one is known.
const PATIENCE: Duration = Duration::from_millis(300);

/// The last good answer. While the resolver fails, it counts for as long as there is no other.
#[derive(Debug, Default)]
pub(super) struct Known {
    addresses: RefCell<Rc<[SocketAddr]>>,
    /// When it was asked for last, with success or without.
    asked: Cell<Option<Instant>>,
}

impl Known {
    /// Connects to the first address that answers.
    pub(super) async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let stream = match host.parse::<IpAddr>() {
            Ok(address) => TcpStream::connect((address, port)).await?,
            Err(_) => self.connect_by_name(host, port).await?,
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect_by_name(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let addresses = self.resolve(async { Ok(lookup_host((host, port)).await?.collect()) }).await?;
        let stream = TcpStream::connect(&*addresses).await;
        if stream.is_err() {
            // The bot may have moved.
            self.asked.set(Instant::now().checked_sub(AGED));
        }
        stream
    }

    async fn resolve(&self, lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>) -> io::Result<Rc<[SocketAddr]>> {
        let known = self.addresses.borrow().clone();
        let is_fresh = self.asked.get().is_some_and(|asked| asked.elapsed() < FRESH);
        if is_fresh && !known.is_empty() {
            return Ok(known);
        }
        let found = if known.is_empty() {
            lookup.await
        } else {
            timeout(PATIENCE, lookup).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match found {
            Ok(found) if !found.is_empty() => {
                self.asked.set(Some(Instant::now()));
                *self.addresses.borrow_mut() = found.into();
                Ok(self.addresses.borrow().clone())
            }
            Ok(_) if known.is_empty() => Err(io::Error::other("the name has no address")),
            Err(error) if known.is_empty() => Err(error),
            _ => {
                self.asked.set(Some(Instant::now()));
                Ok(known)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 80))
    }

    #[tokio::test]
    async fn the_last_good_answer_is_kept_while_there_is_no_other() {
        let known = Known::default();
        let refused = || async { Err(io::ErrorKind::NotFound.into()) };
        let found = |last| async move { Ok(vec![address(last)]) };
        known.resolve(refused()).await.unwrap_err();
        known.resolve(async { Ok(Vec::new()) }).await.unwrap_err();
        assert_eq!(*known.resolve(found(1)).await.unwrap(), [address(1)], "a failure is not remembered");
        assert_eq!(*known.resolve(found(2)).await.unwrap(), [address(1)], "not asked again at once");
        known.asked.set(None);
        assert_eq!(*known.resolve(refused()).await.unwrap(), [address(1)], "the resolver fails");
        assert_eq!(*known.resolve(found(2)).await.unwrap(), [address(1)], "it is left alone for a moment");
        known.asked.set(None);
        assert_eq!(*known.resolve(std::future::pending()).await.unwrap(), [address(1)], "the resolver is silent");
        known.asked.set(None);
        assert_eq!(*known.resolve(found(2)).await.unwrap(), [address(2)], "the bot has moved");
    }
}
