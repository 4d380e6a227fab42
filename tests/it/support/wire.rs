//! HTTP/1 messages as they stand on the wire. A reader of our own: what the gate says is not judged by the
//! library that it is made of.

use std::fmt;
use std::io::{self, BufRead, Read};

use super::shown;

/// A request or a response, with its bytes as they came.
#[derive(Clone, Default)]
pub(crate) struct Message {
    /// The start line, without its end.
    pub(crate) start: String,
    /// In the order and the case in which they came.
    pub(crate) headers: Vec<(String, String)>,
    /// Without the framing.
    pub(crate) body: Vec<u8>,
    /// The sizes of its chunks, if it came in any.
    pub(crate) chunks: Vec<usize>,
    pub(crate) trailers: Vec<(String, String)>,
    /// The head as it stood on the wire, with its empty line.
    pub(crate) raw_head: Vec<u8>,
    /// The number of the connection it came over.
    pub(crate) connection: usize,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", shown(&self.raw_head), shown(&self.body))
    }
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1).and_then(|word| word.parse().ok());
        status.unwrap_or_else(|| panic!("no status line: {:?}", self.start))
    }

    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The one value of this header. None without one.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.headers(name);
        assert!(values.len() < 2, "{name} stands there more than once: {self:?}");
        values.first().copied()
    }

    /// All values of this header, in order.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn body_text(&self) -> &str {
        str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn is_chunked(&self) -> bool {
        self.headers("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked"))
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        self.header("content-length").map(|value| value.parse().expect("a number"))
    }

    /// Whether the head holds this line, byte for byte.
    pub(crate) fn has_line(&self, line: &[u8]) -> bool {
        self.raw_head.split(|byte| *byte == b'\n').any(|found| found.strip_suffix(b"\r") == Some(line))
    }
}

/// Reads a head. None at the end of the stream.
pub(crate) fn read_head(stream: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut message = Message::default();
    let Some(start) = read_line(stream, &mut message.raw_head)? else { return Ok(None) };
    message.start = start;
    message.headers = read_fields(stream, &mut message.raw_head)?;
    Ok(Some(message))
}

/// Reads a body by the framing of its head. `until_close`: one without framing lasts to the end of the stream.
pub(crate) fn read_body(stream: &mut impl BufRead, message: &mut Message, until_close: bool) -> io::Result<()> {
    let chunked = message.is_chunked();
    assert!(!chunked || message.header("content-length").is_none(), "ambiguous framing: {message:?}");
    if chunked {
        return read_chunks(stream, message);
    }
    match message.content_length() {
        Some(length) => {
            message.body = vec![0; length];
            stream.read_exact(&mut message.body)
        }
        None if until_close => stream.read_to_end(&mut message.body).map(drop),
        None => Ok(()),
    }
}

fn read_chunks(stream: &mut impl BufRead, message: &mut Message) -> io::Result<()> {
    loop {
        let line = read_line(stream, &mut Vec::new())?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16);
        let size = size.unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        if size == 0 {
            message.trailers = read_fields(stream, &mut Vec::new())?;
            return Ok(());
        }
        message.chunks.push(size);
        stream.by_ref().take(size as u64).read_to_end(&mut message.body)?;
        let end = read_line(stream, &mut Vec::new())?;
        assert_eq!(end.as_deref(), Some(""), "a chunk is longer than it says");
    }
}

/// Header lines up to the empty one.
fn read_fields(stream: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(stream, raw)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header line: {line:?}"));
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// A line without its CR LF, which must be there. None at the end of the stream.
fn read_line(stream: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    raw.extend_from_slice(&line);
    if line.is_empty() {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

/// A reply of 200 with this body and its length.
pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    reply("200 OK", "", body)
}

/// A reply with this status, these further header lines (each with its CR LF), and this body.
pub(crate) fn reply(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A body in chunks, with its end.
pub(crate) fn chunked(chunks: &[&[u8]], trailers: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in chunks {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    bytes
}
