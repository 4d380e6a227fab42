use std::borrow::Cow;
use std::ops::{Index, IndexMut};

/// The elements (XML) or members (JSON) that decide anything. All others are skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    ToUserName,
    FromUserName,
    CreateTime,
    MsgType,
    MsgId,
    Content,
    Recognition,
    Event,
    EventKey,
    Encrypt,
}

impl Name {
    const COUNT: usize = Self::Encrypt as usize + 1;

    /// The name as it stands in a document; compared exactly.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "ToUserName" => Self::ToUserName,
            "FromUserName" => Self::FromUserName,
            "CreateTime" => Self::CreateTime,
            "MsgType" => Self::MsgType,
            // Some events, and the official voice sample, spell it MsgID.
            "MsgId" | "MsgID" => Self::MsgId,
            "Content" => Self::Content,
            "Recognition" => Self::Recognition,
            "Event" => Self::Event,
            "EventKey" => Self::EventKey,
            // EasyWeChat's replies in JSON have it in lower case.
            "Encrypt" | "encrypt" => Self::Encrypt,
            _ => return None,
        })
    }

    /// Whether the value is a user's words, which stay readable around a part that can not be decoded.
    pub(super) fn is_words(self) -> bool {
        matches!(self, Self::Content | Self::Recognition)
    }
}

/// The fields of one callback or reply, by [`Name`].
#[derive(Debug, Default)]
pub struct Fields<'a> {
    values: [Field<'a>; Name::COUNT],
    /// The document declares another encoding than UTF-8: its ASCII parts can be trusted, its words can not.
    pub foreign_encoding: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, name: Name) -> Field<'a> {
        std::mem::take(&mut self[name])
    }
}

impl<'a> Index<Name> for Fields<'a> {
    type Output = Field<'a>;

    fn index(&self, name: Name) -> &Field<'a> {
        &self.values[name as usize]
    }
}

impl<'a> IndexMut<Name> for Fields<'a> {
    fn index_mut(&mut self, name: Name) -> &mut Field<'a> {
        &mut self.values[name as usize]
    }
}

/// One value, as far as it is known.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Field<'a> {
    #[default]
    Absent,
    Given(Cow<'a, str>),
    /// There, but given twice, not decodable, or not a plain value. It never counts as known.
    Unclear,
}

impl<'a> Field<'a> {
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The value as given, if it is clear.
    pub fn raw(&self) -> Option<&str> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Unclear => None,
        }
    }

    /// The value without surrounding white space, if it is clear and anything is left.
    pub fn value(&self) -> Option<&str> {
        self.raw().map(str::trim).filter(|value| !value.is_empty())
    }

    /// [`Field::value`], moved out.
    pub(super) fn into_value(self) -> Option<Cow<'a, str>> {
        let value = match self {
            Self::Given(Cow::Borrowed(value)) => Cow::Borrowed(value.trim()),
            Self::Given(Cow::Owned(value)) if value.trim().len() == value.len() => Cow::Owned(value),
            Self::Given(Cow::Owned(value)) => Cow::Owned(value.trim().to_owned()),
            Self::Absent | Self::Unclear => return None,
        };
        (!value.is_empty()).then_some(value)
    }

    /// [`Field::raw`], moved out.
    pub(super) fn into_raw(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Unclear => None,
        }
    }

    /// Records one more occurrence: the second makes the field unclear, whatever it says.
    pub(super) fn occur(&mut self, value: Option<Cow<'a, str>>) {
        *self = match (&self, value) {
            (Self::Absent, Some(value)) => Self::Given(value),
            _ => Self::Unclear,
        };
    }
}

/// Whether a name can stand in a reply and be read back: no control characters (XML has no way to write
/// them), nothing that was not decodable.
pub fn is_writable(name: &str) -> bool {
    let is_plain = name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain || !name.chars().any(|character| character.is_control() || matches!(character, '\u{fffd}'..='\u{ffff}'))
}

/// Why a body could not be read as a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not an `<xml>` document and not a JSON object.
    NotCallback,
    /// It starts like one, and is broken, or says more than a callback may (a DOCTYPE, a second root).
    Malformed,
}
