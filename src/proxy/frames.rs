//! Keeping track of the frames in what a client sends over HTTP/2 (RFC 9113, section 4.1), to know how long it takes
//! for the head of a request.

/// Bytes of what a client says first.
const PREFACE: u32 = 24;
const HEAD: usize = 9;

/// Where in the stream of frames the next byte belongs.
#[derive(Debug)]
pub(super) struct Frames {
    /// The head of the frame that is being received, as far as it is here.
    head: [u8; HEAD],
    known: usize,
    /// Bytes of the frame that are still to come.
    left: u32,
    /// A request's head has begun and not ended with a frame yet.
    is_open: bool,
}

/// What a read has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Brought {
    /// Something has ended whose end was waited for.
    pub(super) ended: bool,
    /// There is part of something whose end is waited for.
    pub(super) begun: bool,
}

impl Default for Frames {
    fn default() -> Self {
        // Until its first byte comes, the preface is not waited for.
        Self { head: [0; HEAD], known: HEAD, left: PREFACE, is_open: false }
    }
}

impl Frames {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const CONTINUATION: u8 = 9;
    const END_HEADERS: u8 = 4;

    /// Takes up what was read.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> Brought {
        let mut ended = false;
        while !bytes.is_empty() {
            if self.known < HEAD {
                let taken = bytes.len().min(HEAD - self.known);
                self.head[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
                self.known += taken;
                bytes = &bytes[taken..];
                if self.known < HEAD {
                    break;
                }
                self.left = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]);
                self.is_open = self.is_open || self.kind() == Self::HEADERS;
            }
            let taken = bytes.len().min(self.left as usize);
            self.left -= taken as u32;
            bytes = &bytes[taken..];
            if self.left == 0 {
                if matches!(self.kind(), Self::HEADERS | Self::CONTINUATION) && self.head[4] & Self::END_HEADERS != 0 {
                    self.is_open = false;
                }
                ended = ended || !self.is_open;
                self.known = 0;
            }
        }
        Brought { ended, begun: self.is_open || self.is_in_frame() }
    }

    fn kind(&self) -> u8 {
        self.head[3]
    }

    /// Whether part of a frame is here that is no body's.
    fn is_in_frame(&self) -> bool {
        let is_whole_head = self.known == HEAD;
        let is_preface = is_whole_head && self.head == [0; HEAD];
        if is_preface { self.left < PREFACE } else { self.known > 0 && !(is_whole_head && self.kind() == Self::DATA) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        [&[0, 0, length, kind, flags, 0, 0, 0, 1][..], &vec![7; usize::from(length)]].concat()
    }

    #[test]
    fn a_head_is_waited_for_until_its_last_frame_ends() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let (settings, body) = (frame(4, 0, 6), frame(0, 0, 20));
        let (head, start, middle, end) = (frame(1, 5, 12), frame(1, 1, 12), frame(9, 0, 3), frame(9, 4, 0));
        let all = [preface, settings.clone(), start, middle, end, body.clone(), settings, head, body].concat();
        let (heads, bodies) = ([0..24, 24..39, 39..81, 110..125, 125..146], [81..110, 146..175]);
        for step in [1, 2, 5, 9, 40] {
            let mut frames = Frames::default();
            assert!(!Frames::default().is_in_frame(), "nothing has come yet");
            let mut at = 0;
            for part in all.chunks(step) {
                at += part.len();
                let begun = frames.receive(part).begun;
                let in_head = heads.iter().any(|range| range.start < at && at < range.end);
                // What a frame is, its first nine bytes say.
                let in_body = bodies.iter().any(|range| range.start < at && at < range.start + 9);
                assert_eq!(begun, in_head || in_body, "{step} {at}");
            }
        }
    }

    #[test]
    fn one_head_after_another_is_no_long_head() {
        let mut frames = Frames::default();
        frames.receive(&[0; PREFACE as usize]);
        let (head, half) = (frame(1, 5, 12), &frame(1, 5, 12)[..10]);
        assert_eq!(frames.receive(half), Brought { ended: false, begun: true });
        assert_eq!(frames.receive(&[&head[10..], half].concat()), Brought { ended: true, begun: true });
        assert_eq!(frames.receive(&head[10..]), Brought { ended: true, begun: false });
    }
}
