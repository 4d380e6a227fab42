//! What a callback is: a user's message, an event, or neither.

use std::borrow::Cow;
use std::fmt;

use super::envelope::Seal;
use super::fields::{Field, Fields, Name, Unreadable, is_writable};
use super::query::Query;
use super::{json, xml};

/// A callback, or what is not certainly one.
#[derive(Debug)]
pub enum Inbound<'a> {
    Message(UserMessage<'a>),
    Event(Event<'a>),
    Other(Other<'a>),
}

/// A message that a user sent: the only thing that can be handed to the customer-service desk.
///
/// There is no constructor but [`open`], which works from an allow-list of message types:
///
/// ```
/// use kfgate::wechat::{Format, Inbound, Kind, UserMessage, open};
/// let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// let Inbound::Message(message) = open(body, None) else { panic!("a message") };
/// let message: UserMessage = message.into();
/// assert_eq!((message.kind(), message.format()), (Kind::Text, Format::Xml));
/// ```
///
/// It can not be put together by hand:
///
/// ```compile_fail,E0451
/// use kfgate::wechat::{Format, Kind, UserMessage};
/// let message = UserMessage {
///     kind: Kind::Text, format: Format::Xml, to: "gh_1".into(), from: "o1".into(),
///     create_time: None, msg_id: None, words: None, source: "", seal: None, is_encrypted: false,
/// };
/// ```
///
/// nor made from an event:
///
/// ```compile_fail,E0277
/// use kfgate::wechat::{Inbound, UserMessage, open};
/// let Inbound::Event(event) = open("<xml><MsgType>event</MsgType></xml>", None) else { panic!("an event") };
/// let message: UserMessage = event.into();
/// ```
///
/// nor become another kind of message than it came as:
///
/// ```compile_fail,E0616
/// use kfgate::wechat::{Inbound, Kind, open};
/// let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><MsgType>text</MsgType></xml>";
/// let Inbound::Message(mut message) = open(body, None) else { panic!("a message") };
/// message.kind = Kind::Image;
/// ```
pub struct UserMessage<'a> {
    kind: Kind,
    format: Format,
    to: Cow<'a, str>,
    from: Cow<'a, str>,
    create_time: Option<Cow<'a, str>>,
    msg_id: Option<Cow<'a, str>>,
    words: Option<Cow<'a, str>>,
    source: &'a str,
    /// What its reply must be closed with, if it came sealed.
    seal: Option<&'a Seal<'a>>,
    is_encrypted: bool,
}

impl UserMessage<'_> {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The data format of the callback, which is the one its reply must have.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The account the message was sent to (`gh_…`).
    pub fn to_user(&self) -> &str {
        &self.to
    }

    /// The sender's OpenID.
    pub fn from_user(&self) -> &str {
        &self.from
    }

    /// Seconds since 1970, as written by WeChat; not checked.
    pub fn create_time(&self) -> Option<&str> {
        self.create_time.as_deref()
    }

    /// WeChat's id of the message: digits, or an opaque string in cloud functions.
    pub fn msg_id(&self) -> Option<&str> {
        self.msg_id.as_deref()
    }

    /// The user's own words: the `Content` of a text, the `Recognition` of a voice message. None for
    /// other kinds, and where they can not be read with certainty.
    pub fn words(&self) -> Option<&str> {
        self.words.as_deref()
    }

    /// All of it as it came, opened if it was sealed.
    pub fn source(&self) -> &str {
        self.source
    }

    /// Whether it came encrypted: with the rest of it in plain, where nothing was opened.
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    pub(super) fn seal(&self) -> Option<&Seal<'_>> {
        self.seal
    }
}

/// Leaves out the user's words: a debug print may end in a log.
impl fmt::Debug for UserMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserMessage").field("kind", &self.kind).field("format", &self.format).finish_non_exhaustive()
    }
}

/// A push that no user wrote. It is forwarded, and never transferred.
pub struct Event<'a> {
    to: Option<Cow<'a, str>>,
    from: Option<Cow<'a, str>>,
    create_time: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    key: Option<Cow<'a, str>>,
    is_encrypted: bool,
}

