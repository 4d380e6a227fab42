//! Lenient reading of the flat `<xml>` of a callback.
//!
//! Lenient about what real traffic holds (control bytes, comments, stray text, a byte order mark,
//! any order of elements), strict about what could make two readers disagree on the message type:
//! there, the field is [`Field::Unclear`] or the document [`Unreadable::Malformed`].

mod usual;

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::fields::{Fields, Name, Unreadable};

/// Reads the top-level elements of a callback.
pub(super) fn read(text: &str) -> Result<Fields<'_>, Unreadable> {
    usual::read(text).map_or_else(|| read_any(text), Ok)
}

fn read_any(text: &str) -> Result<Fields<'_>, Unreadable> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    // Where a comment with `--` inside it ends is what two readers disagree on.
    reader.config_mut().check_comments = true;
    let mut document = Document::default();
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return document.finish(),
            Ok(event) => document.take(event)?,
            Err(_) => return Err(document.broken()),
        }
    }
}

/// What has been read so far.
#[derive(Default)]
struct Document<'a> {
    fields: Fields<'a>,
    depth: usize,
    seen_root: bool,
    /// The top-level element that is open, if it is one of interest.
    open: Option<Element<'a>>,
}

/// The value of an open top-level element, put together from its runs of text and CDATA.
struct Element<'a> {
    name: Name,
    value: Option<Cow<'a, str>>,
}

