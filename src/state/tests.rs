//! What is remembered, for how long, and for whom.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::runtime;

use super::{Flight, Joined, Kept, Lead, Memory};
use crate::config::{Route, parse};
use crate::policy::{Before, Case, Cause, Flag, Handover, Policy, Remembered, Transfer, Via, before};
use crate::wechat::{Inbound, UserMessage, open};

fn route(lines: &str) -> Arc<Route> {
    let text = format!("[[route]]\nname = \"bot\"\nupstream = \"http://bot\"\n{lines}");
    parse(&text, Path::new("kfgate.toml")).unwrap().config.routes[0].clone()
}

fn body(user: &str, id: u32, words: &str) -> String {
    format!(
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>{user}</FromUserName><CreateTime>1</CreateTime>\
         <MsgType>text</MsgType><Content>{words}</Content><MsgId>{id}</MsgId></xml>"
    )
}

fn with_message<T>(user: &str, id: u32, words: &str, then: impl FnOnce(&UserMessage<'_>) -> T) -> T {
    let body = body(user, id, words);
    let Inbound::Message(message) = open(&body, None) else { panic!("a message") };
    then(&message)
}

fn transfer(cause: Cause) -> Transfer {
    Transfer { via: Via::ShortCircuit, cause, account: Some("a@x".into()) }
}

/// A memory, and the clock it is asked by.
struct Remembering {
    memory: Memory,
    route: Arc<Route>,
    start: Instant,
}

impl Remembering {
    fn on(route: Arc<Route>) -> Self {
        Self { memory: Memory::default(), route, start: Instant::now() }
    }

    fn transferred(&self, seconds: u64, user: &str, id: u32, cause: Cause) {
        let now = self.start + Duration::from_secs(seconds);
        with_message(user, id, "a", |message| self.memory.keep(&self.route, message, &transfer(cause), now));
    }

    /// What is recalled: `retry`, `sticky` or nothing.
    fn recalls(&self, seconds: u64, user: &str, id: u32, words: &str) -> &'static str {
        let now = self.start + Duration::from_secs(seconds);
        let is_ours = |handover: &Handover| handover.account.as_deref() == Some("a@x");
        match with_message(user, id, words, |message| self.memory.recall(&self.route, message, now)) {
            Remembered { retry: Some(handover), sticky: None } if is_ours(&handover) => "retry",
            Remembered { retry: None, sticky: Some(handover) } if is_ours(&handover) => "sticky",
            Remembered { retry: None, sticky: None } => "",
            other => panic!("{other:?}"),
        }
    }

    fn sees(&self, user: &str, event: &str) {
        let body = format!(
            "<xml><ToUserName>gh_1</ToUserName><FromUserName>{user}</FromUserName><CreateTime>1</CreateTime>\
             <MsgType>event</MsgType><Event>{event}</Event></xml>"
        );
        let Inbound::Event(event) = open(&body, None) else { panic!("an event") };
        self.memory.see(&self.route, &event);
    }
}

#[test]
fn a_transferred_message_is_remembered_for_a_minute_and_no_other_is() {
    let remembering = Remembering::on(route(""));
    remembering.transferred(0, "o1", 1, Cause::Flag);
    remembering.transferred(50, "o1", 1, Cause::Retry);
    for (seconds, user, id, recalled) in
        [(0, "o1", 1, "retry"), (59, "o1", 1, "retry"), (60, "o1", 1, ""), (5, "o1", 2, ""), (5, "o2", 1, "")]
    {
        assert_eq!(remembering.recalls(seconds, user, id, "a"), recalled, "{seconds} {user} {id}");
    }
    let shown = format!("{:?}", remembering.memory);
    assert!(!shown.contains("a@x") && !shown.contains("o1"), "{shown}");
}

#[test]
fn a_route_knows_nothing_of_another() {
    let remembering = Remembering::on(route("sticky = \"10m\""));
    remembering.transferred(0, "o1", 1, Cause::Flag);
    let other = Arc::new(Route { name: "other".into(), ..Arc::into_inner(route("sticky = \"10m\"")).unwrap() });
    let elsewhere = Remembering { route: other, ..remembering };
    assert_eq!(elsewhere.recalls(1, "o1", 1, "a"), "");
}

