//! Plays the scenes, and shows what became of each.

use std::io::{BufRead, BufReader, PipeReader};
use std::net::SocketAddr;

use tokio::runtime;

use super::bot::Bot;
use super::safe;
use super::scene::{Scene, scenes};
use crate::cli::Failure;
use crate::cli::send::{Delivery, Target, judge};
use crate::cli::terminal::{Paint, is_coloured, print};

/// Columns of a block of lines, and where its text begins. At this width a line of the log breaks behind the
/// cause.
const WIDTH: usize = 97;
const INDENT: usize = 16;

/// All that is needed to play.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) gate: SocketAddr,
    pub(super) bot: Bot,
    /// The gate's request log.
    pub(super) log: BufReader<PipeReader>,
}

impl Stage {
    /// Plays all scenes, then shows the log for as long as there is one.
    pub(super) fn play(mut self) -> Result<(), Failure> {
        let paint = Paint(is_coloured());
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::of(&error))?;
        print(self.opening(paint))?;
        for (at, scene) in scenes().into_iter().enumerate() {
            let title = paint.bold(format_args!("{} {}", at + 1, scene.title));
            print(format_args!("{title}  {}\n", scene.chinese))?;
            let block = runtime.block_on(self.act(scene, paint));
            print(block)?;
        }
        print(self.closing(paint))?;
        while let Some(line) = self.next_line() {
            // Whoever reads may have seen enough; the gate goes on.
            let _ = print(format_args!("{line}\n"));
        }
        Ok(())
    }

    fn opening(&self, paint: Paint) -> String {
        let gate = paint.bold(format_args!("http://{}/", self.gate));
        format!(
            "The gate is at {gate} ahead of a sample bot at http://{}/\n\
             网关已启动，后面是一个示例后端。下面模拟微信发来几条消息：\n\n",
            self.bot.address
        )
    }

    /// Plays one scene: what the user did, what the bot said, what WeChat got, the line in the log.
    async fn act(&mut self, scene: Scene, paint: Paint) -> String {
        let Scene { path, callback, silence, is_sealed, .. } = scene;
        let user = callback.what.clone();
        let delivery = if is_sealed {
            Delivery::sealed(callback, safe::TOKEN, safe::account())
        } else {
            Delivery::of(callback, "")
        };
        let got = match format!("http://{}{path}", self.gate).parse::<Target>() {
            Ok(target) => match delivery.send(&target).await {
                Ok(answer) => judge(&delivery, &answer).what,
                Err(error) => error.to_string(),
            },
            Err(error) => error,
        };
        let said = self.bot.said.try_recv().unwrap_or_else(|_| silence.to_owned());
        let got = if got.starts_with("transfer") { paint.green(got) } else { got };
        let log = self.next_line().unwrap_or_default();
        let line = |name, chinese, text: &str| format!("  {name:<7}{chinese}   {}\n", wrap(text));
        [
            line("user", "用户", &user),
            line("bot", "后端", &said),
            line("WeChat", "微信", &got),
            line("log", "日志", &log),
            "\n".to_owned(),
        ]
        .concat()
    }

    fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.log.read_line(&mut line).unwrap_or_default();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    fn closing(&self, paint: Paint) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "kfgate".to_owned());
        let url = format!("http://{}", self.gate);
        format!(
            "{}  网关继续运行，请另开终端试试：\n\n  \
             {program} send --to {url}/ --text 转人工\n  \
             {program} send --to {url}/ --event CLICK --key 人工\n  \
             {program} send --to {url}/dead --type voice\n  \
             curl {url}/ -H 'Content-Type: text/xml' -d '<xml>\n    \
             <ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName>\n    \
             <MsgType>text</MsgType><Content>转人工</Content></xml>'\n\n\
             {}  按 Ctrl-C 停止。请求日志：\n\n",
            paint.bold("The gate stays up. In another terminal, try:"),
            paint.bold("Ctrl-C stops it. Its request log follows."),
        )
    }
}

/// Breaks a line between words where it would be too wide. Columns of spaces stay.
fn wrap(line: &str) -> String {
    let (mut wrapped, mut column) = (String::new(), INDENT);
    for word in line.split_inclusive(' ') {
        let width = visible(word.trim_end());
        if width == 0 && column == INDENT {
            continue;
        }
        if column > INDENT && column + width > WIDTH {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.extend(["\n", &" ".repeat(INDENT)]);
            column = INDENT;
        }
        wrapped.push_str(word);
        column += visible(word);
    }
    wrapped
}

/// Columns on a terminal: none for a colour, two for a Chinese character.
fn visible(word: &str) -> usize {
    let mut in_colour = false;
    word.chars().fold(0, |columns, character| {
        let starts = character == '\x1b';
        let is_shown = !(in_colour || starts);
        in_colour = starts || (in_colour && character != 'm');
        columns + usize::from(is_shown) * if character >= '\u{2e80}' { 2 } else { 1 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_wide_is_broken_between_words() {
        let (short, long) = ("a  b", format!("{}  {} c", "x".repeat(60), "y".repeat(30)));
        assert_eq!(wrap(short), short);
        assert_eq!(wrap(&long), format!("{}\n{:16}{} c", "x".repeat(60), "", "y".repeat(30)));
    }

    #[test]
    fn colours_take_no_room_and_chinese_takes_two_columns() {
        assert_eq!(visible("\x1b[32mab\x1b[0m"), 2);
        assert_eq!(visible("转人工 a"), 8);
    }
}
