//! Floor 0: the platform's own words, with no I/O, clock or randomness.
//!
//! A callback's body is [`Received`], and opened if it is sealed; it becomes [`Fields`] (from XML or JSON), the
//! fields become an [`Inbound`], and a [`UserMessage`] among them, and nothing else, can be answered with a
//! [`TransferReply`], which is sealed where the message was.

mod account;
pub mod bot_reply;
pub mod crypto;
mod envelope;
mod fields;
mod json;
pub mod message;
mod query;
pub mod reply;
#[cfg(test)]
pub(crate) mod tests;
mod xml;

pub use account::{Account, Verify};
pub use bot_reply::BotReply;
pub use crypto::{AesKey, Fault, NoAesKey, Token, msg_signature, signature};
pub use envelope::{Received, Seal, envelope, receive, receive_unsigned};
pub use fields::{Field, Fields, Name, Unreadable, is_writable};
pub use message::{Event, Format, Inbound, Kind, Other, UserMessage, Why, open, open_as};
pub use reply::{TransferReply, push_element};

/// The body that tells WeChat "received, nothing to say": no retry and no notice to the user.
/// <https://developers.weixin.qq.com/doc/subscription/guide/product/message/Passive_user_reply_message.html>
pub const SUCCESS: &str = "success";

/// The `MsgType` of the reply that hands a message to the customer-service desk.
/// <https://developers.weixin.qq.com/doc/subscription/guide/product/kf/forwarding.html>
pub const TRANSFER: &str = "transfer_customer_service";
