//! Which of several rules takes a message or a reply.

use std::sync::Arc;

use super::{
    RuleMode, RuleSet, after, callback, contains, equals, exactly, message, of_types, regex, rule, short_circuit,
    starts_with, text, unless,
};
use crate::policy::rule::Verdict;
use crate::policy::{Conditions, Rule, Types};
use crate::wechat::{BotReply, Kind};
use RuleMode::{OnReply, Rewrite, ShortCircuit};

fn set(rules: Vec<Rule>) -> RuleSet {
    RuleSet::new(rules).unwrap()
}

fn says(words: &str) -> BotReply<'_> {
    BotReply::Text(words.into())
}

/// The position of the rewrite rule that matched, and whether the reply matters.
fn asked(rules: &RuleSet, body: &str) -> (Option<usize>, bool) {
    match rules.before(&message(body)) {
        Verdict::Ask { rewrite, reply_matters } => (rewrite.map(|(at, _)| at), reply_matters),
        Verdict::ShortCircuit(found) => panic!("short-circuited by {}", found.name),
    }
}

#[test]
fn the_first_match_in_file_order_wins() {
    let rules = set(vec![
        rule("first", ShortCircuit, contains(&["客服"])),
        rule("second", ShortCircuit, contains(&["人工"])),
        rule("third", ShortCircuit, equals(&["人工客服"])),
    ]);
    for (words, name) in [("人工客服", Some("first")), ("人工", Some("second")), ("你好", None)] {
        assert_eq!(short_circuit(&rules, &text(words)).as_deref(), name, "{words}");
    }
}

#[test]
fn a_cancelled_rule_lets_a_later_one_match() {
    let rules = set(vec![
        rule("first", ShortCircuit, unless(&["不要"], contains(&["人工"]))),
        rule("second", ShortCircuit, contains(&["人工"])),
    ]);
    assert_eq!(short_circuit(&rules, &text("人工")).as_deref(), Some("first"));
    assert_eq!(short_circuit(&rules, &text("不要人工")).as_deref(), Some("second"));
}

#[test]
fn a_short_circuit_comes_before_a_rewrite_wherever_it_stands() {
    let rules = set(vec![
        rule("rewrite", Rewrite, contains(&["人工"])),
        rule("reply", OnReply, Conditions::default()),
        rule("short-circuit", ShortCircuit, contains(&["人工"])),
    ]);
    assert_eq!(short_circuit(&rules, &text("人工")).as_deref(), Some("short-circuit"));
}

#[test]
fn rewrites_and_rules_on_replies_share_one_order() {
    let reply_first = set(vec![
        rule("reply", OnReply, contains(&["不懂"])),
        rule("rewrite", Rewrite, contains(&["人工"])),
        rule("late-reply", OnReply, contains(&["不懂"])),
    ]);
    let rewrite_first =
        set(vec![rule("rewrite", Rewrite, contains(&["人工"])), rule("reply", OnReply, contains(&["不懂"]))]);
    for (rules, words, reply, name) in [
        (&reply_first, "人工", "我不懂", Some("reply")),
        (&reply_first, "人工", "好的", Some("rewrite")),
        (&reply_first, "你好", "我不懂", Some("reply")),
        (&reply_first, "你好", "好的", None),
        (&rewrite_first, "人工", "我不懂", Some("rewrite")),
        (&rewrite_first, "人工", "好的", Some("rewrite")),
        (&rewrite_first, "你好", "我不懂", Some("reply")),
        (&rewrite_first, "你好", "好的", None),
    ] {
        assert_eq!(after(rules, &text(words), &says(reply)).as_deref(), name, "{words} {reply}");
    }
}

#[test]
fn the_reply_matters_only_where_a_rule_on_it_could_still_win() {
    let rules = set(vec![
        rule("rewrite", Rewrite, contains(&["人工"])),
        of_types(&[Kind::Text], rule("reply", OnReply, Conditions::default())),
    ]);
    assert_eq!(asked(&rules, &text("人工")), (Some(0), false));
    assert_eq!(asked(&rules, &text("你好")), (None, true));
    assert_eq!(asked(&rules, &callback("<MsgType>image</MsgType>")), (None, false));
    assert_eq!(asked(&RuleSet::default(), &text("人工")), (None, false));
    let other_way = set(vec![rule("reply", OnReply, contains(&["a"])), rule("rewrite", Rewrite, contains(&["人工"]))]);
    assert_eq!(asked(&other_way, &text("人工")), (Some(1), true));
}

