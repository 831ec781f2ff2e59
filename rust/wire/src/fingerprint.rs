//! FarmHash's Fingerprint64, which TensorFlow writes into `fingerprint.pb` (FORMAT 9.3).
//!
//! ```text
//! up to 16, 32, 64 bytes   words from both ends, mixed
//! more                     64 bytes at a time into seven words, then the last 64 bytes once more
//! ```
//!
//! Written here because no crate of it is kept up; the tests hold it against TensorFlow's own.

use std::num::Wrapping;

type Word = Wrapping<u64>;

const K0: Word = Wrapping(0xc3a5_c85c_97cb_3127);
const K1: Word = Wrapping(0xb492_b66f_be98_f273);
const K2: Word = Wrapping(0x9ae1_6a3b_2f90_404f);

/// The fingerprint of some bytes.
pub fn fingerprint64(bytes: &[u8]) -> u64 {
    let hash = match bytes.len() {
        0..=16 => short(bytes),
        17..=32 => medium(bytes),
        33..=64 => long(bytes),
        _ => longest(bytes),
    };
    hash.0
}

/// The word at a place; every caller knows that there is one.
fn word(bytes: &[u8], at: usize) -> Word {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Wrapping(found.map_or(0, |word| u64::from_le_bytes(*word)))
}

fn half(bytes: &[u8], at: usize) -> Word {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    Wrapping(found.map_or(0, |word| u32::from_le_bytes(*word)).into())
}

fn turn(word: Word, bits: u32) -> Word {
    Wrapping(word.0.rotate_right(bits))
}

fn fold(word: Word) -> Word {
    word ^ word >> 47
}

fn mix(u: Word, v: Word, by: Word) -> Word {
    let a = fold((u ^ v) * by);
    fold((v ^ a) * by) * by
}

fn factor(len: usize) -> Word {
    K2 + Wrapping(len as u64) * Wrapping(2)
}

fn short(bytes: &[u8]) -> Word {
    let len = bytes.len();
    let by = factor(len);
    match bytes {
        [] => K2,
        [first, ..] if len < 4 => {
            let byte = |at: usize| Wrapping(u64::from(bytes.get(at).copied().unwrap_or_default()));
            let y = Wrapping(u64::from(*first)) + (byte(len >> 1) << 8);
            let z = Wrapping(len as u64) + (byte(len - 1) << 2);
            fold((y * K2) ^ (z * K0)) * K2
        }
        _ if len < 8 => mix(Wrapping(len as u64) + (half(bytes, 0) << 3), half(bytes, len - 4), by),
        _ => {
            let (a, b) = (word(bytes, 0) + K2, word(bytes, len - 8));
            mix(turn(b, 37) * by + a, (turn(a, 25) + b) * by, by)
        }
    }
}

/// The outer 16 bytes at each end: two words that are still to be mixed, and the first word times `first`.
fn ends(bytes: &[u8], first: Word, by: Word) -> (Word, Word, Word) {
    let len = bytes.len();
    let a = word(bytes, 0) * first;
    let b = word(bytes, 8);
    let c = word(bytes, len - 8) * by;
    let d = word(bytes, len - 16) * K2;
    (turn(a + b, 43) + turn(c, 30) + d, a + turn(b + K2, 18) + c, a)
}

fn medium(bytes: &[u8]) -> Word {
    let by = factor(bytes.len());
    let (y, z, _) = ends(bytes, K1, by);
    mix(y, z, by)
}

fn long(bytes: &[u8]) -> Word {
    let len = bytes.len();
    let by = factor(len);
    let (y, z, a) = ends(bytes, K2, by);
    let z = mix(y, z, by);
    let e = word(bytes, 16) * by;
    let f = word(bytes, 24);
    let g = (y + word(bytes, len - 32)) * by;
    let h = (z + word(bytes, len - 24)) * by;
    mix(turn(e + f, 43) + turn(g, 30) + h, e + turn(f + a, 18) + g, by)
}

type Pair = (Word, Word);

/// What is carried from one 64 bytes to the next.
struct State {
    x: Word,
    y: Word,
    z: Word,
    v: Pair,
    w: Pair,
}