impl Event<'_> {
    pub fn to_user(&self) -> Option<&str> {
        self.to.as_deref()
    }

    pub fn from_user(&self) -> Option<&str> {
        self.from.as_deref()
    }

    pub fn create_time(&self) -> Option<&str> {
        self.create_time.as_deref()
    }

    /// The `Event` element, such as `subscribe` or `kf_create_session`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// As [`UserMessage::is_encrypted`].
    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Anything else: forwarded untouched.
#[derive(Debug)]
pub struct Other<'a> {
    pub why: Why,
    /// The `MsgType`, where there is a clear one.
    pub msg_type: Option<Cow<'a, str>>,
}

/// Why a request is neither a message nor an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No XML or JSON callback at all, or one without a `MsgType` (a third-party platform's push).
    NotCallback,
    /// A callback that is broken or contradicts itself: a type or words given twice, a sender missing.
    Malformed,
    /// Encrypted, and it does not open, or there is no key and nothing readable beside the ciphertext; or
    /// body and query differ on whether it is.
    Encrypted,
    /// The signature is wrong or missing, and counts.
    BadSignature,
    /// A `MsgType` that is not on the list, or an `Event` beside another type than `event`.
    MsgType,
    /// The query's `openid` names somebody else than `FromUserName`.
    OpenidMismatch,
}

/// The types of user messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Text,
    Image,
    Voice,
    Video,
    ShortVideo,
    Location,
    Link,
    File,
    MiniProgramPage,
}

impl Kind {
    /// All kinds; `file` is undocumented and real.
    pub const ALL: [Self; 9] = [
        Self::Text,
        Self::Image,
        Self::Voice,
        Self::Video,
        Self::ShortVideo,
        Self::Location,
        Self::Link,
        Self::File,
        Self::MiniProgramPage,
    ];

    /// The kind of this `MsgType`, compared exactly.
    pub fn of(msg_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == msg_type)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Voice => "voice",
            Self::Video => "video",
            Self::ShortVideo => "shortvideo",
            Self::Location => "location",
            Self::Link => "link",
            Self::File => "file",
            Self::MiniProgramPage => "miniprogrampage",
        }
    }
}

/// The data format an account is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Xml,
    Json,
}

impl Format {
    /// What a Content-Type says. None unless it says JSON: any other is used for XML in practice.
    pub fn declared(content_type: &[u8]) -> Option<Self> {
        let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is_json =
            media_type.eq_ignore_ascii_case(b"application/json") || media_type.eq_ignore_ascii_case(b"text/json");
        is_json.then_some(Self::Json)
    }

    /// What a body starts like, behind a byte order mark and white space. None for what can be no callback.
    pub fn sniff(body: &[u8]) -> Option<Self> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        match body.iter().find(|byte| !byte.is_ascii_whitespace())? {
            b'<' => Some(Self::Xml),
            b'{' => Some(Self::Json),
            _ => None,
        }
    }
}

/// Reads a request body of which its Content-Type says that it has this format.
pub fn open_as<'a>(declared: Option<Format>, text: &'a str, query: Option<&str>) -> Inbound<'a> {
    match declared {
        // Two readers could disagree on what this is.
        Some(format) if Format::sniff(text.as_bytes()) != Some(format) => {
            Inbound::Other(Other { why: Why::Malformed, msg_type: None })
        }
        _ => open(text, query),
    }
}

/// Reads a request body as it came, and says what it is.
///
/// `query` is the request's raw query string: its `openid` must name the sender, and its
/// `encrypt_type` must agree with the body. In compatible mode the plain elements decide.
pub fn open<'a>(text: &'a str, query: Option<&str>) -> Inbound<'a> {
    match elements(text) {
        Ok((fields, format)) => classify(fields, format, text, Query::new(query), None),
        Err(why) => Inbound::Other(Other { why, msg_type: None }),
    }
}

