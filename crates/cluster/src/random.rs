//! A small generator of numbers from a seed (xorshift64*): enough to spread load, useless for secrets.

#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Any seed will do; equal seeds give equal numbers.
    pub(crate) const fn new(seed: u64) -> Self {
        // A multiplied odd constant keeps neighbouring seeds apart; the state must not be 0.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        let mut x = self.0;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.0 = x;
        let drawn = x.wrapping_mul(0x2545_F491_4F6C_DD1D) as u128;
        ((drawn * bound as u128) >> 64) as u64
    }
}
