//! What is measured: each function does one hot thing to a fixed input, and is called by `hot.rs`, which
//! takes its time, and by `count.rs`, which counts its instructions.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use http::{Method, StatusCode, Uri};
use kfgate::config::{LogConfig, LogFormat, LogTarget, OpenidStyle};
use kfgate::policy::{
    Action, Before, Case, Cause, Conditions, Flag, Policy, Remembered, Rule, RuleMode, RuleSet, Transfer, Types, Via,
    before,
};
use kfgate::telemetry::{Client, Record, RequestId, RequestLog, RequestPath};
use kfgate::wechat::{
    Account, AesKey, Event, Format, Inbound, Received, Token, TransferReply, UserMessage, Verify, envelope, open_as,
    receive,
};

/// Declares the workloads, and the list of them. Each stays a function of its own, so that its instructions
/// can be told from those of the others.
macro_rules! workloads {
    ($($name:ident($given:ident) $body:block)*) => {
        /// Every workload and its name.
        pub(crate) const ALL: &[(&str, fn(&Given))] = &[$((stringify!($name), $name)),*];

        $(#[inline(never)] fn $name($given: &Given) $body)*
    };
}

workloads! {
    read_text(given) { read(None, &given.text, QUERY); }
    read_image(given) { read(None, &given.image, QUERY); }
    read_event(given) { read(None, &given.event, QUERY); }
    read_sealed(given) { read(Some(given.account), &given.sealed, &given.sealed_query); }

    match_10_miss(given) { search(&given.few, &given.misses); }
    match_10_hit(given) { search(&given.few, &given.hits); }
    match_1000_miss(given) { search(&given.some, &given.misses); }
    match_1000_hit(given) { search(&given.some, &given.hits); }
    match_100000_miss(given) { search(&given.many, &given.misses); }
    match_100000_hit(given) { search(&given.many, &given.hits); }
    match_full_width(given) { search(&given.few, &given.full_width); }

    decide_forward(given) { decide(&given.few, &given.misses[0], StatusCode::OK); }
    decide_flag(given) { decide(&given.none, &given.misses[0], StatusCode::OK); }
    decide_event(given) { black_box(Case::Event(&given.opened_event).after(StatusCode::OK, Flag::Absent, None)); }

    render(given) { transfer(&given.hits[0]); }
    render_sealed(given) { transfer(&given.opened_message); }

    log_message(given) { given.log.write(&given.message_record); }
    log_event(given) { given.log.write(&given.event_record); }
}

fn read(account: Option<&Account>, body: &str, query: &str) {
    let received = receive(account, Some(Format::Xml), black_box(body), Some(query));
    black_box(received.inbound(Some(query)));
}

fn transfer(message: &UserMessage<'_>) {
    let reply = TransferReply::answering(message).to_account(Some("test1@test"));
    black_box(reply.render(1_700_000_000, || black_box([7; 16])));
}

fn search(policy: &Policy, messages: &[UserMessage<'_>]) {
    for message in messages {
        black_box(policy.rules.before(black_box(message)));
    }
}

fn decide(policy: &Policy, message: &UserMessage<'_>, status: StatusCode) {
    match before(black_box(message), black_box(policy), Flag::Absent, Remembered::default()) {
        Before::ShortCircuit(transfer) => drop(black_box(transfer)),
        Before::Ask(pending) => {
            let case = Case::Message(message, pending);
            black_box(case.may_need_reply());
            black_box(case.after(status, black_box(Flag::Ask(None)), None));
        }
    }
}

/// What a callback's URL says.
const QUERY: &str = "signature=2f1e6b0c5b1d4a3f9e8d7c6b5a49382716051423&timestamp=1700000000&nonce=1320562132\
                     &openid=oAHG428CdAGgAF2hG06A63bE_bCC";

/// Words that users send, without a keyword in them.
const MISSES: [&str; 8] = [
    "你好",
    "请问这件衣服还有蓝色的吗？",
    "我的快递到哪里了，单号是 7890123456789",
    "hello, is anybody there?",
    "好的，谢谢！",
    "昨天买的东西今天能发货吗？我比较着急用，麻烦帮我看一下，谢谢啦～",
    "0",
    "【收到不支持的消息类型，暂无法显示】",
];

/// The same with one of the first ten keywords.
const HITS: [&str; 4] =
    ["转人工", "你好，我想找人工", "客服在吗？我的快递到哪里了", "昨天买的东西今天能发货吗，不能的话我要找客服"];

/// Every input, made before anything is measured.
pub(crate) struct Given {
    text: String,
    image: String,
    event: String,
    /// Signed and encrypted, as is checked.
    account: &'static Account,
    sealed: String,
    sealed_query: String,
    misses: Vec<UserMessage<'static>>,
    hits: Vec<UserMessage<'static>>,
    full_width: Vec<UserMessage<'static>>,
    opened_event: Event<'static>,
    /// It came encrypted.
    opened_message: UserMessage<'static>,
    none: Policy,
    few: Policy,
    some: Policy,
    many: Policy,
    log: RequestLog,
    message_record: Record,
    event_record: Record,
}

impl Given {
    pub(crate) fn new() -> Self {
        let long = "昨天买的东西今天能发货吗？我比较着急用，麻烦帮我看一下，谢谢啦～";
        let text =
            callback("text", &format!("<Content><![CDATA[{long}]]></Content>\n<MsgId>6000000000000000</MsgId>\n"));
        let account = account();
        let (sealed, sealed_query) = seal(account, &text);
        Self {
            text,
            opened_message: opened_message(account, sealed.clone(), sealed_query.clone()),
            account,
            sealed,
            sealed_query,
            image: callback("image", IMAGE),
            event: callback("event", EVENT),
            misses: MISSES.map(message).into(),
            hits: HITS.map(message).into(),
            full_width: ["请问这件ＶＩＰ衣服还有XL吗？", "ＨＥＬＬＯ，你好！"].map(message).into(),
            opened_event: event(),
            none: Policy::default(),
            few: policy(10),
            some: policy(1000),
            many: policy(100_000),
            log: log(),
            message_record: message_record(),
            event_record: event_record(),
        }
    }

    /// Ends what goes on beside the workloads.
    pub(crate) fn end(self) {
        assert!(self.log.close(Duration::from_mins(1)));
    }
}

fn callback(kind: &str, elements: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_7f083739789a]]></ToUserName>\n\
         <FromUserName><![CDATA[oAHG428CdAGgAF2hG06A63bE_bCC]]></FromUserName>\n\
         <CreateTime>1700000000</CreateTime>\n<MsgType><![CDATA[{kind}]]></MsgType>\n{elements}</xml>"
    )
}

