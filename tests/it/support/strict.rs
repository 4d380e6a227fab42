//! A second reader of HTTP/1 requests, made of nothing that the gate is made of. It takes only what can be read in
//! one way, and says what it is: what the gate lets through is judged by it.

/// A request, as there is one way to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// In origin form.
    pub(crate) target: String,
    pub(crate) is_1_0: bool,
    /// In order, without the space around the values.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Without the framing.
    pub(crate) body: Vec<u8>,
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A request in so many bytes.
    One(Box<Request>, usize),
    /// The start of one, or nothing.
    Partial,
    /// What two readers could read in two ways, and why.
    Ambiguous(&'static str),
    /// A clear head, of which the body is in chunks that can be read in two ways.
    OddChunks(Box<Request>),
}

/// All requests up to the first that is not whole, or not clear, and what that is.
pub(crate) fn all(mut bytes: &[u8]) -> (Vec<Request>, Read) {
    let mut requests = Vec::new();
    loop {
        match one(bytes) {
            Read::One(request, length) => {
                requests.push(*request);
                bytes = &bytes[length..];
            }
            other => return (requests, other),
        }
    }
}

/// The request that the bytes start with. Empty lines may stand before it.
pub(crate) fn one(bytes: &[u8]) -> Read {
    read(bytes).unwrap_or_else(|stop| stop)
}

impl Request {
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice()).collect()
    }
}

fn read(bytes: &[u8]) -> Result<Read, Read> {
    let mut at = 0;
    let start = loop {
        match line(bytes, &mut at)? {
            [] => {}
            start => break start,
        }
    };
    let (method, target, is_1_0) = request_line(start)?;
    let mut headers = Vec::new();
    loop {
        match line(bytes, &mut at)? {
            [] => break,
            line => headers.push(header(line)?),
        }
    }
    let mut request = Request { method, target: String::new(), is_1_0, headers, body: Vec::new() };
    request.target = origin_form(target, &request)?;
    match framing(&request)? {
        Some(length) => {
            let end = at.checked_add(length).ok_or(Read::Ambiguous("a length of no number"))?;
            request.body = bytes.get(at..end).ok_or(Read::Partial)?.to_vec();
            at = end;
        }
        None => match chunks(bytes, &mut at) {
            Ok(body) => request.body = body,
            Err(Read::Ambiguous(_)) => return Err(Read::OddChunks(Box::new(request))),
            Err(other) => return Err(other),
        },
    }
    Ok(Read::One(Box::new(request), at))
}

/// The next line, without its CR LF.
fn line<'b>(bytes: &'b [u8], at: &mut usize) -> Result<&'b [u8], Read> {
    let rest = &bytes[*at..];
    let feed = rest.iter().position(|byte| *byte == b'\n');
    let text = rest[..feed.unwrap_or(rest.len())].strip_suffix(b"\r");
    let shown = text.unwrap_or(&rest[..feed.unwrap_or(rest.len())]);
    if shown.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        return Err(Read::Ambiguous("a control byte"));
    }
    let feed = feed.ok_or(Read::Partial)?;
    *at += feed + 1;
    text.ok_or(Read::Ambiguous("a bare line feed"))
}

fn request_line(line: &[u8]) -> Result<(String, String, bool), Read> {
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else { return Err(Read::Ambiguous("no request line")) };
    let is_1_0 = match version {
        b"HTTP/1.0" => true,
        b"HTTP/1.1" => false,
        _ => return Err(Read::Ambiguous("another version")),
    };
    if !is_token(method) || target.is_empty() {
        return Err(Read::Ambiguous("no method, or no target"));
    }
    // Bytes beyond ASCII are nobody's framing.
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    Ok((text(method), text(target), is_1_0))
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn header(line: &[u8]) -> Result<(String, Vec<u8>), Read> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Read::Ambiguous("a line without a colon"))?;
    let name = str::from_utf8(&line[..colon]).ok().filter(|name| is_token(name.as_bytes()));
    let name = name.ok_or(Read::Ambiguous("a name that is none"))?;
    Ok((name.to_owned(), line[colon + 1..].trim_ascii().to_vec()))
}

fn origin_form(target: String, request: &Request) -> Result<String, Read> {
    if target.contains('#') {
        return Err(Read::Ambiguous("a fragment"));
    }
    let hosts = request.values("host");
    if hosts.len() > 1 || (hosts.is_empty() && !request.is_1_0) {
        return Err(Read::Ambiguous("not one Host"));
    }
    if target.starts_with('/') {
        return Ok(target);
    }
    let lower = target.to_ascii_lowercase();
    let rest = lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://"));
    let rest = rest.ok_or(Read::Ambiguous("a target of another form"))?;
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    if hosts.first().is_some_and(|host| !host.eq_ignore_ascii_case(authority.as_bytes())) {
        return Err(Read::Ambiguous("two hosts"));
    }
    let rest = &target[target.len() - rest.len() + authority.len()..];
    Ok(if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") })
}

/// The length of the body. None for chunks.
fn framing(request: &Request) -> Result<Option<usize>, Read> {
    let (lengths, codings) = (request.values("content-length"), request.values("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Some(0)),
        ([length], []) => {
            let digits = str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let number = digits.and_then(|digits| digits.parse().ok());
            Ok(Some(number.ok_or(Read::Ambiguous("a length of no number"))?))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") && !request.is_1_0 => Ok(None),
        _ => Err(Read::Ambiguous("two framings, or none that is known")),
    }
}

fn chunks(bytes: &[u8], at: &mut usize) -> Result<Vec<u8>, Read> {
    let mut body = Vec::new();
    loop {
        let line = line(bytes, at)?;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        let digits = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let size = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let size = size.ok_or(Read::Ambiguous("a chunk of no size"))?;
        if size == 0 {
            return trailers(bytes, at).map(|()| body);
        }
        let end = at.checked_add(size).ok_or(Read::Ambiguous("a chunk of no size"))?;
        body.extend_from_slice(bytes.get(*at..end).ok_or(Read::Partial)?);
        *at = end;
        match bytes.get(*at..*at + 2) {
            Some(b"\r\n") => *at += 2,
            None if b"\r\n".starts_with(&bytes[*at..]) => return Err(Read::Partial),
            _ => return Err(Read::Ambiguous("a chunk that is longer than it says")),
        }
    }
}

fn trailers(bytes: &[u8], at: &mut usize) -> Result<(), Read> {
    loop {
        match line(bytes, at)? {
            [] => return Ok(()),
            line => drop(header(line)?),
        }
    }
}
