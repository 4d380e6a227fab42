//! `demo`, as its first user sees it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::{KFGATE, assert_says, kfgate, signal};

#[test]
fn demo_shows_every_scene_stays_up_and_ends_with_ctrl_c() {
    let mut demo = Demo::start();
    let scenes = demo.read_until("Ctrl-C stops it");
    for line in [
        "bot    后端   text \"您好，我是小店机器人。",
        "bot    后端   (not asked 未询问)",
        "user   用户   event CLICK, EventKey \"人工\"",
        "bot    后端   (dead: nobody listens there 已停机)",
        "WeChat 微信   transfer to test1@test",
        "WeChat 微信   transfer to test1@test, encrypted",
        "transfer/short-circuit rule:ask-for-human",
        "transfer/rewrite       flag",
        "transfer/fallback      upstream-error",
        "forward                event",
    ] {
        assert!(scenes.contains(line), "{line:?} is missing in:\n{scenes}");
    }
    assert_eq!(scenes.matches("WeChat 微信   transfer to").count(), 4, "{scenes}");
    let commands = scenes.lines().filter_map(|line| line.strip_prefix(&format!("  {KFGATE} ")));
    let commands: Vec<_> = commands.map(|line| line.split(' ').collect::<Vec<_>>()).collect();
    assert_eq!(commands.len(), 3);
    for command in commands {
        assert_says(&kfgate(&command), 0, &["200 OK"]);
    }
    demo.read_until("event/CLICK");
    demo.interrupt();
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

struct Demo {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Demo {
    fn start() -> Self {
        let mut child = Command::new(KFGATE).arg("demo").stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.contains(end) {
            assert!(self.stdout.read_line(&mut text).unwrap() > 0, "{end:?} is missing in:\n{text}");
        }
        text
    }

    fn interrupt(&self) {
        signal("INT", &self.child);
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
