//! A bot as there are many: a few keywords, a text for each. It knows nothing of the gate but the flag header.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::runtime;

use super::safe;
use crate::wechat::{Event, Inbound, SUCCESS, UserMessage, push_element, receive_unsigned};

/// A bot that is running.
#[derive(Debug)]
pub(super) struct Bot {
    pub(super) address: SocketAddr,
    /// What it says, in words, as it says it.
    pub(super) said: mpsc::Receiver<String>,
}

/// Starts the bot on a free port, until the process ends.
pub(super) fn start() -> io::Result<Bot> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (sender, said) = mpsc::channel();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("bot".into()).spawn(move || runtime.block_on(serve(listener, sender)))?;
    Ok(Bot { address, said })
}

async fn serve(listener: TcpListener, said: mpsc::Sender<String>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let said = said.clone();
        let service = service_fn(move |request| answer(request, said.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, said: mpsc::Sender<String>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        return Ok(Response::new(echostr(request.uri().query().unwrap_or_default()).into()));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    // A callback that breaks off is one that is not understood.
    let body = request.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let account = safe::account();
    let received = receive_unsigned(Some(&account), None, &text, Some(&query));
    let (reply, body) = match received.inbound(Some(&query)) {
        Inbound::Message(message) => {
            let reply = to_message(&message);
            (reply, reply.body(message.from_user(), message.to_user()))
        }
        Inbound::Event(event) => {
            let reply = to_event(&event);
            (reply, reply.body(event.from_user().unwrap_or_default(), event.to_user().unwrap_or_default()))
        }
        Inbound::Other(_) => (Reply::NOTHING, SUCCESS.to_owned()),
    };
    // Nobody listens any more once the scenes have been played.
    let _ = said.send(reply.in_words());
    let is_sealed = received.plaintext().is_some() && body != SUCCESS;
    let body = if is_sealed { safe::sealed(&account, &body) } else { body };
    let mut response = Response::new(body.into());
    if reply.asks {
        response.headers_mut().insert("x-kf-transfer", http::HeaderValue::from_static("1"));
    }
    Ok(response)
}

fn echostr(query: &str) -> String {
    let mut parameters = form_urlencoded::parse(query.as_bytes());
    parameters.find(|(name, _)| name == "echostr").map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// What the bot says.
#[derive(Debug, Clone, Copy)]
struct Reply {
    text: &'static str,
    /// With the flag header.
    asks: bool,
}

fn to_message(message: &UserMessage<'_>) -> Reply {
    let words = message.words().unwrap_or_default().to_lowercase();
    let is_any_of = |keywords: &[&str]| keywords.iter().any(|keyword| words.contains(keyword));
    if is_any_of(&["退款", "投诉", "refund"]) {
        Reply { text: "请稍等。One moment, please.", asks: true }
    } else if is_any_of(&["你好", "您好", "hello"]) {
        Reply { text: "您好，我是小店机器人。Hello, I am the shop's bot.", asks: false }
    } else {
        Reply { text: "没听懂，请说“你好”或“退款”。Say hello, or refund.", asks: false }
    }
}

/// The flag on a menu click is a mistake that bots make.
fn to_event(event: &Event<'_>) -> Reply {
    match event.name() {
        Some("CLICK") => Reply { text: "客服时间 9:00-18:00。The desk is open 9 to 18.", asks: true },
        Some("subscribe") => Reply { text: "欢迎光临。Welcome.", asks: false },
        _ => Reply::NOTHING,
    }
}

impl Reply {
    const NOTHING: Self = Self { text: "", asks: false };

    fn body(self, to: &str, from: &str) -> String {
        if self.text.is_empty() {
            return SUCCESS.to_owned();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let mut body = "<xml>".to_owned();
        push_element(&mut body, "ToUserName", to);
        push_element(&mut body, "FromUserName", from);
        body.extend(["<CreateTime>", &now, "</CreateTime>"]);
        push_element(&mut body, "MsgType", "text");
        push_element(&mut body, "Content", self.text);
        body + "</xml>"
    }

    fn in_words(self) -> String {
        let text = if self.text.is_empty() { SUCCESS.to_owned() } else { format!("text \"{}\"", self.text) };
        if self.asks { text + ", and X-Kf-Transfer: 1" } else { text }
    }
}