const IMAGE: &str = "<PicUrl><![CDATA[http://mmbiz.qpic.cn/mmbiz_jpg/Zt5bLQhFiaAAxOvzlmYI1ibMd2ibicBJOtHKvN/0]]></PicUrl>\n\
                     <MsgId>6000000000000000</MsgId>\n\
                     <MediaId><![CDATA[c07a30f2edd4253b50f0fd0a750cab754ccc9bc2a53f8a28abf3e3fc21813d25]]></MediaId>\n";

const EVENT: &str = "<Event><![CDATA[CLICK]]></Event>\n<EventKey><![CDATA[menu_转人工]]></EventKey>\n";

fn opened(body: String) -> Inbound<'static> {
    open_as(None, body.leak(), Some(QUERY))
}

fn message(words: &str) -> UserMessage<'static> {
    let elements = format!("<Content><![CDATA[{words}]]></Content>\n<MsgId>6000000000000000</MsgId>\n");
    match opened(callback("text", &elements)) {
        Inbound::Message(message) => message,
        other => panic!("{other:?}: {words}"),
    }
}

fn event() -> Event<'static> {
    match opened(callback("event", EVENT)) {
        Inbound::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

/// The account of WeChat's own samples.
fn account() -> &'static Account {
    let key = AesKey::parse("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C").expect("a key");
    let account = Account::new(Token::new("QDG6eK".to_owned()), Verify::Enforce);
    Box::leak(Box::new(account.sealed_with(vec![key], "wx5823bf96d3bd56c7")))
}

