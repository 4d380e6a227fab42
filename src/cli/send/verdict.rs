//! What WeChat makes of a reply.

use http::StatusCode;
use http::header::TRANSFER_ENCODING;

use super::callback::{Callback, Nature};
use super::delivery::{Answer, Call, Delivery};
use super::seal::{self, Opened};
use crate::cli::terminal::harmless;
use crate::wechat::bot_reply::fields;
use crate::wechat::{Account, BotReply, Fields, Format, Name};

/// The longest text that reaches a user, in bytes.
const TEXT_MAX: usize = 2048;

/// What a reply is, and what speaks against it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Verdict {
    pub(in crate::cli) what: String,
    /// Each a reason for WeChat to show its user a failure, or to refuse the URL.
    pub(super) faults: Vec<String>,
    pub(super) warnings: Vec<&'static str>,
    /// What was inside of an encrypted reply.
    pub(super) opened: Option<String>,
    is_nothing: bool,
}

pub(in crate::cli) fn judge(delivery: &Delivery, answer: &Answer) -> Verdict {
    let is_error = answer.status.is_client_error() || answer.status.is_server_error();
    let mut verdict = match &delivery.call {
        _ if is_error => Verdict::of("an error".to_owned()),
        Call::Check(echostr) => of_check(echostr, answer),
        Call::Callback(callback) => match &delivery.account {
            Some(account) => of_sealed(account, callback, &answer.text()),
            None => of_reply(callback, &answer.text()),
        },
    };
    if answer.status != StatusCode::OK {
        verdict.faults.insert(0, format!("the status is {}, not 200", answer.status.as_str()));
    }
    if answer.headers.contains_key(TRANSFER_ENCODING) {
        verdict.chunked(matches!(delivery.call, Call::Check(_)));
    }
    verdict
}

fn of_check(echostr: &str, answer: &Answer) -> Verdict {
    if answer.body == echostr {
        return Verdict::of("the echostr, as it must be".to_owned());
    }
    Verdict::of("not the echostr".to_owned()).fault(format!("the reply must be {echostr}, and nothing else"))
}

/// A reply in safe mode.
fn of_sealed(account: &Account, callback: &Callback, text: &str) -> Verdict {
    match seal::open(account, text) {
        Opened::Plain => match of_reply(callback, text) {
            verdict if verdict.is_nothing => verdict,
            verdict => verdict.fault("the callback was encrypted, and the reply is not".to_owned()),
        },
        Opened::Sealed(opened) => {
            let verdict = of_reply(callback, &opened);
            let fault = "`success` and an empty body must not be encrypted".to_owned();
            let verdict = if verdict.is_nothing { verdict.fault(fault) } else { verdict };
            Verdict { what: format!("{}, encrypted", verdict.what), opened: Some(opened), ..verdict }
        }
        Opened::Fault(fault) => Verdict::of("encrypted reply".to_owned()).fault(fault),
    }
}

fn of_reply(callback: &Callback, text: &str) -> Verdict {
    let reply = BotReply::read(text, None);
    if reply == BotReply::Nothing {
        let body = if text.trim().is_empty() { "an empty body" } else { "success" };
        let verdict = Verdict::of(format!("nothing ({body}): the user sees nothing"));
        return Verdict { is_nothing: true, ..verdict };
    }
    let Ok(fields) = fields(text) else {
        return Verdict::of("not understood".to_owned()).fault("the reply is no XML or JSON document".to_owned());
    };
    let mut verdict = match &reply {
        BotReply::Text(words) => of_text(words),
        BotReply::Transfer => of_transfer(callback, text),
        BotReply::Nothing | BotReply::Other => of_other(&fields),
    };
    verdict.addresses(callback, &fields);
    if callback.format == Some(Format::Xml) && Format::sniff(text.as_bytes()) == Some(Format::Json) {
        verdict.faults.push("the callback is XML, and the reply is JSON".to_owned());
    }
    verdict
}

fn of_text(words: &str) -> Verdict {
    let verdict = Verdict::of(format!("text reply \"{}\"", harmless(words)));
    match words.len() {
        0 => verdict.fault("the Content of a text must not be empty".to_owned()),
        length if length > TEXT_MAX => verdict.fault(format!("{length} bytes of Content are more than {TEXT_MAX}")),
        _ => verdict,
    }
}

fn of_transfer(callback: &Callback, text: &str) -> Verdict {
    let account = kf_account(text).map_or_else(|| "whoever is free".to_owned(), harmless);
    let verdict = Verdict::of(format!("transfer to {account}"));
    match callback.nature {
        Nature::Message => verdict,
        Nature::Event => verdict.fault("an event can not be transferred".to_owned()),
        Nature::Other => verdict.fault("this is no user's message: it can not be transferred".to_owned()),
    }
}

