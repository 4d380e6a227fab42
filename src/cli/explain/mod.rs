mod after;
mod report;
mod steps;
mod words;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};

use super::capture::Capture;
use super::terminal::print;
use super::{ConfigPath, Failure, complain};
use crate::config::{Config, Route};
use crate::wechat::Format;
use steps::{Question, Reply, explain};

/// Say what would be done with a callback, and why
///
/// Reads a callback's body, or a whole HTTP request as it was captured, and goes through the steps of the
/// decision with the code that serves. Nothing is sent. What was remembered of earlier messages is not known here.
///
/// With the bot's reply the steps after it are decided too.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kfgate explain callback.xml
  kfgate explain --route shop --query 'openid=oABC' callback.xml
  kfgate explain --query 'signature=…&timestamp=…&nonce=…&encrypt_type=aes&msg_signature=…' encrypted.xml
  kfgate explain --config kfgate.toml --reply reply.xml --reply-flag 1 callback.xml
  echo '<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName>
        <MsgType>text</MsgType><Content>转人工</Content></xml>' | kfgate explain

Exit status: 0 explained, 1 a file could not be read or there is no such route, 2 bad usage or configuration.")]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigPath,
    /// The route, if there are several; else the request's host and path say it
    #[arg(short, long, value_name = "NAME")]
    route: Option<String>,
    /// The Host that the callback came for
    #[arg(long, value_name = "HOST", conflicts_with = "route")]
    host: Option<String>,
    /// The path that the callback came for
    #[arg(long, value_name = "PATH", conflicts_with = "route")]
    path: Option<String>,
    /// The query string of the callback's URL: its `openid`, `encrypt_type` and signatures count. Without one, an
    /// encrypted body counts as such, and no signature is checked
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// The bot's reply: a body, or a response with its head (curl -i)
    #[arg(long, value_name = "FILE")]
    reply: Option<PathBuf>,
    /// The value of the flag header on the bot's reply; may be given several times
    #[arg(long, value_name = "VALUE")]
    reply_flag: Vec<HeaderValue>,
    /// The callback: a body, or a whole HTTP request [default: stdin]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Explain {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let config = self.config.load()?.config;
        let capture = Capture::load(self.file.as_deref()).map_err(|error| Failure::of(&error))?;
        let route = self.route(&config, &capture)?;
        let query = self.query.as_deref().map(|query| query.trim_start_matches('?'));
        let question = Question {
            route,
            limits: &config.limits,
            method: capture.method().unwrap_or(&Method::POST),
            query: query.or_else(|| capture.query()),
            declared: capture.values(&CONTENT_TYPE).first().and_then(|value| Format::declared(value.as_bytes())),
            request_flags: capture.values(&route.flag_header),
            body: &capture.body,
            reply: self.reply(route)?,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        print(explain(&question, now))
    }

    /// The route that was named, or the one that would be taken, or the only one.
    fn route<'c>(&self, config: &'c Config, capture: &Capture) -> Result<&'c Route, Failure> {
        let found = if let Some(name) = &self.route {
            config.routes.iter().find(|route| *route.name == **name)
        } else if self.host.is_some() || self.path.is_some() || capture.path().is_some() {
            let host = self.host.as_deref().or_else(|| capture.host()).unwrap_or_default();
            let path = self.path.as_deref().or_else(|| capture.path()).unwrap_or("/");
            config.table.find(host, path).map(|position| &config.routes[position])
        } else {
            config.routes.first().filter(|_| config.routes.len() == 1)
        };
        found.map(|route| &**route).ok_or_else(|| self.no_route(config, capture))
    }

    fn no_route(&self, config: &Config, capture: &Capture) -> Failure {
        let names: Vec<_> = config.routes.iter().map(|route| format!("{} ({})", route.name, route.place())).collect();
        let reason = match &self.route {
            Some(name) => format!("there is no route {name:?}"),
            None if self.host.is_some() || self.path.is_some() || capture.path().is_some() => {
                "no route is for this host and path: the answer is 404 (no-route)".to_owned()
            }
            None => "there are several routes: say which with --route, or with --host and --path".to_owned(),
        };
        complain(format_args!("{reason}; routes: {}", names.join(", ")));
        Failure::Failed
    }

    fn reply(&self, route: &Route) -> Result<Option<Reply>, Failure> {
        if self.reply.is_none() && self.reply_flag.is_empty() {
            return Ok(None);
        }
        let capture = self.reply.as_deref().map(|file| Capture::load(Some(file))).transpose();
        let capture = capture.map_err(|error| Failure::of(&error))?.unwrap_or_default();
        let mut flags = capture.values(&route.flag_header);
        flags.extend(self.reply_flag.iter().cloned());
        let text = String::from_utf8_lossy(&capture.body).into_owned();
        Ok(Some(Reply { status: capture.status().unwrap_or(StatusCode::OK), flags, text }))
    }
}