impl<'a> Document<'a> {
    fn take(&mut self, event: Event<'a>) -> Result<(), Unreadable> {
        match event {
            Event::Start(tag) => self.start(&tag)?,
            Event::Empty(tag) => {
                self.start(&tag)?;
                self.end();
            }
            Event::End(_) => self.end(),
            Event::Text(text) => return self.text(text.into_inner()),
            Event::CData(_) | Event::GeneralRef(_) if self.depth == 0 => return Err(self.broken()),
            Event::CData(text) => self.append(text.into_inner()),
            Event::GeneralRef(reference) => self.reference(&reference),
            Event::Decl(declaration) => self.fields.foreign_encoding |= is_foreign(&declaration),
            // An entity could spell "event" in a way that we do not see: no decision on such a document.
            Event::DocType(_) => return Err(Unreadable::Malformed),
            Event::Comment(_) | Event::PI(_) | Event::Eof => {}
        }
        Ok(())
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Unreadable> {
        match self.depth {
            0 if self.seen_root => return Err(Unreadable::Malformed),
            0 if !tag.name().as_ref().eq_ignore_ascii_case("xml") => return Err(Unreadable::NotCallback),
            0 => self.seen_root = true,
            1 => self.open_element(tag),
            // A field of interest is a plain value; one with elements inside it is not.
            _ => {
                if let Some(element) = &mut self.open {
                    element.value = None;
                }
            }
        }
        self.depth += 1;
        Ok(())
    }

    fn open_element(&mut self, tag: &BytesStart<'_>) {
        self.open = Name::of(tag.name().as_ref()).map(|name| Element { name, value: Some(Cow::Borrowed("")) });
    }

    fn end(&mut self) {
        self.depth -= 1;
        if self.depth == 1
            && let Some(Element { name, value }) = self.open.take()
        {
            self.fields[name].occur(value);
        }
    }

    fn text(&mut self, text: Cow<'a, str>) -> Result<(), Unreadable> {
        let misplaced = match self.depth {
            0 => !text.trim_start_matches('\u{feff}').trim().is_empty(),
            // XML forbids a bare `]]>`: here it means that a CDATA section was closed from within.
            _ => text.contains("]]>"),
        };
        if misplaced {
            return Err(self.broken());
        }
        self.append(text);
        Ok(())
    }

    fn append(&mut self, run: Cow<'a, str>) {
        let Some(Element { value: Some(value), .. }) = &mut self.open else { return };
        if value.is_empty() {
            *value = run;
        } else {
            value.to_mut().push_str(&run);
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) {
        let named = match reference.as_ref() as &str {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        match (named, &mut self.open) {
            (Some(character), _) => self.append(Cow::Owned(character.to_string())),
            // A user's words stay readable around what can not be decoded; nothing else is guessed.
            (None, Some(element)) if element.name.is_words() => {
                self.append(Cow::Borrowed("\u{fffd}"));
            }
            (None, Some(element)) => element.value = None,
            (None, None) => {}
        }
    }

    /// What a document is that breaks off here: an HTML page never was a callback.
    fn broken(&self) -> Unreadable {
        if self.seen_root { Unreadable::Malformed } else { Unreadable::NotCallback }
    }

    fn finish(self) -> Result<Fields<'a>, Unreadable> {
        if self.seen_root && self.depth == 0 { Ok(self.fields) } else { Err(self.broken()) }
    }
}

fn is_foreign(declaration: &BytesDecl<'_>) -> bool {
    match declaration.encoding() {
        None => false,
        Some(Ok(name)) => !["utf-8", "utf8", "us-ascii"].iter().any(|known| name.eq_ignore_ascii_case(known)),
        Some(Err(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{read_any, usual};
    use crate::wechat::tests::properties::config;

    fn the_short_way_is_right(text: &str) {
        if let Some(fields) = usual::read(text) {
            assert_eq!(format!("{:?}", Ok::<_, super::Unreadable>(fields)), format!("{:?}", read_any(text)), "{text}");
        }
    }

    #[test]
    fn the_short_way_is_taken_for_what_wechat_writes() {
        for (text, is_usual) in [
            ("<xml><ToUserName><![CDATA[gh_1]]></ToUserName>\n<CreateTime>1</CreateTime>\n</xml>", true),
            ("<xml>\n  <Content><![CDATA[a]b]]c]>d&<x>]]></Content>\r\n  <Content></Content></xml>\n", true),
            ("<xml><MsgType>text</MsgType><MsgType>event</MsgType></xml>", true),
            ("<xml></xml>", true),
            ("<xml><Content>a&amp;b</Content></xml>", false),
            ("<xml><Content>a]]>b</Content></xml>", false),
            ("<xml><Content><![CDATA[a]]>b</Content></xml>", false),
            ("<xml><Content>a<![CDATA[b]]></Content></xml>", false),
            ("<xml><Content><b>a</b></Content></xml>", false),
            ("<xml><Content a=\"1\">a</Content></xml>", false),
            ("<xml><Content/></xml>", false),
            ("<xml><>a</></xml>", false),
            ("<xml><Content>a</Conten></xml>", false),
            ("<xml>text<Content>a</Content></xml>", false),
            ("<xml><!-- a --><Content>a</Content></xml>", false),
            ("<xml></xml>a", false),
            ("<xml></xml", false),
            ("<XML></XML>", false),
            ("<?xml version=\"1.0\"?><xml></xml>", false),
        ] {
            assert_eq!(usual::read(text).is_some(), is_usual, "{text}");
            the_short_way_is_right(text);
        }
    }

    const TOKENS: [&str; 24] = [
        "<MsgType>",
        "</MsgType>",
        "<Content>",
        "</Content>",
        "<x>",
        "</x>",
        "<xml>",
        "</xml>",
        "<![CDATA[",
        "]]>",
        "]]",
        "]",
        ">",
        "<",
        "&",
        "&lt;",
        "text",
        "event",
        " ",
        "\n",
        "\r\n",
        "\u{c}",
        "\0",
        "人",
    ];

    /// An element whose value is made of a few tokens.
    fn element() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec!["MsgType", "Content", "Event", "x", "xml"]);
        let value = prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..4);
        (name, value, any::<bool>()).prop_map(|(name, value, section)| {
            let (opening, closing) = if section { ("<![CDATA[", "]]>") } else { ("", "") };
            format!("<{name}>{opening}{}{closing}</{name}>", value.concat())
        })
    }

    proptest! {
        #![proptest_config(config(4000))]

        #[test]
        fn the_short_way_finds_what_the_long_way_finds(
            elements in prop::collection::vec(element(), 0..4), between in prop::sample::select(TOKENS.to_vec()),
            behind in prop::sample::select(TOKENS.to_vec()),
        ) {
            the_short_way_is_right(&format!("<xml>{}</xml>{behind}", elements.join(between)));
            the_short_way_is_right(&format!("<xml>{}\n</xml>", elements.join("\n")));
        }

        #[test]
        fn the_short_way_is_right_whatever_stands_there(tokens in prop::collection::vec(prop::sample::select(TOKENS.to_vec()), 0..16)) {
            the_short_way_is_right(&format!("<xml>{}", tokens.concat()));
        }
    }
}
