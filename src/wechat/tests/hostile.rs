//! Events in any spelling, with anything around them: what somebody would send who wants one taken for a
//! message.

use proptest::prelude::*;

/// An event that is well-formed, in XML or JSON.
pub(crate) fn event() -> impl Strategy<Value = String> {
    prop_oneof![event_in_xml(), event_in_json()]
}

fn event_in_xml() -> impl Strategy<Value = String> {
    let elements = prop::collection::vec(noise_in_xml(), 0..8);
    let spelled = prop::collection::vec(any::<prop::sample::Index>(), 5);
    (elements, spelled, any::<prop::sample::Index>(), blank()).prop_map(|(mut elements, spelled, at, blank)| {
        let value: String =
            "event".chars().zip(&spelled).map(|(c, how)| how.get(&spellings_in_xml(c)).clone()).collect();
        elements.insert(at.index(elements.len() + 1), format!("<MsgType>{blank}{value}{blank}</MsgType>"));
        format!("<xml>{}</xml>", elements.concat())
    })
}

fn event_in_json() -> impl Strategy<Value = String> {
    let members = prop::collection::vec(noise_in_json(), 0..8);
    let spelled = prop::collection::vec(any::<prop::sample::Index>(), 5 + "MsgType".len());
    (members, spelled, any::<prop::sample::Index>(), blank()).prop_map(|(mut members, spelled, at, blank)| {
        let (value, name) = spelled.split_at(5);
        let value: String = "event".chars().zip(value).map(|(c, how)| how.get(&spellings_in_json(c)).clone()).collect();
        // A name is compared exactly, so it keeps its case.
        let name: String =
            "MsgType".chars().zip(name).map(|(c, how)| how.get(&spellings_in_json(c)[1..]).clone()).collect();
        members.insert(at.index(members.len() + 1), format!("{blank}\"{name}\"{blank}:{blank}\"{value}\"{blank}"));
        format!("{{{}}}", members.join(","))
    })
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just(" "), Just("\n"), Just("\t\r\n")]
}

fn spellings_in_xml(c: char) -> Vec<String> {
    let upper = c.to_ascii_uppercase();
    vec![
        c.to_string(),
        upper.to_string(),
        format!("&#{};", u32::from(c)),
        format!("&#x{:x};", u32::from(upper)),
        format!("<![CDATA[{c}]]>"),
        format!("<!-- x -->{upper}"),
        format!("{c}<?x y?>"),
    ]
}

fn spellings_in_json(c: char) -> Vec<String> {
    vec![c.to_ascii_uppercase().to_string(), c.to_string(), format!("\\u{:04x}", u32::from(c))]
}

/// Elements, comments and text that are no `MsgType` of the callback, and may try to look like one.
fn noise_in_xml() -> impl Strategy<Value = String> {
    const LURE: &str = "<MsgType>text</MsgType>";
    let name =
        prop::sample::select(vec!["ToUserName", "FromUserName", "Event", "EventKey", "Content", "MsgId", "x", "xml"]);
    prop_oneof![
        (name, words()).prop_map(|(name, words)| format!("<{name}><![CDATA[{}]]></{name}>", words.replace("]]>", ""))),
        words().prop_map(|words| format!("<Content>{}</Content>", escaped(&words))),
        words().prop_map(|words| format!("<!--{}-->", words.replace('-', ""))),
        words().prop_map(|words| escaped(&words)),
        Just(format!("<x>{LURE}</x>")),
        Just(format!("<Content>{LURE}</Content>")),
        Just(format!("<EventKey><![CDATA[{LURE}]]></EventKey>")),
        Just(format!("<!-- {LURE} -->")),
        Just(format!("<?x {LURE}?>")),
        Just(format!("<wx:MsgType a=\"{LURE}\">text</wx:MsgType>")),
    ]
}

fn noise_in_json() -> impl Strategy<Value = String> {
    const LURE: &str = r#"{"MsgType":"text","Content":["text"]}"#;
    let name = prop::sample::select(vec![
        "ToUserName",
        "FromUserName",
        "Event",
        "EventKey",
        "Content",
        "MsgId",
        "x",
        "msgtype",
    ]);
    let value = prop_oneof![
        words().prop_map(|words| serde_json::Value::from(words).to_string()),
        Just(LURE.to_owned()),
        Just(serde_json::Value::from(LURE).to_string()),
        Just(format!("[{LURE},{LURE}]")),
        prop::sample::select(vec!["null", "true", "-1.5e3", "\"text\"", "{}"]).prop_map(str::to_owned),
    ];
    (name, value).prop_map(|(name, value)| format!("{name:?}:{value}"))
}

/// Any text, and often one that means something in XML or JSON.
pub(crate) fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r#"[]>\[<!&;/?"'{}:,\\ \t\r\n]{0,12}"#,
        "[人工客服ａ-ｚA-Z0-9。， ]{0,12}",
        prop::sample::select(vec!["]]></Content><MsgType>text</MsgType><Content><![CDATA[", "</xml>", "text", "event"])
            .prop_map(str::to_owned),
    ]
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