#[test]
fn sticky_lasts_from_the_first_transfer_and_is_not_prolonged() {
    let remembering = Remembering::on(route("sticky = \"10m\""));
    remembering.transferred(0, "o1", 1, Cause::Flag);
    remembering.transferred(300, "o1", 2, Cause::Sticky);
    remembering.transferred(400, "o1", 3, Cause::Flag);
    for (seconds, user, recalled) in [(1, "o1", "sticky"), (599, "o1", "sticky"), (600, "o1", ""), (1, "o2", "")] {
        assert_eq!(remembering.recalls(seconds, user, 9, "a"), recalled, "{seconds} {user}");
    }
    remembering.transferred(600, "o1", 4, Cause::Sticky);
    remembering.transferred(600, "o1", 5, Cause::Retry);
    assert_eq!(remembering.recalls(601, "o1", 9, "a"), "", "they follow from a transfer that is over");
    remembering.transferred(700, "o1", 6, Cause::Flag);
    assert_eq!(remembering.recalls(1299, "o1", 9, "a"), "sticky");
}

#[test]
fn without_sticky_only_the_message_is_remembered() {
    let remembering = Remembering::on(route(""));
    remembering.transferred(0, "o1", 1, Cause::Flag);
    assert_eq!(remembering.recalls(1, "o1", 2, "a"), "");
}

#[test]
fn the_events_of_the_session_end_sticky_for_their_user() {
    for (event, user, recalled) in [
        ("kf_create_session", "o1", ""),
        ("kf_close_session", "o1", ""),
        ("kf_create_session", "o2", "sticky"),
        ("kf_switch_session", "o1", "sticky"),
        ("CLICK", "o1", "sticky"),
    ] {
        let remembering = Remembering::on(route("sticky = \"10m\""));
        remembering.transferred(0, "o1", 1, Cause::Flag);
        remembering.sees(user, event);
        assert_eq!(remembering.recalls(1, "o1", 2, "a"), recalled, "{event} {user}");
        assert_eq!(remembering.recalls(1, "o1", 1, "a"), "retry", "the retry has nothing to do with it");
        remembering.transferred(1, "o1", 1, Cause::Retry);
        assert_eq!(remembering.recalls(2, "o1", 2, "a"), recalled, "nor begins it anew");
    }
}

#[test]
fn a_cancel_word_alone_ends_sticky() {
    for (words, recalled) in [
        ("退出", ""),
        (" 退出　", ""),
        ("ｂｙｅ", ""),
        ("我要退出", "sticky"),
        ("退", "sticky"),
        ("bye!", "sticky"),
        ("", "sticky"),
    ] {
        let remembering = Remembering::on(route("sticky = \"10m\"\nsticky_cancel = [\"退出\", \"Bye\"]"));
        remembering.transferred(0, "o1", 1, Cause::Flag);
        remembering.transferred(0, "o2", 1, Cause::Flag);
        assert_eq!(remembering.recalls(1, "o1", 2, words), recalled, "{words:?}");
        assert_eq!(remembering.recalls(1, "o1", 3, "a"), recalled, "{words:?}");
        assert_eq!(remembering.recalls(1, "o2", 3, "a"), "sticky", "{words:?}");
    }
}

fn kept(body: &str) -> Kept {
    let (parts, ()) = http::Response::new(()).into_parts();
    Kept { parts, body: Bytes::copy_from_slice(body.as_bytes()), trailers: None }
}

/// The deliveries of a message, on a route with or without dedupe.
fn flight(memory: &Memory, route: &Route, user: &str, id: u32) -> Option<Flight> {
    with_message(user, id, "a", |message| {
        let policy = Policy::default();
        let Before::Ask(pending) = before(message, &policy, Flag::Absent, Remembered::default()) else {
            panic!("the bot is asked");
        };
        memory.flight(route, &Case::Message(message, pending))
    })
}

fn lead(flight: &Flight, now: Instant) -> Lead {
    match flight.join(now) {
        Joined::Lead(lead) => lead,
        other => panic!("{other:?}"),
    }
}

fn replayed(flight: &Flight, now: Instant) -> Option<Bytes> {
    match flight.join(now) {
        Joined::Replay(kept) => Some(kept.body.clone()),
        Joined::Lead(_) => None,
        other @ Joined::Wait(_) => panic!("{other:?}"),
    }
}

#[test]
fn one_asks_those_who_come_meanwhile_wait_and_those_who_come_later_get_the_answer() {
    let (memory, route, start) = (Memory::default(), route("dedupe = true"), Instant::now());
    let at = |seconds| start + Duration::from_secs(seconds);
    let one = flight(&memory, &route, "o1", 1).unwrap();
    let first = lead(&one, at(0));
    assert!(matches!(flight(&memory, &route, "o1", 1).unwrap().join(at(5)), Joined::Wait(_)));
    for (user, id) in [("o2", 1), ("o1", 2)] {
        drop(lead(&flight(&memory, &route, user, id).unwrap(), at(5)));
    }
    first.answered(kept("hi"), at(12));
    assert_eq!(replayed(&one, at(12)).as_deref(), Some(&b"hi"[..]));
    assert_eq!(replayed(&one, at(41)).as_deref(), Some(&b"hi"[..]));
    assert_eq!(replayed(&one, at(42)), None, "after 30 s the bot is asked again");
}

