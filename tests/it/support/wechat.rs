//! What WeChat says, and what bots answer.

use std::sync::atomic::{AtomicU64, Ordering};

use super::wire::{Message, reply};

pub(crate) const ACCOUNT: &str = "gh_2b7da7a439a4";
pub(crate) const USER: &str = "oGO4t07Fz_DGdbkIs1snsuHFKRRE";
pub(crate) const TRANSFER: &str = "transfer_customer_service";

/// A message of the user, as captured: one element a line, nothing after the root.
pub(crate) fn message(msg_type: &str, elements: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>\n<FromUserName><![CDATA[{USER}]]></FromUserName>\n\
         <CreateTime>1521777871</CreateTime>\n<MsgType><![CDATA[{msg_type}]]></MsgType>\n{elements}\n</xml>"
    )
}

/// An id that no other message has, as WeChat gives one to each.
fn next_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(6_535_986_188_354_779_215);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// The user writes this. It is another message each time.
pub(crate) fn text(words: &str) -> String {
    text_of(USER, &next_id().to_string(), words)
}

/// This user writes this, in a message with this id.
pub(crate) fn text_of(user: &str, id: &str, words: &str) -> String {
    message("text", &format!("<Content><![CDATA[{words}]]></Content>\n<MsgId>{id}</MsgId>")).replace(USER, user)
}

/// Something that no user wrote happens.
pub(crate) fn event(name: &str) -> String {
    message("event", &format!("<Event><![CDATA[{name}]]></Event>\n<EventKey><![CDATA[]]></EventKey>"))
}

/// The same in JSON.
pub(crate) fn json_text(words: &str) -> String {
    format!(
        r#"{{"ToUserName":"{ACCOUNT}","FromUserName":"{USER}","CreateTime":1521777871,"MsgType":"text","Content":"{words}","MsgId":{}}}"#,
        next_id()
    )
}

pub(crate) fn json_event(name: &str) -> String {
    format!(
        r#"{{"ToUserName":"{ACCOUNT}","FromUserName":"{USER}","CreateTime":1714112445,"MsgType":"event","Event":"{name}"}}"#
    )
}

/// WeChat's request with this body, as captured.
pub(crate) fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    post_to("/wx", "", body)
}

/// The same to another path, with further header lines (each with its CR LF).
pub(crate) fn post_to(path: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let is_json = body.first() == Some(&b'{');
    let mut request = format!(
        "POST {path}?signature=b4ec6687c3a35e78e60549bec4163b9ecea345c7&timestamp=1521777871&nonce=1494721558&openid={USER} HTTP/1.1\r\n\
         Host: wx.example.com\r\nUser-Agent: Mozilla/4.0\r\nContent-Length: {}\r\nAccept: */*\r\n\
         Cache-Control: no-cache\r\nContent-Type: {}\r\nPragma: no-cache\r\n{headers}\r\n",
        body.len(),
        if is_json { "application/json" } else { "text/xml" },
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// The bot's text reply, without HTTP around it.
pub(crate) fn says(words: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{USER}]]></ToUserName><FromUserName><![CDATA[{ACCOUNT}]]></FromUserName>\
         <CreateTime>1521777872</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{words}]]></Content></xml>"
    )
}

/// A transfer that the bot makes by itself.
pub(crate) fn bots_transfer() -> String {
    format!(
        "<xml><ToUserName><![CDATA[{USER}]]></ToUserName><FromUserName><![CDATA[{ACCOUNT}]]></FromUserName>\
         <CreateTime>1521777872</CreateTime><MsgType><![CDATA[{TRANSFER}]]></MsgType></xml>"
    )
}

pub(crate) fn bots_json_transfer() -> String {
    format!(r#"{{"ToUserName":"{USER}","FromUserName":"{ACCOUNT}","CreateTime":1521777872,"MsgType":"{TRANSFER}"}}"#)
}

/// The bot's reply over HTTP, with further header lines.
pub(crate) fn bot_reply(headers: &str, body: &str) -> Vec<u8> {
    reply("200 OK", &format!("Content-Type: text/xml\r\n{headers}"), body)
}

/// What a reply to WeChat is.
impl Message {
    #[track_caller]
    pub(crate) fn is_transfer(&self) {
        self.is_transfer_by(None);
    }

    #[track_caller]
    pub(crate) fn is_transfer_to(&self, account: &str) {
        self.is_transfer_by(Some(account));
    }

    #[track_caller]
    fn is_transfer_by(&self, account: Option<&str>) {
        let trans_info = account.map_or(String::new(), |account| {
            format!("<TransInfo><KfAccount><![CDATA[{account}]]></KfAccount></TransInfo>")
        });
        assert_eq!(self.start, "HTTP/1.1 200 OK", "{self:?}");
        assert_eq!(self.header("content-type"), Some("text/xml; charset=utf-8"), "{self:?}");
        assert_eq!(self.content_length(), Some(self.body.len()), "{self:?}");
        let (before, after) = (
            format!(
                "<xml><ToUserName><![CDATA[{USER}]]></ToUserName><FromUserName><![CDATA[{ACCOUNT}]]></FromUserName><CreateTime>"
            ),
            format!("</CreateTime><MsgType><![CDATA[{TRANSFER}]]></MsgType>{trans_info}</xml>"),
        );
        let body = self.body_text();
        let time = body.strip_prefix(&*before).and_then(|rest| rest.strip_suffix(&*after));
        let time = time.unwrap_or_else(|| panic!("not the transfer {before}…{after}: {self:?}"));
        assert!(time.parse::<u64>().is_ok_and(|seconds| seconds.abs_diff(now()) < 20), "CreateTime {time}");
    }

    #[track_caller]
    pub(crate) fn is_json_transfer(&self) {
        assert_eq!(self.status(), 200, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"), "{self:?}");
        assert_eq!(self.content_length(), Some(self.body.len()), "{self:?}");
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        let created = body["CreateTime"].as_u64().expect("seconds");
        assert!(created.abs_diff(now()) < 20, "CreateTime {created}");
        let expected = serde_json::json!({"ToUserName": USER, "FromUserName": ACCOUNT, "CreateTime": created, "MsgType": TRANSFER});
        assert_eq!(body, expected);
    }

    /// `success`, as the gate says it.
    #[track_caller]
    pub(crate) fn is_success(&self) {
        assert_eq!((self.status(), self.body_text()), (200, "success"), "{self:?}");
        assert_eq!(self.content_length(), Some(7), "{self:?}");
    }

    /// What the bot said, with this body.
    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status(), self.body_text()), (status, body), "{self:?}");
    }

    pub(crate) fn holds_a_transfer(&self) -> bool {
        String::from_utf8_lossy(&self.body).contains(TRANSFER)
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}
