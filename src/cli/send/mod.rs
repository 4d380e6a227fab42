mod callback;
mod delivery;
mod seal;
mod target;
mod verdict;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use tokio::runtime;
use tokio::time::{Instant, sleep_until};

use super::capture::Capture;
use super::terminal::{harmless, print};
use super::{Failure, complain};
use crate::wechat::{Account, AesKey, Kind, Token, Verify};

pub(super) use callback::{Callback, USER};
pub(super) use delivery::{Answer, Delivery, NoAnswer};
pub(super) use target::Target;
pub(super) use verdict::judge;

/// How often WeChat delivers a callback that nobody answers.
/// <https://developers.weixin.qq.com/doc/subscription/guide/product/message/Passive_user_reply_message.html>
const DELIVERIES: u32 = 3;

/// Play WeChat: send a callback and show what comes back
///
/// Builds a callback as WeChat does, signs it, and gives the reply the 5 seconds that WeChat gives it. Says what
/// the reply is, how long it took, and what WeChat would not accept. With --aes-key it does so in safe mode: the
/// callback is encrypted; the reply's signature is checked, and it is shown decrypted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kfgate send --to http://127.0.0.1:8080/wechat --text 转人工
  kfgate send --to https://wx.example.com/wechat/shop --event CLICK --key MENU_HELP --token mytoken
  kfgate send --to http://127.0.0.1:8080/ --type voice --from oABC
  kfgate send --to http://127.0.0.1:8080/ --file callback.xml --retry
  kfgate send --to http://127.0.0.1:8080/ --echostr --token mytoken
  kfgate send --to http://127.0.0.1:8080/ --text 转人工 \\
    --token mytoken --aes-key ENCODINGAESKEY --app-id wx1234567890abcdef

Exit status: 0 WeChat accepts the reply, 1 it does not or there is none, 2 bad usage.")]
pub(super) struct Send {
    /// The URL that WeChat would call: http:// or https://
    #[arg(long, value_name = "URL")]
    to: Target,
    #[command(flatten)]
    what: What,
    /// The key of --event: the menu item's, the QR code's scene …
    #[arg(long, value_name = "KEY", requires = "event")]
    key: Option<String>,
    /// The user's OpenID
    #[arg(long, value_name = "OPENID", default_value = USER, conflicts_with_all = ["file", "echostr"])]
    from: String,
    /// The Token of the account, for the signature
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Deliver up to 3 times, 5 s apart, while no answer comes
    #[arg(long)]
    retry: bool,
    /// Safe mode: the EncodingAESKey of the account; the callback is encrypted with it, and the reply opened
    #[arg(long, value_name = "KEY", requires_all = ["app_id", "token"], conflicts_with = "echostr")]
    aes_key: Option<String>,
    /// Safe mode: the AppID of the account
    #[arg(long, value_name = "APPID", requires = "aes_key")]
    app_id: Option<String>,
}

/// What is sent: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A text message with these words
    #[arg(long, value_name = "WORDS")]
    text: Option<String>,
    /// An event: subscribe, CLICK, VIEW …
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// A message of another type, with made-up content
    #[arg(long, value_name = "TYPE", value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    r#type: Option<String>,
    /// This body as it is (of a whole HTTP request, its body); - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The check of the URL that WeChat makes when it is saved
    #[arg(long)]
    echostr: bool,
}

impl Send {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let delivery = self.delivery()?;
        print(format_args!("{} to {}\n", delivery.what(), self.to))?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::of(&error))?;
        let answer = runtime.block_on(self.deliver(&delivery)).map_err(|error| Failure::of(&error))?;
        show(&delivery, &answer)
    }

    fn delivery(&self) -> Result<Delivery, Failure> {
        let token = self.token.as_deref().unwrap_or_default();
        if self.what.echostr {
            return Ok(Delivery::of_check(token));
        }
        let account = self.account(token)?;
        let callback = self.callback(account.as_ref())?;
        Ok(match account {
            Some(account) => Delivery::sealed(callback, token, account),
            None => Delivery::of(callback, token),
        })
    }

    fn account(&self, token: &str) -> Result<Option<Account>, Failure> {
        let Some((key, app_id)) = self.aes_key.as_deref().zip(self.app_id.as_deref()) else { return Ok(None) };
        let key = AesKey::parse(key).map_err(|_| {
            complain("--aes-key is no EncodingAESKey: it has 43 letters and digits");
            Failure::Usage
        })?;
        let account = Account::new(Token::new(token.to_owned()), Verify::Off);
        Ok(Some(account.sealed_with(vec![key], app_id)))
    }

    fn callback(&self, account: Option<&Account>) -> Result<Callback, Failure> {
        let What { text, event, r#type, file, echostr: _ } = &self.what;
        Ok(match (text, event, r#type, file) {
            (Some(text), ..) => Callback::text(&self.from, text),
            (_, Some(event), ..) => Callback::event(&self.from, event, self.key.as_deref()),
            (_, _, Some(name), _) => Callback::message(&self.from, Kind::of(name).unwrap_or(Kind::Text)),
            (.., file) => {
                let capture = Capture::load(file.as_deref()).map_err(|error| Failure::of(&error))?;
                Callback::of(capture.body, account)
            }
        })
    }

    /// Delivers once, or as often as WeChat does. The same bytes each time: it is one message.
    async fn deliver(&self, delivery: &Delivery) -> Result<Answer, NoAnswer> {
        let mut left = if self.retry { DELIVERIES } else { 1 };
        loop {
            let again_at = Instant::now() + Duration::from_secs(5);
            left -= 1;
            match delivery.send(&self.to).await {
                Err(error) if left > 0 => {
                    eprintln!("kfgate: {error}; trying again, as WeChat does ({left} left)");
                    sleep_until(again_at).await;
                }
                result => return result,
            }
        }
    }
}

fn show(delivery: &Delivery, answer: &Answer) -> Result<(), Failure> {
    let verdict = judge(delivery, answer);
    print(format_args!("{} in {}: {}\n", answer.status, answer.took(), verdict.what))?;
    let body = harmless(&answer.text());
    if !body.is_empty() {
        print(format_args!("\n{}\n\n", body.trim_end()))?;
    }
    if let Some(opened) = &verdict.opened {
        print(format_args!("decrypted:\n\n{}\n\n", harmless(opened).trim_end()))?;
    }
    for warning in &verdict.warnings {
        print(format_args!("warning: {warning}\n"))?;
    }
    for fault in &verdict.faults {
        print(format_args!("not accepted: {fault}\n"))?;
    }
    if verdict.faults.is_empty() { Ok(()) } else { Err(Failure::Failed) }
}
