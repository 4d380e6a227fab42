//! Requests that are made to be read in two ways: the classes that the public collections cover, written anew.

/// What must never become a request of its own out of a body.
pub(crate) const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) payloads: Vec<Vec<u8>>,
}

pub(crate) fn all() -> Vec<Corpus> {
    vec![
        Corpus { name: "heads that are refused", payloads: heads() },
        Corpus { name: "Transfer-Encoding in disguise (the classes of smuggler)", payloads: disguises() },
        Corpus { name: "chunks (the classes of HTTP Garden and llhttp)", payloads: chunks() },
        Corpus { name: "lengths and codings (the classes of llhttp)", payloads: framings() },
        Corpus { name: "requests (the classes of h1spec and llhttp)", payloads: requests() },
    ]
}

fn heads() -> Vec<Vec<u8>> {
    crate::framing::refused().into_iter().map(|(_, head)| head).collect()
}

/// A coding that one reader sees and another does not, before either of the two bodies that tell them apart.
fn disguises() -> Vec<Vec<u8>> {
    const BYTES: [u8; 16] =
        [0, 0x01, 0x04, 0x08, b'\t', b'\n', 0x0b, 0x0c, b'\r', 0x1f, b' ', 0x7f, 0x85, 0xa0, b'_', 0xff];
    let te = "Transfer-Encoding: chunked";
    let mut gadgets: Vec<Vec<u8>> = [
        " Transfer-Encoding: chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding\t:\tchunked",
        "Transfer-Encoding : chunked",
        "Transfer_Encoding: chunked",
        "TRANSFER-ENCODING: CHUNKED",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding\r\n : chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        "Connection: Content-Length",
        "Connection: close, Host",
        "Foo: bar\r\n\rTransfer-Encoding: chunked",
    ]
    .iter()
    .map(|gadget| gadget.as_bytes().to_vec())
    .collect();
    for byte in BYTES {
        let one = [byte];
        for parts in [
            [&b"Transfer-Encoding:"[..], &one, b"chunked"],
            [b"Transfer-Encoding", &one, b": chunked"],
            [&one, te.as_bytes(), b""],
            [te.as_bytes(), &one, b""],
            [b"X: X", &one, te.as_bytes()],
            [te.as_bytes(), &one, b"X: X"],
            [b"X: X\r", &one, te.as_bytes()],
            [b"X: X", &one, b"\nTransfer-Encoding: chunked"],
            [b"Transfer-Encoding: chunked\r", &one, b"X: X"],
            [te.as_bytes(), &one, b"\nX: X"],
            [b"Transfer-Encoding: chu", &one, b"nked"],
            [b"Content-Length", &one, b": 5"],
            [b"Content-Length:", &one, b"5"],
            [b"Content-Length: 5", &one, b""],
        ] {
            gadgets.push(parts.concat());
        }
    }
    let inside = format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len());
    let behind = format!("0\r\n\r\n{SMUGGLED}");
    let with = |gadget: &[u8], body: &str, length: usize| {
        let first = b"POST /first HTTP/1.1\r\n";
        let rest = format!("\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        [first, gadget, rest.as_bytes()].concat()
    };
    let pair = |gadget: &Vec<u8>| [with(gadget, &behind, behind.len()), with(gadget, &inside, 4)];
    gadgets.iter().flat_map(pair).collect()
}

fn chunks() -> Vec<Vec<u8>> {
    let bodies: Vec<String> = [
        "5\r\nhello\r\n0\r\n\r\n",
        "5;a=b\r\nhello\r\n0\r\n\r\n",
        "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\nhello\r\n0\r\n\r\n",
        "5;\r\nhello\r\n0\r\n\r\n",
        "5; a\r\nhello\r\n0\r\n\r\n",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\t\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 a\r\nhello\r\n0\r\n\r\n",
        "5a\r\nhello\r\n0\r\n\r\n",
        "05\r\nhello\r\n000\r\n\r\n",
        "0000000000000000000005\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
        "5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        "5\r\nhello\r\n0\r\n X: y\r\n\r\n",
        "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
        "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-Forwarded-For: 1.1.1.1\r\nX_Request_Id: 1\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;a\0b\r\nhello\r\n0\r\n\r\n",
        "0;\n\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        ";a\r\nhello\r\n0\r\n\r\n",
        "0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n",
        "5\r\nhel",
        "5",
        "",
    ]
    .iter()
    .map(|body| (*body).to_owned())
    .chain([format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(20_000)), format!("{}5\r\nhello\r\n", "0".repeat(5000))])
    .collect();
    let first = "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    bodies.iter().map(|body| format!("{first}{body}{SMUGGLED}").into_bytes()).collect()
}