#[test]
fn a_failure_is_not_replayed_and_the_next_one_asks() {
    let (memory, route, now) = (Memory::default(), route("dedupe = true"), Instant::now());
    let one = flight(&memory, &route, "o1", 1).unwrap();
    let first = lead(&one, now);
    let Joined::Wait(wait) = one.join(now) else { panic!("another one asks") };
    drop(first);
    runtime::Builder::new_current_thread().build().unwrap().block_on(wait.over());
    drop(lead(&one, now));
}

#[test]
fn without_dedupe_nobody_waits() {
    assert!(flight(&Memory::default(), &route(""), "o1", 1).is_none());
}

#[test]
fn answers_take_bounded_memory_and_the_oldest_goes_first() {
    const MEBIBYTE: usize = 1 << 20;
    let (memory, route, now) = (Memory::default(), route("dedupe = true"), Instant::now());
    let of = |id| flight(&memory, &route, "o1", id).unwrap();
    let large = "a".repeat(MEBIBYTE);
    for id in 0..100 {
        lead(&of(id), now).answered(kept(&large), now);
    }
    let left = (0..100).filter(|id| replayed(&of(*id), now).is_some()).collect::<Vec<_>>();
    assert_eq!(left, (69..100).collect::<Vec<_>>());
    lead(&of(200), now).answered(kept(&"a".repeat(33 * MEBIBYTE)), now);
    assert_eq!(replayed(&of(200), now), None, "too large to be kept");
    memory.sweep(now + Duration::from_secs(30));
    assert!(left.iter().all(|id| replayed(&of(*id), now).is_none()), "given back");
}

#[test]
fn many_threads_ask_once_for_each_callback() {
    const CALLBACKS: u32 = 200;
    let (memory, route) = (Memory::default(), route("dedupe = true"));
    let asked = std::sync::Mutex::new(vec![0; CALLBACKS as usize]);
    let deliver = |id: u32| {
        let flight = flight(&memory, &route, &format!("o{}", id % 7), id).unwrap();
        async move {
            loop {
                match flight.join(Instant::now()) {
                    Joined::Lead(lead) => {
                        tokio::task::yield_now().await;
                        lead.answered(kept(&id.to_string()), Instant::now());
                        return None;
                    }
                    Joined::Wait(wait) => wait.over().await,
                    Joined::Replay(kept) => return Some(kept.body.clone()),
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let runtime = runtime::Builder::new_current_thread().build().unwrap();
                for id in 0..CALLBACKS {
                    match runtime.block_on(deliver(id)) {
                        None => asked.lock().unwrap()[id as usize] += 1,
                        Some(body) => assert_eq!(body, id.to_string()),
                    }
                }
            });
        }
    });
    assert!(asked.into_inner().unwrap().iter().all(|count| *count == 1));
}

/// What happens to the deliveries of a few users' messages.
#[derive(Debug, Clone)]
enum Step {
    Delivered { user: usize, id: u32 },
    Answered { nth: usize },
    Failed { nth: usize },
    Passed { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_usize, 0..3_u32).prop_map(|(user, id)| Step::Delivered { user, id }),
        2 => (0..8_usize).prop_map(|nth| Step::Answered { nth }),
        1 => (0..8_usize).prop_map(|nth| Step::Failed { nth }),
        1 => (0..40_u64).prop_map(|seconds| Step::Passed { seconds }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_is_for_another_user_or_message(steps in proptest::collection::vec(step(), 0..120)) {
        let (memory, route) = (Memory::default(), route("dedupe = true"));
        let mut now = Instant::now();
        let mut leads: Vec<(String, Lead)> = Vec::new();
        for step in steps {
            match step {
                Step::Delivered { user, id } => {
                    let name = format!("o{user}/{id}");
                    match flight(&memory, &route, &format!("o{user}"), id).unwrap().join(now) {
                        Joined::Lead(lead) => {
                            prop_assert!(leads.iter().all(|(other, _)| *other != name), "{} is asked about twice", name);
                            leads.push((name, lead));
                        }
                        Joined::Wait(_) => prop_assert!(leads.iter().any(|(other, _)| *other == name)),
                        Joined::Replay(kept) => prop_assert_eq!(&kept.body, &name),
                    }
                }
                Step::Answered { nth } if nth < leads.len() => {
                    let (name, lead) = leads.swap_remove(nth);
                    lead.answered(kept(&name), now);
                }
                Step::Failed { nth } if nth < leads.len() => drop(leads.swap_remove(nth)),
                Step::Passed { seconds } => now += Duration::from_secs(seconds),
                Step::Answered { .. } | Step::Failed { .. } => {}
            }
        }
    }
}
