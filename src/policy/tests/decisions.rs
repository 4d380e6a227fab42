//! The decision on a user's message: before the bot is asked, after it answered, and when it failed.

use http::StatusCode;

use super::{RuleMode, callback, contains, message, rule, text, to_account};
use crate::policy::{
    Action, Before, Case, Cause, Conditions, Failure, Flag, Handover, OnFailure, Policy, Remembered, Rule, RuleSet,
    Types, Via, before,
};
use crate::wechat::{BotReply, Kind};
use Flag::{Absent, Ask, Invalid, Veto};

/// Keywords of each mode, by the name of their rule, and an account of the route.
fn policy() -> Policy {
    Policy { account: Some("route@a".into()), types: Types::default(), rules: RuleSet::new(rules()).unwrap() }
}

fn rules() -> Vec<Rule> {
    vec![
        rule("short", RuleMode::ShortCircuit, contains(&["人工"])),
        to_account("rule@a", rule("short-account", RuleMode::ShortCircuit, contains(&["投诉"]))),
        to_account("rule@a", rule("reply-account", RuleMode::OnReply, contains(&["经理"]))),
        rule("rewrite", RuleMode::Rewrite, contains(&["客服"])),
        rule("reply", RuleMode::OnReply, contains(&["不懂"])),
    ]
}

/// A decision, in a form that is quick to write down: what, why, and to whom.
fn told(action: &Action) -> String {
    let account = match action {
        Action::Transfer(transfer) => {
            format!(" {} {}", transfer.via.as_str(), transfer.account.as_deref().unwrap_or("-"))
        }
        _ => String::new(),
    };
    format!("{} {}{account}", action.as_str(), action.cause())
}

/// What is decided before the bot is asked; `ask` if it is.
fn first(words: &str, request_flag: Flag<'_>) -> String {
    match before(&message(&text(words)), &policy(), request_flag, Remembered::default()) {
        Before::ShortCircuit(transfer) => told(&Action::Transfer(transfer)),
        Before::Ask(_) => "ask".to_owned(),
    }
}

/// Asks the bot about this body, and hands the case to `then`.
fn with_case<T>(body: &str, request_flag: Flag<'_>, then: impl FnOnce(Case<'_>) -> T) -> T {
    let (message, policy) = (message(body), policy());
    match before(&message, &policy, request_flag, Remembered::default()) {
        Before::Ask(pending) => then(Case::Message(&message, pending)),
        Before::ShortCircuit(transfer) => panic!("short-circuited: {transfer:?}"),
    }
}

fn says(words: &str) -> BotReply<'_> {
    BotReply::Text(words.into())
}

#[test]
fn before_the_bot_is_asked_a_request_flag_comes_before_the_rules() {
    for (words, flag, decided) in [
        ("人工", Absent, "transfer rule:short short-circuit route@a"),
        ("投诉", Absent, "transfer rule:short-account short-circuit rule@a"),
        ("客服", Absent, "ask"),
        ("你好", Absent, "ask"),
        ("你好", Ask(None), "transfer request-flag short-circuit route@a"),
        ("投诉", Ask(None), "transfer request-flag short-circuit route@a"),
        ("你好", Ask(Some("flag@a")), "transfer request-flag short-circuit flag@a"),
        ("人工", Veto, "ask"),
        ("人工", Invalid, "transfer rule:short short-circuit route@a"),
        ("你好", Invalid, "ask"),
    ] {
        assert_eq!(first(words, flag), decided, "{words} {flag:?}");
    }
}

#[test]
fn what_is_remembered_of_the_message_comes_before_the_request_flag_and_of_the_user_behind_it() {
    let handover = |account: &str| Some(Handover { account: Some(account.into()) });
    for (words, flag, retry, sticky, decided) in [
        ("你好", Absent, true, false, "transfer retry short-circuit retry@a"),
        ("人工", Ask(Some("flag@a")), true, true, "transfer retry short-circuit retry@a"),
        ("你好", Veto, true, true, "transfer retry short-circuit retry@a"),
        ("你好", Absent, false, true, "transfer sticky short-circuit sticky@a"),
        ("你好", Invalid, false, true, "transfer sticky short-circuit sticky@a"),
        ("人工", Absent, false, true, "transfer sticky short-circuit sticky@a"),
        ("你好", Ask(Some("flag@a")), false, true, "transfer request-flag short-circuit flag@a"),
        ("你好", Veto, false, true, "ask"),
    ] {
        let remembered = Remembered {
            retry: handover("retry@a").filter(|_| retry),
            sticky: handover("sticky@a").filter(|_| sticky),
        };
        let found = match before(&message(&text(words)), &policy(), flag, remembered) {
            Before::ShortCircuit(transfer) => told(&Action::Transfer(transfer)),
            Before::Ask(_) => "ask".to_owned(),
        };
        assert_eq!(found, decided, "{words} {flag:?} {retry} {sticky}");
    }
}