fn framings() -> Vec<Vec<u8>> {
    let headers = [
        "Content-Length: 003",
        "Content-Length: 3\r\nOhai: world",
        "Content-Length: 1000000000000000000000",
        "Content-Length: 18446744073709551615",
        "Content-Length: 9223372036854775807",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 3, 3",
        "Content-Length: 3,",
        "Content-Length: ,3",
        "Content-Length:  3 ",
        "Content-Length:\t3\t ",
        "Content-Length: 4 2",
        "Content-Length: 13 37",
        "Content-Length:",
        "Content-Length\r: 3",
        "Content\rLength: 3",
        "Content-Length: 3\r\nCONTENT-LENGTH: 3",
        "Content_Length: 3",
        "Content-Length: \u{ff13}",
        "Content-Length: 3;q=1",
        "Content-Length: \"3\"",
        "Content-Length: 3e0",
        "Content-Length: 0b11",
        "Content-Length: 0o3",
        "Content-Length: 3\u{0b}",
        "Content-Length: 3\r\nTransfer-Encoding: identity",
        "Content-Length: 3\r\nTransfer-Encoding:",
        "Transfer-Encoding:\r\nTransfer-Encoding:",
        "Transfer-Encoding: pigeons",
        "Transfer-Encoding: chunked, deflate",
        "Transfer-Encoding: deflate, chunked",
        "Transfer-Encoding: deflate\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: deflate",
        "Transfer-Encoding: chunkedchunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: identity, chunked",
        "Connection: upgrade\r\nUpgrade: ws\r\nContent-Length : 3",
        "Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 3",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3",
        "Expect: 100-continue\r\nContent-Length: 3",
        "Expect: 200-ok\r\nContent-Length: 3",
        "Connection: content-length\r\nContent-Length: 3",
        "Connection: close\r\nContent-Length: 3",
        "Connection: x-forwarded-for\r\nX-Forwarded-For: 1.1.1.1\r\nContent-Length: 3",
        "Keep-Alive: timeout=1\r\nProxy-Connection: close\r\nContent-Length: 3",
        "TE: trailers, chunked\r\nContent-Length: 3",
        "Trailer: Content-Length\r\nContent-Length: 3",
        "Content-Length: 0",
        "X: y",
    ];
    let starts = ["POST /first HTTP/1.1", "GET /first HTTP/1.1", "PUT /first HTTP/1.0", "HEAD /first HTTP/1.1"];
    let one = |start: &str, headers: &str| format!("{start}\r\nHost: a\r\n{headers}\r\n\r\nabc{SMUGGLED}").into_bytes();
    starts.iter().flat_map(|start| headers.iter().map(move |headers| one(start, headers))).collect()
}

fn requests() -> Vec<Vec<u8>> {
    let starts = [
        "GET /first HTTP/1.1",
        "\r\nGET /first HTTP/1.1",
        "\nGET /first HTTP/1.1",
        "\rGET /first HTTP/1.1",
        " GET /first HTTP/1.1",
        "Extra lineGET /first HTTP/1.1",
        "GET /first ICE/1.0",
        "GET /first IHTTP/1.0",
        "PUT /first RTSP/1.0",
        "ANNOUNCE /first HTTP/1.0",
        "GET /first HTTP/9.9",
        "GET /first HTTP/1.10",
        "GET /first HTTP/1",
        "GET /first HTTP/11.1",
        "GET /first HTTP/01.1",
        "GET /first http/1.1",
        "GET /first HTTP/1.1\t",
        "GET /first HTTP/1.1x",
        "GET /first\tHTTP/1.1",
        "GET /first\u{0b}HTTP/1.1",
        "GET /first  HTTP/1.1",
        "GET /first",
        "GET /first ",
        "GET HTTP/1.1",
        "GET",
        "G@T /first HTTP/1.1",
        "get /first HTTP/1.1",
        "M-SEARCH /first HTTP/1.1",
        "PRI * HTTP/2.0",
        "CONNECT a:80 HTTP/1.1",
        "CONNECT /first HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /first#x HTTP/1.1",
        "GET /first?a=b#x HTTP/1.1",
        "GET /../first HTTP/1.1",
        "GET //first HTTP/1.1",
        "GET /fi\u{e9}rst HTTP/1.1",
        "GET /fi%00rst%0d%0aX: y HTTP/1.1",
        "GET /fi%0d%0arst HTTP/1.1",
        "GET /fi\\rst HTTP/1.1",
        "GET /fi\"r<s>t HTTP/1.1",
        "GET http://a/first HTTP/1.1",
        "GET http://b/first HTTP/1.1",
        "GET http://a:80/first HTTP/1.1",
        "GET http:///first HTTP/1.1",
        "GET http:/first HTTP/1.1",
        "GET http://a HTTP/1.1",
        "GET http://a?first HTTP/1.1",
        "GET http://u@a/first HTTP/1.1",
        "GET a/first HTTP/1.1",
        "GET https://a/first HTTP/1.1",
        "GET ws://a/first HTTP/1.1",
        "TRACE /first HTTP/1.1",
        "QUERY /first HTTP/1.1",
    ];
    let headers = [
        "Host: a\r\nX-Invalid[]: test",
        "Host: a\r\nX-Bad: test\u{7}",
        "Host: a\r\nX-Empty: ",
        "hoSt:\ta\r\nempty:",
        "Host: a\r\nHost: b",
        "Host: a\r\nhost: a",
        "Host : a",
        "Host: a\r\n\rSome-Header: x",
        "Host: a\r\n X: y",
        " Host: a",
        "X: y",
        "Host: a, a",
        "Host: a\0",
        "Host: a@b",
        "Host: a/../b",
        "Host: [::1",
        "Host: a:99999999",
        "Host: a\r\nFoo: 1\rBar: 2",
        "Host: a\r\nFoo: 1\nBar: 2",
        "Host: a\r\n: x",
        "Host: a\r\n:",
        "Host: a\r\nno colon",
        "Host: a\r\nX-Forwarded-For: 1.1.1.1\r\nX_Forwarded_For: 2.2.2.2",
        "Host: a\r\nX-Request-Id: a\r\nX_Request-Id: b",
        "Host: a\r\nContent-Type: text/xml\r\nContent-Encoding: gzip",
    ];
    let of_start = starts.iter().map(|start| format!("{start}\r\nHost: a\r\n\r\n{SMUGGLED}").into_bytes());
    let of_header = headers.iter().flat_map(|headers| {
        let get = format!("GET /first HTTP/1.1\r\n{headers}\r\n\r\n{SMUGGLED}");
        [
            get.clone().into_bytes(),
            get.replacen("GET /first", "POST /first", 1)
                .replacen("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\nhi", 1)
                .into_bytes(),
        ]
    });
    of_start.chain(of_header).collect()
}
