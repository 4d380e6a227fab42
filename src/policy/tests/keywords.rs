//! Which words a single rule takes.

use super::{
    RuleMode, RuleSet, callback, contains, equals, exactly, regex, rule, short_circuit, starts_with, takes, text,
    unless,
};
use crate::policy::Conditions;

/// One test a row: its name, the rule's conditions, words that it takes, and words that it does not.
macro_rules! conditions {
    ($($name:ident: $conditions:expr => [$($yes:expr),*], not [$($no:expr),*];)*) => {$(
        #[test]
        fn $name() {
            let takes = |words: &str| takes($conditions, words);
            $(assert!(takes($yes), "{:?}", $yes);)*
            $(assert!(!takes($no), "{:?}", $no);)*
        }
    )*};
}

conditions! {
    contains_anywhere: contains(&["人工"]) => ["人工", "转人工", "人工客服", "我要人工！"], not ["人", "人 工", "工人", ""];
    contains_any_of_several: contains(&["人工", "客服"]) => ["人工", "找客服"], not ["人", "服客"];
    equals_all_of_it: equals(&["0"]) => ["0", " 0\n", "０", "0\u{200b}"], not ["00", "1", "0。", ""];
    equals_any_of_several: equals(&["0", "人工"]) => ["0", "人工"], not ["0人工", "人工0"];
    starts_with_it: starts_with(&["投诉"]) => ["投诉", "投诉你们", "  投诉", "\u{feff}投诉"], not ["我要投诉", "投 诉", ""];
    matches_a_pattern: regex("^找.{0,4}客服$") => ["找客服", "找一下客服", " 找客服 "], not ["找一下你们的客服", "不找客服", "客服", ""];
    a_pattern_without_regard_to_case: regex("^VIP[0-9]$") => ["vip1", "VIP1", "ＶＩＰ１"], not ["vip", "vip10"];
    a_pattern_with_a_class: regex(r"^\d{11}$") => ["13800000000", "１３８００００００００"], not ["1380000000"];
    an_empty_text_by_pattern: regex("^$") => ["", " ", "\u{3000}", "\u{200b}"], not ["a"];
    one_hit_is_enough: Conditions { equals: vec!["0".into()], regex: regex("客.服").regex, ..contains(&["人工"]) }
        => ["0", "转人工", "客x服"], not ["1", "客服"];

    width_does_not_matter: contains(&["VIP客服1"]) => ["ＶＩＰ客服１", "vip客服1", "Vip客服１"], not ["vip 客服1"];
    case_does_not_matter: contains(&["Straße"]) => ["STRASSE", "strasse", "straße", "STRAẞE"], not ["strase"];
    a_keyword_in_full_width: contains(&["ｈｅｌｐ"]) => ["help", "HELP!", "ｈｅｌｐ"], not ["hel p"];
    white_space_around_does_not_matter: equals(&[" 人工 "]) => ["人工", "\u{3000}人工\u{3000}\n", "\u{a0}人工"], not ["人 工"];
    white_space_within_does: contains(&["talk to a human"]) => ["TALK\u{3000}to\u{a0}a human"], not ["talktoahuman", "talk  to a human"];
    punctuation_behind_does_not_hide_it: contains(&["人工"]) => ["人工！", "人工!", "「人工」", "人工。"], not ["人、工"];
    punctuation_has_one_width: equals(&["人工!"]) => ["人工！", "人工!"], not ["人工", "人工。"];
    zero_width_characters_do_not_hide_it: contains(&["人工"])
        => ["人\u{200b}工", "人\u{200d}工", "\u{feff}人\u{2060}工", "人\u{ad}工", "人\u{2068}工", "人\u{e0100}工"], not ["人\u{1}工"];
    emoji: contains(&["☎️"]) => ["☎", "打☎️", "☎\u{fe0e}"], not ["📞"];
    an_emoji_by_itself: equals(&["🙋"]) => ["🙋", " 🙋\n"], not ["🙋🙋", "🙋\u{1f3fb}"];
    traditional_characters_are_others: contains(&["转人工"]) => ["转人工"], not ["轉人工"];
    a_placeholder_of_a_sticker: equals(&["[Unsupported Message]", "【收到不支持的消息类型，暂无法显示】"])
        => ["[Unsupported Message]", "[unsupported message]", "【收到不支持的消息类型，暂无法显示】", "【收到不支持的消息类型,暂无法显示】"],
        not ["[收到不支持的消息类型，暂无法显示]"];

    a_negation_cancels: unless(&["不要转人工"], contains(&["转人工"])) => ["转人工", "要转人工", "不要,转人工"], not ["不要转人工", "我不要转人工！", "转人工,不要转人工"];
    a_negation_cancels_a_pattern: unless(&["不"], regex("人.?工")) => ["人工"], not ["不人工", "人工不"];
    a_negation_cancels_an_equal_text: unless(&["0"], equals(&["10", "11"])) => ["11"], not ["10"];
    a_negation_alone: unless(&["机器人"], Conditions::default()) => ["你好", ""], not ["机器人", "问机器人"];
    a_negation_is_normalised: unless(&["ＮＯ"], contains(&["人工"])) => ["人工"], not ["no人工", "Ｎo人工"];

    exact_text_is_compared_as_it_is: exactly(contains(&["VIP"])) => ["VIP", "aVIPb"], not ["vip", "ＶＩＰ"];
    exact_white_space: exactly(equals(&[" 0"])) => [" 0"], not ["0", " 0 ", "０"];
    an_exact_start: exactly(starts_with(&["A"])) => ["A", "Ab"], not ["a", " A"];
    an_exact_negation: exactly(unless(&["NO"], contains(&["人工"]))) => ["人工", "no人工"], not ["NO人工"];
    an_exact_pattern: Conditions { regex: vec![Conditions::regex("^A ", true).unwrap()], exact_text: true, ..Conditions::default() }
        => ["A b"], not ["a b", " A b", "A"];
    an_exact_empty_text: exactly(equals(&[""])) => [""], not [" ", "a"];

    no_condition_at_all: Conditions::default() => ["", "人工", "\u{1}"], not [];
    an_empty_keyword_file: Conditions { from_file: true, ..Conditions::default() } => [], not ["", "人工"];
    an_empty_keyword_file_beside_keywords: Conditions { from_file: true, ..contains(&["人工"]) } => ["人工"], not ["", "客服"];
    an_empty_keyword_file_with_a_negation: Conditions { from_file: true, ..unless(&["不"], Conditions::default()) } => [], not ["", "人工"];
    a_keyword_of_nothing_visible: contains(&["\u{200b}"]) => [], not ["", "\u{200b}", "人工"];
    a_keyword_within_another: contains(&["人工", "转人工客服"]) => ["人工", "转人工客服", "转人工"], not ["转人"];
    characters_of_a_pattern_are_none_in_a_keyword: contains(&["a.c", "["]) => ["a.c", "x[y"], not ["abc"];
}

