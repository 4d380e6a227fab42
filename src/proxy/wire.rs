//! Keeping track of where requests begin and end in what a client sends.

use super::framing::Framing;

/// Where in the stream of requests the next byte belongs.
#[derive(Debug)]
pub(super) struct Wire {
    at: Position,
    /// Bytes of the head that is being received, and of any that follow it already.
    pub(super) head: Vec<u8>,
    /// There is nothing but empty lines in `head`: no request has begun.
    pub(super) is_blank: bool,
}

#[derive(Debug, Clone, Copy)]
enum Position {
    Head,
    /// In a body with so many bytes still to come.
    Body(u64),
    /// In a body whose end is not known here: the connection serves no request after it.
    Unknown,
}

impl Default for Wire {
    fn default() -> Self {
        Self { at: Position::Head, head: Vec::new(), is_blank: true }
    }
}

impl Wire {
    /// Takes up what was read. True if any of it belongs to a head.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> bool {
        let bytes = match self.at {
            Position::Unknown => return false,
            Position::Head => bytes,
            Position::Body(left) => {
                let of_body = left.min(bytes.len() as u64);
                let left = left - of_body;
                self.at = if left == 0 { Position::Head } else { Position::Body(left) };
                &bytes[of_body as usize..]
            }
        };
        self.head.extend_from_slice(bytes);
        self.is_blank = self.is_blank && is_blank(bytes);
        !self.is_blank
    }

    /// Whether the next byte begins a request.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.at, Position::Head) && self.is_blank
    }

    pub(super) fn step_behind(&mut self, head: usize, framing: Framing) {
        let received = (self.head.len() - head) as u64;
        match framing {
            Framing::Chunked => {
                self.head.clear();
                self.at = Position::Unknown;
            }
            Framing::Length(body) if body >= received => {
                self.head.clear();
                self.at = if body == received { Position::Head } else { Position::Body(body - received) };
            }
            Framing::Length(body) => {
                self.head.drain(..head + body as usize);
            }
        }
        self.is_blank = is_blank(&self.head);
    }
}

/// Empty lines may stand before a request (RFC 9112, section 2.2); they do not begin one.
fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}
