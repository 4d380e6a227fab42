//! What the demo shows, scene by scene.

use crate::cli::send::{Callback, USER};

/// One callback, and what is to be seen in it.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) chinese: &'static str,
    pub(super) path: &'static str,
    pub(super) callback: Callback,
    /// For an account in safe mode.
    pub(super) is_sealed: bool,
    /// What is said of the bot when it says nothing.
    pub(super) silence: &'static str,
}

pub(super) fn scenes() -> [Scene; 6] {
    let scene = |title, chinese, callback| Scene {
        title,
        chinese,
        path: "/",
        callback,
        is_sealed: false,
        silence: "(not asked 未询问)",
    };
    [
        scene("A greeting: the bot answers", "问候：后端回答，原样返回", Callback::text(USER, "你好")),
        scene("转人工: a rule hands it over", "命中规则，直接转人工，不问后端", Callback::text(USER, "转人工")),
        scene(
            "A menu click is an event: never transferred, even if the bot asks",
            "菜单点击是事件，永不转接",
            Callback::event(USER, "CLICK", Some("人工")),
        ),
        scene("The bot asks, by a header on its reply", "后端用响应头要求转接", Callback::text(USER, "我要退款")),
        Scene {
            path: "/safe",
            is_sealed: true,
            ..scene(
                "The same in safe mode: decrypted to decide, answered encrypted",
                "安全模式：解密后判断，加密回复",
                Callback::text(USER, "我要退款"),
            )
        },
        Scene {
            path: "/dead",
            silence: "(dead: nobody listens there 已停机)",
            ..scene(
                "A dead bot, on a route with on_error = \"transfer\"",
                "后端宕机，转给客服",
                Callback::text(USER, "在吗"),
            )
        },
    ]
}
