use std::hash::{BuildHasher, RandomState};

use crate::wechat::{Event, UserMessage};

/// Stands for a callback or a user, and does not tell which: a hash under keys that nobody knows. It has 128
/// bits, so that no two of them meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

impl Key {
    /// A number below `count`, any as often as any other.
    pub(super) fn spread(self, count: usize) -> usize {
        (self.0 % count as u64) as usize
    }
}

/// Makes keys. They mean nothing outside of this process.
#[derive(Debug, Default)]
pub(super) struct Keys {
    one: RandomState,
    other: RandomState,
}

impl Keys {
    /// The same for each delivery of a message. None where that can not be told.
    pub(super) fn of_message(&self, route: &str, message: &UserMessage<'_>) -> Option<Key> {
        let (to, from) = (message.to_user(), message.from_user());
        match message.msg_id().map(str::trim).filter(|id| !id.is_empty()) {
            Some(id) => Some(self.hash(["message", route, to, from, id])),
            None => Some(self.hash(["message without an id", route, from, message.create_time()?, message.source()])),
        }
    }

    /// The same for each delivery of an event. None where that can not be told.
    pub(super) fn of_event(&self, route: &str, event: &Event<'_>) -> Option<Key> {
        let (to, from, created) = (event.to_user()?, event.from_user()?, event.create_time()?);
        Some(self.hash(["event", route, to, from, created, event.name()?, event.key().unwrap_or_default()]))
    }

    pub(super) fn of_user(&self, route: &str, to: &str, from: &str) -> Key {
        self.hash(["user", route, to, from])
    }

    /// No part can reach into the next: the hash of a text has an end to it.
    fn hash<const N: usize>(&self, parts: [&str; N]) -> Key {
        Key(self.one.hash_one(parts), self.other.hash_one(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat::{Inbound, open};

    fn key(keys: &Keys, route: &str, elements: &str) -> Option<Key> {
        let body = format!("<xml><ToUserName>gh_1</ToUserName>{elements}</xml>");
        match open(&body, None) {
            Inbound::Message(message) => keys.of_message(route, &message),
            Inbound::Event(event) => keys.of_event(route, &event),
            Inbound::Other(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn two_deliveries_have_one_key_and_two_callbacks_two() {
        let keys = Keys::default();
        let text = |from: &str, rest: &str| {
            format!("<FromUserName>{from}</FromUserName><MsgType>text</MsgType><Content>a</Content>{rest}")
        };
        let event = |rest: &str| format!("<FromUserName>o1</FromUserName><MsgType>event</MsgType>{rest}");
        let callbacks = [
            ("a", text("o1", "<MsgId>1</MsgId>")),
            ("b", text("o1", "<MsgId>1</MsgId>")),
            ("a", text("o2", "<MsgId>1</MsgId>")),
            ("a", text("o1", "<MsgId>2</MsgId>")),
            ("a", text("o", "<MsgId>11</MsgId>")),
            ("a", text("o1", "<CreateTime>1</CreateTime>")),
            ("a", text("o1", "<CreateTime>2</CreateTime>")),
            ("a", text("o1", "<CreateTime>1</CreateTime><MsgId></MsgId>")),
            ("a", event("<CreateTime>1</CreateTime><Event>CLICK</Event><EventKey>a</EventKey>")),
            ("a", event("<CreateTime>1</CreateTime><Event>CLICK</Event><EventKey>b</EventKey>")),
            ("a", event("<CreateTime>1</CreateTime><Event>CLICK</Event>")),
            ("a", event("<CreateTime>1</CreateTime><Event>VIEW</Event>")),
            ("a", event("<CreateTime>2</CreateTime><Event>VIEW</Event>")),
        ];
        let made: Vec<_> = callbacks.iter().map(|(route, body)| key(&keys, route, body).unwrap()).collect();
        for (at, (route, body)) in callbacks.iter().enumerate() {
            assert_eq!(key(&keys, route, body), Some(made[at]), "{body}");
            assert!(!made[..at].contains(&made[at]), "{body}");
        }
    }

    #[test]
    fn what_stands_beside_the_id_of_a_message_does_not_matter() {
        let keys = Keys::default();
        let text = |rest: &str| {
            format!("<FromUserName>o1</FromUserName><MsgType>text</MsgType><Content>a</Content><MsgId>1</MsgId>{rest}")
        };
        assert_eq!(key(&keys, "a", &text("")), key(&keys, "a", &text("<CreateTime>5</CreateTime>")));
    }

    #[test]
    fn what_has_no_time_of_its_own_has_no_key() {
        let keys = Keys::default();
        for body in [
            "<FromUserName>o1</FromUserName><MsgType>text</MsgType><Content>a</Content>",
            "<FromUserName>o1</FromUserName><MsgType>event</MsgType><Event>CLICK</Event>",
            "<CreateTime>1</CreateTime><MsgType>event</MsgType><Event>CLICK</Event>",
            "<FromUserName>o1</FromUserName><CreateTime>1</CreateTime><MsgType>event</MsgType>",
        ] {
            assert_eq!(key(&keys, "a", body), None, "{body}");
        }
    }

    #[test]
    fn nobody_else_can_make_the_same_keys() {
        assert_ne!(Keys::default().of_user("a", "gh_1", "o1"), Keys::default().of_user("a", "gh_1", "o1"));
    }
}
