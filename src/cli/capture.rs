//! A saved HTTP message, or only the body of one.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// What a file holds: a request as it was captured, a response (`curl -i`), or a body alone.
///
/// The body is all that follows the head, whatever Content-Length says: captures get edited.
#[derive(Debug, Default)]
pub(super) struct Capture {
    start: Start,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Default)]
enum Start {
    #[default]
    None,
    Request {
        method: Method,
        target: String,
    },
    Response(StatusCode),
}

/// Why there is no capture.
#[derive(Debug)]
pub(super) enum CaptureError {
    Read {
        name: PathBuf,
        source: io::Error,
    },
    /// A line of the head, from 1, that is no header.
    Header {
        name: PathBuf,
        line: usize,
    },
}

impl Capture {
    /// Reads a file, or stdin where none is named or its name is `-`.
    pub(super) fn load(path: Option<&Path>) -> Result<Self, CaptureError> {
        let (name, bytes) = match path.filter(|path| *path != Path::new("-")) {
            Some(path) => (path, fs::read(path)),
            None => (Path::new("stdin"), read_stdin()),
        };
        let bytes = bytes.map_err(|source| CaptureError::Read { name: name.to_owned(), source })?;
        Self::read(bytes).map_err(|line| CaptureError::Header { name: name.to_owned(), line })
    }

    /// Takes a message apart. The error is the line that is no header.
    fn read(mut bytes: Vec<u8>) -> Result<Self, usize> {
        let line_end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let start = Start::read(&bytes[..line_end]);
        if matches!(start, Start::None) {
            return Ok(Self { body: bytes, ..Self::default() });
        }
        let (head, body) = head_end(&bytes).unwrap_or((bytes.len(), bytes.len()));
        let headers = headers(&String::from_utf8_lossy(&bytes[..head]))?;
        Ok(Self { start, headers, body: bytes.split_off(body) })
    }

    pub(super) fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::None | Start::Response(_) => None,
        }
    }

    /// The path of a request, with no query.
    pub(super) fn path(&self) -> Option<&str> {
        self.target().map(|target| target.split_once('?').map_or(target, |(path, _)| path))
    }

    pub(super) fn query(&self) -> Option<&str> {
        self.target().and_then(|target| target.split_once('?')).map(|(_, query)| query)
    }

    pub(super) fn host(&self) -> Option<&str> {
        self.headers.get(HOST).and_then(|host| host.to_str().ok())
    }

    pub(super) fn status(&self) -> Option<StatusCode> {
        match self.start {
            Start::Response(status) => Some(status),
            Start::None | Start::Request { .. } => None,
        }
    }

    pub(super) fn values(&self, name: &HeaderName) -> Vec<HeaderValue> {
        self.headers.get_all(name).iter().cloned().collect()
    }

    fn target(&self) -> Option<&str> {
        match &self.start {
            Start::Request { target, .. } => Some(target),
            Start::None | Start::Response(_) => None,
        }
    }
}

impl Start {
    fn read(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line);
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [method, target, version] if version.starts_with("HTTP/") => match method.parse() {
                Ok(method) => Self::Request { method, target: target.to_owned() },
                Err(_) => Self::None,
            },
            [version, status, ..] if version.starts_with("HTTP/") => status.parse().map_or(Self::None, Self::Response),
            _ => Self::None,
        }
    }
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    if stdin.is_terminal() {
        eprintln!("kfgate: reading stdin; Ctrl-D ends it");
    }
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the head ends, and where the body begins.
fn head_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let find = |end: &[u8]| bytes.windows(end.len()).position(|window| window == end).map(|at| (at, at + end.len()));
    [find(b"\r\n\r\n"), find(b"\n\n")].into_iter().flatten().min()
}

fn headers(head: &str) -> Result<HeaderMap, usize> {
    let mut headers = HeaderMap::new();
    for (at, line) in head.lines().enumerate().skip(1) {
        let (name, value) = line.split_once(':').ok_or(at + 1)?;
        let name: HeaderName = name.trim().parse().map_err(|_| at + 1)?;
        headers.append(name, value.trim().parse().map_err(|_| at + 1)?);
    }
    Ok(headers)
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { name, source } => write!(f, "can not read {}: {source}", name.display()),
            Self::Header { name, line } => {
                write!(f, "{}, line {line}: starts like an HTTP message, but this line is no header", name.display())
            }
        }
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Header { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_alone_is_all_there_is() {
        for body in ["<xml></xml>", "", "POST it\n\nnow", "HTTP\n"] {
            let capture = Capture::read(body.into()).unwrap();
            assert_eq!((capture.body, capture.headers.len()), (body.as_bytes().to_vec(), 0));
        }
    }

    #[test]
    fn a_request_is_taken_apart_whatever_its_line_ends() {
        for line_end in ["\r\n", "\n"] {
            let lines = ["POST /wx?openid=o1 HTTP/1.1", "Host: example", "X-Kf-Transfer: 1", "", "<xml>\n\n</xml>"];
            let capture = Capture::read(lines.join(line_end).into()).unwrap();
            assert_eq!(capture.method(), Some(&Method::POST));
            assert_eq!((capture.path(), capture.query()), (Some("/wx"), Some("openid=o1")));
            assert_eq!(capture.host(), Some("example"));
            assert_eq!(capture.values(&HeaderName::from_static("x-kf-transfer")), ["1"]);
            assert_eq!(capture.body, b"<xml>\n\n</xml>");
        }
    }

    #[test]
    fn a_response_is_taken_apart() {
        let capture = Capture::read("HTTP/1.1 503 Out\r\nServer: php\r\n\r\nsorry".into()).unwrap();
        assert_eq!((capture.status(), capture.body), (Some(StatusCode::SERVICE_UNAVAILABLE), b"sorry".to_vec()));
    }

    #[test]
    fn a_line_that_is_no_header_is_named() {
        assert_eq!(Capture::read("GET / HTTP/1.1\nHost: a\n<xml>\n".into()).unwrap_err(), 3);
    }
}