impl State {
    /// Takes in 64 bytes; `weight` is what the carried words count.
    fn take(&mut self, bytes: &[u8], by: Word, weight: Word) {
        let Self { x, y, z, v, w } = self;
        *x = turn(*x + *y + v.0 + word(bytes, 8), 37) * by;
        *y = turn(*y + v.1 + word(bytes, 48), 42) * by;
        *x ^= w.1 * weight;
        *y += v.0 * weight + word(bytes, 40);
        *z = turn(*z + w.0, 33) * by;
        *v = spread(bytes, 0, v.1 * by, *x + w.0);
        *w = spread(bytes, 32, *z + w.1, *y + word(bytes, 16));
        std::mem::swap(z, x);
    }
}

/// 32 bytes, spread over two words.
fn spread(bytes: &[u8], at: usize, a: Word, b: Word) -> Pair {
    let [p, q, r, s] = [0, 8, 16, 24].map(|more| word(bytes, at + more));
    let a = a + p;
    let b = turn(b + a + s, 21);
    let sum = a + q + r;
    (sum + s, b + turn(sum, 44) + a)
}

fn longest(bytes: &[u8]) -> Word {
    const SEED: Word = Wrapping(81);
    let y = SEED * K1 + Wrapping(113);
    let none = (Wrapping(0), Wrapping(0));
    let z = fold(y * K2 + Wrapping(113)) * K2;
    let mut state = State { x: SEED * K2 + word(bytes, 0), y, z, v: none, w: none };
    let over = (bytes.len() - 1) % 64; // of the last block, one byte less than it has
    for block in bytes.chunks_exact(64).take((bytes.len() - 1) / 64) {
        state.take(block, K1, Wrapping(1));
    }
    let by = K1 + ((state.z & Wrapping(0xff)) << 1);
    state.w.0 += Wrapping(over as u64);
    state.v.0 += state.w.0;
    state.w.0 += state.v.0;
    state.take(bytes.get(bytes.len() - 64..).unwrap_or_default(), by, Wrapping(9));
    let State { x, y, z, v, w } = state;
    mix(mix(v.0, w.0, by) + fold(y) * K0 + z, mix(v.1, w.1, by) + x, by)
}

#[cfg(test)]
mod tests {
    use super::fingerprint64;

    fn counted(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    /// From TensorFlow 2.21: `tf.raw_ops.Fingerprint(data=…, method="farmhash64")`.
    const KNOWN: &[(usize, u64)] = &[
        (0, 0x9ae1_6a3b_2f90_404f), // of nothing: the constant
        (1, 0xbe60_56ed_f5e9_4b54),
        (2, 0x3389_403a_9964_27a9),
        (3, 0x6cc1_a093_e822_4428),
        (4, 0x0511_2b9e_6277_f665),
        (5, 0x1f3e_6f55_ef27_2bcf),
        (7, 0x0f95_c16a_7544_a65b),
        (8, 0xdc48_0bbc_e8c7_37a7),
        (9, 0x39c3_f10b_0515_0cf4),
        (16, 0xfbb2_7403_1996_2d9b),
        (17, 0xa55b_9970_b7b7_0074),
        (32, 0x0a9d_86aa_8d37_da5c),
        (33, 0xfb43_f626_c43b_2047),
        (48, 0xb97e_0acc_df8e_9086),
        (64, 0xe044_6dd7_1a78_f98a),
        (65, 0x184a_2571_4b2c_e96b),
        (100, 0x18ca_f058_2ed6_15f5),
        (127, 0xa67e_0ac1_4caa_8c22),
        (128, 0xa7b5_b622_8208_c47b),
        (129, 0xecb2_5d79_6437_d25b),
        (192, 0x0d76_426a_ae6a_6970),
        (1000, 0xd003_8900_2bec_a3af),
        (4096, 0x8f75_0d08_c218_bfda),
        (100_003, 0x7090_f7f5_5313_495d),
    ];

    #[test]
    fn as_tensorflow() {
        for &(len, want) in KNOWN {
            assert_eq!(fingerprint64(&counted(len)), want, "{len} bytes");
        }
    }
}