#[test]
fn what_may_not_be_transferred_is_not_whatever_is_remembered() {
    let policy = Policy { types: [Kind::Image].into_iter().collect(), ..policy() };
    let handover = || Some(Handover { account: None });
    let remembered = Remembered { retry: handover(), sticky: handover() };
    match before(&message(&text("人工")), &policy, Absent, remembered) {
        Before::Ask(pending) => assert_eq!(pending.settled(), Some(&Cause::Type)),
        Before::ShortCircuit(transfer) => panic!("{transfer:?}"),
    }
}

#[test]
fn after_the_bot_answered_the_first_of_veto_flag_and_rules_decides() {
    // Words, the request's flag, the reply's status and flag, the reply, and what is decided.
    type Row<'a> = (&'a str, Flag<'a>, u16, Flag<'a>, BotReply<'a>, &'a str);
    let rows: [Row<'_>; 40] = [
        ("你好", Absent, 200, Absent, says("hi"), "forward no-rule"),
        ("你好", Absent, 200, Absent, BotReply::Nothing, "forward no-rule"),
        ("你好", Absent, 200, Absent, BotReply::Other, "forward no-rule"),
        ("你好", Absent, 200, Invalid, says("hi"), "forward flag-invalid"),
        ("你好", Invalid, 200, Absent, says("hi"), "forward flag-invalid"),
        // Flags.
        ("你好", Absent, 200, Ask(None), says("hi"), "transfer flag rewrite route@a"),
        ("你好", Absent, 204, Ask(None), BotReply::Nothing, "transfer flag rewrite route@a"),
        ("你好", Absent, 200, Ask(Some("flag@a")), says("hi"), "transfer flag rewrite flag@a"),
        ("你好", Invalid, 200, Ask(None), says("hi"), "transfer flag rewrite route@a"),
        ("客服", Absent, 200, Ask(Some("flag@a")), says("经理"), "transfer flag rewrite flag@a"),
        // Rules.
        ("客服", Absent, 200, Absent, says("hi"), "transfer rule:rewrite rewrite route@a"),
        ("客服", Absent, 201, Absent, BotReply::Other, "transfer rule:rewrite rewrite route@a"),
        ("客服", Absent, 200, Absent, says("经理"), "transfer rule:reply-account rewrite rule@a"),
        ("客服", Absent, 200, Absent, says("不懂"), "transfer rule:rewrite rewrite route@a"),
        ("你好", Absent, 200, Absent, says("不懂"), "transfer rule:reply rewrite route@a"),
        ("客服", Absent, 200, Invalid, says("hi"), "transfer rule:rewrite rewrite route@a"),
        ("客服", Invalid, 200, Absent, says("hi"), "transfer rule:rewrite rewrite route@a"),
        // Vetoes, of everything later.
        ("客服", Absent, 200, Veto, says("经理"), "forward veto"),
        ("客服", Absent, 500, Veto, says("经理"), "forward veto"),
        ("人工", Veto, 200, Absent, says("经理"), "forward veto"),
        ("客服", Veto, 200, Ask(None), says("经理"), "forward veto"),
        ("客服", Veto, 200, Invalid, says("hi"), "forward veto"),
        ("你好", Veto, 500, Absent, says("hi"), "forward veto"),
        ("你好", Invalid, 200, Veto, says("hi"), "forward veto"),
        // Only 2xx is rewritten.
        ("客服", Absent, 302, Ask(None), BotReply::Nothing, "forward no-rule"),
        ("客服", Absent, 304, Absent, BotReply::Nothing, "forward no-rule"),
        ("客服", Absent, 404, Ask(Some("flag@a")), says("经理"), "forward no-rule"),
        ("客服", Absent, 400, Absent, says("经理"), "forward no-rule"),
        ("客服", Absent, 403, Invalid, says("经理"), "forward flag-invalid"),
        ("客服", Absent, 500, Ask(None), says("经理"), "forward upstream-error"),
        ("客服", Absent, 503, Absent, BotReply::Nothing, "forward upstream-error"),
        ("客服", Absent, 500, Invalid, BotReply::Nothing, "forward upstream-error"),
        // The bot's own transfer.
        ("你好", Absent, 200, Absent, BotReply::Transfer, "forward no-rule"),
        ("你好", Absent, 200, Ask(None), BotReply::Transfer, "forward no-rule"),
        ("你好", Absent, 200, Ask(Some("flag@a")), BotReply::Transfer, "forward no-rule"),
        ("客服", Absent, 200, Absent, BotReply::Transfer, "forward no-rule"),
        ("客服", Absent, 200, Ask(None), BotReply::Transfer, "forward no-rule"),
        ("客服", Absent, 200, Invalid, BotReply::Transfer, "forward flag-invalid"),
        ("客服", Absent, 200, Veto, BotReply::Transfer, "forward veto"),
        ("人工", Veto, 200, Ask(None), BotReply::Transfer, "forward veto"),
    ];
    for (words, request_flag, status, flag, reply, decided) in rows {
        let status = StatusCode::from_u16(status).unwrap();
        let action = with_case(&text(words), request_flag, |case| case.after(status, flag, Some(&reply)));
        assert_eq!(told(&action), decided, "{words} {request_flag:?} {status} {flag:?} {reply:?}");
    }
}