/// A callback in safe mode, and its query.
fn seal(account: &Account, text: &str) -> (String, String) {
    let (timestamp, nonce) = ("1700000000", "1320562132");
    let encrypt = account.seal(text, [7; 16]).expect("it has a key");
    let signature = account.sign(timestamp, nonce, &encrypt);
    let query = format!(
        "timestamp={timestamp}&nonce={nonce}&openid=oAHG428CdAGgAF2hG06A63bE_bCC&encrypt_type=aes\
         &msg_signature={signature}"
    );
    (envelope(account, Format::Xml, &encrypt, 1_700_000_000, nonce), query)
}

fn opened_message(account: &'static Account, sealed: String, query: String) -> UserMessage<'static> {
    let query: &'static str = query.leak();
    let received: &'static Received<'static> =
        Box::leak(Box::new(receive(Some(account), Some(Format::Xml), sealed.leak(), Some(query))));
    match received.inbound(Some(query)) {
        Inbound::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn policy(keywords: usize) -> Policy {
    let conditions = Conditions { contains: self::keywords(keywords), from_file: true, ..Conditions::default() };
    let rule = Rule {
        name: "ask-for-human".into(),
        mode: RuleMode::ShortCircuit,
        types: Types::default(),
        account: None,
        conditions,
    };
    let rules = RuleSet::new(vec![rule]).expect("not too many keywords");
    Policy { account: None, types: Types::default(), rules }
}

/// Keywords of 2 to 6 Chinese characters, the same in every run; the first of many are the few.
fn keywords(count: usize) -> Vec<String> {
    let mut keywords: Vec<_> = ["人工", "客服", "转人工"].map(str::to_owned).into();
    let mut known: BTreeSet<_> = keywords.iter().cloned().collect();
    // xorshift64, as published by Marsaglia.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32 % limit
    };
    while keywords.len() < count {
        let length = 2 + below(5);
        let keyword: String = (0..length).filter_map(|_| char::from_u32(0x4e00 + below(2500))).collect();
        if MISSES.iter().all(|text| !text.contains(&keyword)) && known.insert(keyword.clone()) {
            keywords.push(keyword);
        }
    }
    keywords
}

/// A log that is written, and kept by nobody.
fn log() -> RequestLog {
    let target = LogTarget::File(PathBuf::from("/dev/null"));
    let config = LogConfig { target, format: LogFormat::Json, openid: OpenidStyle::Masked, content: false };
    let log = RequestLog::open(&config).expect("a log");
    // The time zone is looked up with a thread's first record.
    log.write(&event_record());
    log
}

fn record(action: Action) -> Record {
    let id = RequestId::new(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123), 1 << 70 | 0x1234_5678);
    Record {
        route: Some("shop".into()),
        method: Some(Method::POST),
        path: RequestPath::of(&Uri::from_static("/wechat/shop?signature=1&openid=o1")),
        status: Some(200),
        openid: Some("oAHG428CdAGgAF2hG06A63bE_bCC".into()),
        duration: Duration::from_micros(12_345),
        bytes_in: 401,
        bytes_out: 283,
        ..Record::new(id, Client::Addr([101, 226, 103, 59].into()), action)
    }
}

fn message_record() -> Record {
    let cause = Cause::Rule("ask-for-human".into());
    let transfer = Transfer { via: Via::ShortCircuit, cause, account: Some("test1@test".into()) };
    Record {
        msg_type: Some("text".into()),
        msg_id: Some("6000000000000000".into()),
        content: Some(HITS[1].into()),
        ..record(Action::Transfer(transfer))
    }
}

fn event_record() -> Record {
    Record {
        msg_type: Some("event".into()),
        event: Some("CLICK".into()),
        upstream_status: Some(200),
        upstream: Some(Duration::from_millis(12)),
        ..record(Action::Forward(Cause::Event))
    }
}
