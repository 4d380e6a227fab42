//! The configurations in `tests/config`: those of `good` load, those of `bad` are refused with the
//! words of the `.stderr` beside them. `KFGATE_BLESS=1` writes these anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::{
    Address, Config, Limits, Listen, LogConfig, LogFormat, LogTarget, OpenidStyle, Tls, TransferMode, load, parse,
};

use crate::policy::{Before, Flag, HostPattern, OnFailure, Remembered, Types, before};
use crate::wechat::{Inbound, Kind, Verify, msg_signature, open};

/// The fixtures of a folder, relative to where the tests run: errors name them so.
fn fixtures(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new("tests/config").join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

/// Compares what was said with what is expected beside the file.
fn assert_said(file: &Path, said: &str) {
    let expected = file.with_extension("stderr");
    if std::env::var_os("KFGATE_BLESS").is_some() {
        fs::write(&expected, said).unwrap();
    }
    assert_eq!(said, fs::read_to_string(&expected).unwrap_or_default(), "{}", file.display());
}

#[test]
fn what_is_right_loads() {
    let files = fixtures("good");
    for file in files.iter().map(PathBuf::as_path).chain([Path::new("deploy/kfgate.toml")]) {
        let loaded = load(file).unwrap_or_else(|errors| panic!("{errors}"));
        let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        if warnings.is_empty() {
            assert!(!file.with_extension("stderr").exists(), "{}: no warnings", file.display());
        } else {
            assert_said(file, &(warnings.join("\n") + "\n"));
        }
    }
    assert_eq!(files.len(), 5);
}

#[test]
fn what_is_wrong_is_refused_with_everything_that_is_wrong() {
    let files = fixtures("bad");
    for file in &files {
        let errors = load(file).expect_err(&file.display().to_string());
        assert_said(file, &format!("{errors}\n"));
    }
    assert_eq!(files.len(), 20);
}

#[test]
fn no_error_shows_a_secret() {
    for name in ["secrets", "syntax_secrets", "wechat"] {
        let errors = load(&Path::new("tests/config/bad").join(name).with_extension("toml")).unwrap_err();
        for shown in [errors.to_string(), errors.render(true), format!("{errors:?}")] {
            assert!(!shown.contains("S3CRET"), "{shown}");
        }
    }
}

fn good(name: &str) -> Config {
    load(&Path::new("tests/config/good").join(name)).unwrap().config
}

/// The rule that hands a text message over, if one does, without asking the bot.
pub(super) fn short_circuit(config: &Config, route: usize, words: &str) -> Option<String> {
    let text = format!(
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName>\
         <MsgType>text</MsgType><Content>{words}</Content></xml>"
    );
    let Inbound::Message(message) = open(&text, None) else { panic!("a message") };
    match before(&message, &config.routes[route].policy, Flag::Absent, Remembered::default()) {
        Before::ShortCircuit(transfer) => Some(transfer.cause.to_string()),
        Before::Ask(_) => None,
    }
}

#[test]
fn what_is_not_written_has_the_contracts_default() {
    let config = good("minimal.toml");
    assert_eq!(config.listen, [Listen::Tcp("0.0.0.0:8080".parse().unwrap())]);
    assert!(config.workers >= 1);
    assert!(config.trusted_proxies.contains("127.0.0.1".parse().unwrap()));
    assert!(!config.trusted_proxies.contains("10.0.0.1".parse().unwrap()));
    assert_eq!(config.shutdown_grace, Duration::from_secs(10));
    assert_eq!(config.log, LogConfig::default());
    assert_eq!(config.limits, Limits::default());
    let route = &config.routes[0];
    assert_eq!((&*route.name, &route.host, &*route.path), ("shop", &HostPattern::Any, "/"));
    assert_eq!((route.transfer, route.flag_header.as_str()), (TransferMode::On, "x-kf-transfer"));
    assert_eq!((route.deadline, route.on_timeout, route.on_error), (None, OnFailure::AsProxy, OnFailure::AsProxy));
    assert_eq!((route.fallbacks_per_minute, route.policy.types), (60, Types::default()));
    assert!(route.policy.rules.is_empty());
}

#[test]
fn the_example_says_what_the_defaults_are() {
    let (example, minimal) = (load(Path::new("deploy/kfgate.toml")).unwrap().config, good("minimal.toml"));
    assert_eq!(example.listen, minimal.listen);
    assert_eq!(example.workers, minimal.workers);
    assert_eq!(example.trusted_proxies, minimal.trusted_proxies);
    assert_eq!(example.shutdown_grace, minimal.shutdown_grace);
    assert_eq!((example.log, example.limits), (minimal.log, minimal.limits));
    let (example, minimal) = (&example.routes[0], &minimal.routes[0]);
    assert_eq!(example.policy.types, minimal.policy.types);
    assert_eq!(example.fallbacks_per_minute, minimal.fallbacks_per_minute);
}

#[test]
fn what_is_written_holds() {
    let config = good("several_routes.toml");
    assert_eq!(config.listen[2], Listen::Unix("tests/config/good/kfgate.sock".into()));
    assert_eq!((config.workers, config.shutdown_grace), (2, Duration::ZERO));
    let target = LogTarget::File("tests/config/good/access.log".into());
    let log = LogConfig { target, format: LogFormat::Text, openid: OpenidStyle::Hash, content: true };
    assert_eq!(config.log, log);
    assert_eq!((config.limits.callback_body, config.limits.connections), (1 << 20, 1000));
    let [shop, vip] = &*config.routes else { panic!("two routes") };
    assert_eq!(shop.host, HostPattern::Exact("wx.example.com".into()));
    assert_eq!((&shop.upstream.tls, &*shop.upstream.base_path), (&Some(Tls::Insecure), "/wx"));
    assert_eq!((shop.transfer, shop.flag_header.as_str()), (TransferMode::DryRun, "x-flag"));
    assert_eq!((shop.on_timeout, shop.on_error), (OnFailure::Empty, OnFailure::Transfer));
    assert_eq!(shop.deadline, Some(Duration::from_millis(4500)));
    assert_eq!((shop.dedupe, shop.sticky), (true, Duration::from_mins(10)));
    assert!(!shop.sticky_cancel.is_empty() && vip.sticky_cancel.is_empty());
    assert_eq!((vip.dedupe, vip.sticky), (false, Duration::ZERO));
    assert_eq!(vip.upstream.address, Address::Unix("/run/bot.sock".into()));
    assert!(vip.policy.types.contains(Kind::File) && !vip.policy.types.contains(Kind::Voice));
    assert_eq!(config.table.find("wx.example.com", "/wechat/x"), Some(0));
    assert_eq!(config.table.find("other.example.com", "/wechat"), Some(1));
}

#[test]
fn secrets_come_from_where_the_file_says() {
    let config = good("wechat.toml");
    let [safe, plain, id] = &*config.routes else { panic!("three routes") };
    let safe = safe.wechat.as_ref().unwrap();
    assert_eq!((safe.verify(), safe.keys()), (Verify::Enforce, 2));
    let encrypt = safe.seal("a", [0; 16]).unwrap();
    // The token ends where its line does.
    assert_eq!(safe.sign("1", "2", &encrypt), msg_signature("kfgatetoken", "1", "2", &encrypt));
    let plain = plain.wechat.as_ref().unwrap();
    assert_eq!((plain.verify(), plain.keys()), (Verify::Transfer, 0));
    assert!(id.wechat.is_none(), "nothing to sign with");
    let shown = format!("{config:?}");
    assert!(!shown.contains("kfgatetoken") && !shown.contains("abcdefg"), "{shown}");
}

#[test]
fn keywords_come_from_their_file_line_by_line() {
    let config = good("several_routes.toml");
    for (words, rule) in [
        ("我要转人工", Some("rule:words")),
        ("人工", Some("rule:words")),
        ("vip", Some("rule:words")),
        ("VIP", None),
        ("# one a line", None),
        ("", None),
    ] {
        assert_eq!(short_circuit(&config, 1, words).as_deref(), rule, "{words:?}");
    }
    assert_eq!(short_circuit(&good("warnings.toml"), 0, "人工").as_deref(), Some("rule:files"), "not the empty file's");
}

#[test]
fn a_file_that_can_not_be_read_is_an_error_of_its_own() {
    for (path, reason) in [("tests/config/missing.toml", "No such file"), ("tests/config", "Is a directory")] {
        let errors = load(Path::new(path)).unwrap_err();
        assert_eq!(errors.count(), 1);
        assert!(errors.to_string().contains(reason), "{errors}");
        assert!(std::error::Error::source(&errors).is_some());
    }
}

#[test]
fn a_byte_order_mark_is_no_error() {
    let text = "\u{feff}[[route]]\r\nname = \"shop\"\r\nupstream = \"http://bot\"\r\n";
    assert!(parse(text, Path::new("kfgate.toml")).is_ok());
}

/// Lines that mean something to the reader, in any order.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "\\PC*",
        "(listen|workers|state|name|upstream|path|types|contains|unless|regex|token|x) = [\"'\\[{0-9a-z人工=#/:@\\\\}\\]]{0,12}",
        "(name|upstream|path|host|on|mode|deadline|regex) = \"(http://[a-z:@/]{0,6}|reply|rewrite|/人|5s|[(人]{0,3})\"",
        "(types|contains|equals|unless) = \\[(\"(text|image|人工||　)\",?){0,3}\\]",
        "\\[{0,3}(route|route.rule|route.wechat|log|limits|tls)\\]{0,3}",
    ];
    proptest::collection::vec(line, 0..20).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![any::<String>(), lines()]) {
        match parse(&text, Path::new("kfgate.toml")) {
            Ok(loaded) => drop(format!("{loaded:?}")),
            Err(errors) => drop(errors.render(true)),
        }
    }
}