#[test]
fn a_reply_that_could_not_be_read_matches_no_rule_on_replies() {
    for (words, flag, decided) in [
        ("你好", Absent, "forward no-rule"),
        ("客服", Absent, "transfer rule:rewrite rewrite route@a"),
        ("你好", Ask(None), "transfer flag rewrite route@a"),
        ("客服", Veto, "forward veto"),
    ] {
        let action = with_case(&text(words), Absent, |case| case.after(StatusCode::OK, flag, None));
        assert_eq!(told(&action), decided, "{words} {flag:?}");
    }
}

#[test]
fn a_type_that_may_not_be_transferred_is_settled() {
    let file = callback("<MsgType>file</MsgType><Title>人工.zip</Title>");
    for request_flag in [Absent, Ask(None), Ask(Some("flag@a")), Veto, Invalid] {
        for flag in [Absent, Ask(None), Veto, Invalid] {
            with_case(&file, request_flag, |case| {
                assert!(!case.may_need_reply() && !case.needs_reply(StatusCode::OK, flag));
                for reply in [None, Some(BotReply::Nothing), Some(says("经理")), Some(BotReply::Transfer)] {
                    let action = case.after(StatusCode::OK, flag, reply.as_ref());
                    assert_eq!(told(&action), "forward type", "{request_flag:?} {flag:?} {reply:?}");
                }
            });
        }
    }
}

#[test]
fn a_type_that_may_be_transferred_is_the_routes_choice() {
    let body = callback("<MsgType>file</MsgType>");
    let policy = Policy { types: Types::NONE.with(Kind::File), ..policy() };
    assert!(matches!(before(&message(&body), &policy, Ask(None), Remembered::default()), Before::ShortCircuit(_)));
    assert!(matches!(before(&message(&text("人工")), &policy, Ask(None), Remembered::default()), Before::Ask(_)));
}

#[test]
fn a_reply_is_read_only_where_it_can_decide() {
    for (words, request_flag, status, flag, is_needed) in [
        ("客服", Absent, 200, Absent, true),
        ("你好", Absent, 200, Absent, true),
        ("你好", Absent, 200, Ask(None), true),
        ("你好", Absent, 200, Invalid, true),
        ("你好", Absent, 200, Veto, false),
        ("你好", Veto, 200, Absent, false),
        ("你好", Veto, 200, Ask(None), false),
        ("客服", Absent, 302, Absent, false),
        ("客服", Absent, 500, Ask(None), false),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let needs = with_case(&text(words), request_flag, |case| case.needs_reply(status, flag));
        assert_eq!(needs, is_needed, "{words} {request_flag:?} {status} {flag:?}");
    }
}

