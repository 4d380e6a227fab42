//! The form in which text is compared, and the short ways to it.

use proptest::prelude::*;
use unicode_normalization::{IsNormalized, is_nfkc_quick};

use crate::policy::matcher::{full_form, is_settled, normalise, simple_form};
use crate::wechat::tests::properties::config;

#[test]
fn the_same_words_have_one_form() {
    for (text, form) in [
        ("人工", "人工"),
        ("  人工\n", "人工"),
        ("\u{3000}人工\u{3000}", "人工"),
        ("\u{85}\u{2028}人工\u{a0}", "人工"),
        ("\u{200b} 人工 \u{200b}", "人工"),
        ("ＶＩＰ１２３", "vip123"),
        ("人工！？（，）～", "人工!?(,)~"),
        ("「人工」", "「人工」"),
        ("｢人工｣", "「人工」"),
        ("“人工”", "“人工”"),
        ("人工…", "人工..."),
        ("Straße", "strasse"),
        ("STRASSE", "strasse"),
        ("STRAẞE", "strasse"),
        ("ﬁne oﬃce", "fine office"),
        ("Kefu", "kefu"),
        ("\u{212a}", "k"),
        ("İ", "i\u{307}"),
        ("ı", "ı"),
        ("ΟΔΟΣ", "οδοσ"),
        ("οδος", "οδοσ"),
        ("ſ", "s"),
        ("ŉ", "ʼn"),
        ("Ǆ", "dž"),
        ("ﾃｽﾄ", "テスト"),
        ("ｶﾞ", "ガ"),
        ("カ\u{ff9e}", "ガ"),
        ("カ\u{3099}", "ガ"),
        ("ﾊﾟ", "パ"),
        ("か\u{3099}", "が"),
        ("ﾞ", "\u{3099}"),
        ("\u{f900}", "豈"),
        ("\u{fa0e}", "\u{fa0e}"),
        ("\u{2f00}", "一"),
        ("\u{1112}\u{1161}\u{11ab}", "한"),
        ("하\u{11ab}", "한"),
        ("ﾡ", "\u{1100}"),
        ("ㄱ", "\u{1100}"),
        ("人\u{200b}工", "人工"),
        ("人\u{2066}工\u{2069}", "人工"),
        ("葛\u{e0100}", "葛"),
        ("\u{3164}", ""),
        ("\u{ffa0}", ""),
        ("e\u{200d}\u{301}", "é"),
        ("☎\u{fe0f}", "☎"),
        ("①", "1"),
        ("㈱", "(株)"),
        ("㎏", "kg"),
        ("™", "tm"),
        ("e\u{301}", "é"),
        ("É", "é"),
        ("E\u{301}", "é"),
        ("一\u{301}", "一\u{301}"),
        ("a\u{301}", "á"),
        ("1\u{20e3}", "1\u{20e3}"),
        ("\u{1f1e8}\u{1f1f3}", "\u{1f1e8}\u{1f1f3}"),
        ("\u{0}", "\u{0}"),
        ("\u{2}人工", "\u{2}人工"),
        ("", ""),
        (" ", ""),
    ] {
        assert_eq!(normalise(text), form, "{text:?}");
        assert_eq!(normalise(form), form, "the form of {text:?} is settled");
    }
}

/// `Yes` says both: it stays as it is, and nothing ahead of it is composed with it. What stands behind may
/// compose with it, but is not settled itself.
#[test]
fn a_settled_character_is_its_own_form_whatever_stands_beside_it() {
    for character in (char::MIN..=char::MAX).filter(|character| is_settled(*character)) {
        assert_eq!(is_nfkc_quick([character].into_iter()), IsNormalized::Yes, "{character:?}");
        assert_eq!(full_form(character.encode_utf8(&mut [0; 4])), character.to_string(), "{character:?}");
    }
}

#[test]
fn a_character_with_a_simple_form_has_no_other() {
    for character in char::MIN..=char::MAX {
        let text = character.to_string();
        let Some(form) = simple_form(&text) else { continue };
        assert_eq!(full_form(&text), form, "{character:?}");
        assert!(form.chars().all(is_settled), "{character:?}");
    }
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn the_short_ways_lead_to_the_same_form(text in "[人工a-zA-Z０-９ａ-ｚＡ-Ｚ！，。、“” \u{3000}\n🙋\u{301}\u{3099}ﾞ\u{200b}]{0,8}") {
        prop_assert_eq!(normalise(&text), full_form(&text).trim().to_owned());
    }

    #[test]
    fn a_form_is_settled(text in any::<String>()) {
        let form = normalise(&text);
        prop_assert_eq!(normalise(&form), &*form, "{:?}", text);
    }

    #[test]
    fn a_text_contains_what_it_is_made_of(ahead in "[人工a-zＡ-Ｚ，。 ]{0,6}", word in "[人工A-Zａ-ｚ]{1,6}", behind in "[人工A-Z！]{0,6}") {
        let text = format!("{ahead}{word}{behind}");
        prop_assert!(normalise(&text).contains(&*normalise(&word)));
    }
}
