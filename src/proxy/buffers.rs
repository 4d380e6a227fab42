use std::cell::RefCell;

/// Memory for messages, kept for the next: no connection holds any while it waits.
#[derive(Debug, Default)]
pub(super) struct Buffers(RefCell<Vec<Vec<u8>>>);

impl Buffers {
    /// Bytes of a new one: more than a callback and its head have.
    const SIZE: usize = 8 * 1024;
    /// How many are kept: three for each of some 40 exchanges at once.
    const KEPT: usize = 128;

    pub(super) fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(Self::SIZE))
    }

    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        let mut kept = self.0.borrow_mut();
        if buffer.capacity() == Self::SIZE && kept.len() < Self::KEPT {
            buffer.clear();
            kept.push(buffer);
        }
    }
}
