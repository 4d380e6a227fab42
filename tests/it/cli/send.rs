//! `send`, against bots that answer in every way.

use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

use kfgate::wechat::signature;

use super::{Bot, assert_refused, assert_says, kfgate, plain, read_request, text_reply};

#[test]
fn send_calls_as_wechat_does() {
    let bot = Bot::start(|_| plain("success"));
    let url = format!("http://{}/wx?app=1", bot.address);
    assert_says(
        &kfgate(&["send", "--to", &url, "--text", "1", "--from", "o+1", "--token", "AAAAA"]),
        0,
        &["text \"1\" to http://", "200 OK in", "nothing (success): the user sees nothing"],
    );
    let request = bot.heard.recv().unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let (target, headers) = head.split_once("\r\n").unwrap();
    let length = body.len();
    assert_eq!(
        headers,
        format!(
            "Host: {}\r\nUser-Agent: Mozilla/4.0\r\nContent-Length: {length}\r\nAccept: */*\r\n\
             Cache-Control: no-cache\r\nContent-Type: text/xml\r\nPragma: no-cache",
            bot.address
        )
    );
    assert_signed(target, "AAAAA");
    assert!(target.starts_with("POST /wx?app=1&signature=") && target.ends_with("&openid=o%2B1 HTTP/1.1"), "{target}");
    assert!(body.contains("\n<FromUserName><![CDATA[o+1]]></FromUserName>\n"), "{body}");
    assert!(body.starts_with("<xml><ToUserName><![CDATA[gh_") && body.ends_with("</MsgId>\n</xml>"), "{body}");
}

fn assert_signed(target: &str, token: &str) {
    let parameter = |name: &str| {
        let (_, rest) = target.split_once(&format!("{name}=")).unwrap();
        rest.split(['&', ' ']).next().unwrap().to_owned()
    };
    assert_eq!(parameter("signature"), signature(token, &parameter("timestamp"), &parameter("nonce")));
}

#[test]
fn send_makes_the_check_of_the_url() {
    let right = Bot::start(|request| {
        assert_signed(request.lines().next().unwrap(), "t");
        let (_, rest) = request.split_once("echostr=").unwrap();
        plain(rest.split(['&', ' ']).next().unwrap())
    });
    let url = format!("http://{}/", right.address);
    assert_says(&kfgate(&["send", "--to", &url, "--echostr", "--token", "t"]), 0, &["the echostr, as it must be"]);
    let wrong = Bot::start(|_| plain("hello"));
    let url = format!("http://{}/", wrong.address);
    assert_says(&kfgate(&["send", "--to", &url, "--echostr"]), 1, &["not accepted: the reply must be"]);
}

#[test]
fn send_says_what_wechat_makes_of_the_reply() {
    let transfer = text_reply("").replace("text", "transfer_customer_service");
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{transfer}\r\n0\r\n\r\n", transfer.len());
    for (answer, what, status, line) in [
        (plain(&text_reply("您好")), "--text", 0, "text reply \"您好\""),
        (chunked, "--text", 0, "warning: the reply is chunked"),
        (plain(&transfer), "--event", 1, "not accepted: an event can not be transferred"),
        (
            plain(&text_reply("a").replace("<ToUserName>o1", "<ToUserName>gh")),
            "--text",
            1,
            "To and From must be swapped",
        ),
        (plain("Fatal error"), "--text", 1, "not understood"),
        ("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n".to_owned(), "--text", 1, "the status is 500, not 200"),
    ] {
        let bot = Bot::start(move |_| answer.clone());
        let sent = kfgate(&["send", "--to", &format!("http://{}/", bot.address), what, "CLICK", "--from", "o1"]);
        assert_says(&sent, status, &[line]);
    }
}

#[test]
fn send_hangs_up_after_five_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let began = Instant::now();
    assert_refused(&kfgate(&["send", "--to", &url, "--text", "a"]), 1, "no reply within 5 s: WeChat hangs up");
    assert!((5.0..7.0).contains(&began.elapsed().as_secs_f64()));
}

#[test]
fn send_tries_again_only_while_no_answer_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let bot = thread::spawn(move || {
        let first = read_request(&mut listener.accept().unwrap().0);
        let (mut stream, _) = listener.accept().unwrap();
        let second = read_request(&mut stream);
        stream.write_all(plain("success").as_bytes()).unwrap();
        (first, second)
    });
    let began = Instant::now();
    assert_says(&kfgate(&["send", "--to", &url, "--text", "a", "--retry"]), 0, &["nothing (success)"]);
    assert!((5.0..7.0).contains(&began.elapsed().as_secs_f64()));
    let (first, second) = bot.join().unwrap();
    assert_eq!(first, second, "the same delivery");
}
