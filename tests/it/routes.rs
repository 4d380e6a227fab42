//! Which bot gets a request.

use serde_json::json;

use crate::support::{Bot, Gate, Setup, ok};

fn gate(names: &[(&str, &str)]) -> (Vec<Bot>, Gate) {
    let mut setup = Setup::empty();
    let mut bots = Vec::new();
    for (name, lines) in names {
        let bot = Bot::saying(ok(name));
        setup = setup.and_route(name, &bot.url(), lines);
        bots.push(bot);
    }
    (bots, setup.start())
}

#[test]
fn the_host_decides_before_the_longest_path() {
    let (_bots, gate) = gate(&[
        ("any", ""),
        ("shop", "path = \"/wechat/shop\""),
        ("vip", "path = \"/wechat/shop/vip\""),
        ("wild", "host = \"*.example.com\""),
        ("exact", "host = \"wx.example.com\"\npath = \"/wechat\""),
    ]);
    let mut client = gate.connect();
    for (host, target, route) in [
        ("other", "/", "any"),
        ("other", "/wechat/shop?a=/wechat/shop/vip", "shop"),
        ("other", "/wechat/shop/x", "shop"),
        ("other", "/wechat/shopping", "any"),
        ("other", "/wechat/shop/vip/1", "vip"),
        ("a.example.com", "/wechat/shop", "wild"),
        ("A.B.EXAMPLE.com:8080", "/", "wild"),
        ("example.com", "/", "any"),
        ("WX.example.com:80", "/wechat/shop", "exact"),
        ("wx.example.com", "/other", "wild"),
    ] {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).reply().is(200, route);
        gate.record().has(json!({ "route": route }));
    }
    client.send("GET http://wx.example.com/wechat HTTP/1.1\r\nHost: wx.example.com\r\n\r\n").reply().is(200, "exact");
    client.send("GET http://wx.example.com/wechat HTTP/1.0\r\n\r\n").reply().is(200, "exact");
}

#[test]
fn no_route_is_a_404() {
    let (bots, gate) = gate(&[("shop", "host = \"wx.example.com\"\npath = \"/wechat\"")]);
    let mut client = gate.connect();
    for (host, path) in [("other", "/wechat"), ("wx.example.com", "/"), ("wx.example.com", "/wechatter")] {
        let answer = client.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).reply();
        assert_eq!(answer.status(), 404);
        assert!(!answer.body.is_empty() && answer.body.len() < 200);
        gate.record().is("error", "no-route").has(json!({"status": 404, "route": null, "path": path}));
    }
    assert!(bots[0].was_not_asked());
}
