//! Random numbers that are quick to have.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    static HERE: RefCell<Entropy> = RefCell::new(Entropy::seeded());
}

/// A source of random numbers for request ids and the like, one to a thread.
///
/// Not for secrets: whoever sees some of its numbers can compute the others.
#[derive(Debug, Clone)]
pub struct Entropy([u64; 4]);

impl Entropy {
    /// 128 random bits from this thread's source.
    pub fn bits() -> u128 {
        HERE.with_borrow_mut(Self::next_u128)
    }

    /// 16 fresh bytes from the system itself, for what must not be guessed.
    pub fn unguessable() -> [u8; 16] {
        let mut bytes = [0; 16];
        if getrandom::fill(&mut bytes).is_err() {
            bytes = Self::bits().to_ne_bytes();
        }
        bytes
    }

    /// A source of its own, seeded by the system.
    pub fn seeded() -> Self {
        let mut seed = [0; 32];
        match getrandom::fill(&mut seed) {
            Ok(()) => Self::from_seed(seed),
            // A request id that could be guessed is better than no service.
            Err(_) => Self([1, 2, 3, 4].map(|word: u64| RandomState::new().hash_one(word))),
        }
    }

    fn from_seed(seed: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(seed.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }

    pub fn next_u128(&mut self) -> u128 {
        u128::from(self.next_u64()) << 64 | u128::from(self.next_u64())
    }

    /// xoshiro256++, as published at <https://prng.di.unimi.it/xoshiro256plusplus.c>.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let number = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        let mut seed = [0; 32];
        (1..=4_u8).for_each(|word| seed[usize::from(word - 1) * 8] = word);
        let mut source = Entropy::from_seed(seed);
        // The first numbers for the state 1, 2, 3, 4, as in the tests of the crate rand_xoshiro.
        let first = [(); 4].map(|()| source.next_u64());
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn two_sources_differ() {
        assert_ne!(Entropy::seeded().next_u128(), Entropy::seeded().next_u128());
        assert_ne!(Entropy::bits(), Entropy::bits());
    }
}