#[test]
fn words_of_another_message_are_not_looked_at() {
    let rules = RuleSet::new(vec![
        rule("words", RuleMode::ShortCircuit, contains(&["人工"])),
        rule("empty", RuleMode::ShortCircuit, equals(&[""])),
        rule("pattern", RuleMode::ShortCircuit, regex(".*")),
        rule("any", RuleMode::ShortCircuit, unless(&["人工"], Conditions::default())),
    ])
    .unwrap();
    for (elements, name) in [
        ("<MsgType>text</MsgType><Content>人工</Content>", "words"),
        ("<MsgType>text</MsgType><Content></Content>", "empty"),
        ("<MsgType>text</MsgType><Content>a</Content>", "pattern"),
        // Without words, only a rule that does not ask for any.
        ("<MsgType>text</MsgType>", "any"),
        ("<MsgType>voice</MsgType><Recognition>人工。</Recognition>", "words"),
        ("<MsgType>voice</MsgType><Content>人工</Content>", "any"),
        ("<MsgType>text</MsgType><Recognition>人工</Recognition>", "any"),
        ("<MsgType>image</MsgType><Content>人工</Content>", "any"),
        ("<MsgType>location</MsgType><Label>人工</Label>", "any"),
        ("<MsgType>link</MsgType><Title>人工</Title><Description>人工</Description>", "any"),
    ] {
        assert_eq!(short_circuit(&rules, &callback(elements)).as_deref(), Some(name), "{elements}");
    }
}

#[test]
fn a_pattern_as_large_as_a_configuration_may_not_have_is_refused() {
    assert!(Conditions::regex("(a{1000}){1000}", false).is_err());
    assert!(Conditions::regex("(", false).is_err());
}

#[test]
fn a_hundred_thousand_keywords_are_told_apart() {
    let keyword = |at: usize| format!("关键词{at}号");
    let keywords: Vec<_> = (0..100_000).map(keyword).collect();
    let rules = RuleSet::new(vec![
        rule("equals", RuleMode::ShortCircuit, Conditions { equals: keywords.clone(), ..Conditions::default() }),
        rule("contains", RuleMode::ShortCircuit, Conditions { contains: keywords, ..Conditions::default() }),
    ])
    .unwrap();
    for at in [0, 1, 9, 10, 4711, 50_000, 99_999] {
        let keyword = keyword(at);
        assert_eq!(short_circuit(&rules, &text(&keyword)).as_deref(), Some("equals"));
        assert_eq!(short_circuit(&rules, &text(&format!("我要{keyword}。"))).as_deref(), Some("contains"));
    }
    for words in [keyword(100_000), "关键词".into(), "号".into(), "关键词 1 号".into(), "1".into()] {
        assert_eq!(short_circuit(&rules, &text(&words)), None, "{words}");
    }
}
