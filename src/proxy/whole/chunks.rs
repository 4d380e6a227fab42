//! Reading a chunked body that is here whole (RFC 9112, section 7.1).

use std::ops::Range;

use memchr::memchr;

/// What a chunked body is, as far as it has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// All of it, in so many bytes of the wire.
    Whole {
        body: Vec<u8>,
        end: usize,
    },
    Partial,
    /// It has trailers, or there is something in it that not everybody reads alike.
    Odd,
}

pub(super) fn read(wire: &[u8]) -> Chunks {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        match chunk(wire, at) {
            Chunk::Partial => return Chunks::Partial,
            Chunk::Odd => return Chunks::Odd,
            Chunk::Data(data) => {
                at = data.end + 2;
                body.extend_from_slice(&wire[data]);
            }
            Chunk::Last(start) => {
                return match wire.get(start..start + 2) {
                    None => Chunks::Partial,
                    Some(b"\r\n") => Chunks::Whole { body, end: start + 2 },
                    Some(_) => Chunks::Odd,
                };
            }
        }
    }
}

enum Chunk {
    Data(Range<usize>),
    /// The last one, and where the trailers would begin.
    Last(usize),
    Partial,
    Odd,
}

fn chunk(wire: &[u8], at: usize) -> Chunk {
    /// More digits than a short body can need.
    const DIGITS_MAX: usize = 8;
    let rest = wire.get(at..).unwrap_or_default();
    let Some(feed) = memchr(b'\n', rest) else {
        return if rest.len() > DIGITS_MAX + 1 { Chunk::Odd } else { Chunk::Partial };
    };
    let digits = rest[..feed].strip_suffix(b"\r").and_then(|digits| str::from_utf8(digits).ok());
    let digits =
        digits.filter(|digits| digits.len() <= DIGITS_MAX && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let Some(size) = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok()) else { return Chunk::Odd };
    let start = at + feed + 1;
    if size == 0 {
        return Chunk::Last(start);
    }
    match wire.get(start + size..start + size + 2) {
        None => Chunk::Partial,
        Some(b"\r\n") => Chunk::Data(start..start + size),
        Some(_) => Chunk::Odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_put_together_once_it_is_here() {
        let wire = b"3\r\nabc\r\n0a\r\n0123456789\r\n0\r\n\r\nHTTP";
        let end = wire.len() - 4;
        for until in 0..end {
            assert_eq!(read(&wire[..until]), Chunks::Partial, "{until}");
        }
        assert_eq!(read(wire), Chunks::Whole { body: b"abc0123456789".to_vec(), end });
        assert_eq!(read(b"0\r\n\r\n"), Chunks::Whole { body: Vec::new(), end: 5 });
    }

    #[test]
    fn what_is_not_plain_chunks_is_odd() {
        for wire in [
            &b"3;a=b\r\nabc\r\n"[..],
            b"3\nabc\r\n",
            b"+3\r\nabc\r\n",
            b"\r\nabc\r\n",
            b"3\r\nabcd\r\n",
            b"g\r\n",
            b"0\r\nA: b\r\n\r\n",
            b"fffffffff\r\n",
            b"0123456789",
        ] {
            assert_eq!(read(wire), Chunks::Odd, "{:?}", String::from_utf8_lossy(wire));
        }
    }
}