/// The elements of a callback.
pub(super) fn elements(text: &str) -> Result<(Fields<'_>, Format), Why> {
    let format = Format::sniff(text.as_bytes()).ok_or(Why::NotCallback)?;
    let text = text.trim_start_matches('\u{feff}');
    let read = match format {
        Format::Xml => xml::read(text),
        Format::Json => json::read(text),
    };
    match read {
        Ok(fields) => Ok((fields, format)),
        Err(Unreadable::NotCallback) => Err(Why::NotCallback),
        Err(Unreadable::Malformed) => Err(Why::Malformed),
    }
}

/// The allow-list. Whatever is not certainly a user's message leaves as an event or as [`Other`].
///
/// `source` is what the fields were read from; `seal`: they were sealed with it.
pub(super) fn classify<'a>(
    mut fields: Fields<'a>,
    format: Format,
    source: &'a str,
    query: Query<'_>,
    seal: Option<&'a Seal<'a>>,
) -> Inbound<'a> {
    let msg_type = fields.take(Name::MsgType);
    let other = |why, msg_type| Inbound::Other(Other { why, msg_type });
    if query.has_echostr() {
        return other(Why::NotCallback, None);
    }
    let was_sealed = if seal.is_some() { Some(false) } else { query.is_sealed() };
    match (is_sealed(&fields), was_sealed) {
        (Some(false), Some(false)) => {}
        (Some(true), Some(true)) if !msg_type.is_absent() => {}
        _ => return other(Why::Encrypted, None),
    }
    if msg_type.is_absent() {
        return other(Why::NotCallback, None);
    }
    let Some(msg_type) = msg_type.into_value() else { return other(Why::Malformed, None) };
    if msg_type.eq_ignore_ascii_case("event") {
        return Inbound::Event(event(fields, seal));
    }
    let Some(kind) = Kind::of(&msg_type) else { return other(Why::MsgType, Some(msg_type)) };
    if !fields[Name::Event].is_absent() {
        return other(Why::MsgType, Some(msg_type));
    }
    match user_message(fields, kind, format, source, seal) {
        Some(message) if query.allows_sender(&message.from) => Inbound::Message(message),
        Some(_) => other(Why::OpenidMismatch, Some(msg_type)),
        None => other(Why::Malformed, Some(msg_type)),
    }
}

/// Whether there is ciphertext. None where that is unclear.
fn is_sealed(fields: &Fields<'_>) -> Option<bool> {
    match fields[Name::Encrypt] {
        Field::Absent => Some(false),
        Field::Given(_) => Some(true),
        Field::Unclear => None,
    }
}

fn event<'a>(mut fields: Fields<'a>, seal: Option<&'a Seal<'a>>) -> Event<'a> {
    Event {
        to: fields.take(Name::ToUserName).into_value(),
        from: fields.take(Name::FromUserName).into_value(),
        create_time: fields.take(Name::CreateTime).into_value(),
        name: fields.take(Name::Event).into_value(),
        key: fields.take(Name::EventKey).into_value(),
        is_encrypted: seal.is_some() || !fields[Name::Encrypt].is_absent(),
    }
}

/// None without a clear sender and receiver, as the reply would have nowhere to go; and where the words are
/// given twice or hold elements, as somebody may have broken out of them.
fn user_message<'a>(
    mut fields: Fields<'a>,
    kind: Kind,
    format: Format,
    source: &'a str,
    seal: Option<&'a Seal<'a>>,
) -> Option<UserMessage<'a>> {
    let words = match kind {
        Kind::Text => fields.take(Name::Content),
        Kind::Voice => fields.take(Name::Recognition),
        _ => Field::Absent,
    };
    if words == Field::Unclear {
        return None;
    }
    Some(UserMessage {
        kind,
        format,
        to: fields.take(Name::ToUserName).into_value().filter(|name| is_writable(name))?,
        from: fields.take(Name::FromUserName).into_value().filter(|name| is_writable(name))?,
        create_time: fields.take(Name::CreateTime).into_value(),
        msg_id: fields.take(Name::MsgId).into_value(),
        words: words.into_raw().filter(|_| !fields.foreign_encoding),
        source,
        seal,
        is_encrypted: seal.is_some() || !fields[Name::Encrypt].is_absent(),
    })
}