fn of_other(fields: &Fields<'_>) -> Verdict {
    match fields[Name::MsgType].value() {
        Some(known @ ("image" | "voice" | "video" | "music" | "news")) => Verdict::of(format!("{known} reply")),
        Some(other) => {
            let fault = format!("MsgType \"{}\" is no type of reply", harmless(other));
            Verdict::of("not understood".to_owned()).fault(fault)
        }
        None if !fields[Name::Encrypt].is_absent() => {
            Verdict::of("encrypted reply".to_owned()).fault("the callback was sent in plain".to_owned())
        }
        None => Verdict::of("not understood".to_owned()).fault("the reply has no MsgType, or several".to_owned()),
    }
}

/// The account of a transfer, in CDATA or not.
fn kf_account(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<KfAccount>")?;
    let (account, _) = rest.split_once("</KfAccount>")?;
    let account = account.trim();
    Some(account.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>")).unwrap_or(account))
}

impl Verdict {
    fn of(what: String) -> Self {
        Self { what, faults: Vec::new(), warnings: Vec::new(), opened: None, is_nothing: false }
    }

    fn fault(mut self, fault: String) -> Self {
        self.faults.push(fault);
        self
    }

    fn chunked(&mut self, is_check: bool) {
        if is_check {
            self.faults.push("the reply is chunked: WeChat wants a Content-Length here".to_owned());
        } else {
            self.warnings.push("the reply is chunked: with a Content-Length it is safe");
        }
    }

    /// The reply goes from the account to the user, the other way round than the callback.
    fn addresses(&mut self, callback: &Callback, fields: &Fields<'_>) {
        for (name, element, expected) in
            [(Name::ToUserName, "ToUserName", &callback.from), (Name::FromUserName, "FromUserName", &callback.to)]
        {
            let Some(expected) = expected else { continue };
            if fields[name].value() != Some(expected) {
                let found = fields[name].value().map_or_else(|| "missing".to_owned(), harmless);
                let expected = harmless(expected);
                self.faults.push(format!("{element} is {found}, not {expected}: To and From must be swapped"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer::made(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), Bytes::from(body.to_owned()))
    }

    fn reply(to: &str, msg_type: &str, more: &str) -> String {
        format!(
            "<xml><ToUserName>{to}</ToUserName><FromUserName>gh_2b7da7a439a4</FromUserName>\
             <MsgType>{msg_type}</MsgType>{more}</xml>"
        )
    }

    #[test]
    fn replies_are_said_in_words() {
        let account = "<TransInfo><KfAccount><![CDATA[a@b]]></KfAccount></TransInfo>";
        for (body, what) in [
            (String::new(), "nothing (an empty body): the user sees nothing"),
            ("success".to_owned(), "nothing (success): the user sees nothing"),
            (reply("o1", "text", "<Content>你好</Content>"), "text reply \"你好\""),
            (reply("o1", "news", ""), "news reply"),
            (reply("o1", "transfer_customer_service", ""), "transfer to whoever is free"),
            (reply("o1", "transfer_customer_service", account), "transfer to a@b"),
        ] {
            let delivery = Delivery::of(Callback::text("o1", "hi"), "");
            let verdict = judge(&delivery, &answer(200, &body));
            assert_eq!((&*verdict.what, &*verdict.faults), (what, &[][..]), "{body}");
        }
    }

    #[test]
    fn what_wechat_does_not_accept_is_a_fault() {
        let text = Callback::text("o1", "hi");
        let event = Callback::event("o1", "CLICK", None);
        let transfer = reply("o1", "transfer_customer_service", "");
        for (callback, status, body, fault) in [
            (text, 200, "<html>".to_owned(), "no XML or JSON"),
            (Callback::text("o1", "hi"), 500, "success".to_owned(), "the status is 500"),
            (Callback::text("o1", "hi"), 200, reply("gh_1", "text", "<Content>a</Content>"), "swapped"),
            (Callback::text("o1", "hi"), 200, reply("o1", "text", "<Content></Content>"), "empty"),
            (Callback::text("o1", "hi"), 200, reply("o1", "html", ""), "no type of reply"),
            (Callback::text("o1", "hi"), 200, "{\"MsgType\":\"news\"}".to_owned(), "is JSON"),
            (event, 200, transfer, "an event can not be transferred"),
        ] {
            let faults = judge(&Delivery::of(callback, ""), &answer(status, &body)).faults;
            assert!(faults.iter().any(|found| found.contains(fault)), "{body}: {faults:?}");
        }
    }

    #[test]
    fn the_check_wants_its_echostr_and_nothing_else() {
        let delivery = Delivery::of_check("token");
        let Call::Check(echostr) = &delivery.call else { panic!("a check") };
        assert_eq!(judge(&delivery, &answer(200, echostr)).faults, [""; 0]);
        assert_eq!(judge(&delivery, &answer(200, &format!("{echostr}\n"))).faults.len(), 1);
    }
}