#[test]
fn without_rules_a_reply_is_read_only_for_a_flag() {
    let (body, policy) = (text("你好"), Policy::default());
    let message = message(&body);
    let Before::Ask(pending) = before(&message, &policy, Absent, Remembered::default()) else {
        panic!("short-circuited")
    };
    let case = Case::Message(&message, pending);
    assert!(!case.may_need_reply());
    assert!(!case.needs_reply(StatusCode::OK, Invalid));
    assert!(case.needs_reply(StatusCode::OK, Ask(None)));
    assert_eq!(told(&case.after(StatusCode::OK, Ask(None), None)), "transfer flag rewrite -");
}

#[test]
fn a_rule_without_conditions_takes_any_reply_but_a_transfer() {
    let rules = RuleSet::new(vec![rule("any", RuleMode::OnReply, Conditions::default())]).unwrap();
    let policy = Policy { rules, ..Policy::default() };
    let body = callback("<MsgType>image</MsgType>");
    let message = message(&body);
    for (reply, decided) in [
        (BotReply::Nothing, "transfer rule:any rewrite -"),
        (BotReply::Other, "transfer rule:any rewrite -"),
        (says("hi"), "transfer rule:any rewrite -"),
        (BotReply::Transfer, "forward no-rule"),
    ] {
        let Before::Ask(pending) = before(&message, &policy, Absent, Remembered::default()) else {
            panic!("short-circuited")
        };
        let action = Case::Message(&message, pending).after(StatusCode::OK, Absent, Some(&reply));
        assert_eq!(told(&action), decided, "{reply:?}");
    }
}

#[test]
fn when_the_bot_failed_the_setting_decides_within_the_budget_and_never_over_a_veto() {
    // The body, the request's flag, the reply's, the setting, and what is decided with and without budget.
    use OnFailure::{AsProxy, Empty, Transfer};
    let (hello, file) = (text("你好"), callback("<MsgType>file</MsgType>"));
    let (fallback, empty) = (Some("transfer upstream-error fallback route@a"), Some("empty upstream-error"));
    let rows = [
        (&hello, Absent, Absent, AsProxy, None, None),
        (&hello, Absent, Absent, Empty, empty, empty),
        (&hello, Absent, Absent, Transfer, fallback, empty),
        (&hello, Absent, Ask(None), AsProxy, None, None),
        (&hello, Absent, Ask(None), Empty, empty, empty),
        (&hello, Absent, Ask(None), Transfer, fallback, empty),
        (&hello, Absent, Invalid, Transfer, fallback, empty),
        (&hello, Invalid, Absent, Transfer, fallback, empty),
        (&hello, Absent, Veto, Empty, None, None),
        (&hello, Absent, Veto, Transfer, None, None),
        (&hello, Veto, Absent, Empty, None, None),
        (&hello, Veto, Absent, Transfer, None, None),
        (&hello, Veto, Ask(None), Transfer, None, None),
        (&file, Absent, Absent, AsProxy, None, None),
        (&file, Absent, Absent, Empty, empty, empty),
        (&file, Absent, Absent, Transfer, None, None),
        (&file, Ask(None), Ask(None), Transfer, None, None),
        (&file, Absent, Veto, Empty, None, None),
        (&file, Veto, Absent, Empty, None, None),
        (&file, Veto, Absent, Transfer, None, None),
    ];
    for (body, request_flag, flag, setting, within, without) in rows {
        for (budget, decided) in [(true, within), (false, without)] {
            let mut asked = 0;
            let action = with_case(body, request_flag, |case| {
                case.failed(Failure::Error, setting, flag, || {
                    asked += 1;
                    budget
                })
            });
            let row = format!("{body} {request_flag:?} {flag:?} {setting:?} {budget}");
            assert_eq!(action.as_ref().map(told).as_deref(), decided, "{row}");
            assert_eq!(asked, usize::from(within == fallback), "the budget is asked only where it counts: {row}");
        }
    }
}

#[test]
fn a_fallback_says_how_the_bot_failed_and_that_it_is_one() {
    let action =
        with_case(&text("客服"), Absent, |case| case.failed(Failure::Timeout, OnFailure::Transfer, Absent, || true));
    let Some(Action::Transfer(transfer)) = action else { panic!("{action:?}") };
    assert_eq!(
        (transfer.via, transfer.cause, transfer.account.as_deref()),
        (Via::Fallback, Cause::Timeout, Some("route@a"))
    );
    let action =
        with_case(&text("客服"), Absent, |case| case.failed(Failure::Timeout, OnFailure::Empty, Absent, || true));
    assert_eq!(action.as_ref().map(told).as_deref(), Some("empty timeout"));
}
