//! An event is never transferred, whatever else is true.

use http::StatusCode;
use proptest::prelude::*;

use crate::policy::{Action, Case, Cause, Failure, Flag, OnFailure};
use crate::wechat::tests::{hostile, properties};
use crate::wechat::{BotReply, Event, Inbound, open};

const SETTINGS: [OnFailure; 3] = [OnFailure::AsProxy, OnFailure::Empty, OnFailure::Transfer];
const FLAGS: [Flag<'_>; 5] = [Flag::Absent, Flag::Ask(None), Flag::Ask(Some("a@b")), Flag::Veto, Flag::Invalid];

fn event(body: &str) -> Event<'_> {
    match open(body, None) {
        Inbound::Event(event) => event,
        other => panic!("{other:?}: {body}"),
    }
}

fn replies() -> [Option<BotReply<'static>>; 5] {
    let text = BotReply::Text("transfer_customer_service".into());
    [None, Some(BotReply::Nothing), Some(BotReply::Other), Some(text), Some(BotReply::Transfer)]
}

#[test]
fn a_reply_to_an_event_passes_unless_it_is_a_transfer() {
    let event = event("<xml><MsgType>event</MsgType></xml>");
    let case = Case::Event(&event);
    assert!(case.may_need_reply());
    for (status, passed) in [(200, Cause::Event), (302, Cause::Event), (404, Cause::Event), (500, Cause::UpstreamError)]
    {
        let status = StatusCode::from_u16(status).unwrap();
        for flag in FLAGS {
            assert!(case.needs_reply(status, flag));
            for reply in replies() {
                let decided = case.after(status, flag, reply.as_ref());
                let is_transfer = reply == Some(BotReply::Transfer);
                let expected = if is_transfer { Action::Suppress } else { Action::Forward(passed.clone()) };
                assert_eq!(decided, expected, "{status} {flag:?} {reply:?}");
            }
        }
    }
}

#[test]
fn a_failure_at_an_event_is_empty_at_most_and_spends_no_budget() {
    let event = event("<xml><MsgType>event</MsgType></xml>");
    for flag in FLAGS {
        for setting in SETTINGS {
            let decided = Case::Event(&event).failed(Failure::Timeout, setting, flag, || panic!("asked for budget"));
            let expected = (setting == OnFailure::Empty).then_some(Action::Empty(Cause::Timeout));
            assert_eq!(decided, expected, "{setting:?} {flag:?}");
        }
    }
}

/// A flag header with anything in it.
fn flag_header() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let value = prop_oneof![
        prop::sample::select(vec!["1", "on", "a@b", "0", "1,1", ""]).prop_map(|value| value.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(value, 0..3)
}

fn reply() -> impl Strategy<Value = String> {
    prop_oneof![
        hostile::words(),
        hostile::event(),
        Just("success".to_owned()),
        hostile::words().prop_map(|words| format!("<xml><MsgType>transfer_customer_service</MsgType>{words}</xml>")),
        hostile::words().prop_map(|words| format!("<xml><MsgType>text</MsgType><Content>{words}</Content></xml>")),
    ]
}

proptest! {
    #![proptest_config(properties::config(512))]

    #[test]
    fn an_event_is_forwarded_suppressed_or_empty_and_nothing_else(
        body in hostile::event(), header in flag_header(), reply in reply(), status in 200..600_u16,
        setting in prop::sample::select(SETTINGS.to_vec()), budget in any::<bool>(), is_read in any::<bool>(),
    ) {
        let event = event(&body);
        let (case, flag) = (Case::Event(&event), Flag::read(header.iter().map(Vec::as_slice)));
        let reply = is_read.then(|| BotReply::read(&reply, None));
        let after = case.after(StatusCode::from_u16(status).unwrap(), flag, reply.as_ref());
        prop_assert!(matches!(after, Action::Forward(_) | Action::Suppress), "{after:?}");
        let failed = case.failed(Failure::Error, setting, flag, || budget);
        prop_assert!(matches!(failed, None | Some(Action::Empty(_))), "{failed:?}");
    }
}