#[test]
fn a_rule_on_replies_looks_at_what_the_bot_said() {
    let rows: [(Conditions, BotReply<'_>, bool); 17] = [
        (contains(&["转人工"]), says("请稍候，转人工"), true),
        (contains(&["转人工"]), says("你好"), false),
        (contains(&["VIP"]), says("ｖｉｐ"), true),
        (exactly(contains(&["VIP"])), says("vip"), false),
        (unless(&["不"], contains(&["人工"])), says("不转人工"), false),
        (equals(&[""]), BotReply::Nothing, true),
        (equals(&[""]), says(""), true),
        (equals(&[""]), says(" \n"), true),
        (equals(&[""]), says("a"), false),
        (equals(&[""]), BotReply::Other, false),
        (regex("^$"), BotReply::Nothing, true),
        (regex("^$"), BotReply::Other, false),
        (regex("."), BotReply::Nothing, false),
        (contains(&["success"]), BotReply::Nothing, false),
        (Conditions::default(), BotReply::Nothing, true),
        (Conditions::default(), BotReply::Other, true),
        (Conditions::default(), BotReply::Transfer, false),
    ];
    for (conditions, reply, is_taken) in rows {
        let described = format!("{conditions:?} {reply:?}");
        let rules = set(vec![rule("r", OnReply, conditions)]);
        assert_eq!(after(&rules, &text("你好"), &reply).is_some(), is_taken, "{described}");
    }
}

#[test]
fn rules_on_messages_and_on_replies_do_not_mix() {
    let rules = set(vec![rule("message", Rewrite, contains(&["客服"])), rule("reply", OnReply, contains(&["人工"]))]);
    assert_eq!(after(&rules, &text("人工"), &says("客服")), None);
}

#[test]
fn a_rule_takes_messages_of_its_types_only() {
    let rules = set(vec![
        of_types(&[Kind::Image, Kind::Video], rule("pictures", ShortCircuit, Conditions::default())),
        of_types(&[Kind::Voice], rule("voice", ShortCircuit, contains(&["人工"]))),
        of_types(&[], rule("nothing", ShortCircuit, Conditions::default())),
        of_types(&[Kind::Link], rule("links", Rewrite, Conditions::default())),
        of_types(&[Kind::Location], rule("places", OnReply, Conditions::default())),
    ]);
    for (elements, name) in [
        ("<MsgType>image</MsgType>", Some("pictures")),
        ("<MsgType>video</MsgType>", Some("pictures")),
        ("<MsgType>shortvideo</MsgType>", None),
        ("<MsgType>voice</MsgType><Recognition>人工</Recognition>", Some("voice")),
        ("<MsgType>voice</MsgType>", None),
        ("<MsgType>text</MsgType><Content>人工</Content>", None),
    ] {
        assert_eq!(short_circuit(&rules, &callback(elements)).as_deref(), name, "{elements}");
    }
    for (elements, name) in [
        ("<MsgType>link</MsgType>", Some("links")),
        ("<MsgType>location</MsgType>", Some("places")),
        ("<MsgType>file</MsgType>", None),
    ] {
        assert_eq!(after(&rules, &callback(elements), &BotReply::Nothing).as_deref(), name, "{elements}");
    }
}

#[test]
fn all_types_but_files_are_allowed_unless_said_otherwise() {
    let allowed = Types::default();
    for kind in Kind::ALL {
        assert_eq!(allowed.contains(kind), kind != Kind::File, "{kind:?}");
        assert!(Types::NONE.with(kind).contains(kind) && !Types::NONE.contains(kind));
        assert_eq!(allowed.and(Types::NONE.with(kind)).contains(kind), kind != Kind::File);
    }
}

#[test]
fn one_keyword_can_belong_to_several_rules() {
    let rules = set(vec![
        of_types(&[Kind::Voice], rule("voice", ShortCircuit, contains(&["人工"]))),
        rule("whole", ShortCircuit, equals(&["人工"])),
        rule("start", ShortCircuit, starts_with(&["人工"])),
        rule("cancelled", ShortCircuit, unless(&["人工"], contains(&["客服"]))),
        rule("anywhere", ShortCircuit, contains(&["人工", "人工"])),
        rule("service", ShortCircuit, contains(&["客服"])),
    ]);
    for (words, name) in [
        ("人工", Some("whole")),
        ("人工客服", Some("start")),
        ("客服人工", Some("anywhere")),
        ("客服", Some("cancelled")),
        ("工人", None),
    ] {
        assert_eq!(short_circuit(&rules, &text(words)).as_deref(), name, "{words}");
    }
    let voice = callback("<MsgType>voice</MsgType><Recognition>转人工。</Recognition>");
    assert_eq!(short_circuit(&rules, &voice).as_deref(), Some("voice"));
}

#[test]
fn there_can_be_more_rules_than_bits_in_a_word() {
    for count in [63, 64, 65, 128, 129, 300] {
        let numbered = |at: usize| rule(&format!("rule-{at}"), ShortCircuit, equals(&[&format!("词{at}")]));
        let rules = set((0..count).map(numbered).collect());
        for at in 0..count {
            let name: Arc<str> = format!("rule-{at}").into();
            assert_eq!(short_circuit(&rules, &text(&format!("词{at}"))), Some(name));
        }
        assert_eq!(short_circuit(&rules, &text(&format!("词{count}"))), None);
    }
}

#[test]
fn a_cancelled_rule_beyond_the_first_word_stays_cancelled() {
    let mut rules: Vec<_> = (0..100).map(|at| rule(&format!("r{at}"), ShortCircuit, equals(&["x"]))).collect();
    rules.push(rule("late", ShortCircuit, unless(&["不"], contains(&["人工"]))));
    let rules = set(rules);
    assert_eq!(short_circuit(&rules, &text("人工")).as_deref(), Some("late"));
    assert_eq!(short_circuit(&rules, &text("不人工")), None);
}

#[test]
fn folded_and_exact_rules_stand_side_by_side() {
    let rules = set(vec![
        rule("exact", ShortCircuit, exactly(contains(&["VIP"]))),
        rule("folded", ShortCircuit, contains(&["VIP"])),
    ]);
    for (words, name) in [("VIP", "exact"), ("vip", "folded"), ("ＶＩＰ", "folded")] {
        assert_eq!(short_circuit(&rules, &text(words)).as_deref(), Some(name), "{words}");
    }
}
