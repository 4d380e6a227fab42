mod bot;
mod safe;
mod scene;
mod stage;

use std::io::{BufReader, pipe};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpSocket;

use super::{Failure, refuse, refuse_unbuilt, run};
use crate::config;
use crate::proxy::Listener;
use crate::telemetry::RequestLog;
use stage::Stage;

/// See it work: the gate ahead of a sample bot
///
/// Starts a small bot and the gate ahead of it, sends a handful of callbacks as WeChat would, and shows what
/// became of each: what the bot said, what WeChat got, and the line in the request log. Then it stays up, to be
/// tried with `kfgate send` or curl. Nothing leaves this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kfgate demo
  kfgate demo --listen 127.0.0.1:8080

Ctrl-C ends it.

Exit status: 0 ended, 1 the address can not be listened on, 2 bad usage.")]
pub(super) struct Demo {
    /// Where to listen, as ADDRESS:PORT [default: 127.0.0.1 and a free port]
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", hide_default_value = true)]
    listen: SocketAddr,
    /// Where the admin page listens: not available yet
    #[arg(long, value_name = "ADDR", hide = true)]
    admin: Option<String>,
}

impl Demo {
    pub(super) fn execute(self) -> Result<(), Failure> {
        refuse_unbuilt(&[("--admin", self.admin.is_some())])?;
        let failed = |error| Failure::of(&error);
        let bot = bot::start().map_err(failed)?;
        let dead = dead_port().map_err(failed)?;
        let text = configuration(self.listen, bot.address, dead.local_addr().map_err(failed)?);
        let config = config::parse(&text, Path::new("demo.toml")).map_err(|errors| refuse(&errors))?.config;
        let signals = run::Signals::register()?;
        let listeners = run::bind(&config)?;
        let (lines, log) = pipe().map_err(failed)?;
        let log = RequestLog::piped(&config.log, log).map_err(|error| Failure::of(&error))?;
        let stage = Stage { gate: own_address(&listeners), bot, log: BufReader::new(lines) };
        let (has_ended, end) = mpsc::channel();
        let play = move || has_ended.send(stage.play());
        thread::Builder::new().name("demo".into()).spawn(play).map_err(failed)?;
        run::serve(config, listeners, log, signals)?;
        // The last lines of the log are shown, unless nobody reads them.
        let _ = end.recv_timeout(Duration::from_secs(1));
        Ok(())
    }
}

/// A port on which nobody will ever listen: bound, so that nobody else can.
fn dead_port() -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(socket)
}

/// The configuration, as an operator would write it.
fn configuration(listen: SocketAddr, bot: SocketAddr, dead: SocketAddr) -> String {
    format!(
        r#"listen = ["{listen}"]

[log]
format = "text"

[[route]]
name = "shop"
upstream = "http://{bot}"
account = "test1@test"

[[route.rule]]
name = "ask-for-human"
contains = ["人工", "转人工"]

[[route]]
name = "safe"
path = "/safe"
upstream = "http://{bot}"
account = "test1@test"

[route.wechat]
token = "{token}"
aes_key = "{key}"
app_id = "{app_id}"
verify = "enforce"

[[route]]
name = "dead"
path = "/dead"
upstream = "http://{dead}"
on_error = "transfer"
"#,
        token = safe::TOKEN,
        key = safe::AES_KEY,
        app_id = safe::APP_ID,
    )
}

/// Where the gate can be reached from this machine.
fn own_address(listeners: &[Listener]) -> SocketAddr {
    let mut address = listeners.first().and_then(Listener::local_addr).unwrap_or(([127, 0, 0, 1], 0).into());
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_a_good_one() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let loaded = config::parse(&configuration(address, address, address), Path::new("demo.toml")).unwrap();
        assert_eq!((loaded.config.routes.len(), loaded.warnings.len()), (3, 0));
    }
}
