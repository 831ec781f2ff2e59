//! What a stretch of elements is like: counts, extremes, mean and spread.
//!
//! ```text
//! 4,096 elements ── one pass ──> least, most, least magnitude, sums of the distances from a pivot and of their squares
//! ```
//!
//! Finite squares say that there is neither NaN nor infinity among them, and the least magnitude that there are neither zeros nor
//! subnormals: most blocks need no counting. The pivot is the mean of what came before (of a first block, its own): were that far
//! off, the means would be as far apart, and their spread greater than what is lost. Blocks are put together by Chan's update of
//! means and squares, in the order of the file, so the figures do not depend on the number of cores. Of complex numbers it is about
//! the modulus.
//!
//! For n finite elements the mean is within (n/4096 + 3000) · 2^-53 of the mean magnitude, and so is, of itself, the spread.

use super::lanes::{Real, look};
use crate::elements::{Element, Number};
use pulp::{Simd, WithSimd};

/// Elements of which the sums are taken at a time.
const BLOCK: usize = 4096;

/// The least and the greatest: exact for integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extreme {
    /// Of floating-point types, and of the modulus.
    Float(f64),
    /// Of integers and booleans.
    Integer(i128),
}

impl Extreme {
    /// As a float64, rounded if it is an integer of more than 53 bits.
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Float(value) => value,
            Self::Integer(value) => value as f64,
        }
    }
}

/// Counts and figures of some elements.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums {
    /// All elements.
    pub elements: u64,
    /// Those that are NaN; of complex numbers, in one part at least.
    pub nan: u64,
    /// Infinities.
    pub pos_inf: u64,
    /// Infinities below zero.
    pub neg_inf: u64,
    /// Those that are 0 or -0.
    pub zeros: u64,
    /// Those that are subnormal in their type.
    pub subnormals: u64,
    /// The least and the greatest of the finite ones.
    pub extremes: Option<(Extreme, Extreme)>,
    /// The mean of the finite ones.
    pub mean: f64,
    /// The sum of the squares of their distances from it.
    pub squares: f64,
}

impl Sums {
    /// How many are finite.
    pub fn finite(&self) -> u64 {
        self.elements - self.nan - self.pos_inf - self.neg_inf
    }

    /// The spread of the finite ones: the root of the mean square distance from the mean.
    pub fn std(&self) -> f64 {
        (self.squares / self.finite() as f64).sqrt()
    }

    /// The root of the sum of their squares.
    pub fn norm(&self) -> f64 {
        (self.squares + self.finite() as f64 * self.mean * self.mean).sqrt()
    }

    /// Adds what follows.
    pub(crate) fn append(&mut self, next: &Self) {
        let (before, new) = (self.finite() as f64, next.finite() as f64);
        if new > 0.0 {
            let all = before + new;
            let apart = next.mean - self.mean;
            let square = apart * apart * (before / all * new);
            self.squares += next.squares + if before > 0.0 { square } else { 0.0 };
            self.mean = if before > 0.0 { self.mean + apart * (new / all) } else { next.mean };
        }
        self.elements += next.elements;
        self.nan += next.nan;
        self.pos_inf += next.pos_inf;
        self.neg_inf += next.neg_inf;
        self.zeros += next.zeros;
        self.subnormals += next.subnormals;
        self.extremes = match (self.extremes, next.extremes) {
            (Some(one), Some(other)) => Some((lesser(one.0, other.0), greater(one.1, other.1))),
            (one, other) => one.or(other),
        };
    }
}

fn lesser(a: Extreme, b: Extreme) -> Extreme {
    match (a, b) {
        (Extreme::Integer(x), Extreme::Integer(y)) => Extreme::Integer(x.min(y)),
        _ if b.to_f64() < a.to_f64() => b,
        _ => a,
    }
}

fn greater(a: Extreme, b: Extreme) -> Extreme {
    match (a, b) {
        (Extreme::Integer(x), Extreme::Integer(y)) => Extreme::Integer(x.max(y)),
        _ if b.to_f64() > a.to_f64() => b,
        _ => a,
    }
}

/// The sums of a stretch, by the widest vectors that this machine has.
pub(crate) fn sums<E: Element>(bytes: &[u8], complex: bool) -> Sums {
    pulp::Arch::new().dispatch(Stretch::<E> { bytes, complex, element: std::marker::PhantomData })
}

struct Stretch<'a, E> {
    bytes: &'a [u8],
    complex: bool,
    element: std::marker::PhantomData<E>,
}

impl<E: Element> WithSimd for Stretch<'_, E> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Sums {
        let mut all = Sums::default();
        let numbers = E::split(self.bytes);
        if self.complex {
            let mut values = [0.0; BLOCK];
            for block in numbers.chunks(2 * BLOCK) {
                let count = moduli::<E>(block, &mut values);
                let values = values.get(..count).unwrap_or_default();
                append_block(simd, &mut all, values, |value| value, E::SMALLEST_NORMAL, None);
            }
        } else {
            for block in numbers.chunks(BLOCK) {
                let (exact, normal) = (exact::<E>(block), E::SMALLEST_NORMAL);
                if E::Number::FITS_F32 {
                    let number = |bytes| E::number(bytes).to_f32();
                    append_block(simd, &mut all, block, number, normal, exact);
                } else {
                    let number = |bytes| E::number(bytes).to_f64();
                    append_block(simd, &mut all, block, number, normal, exact);
                }
            }
        }
        all
    }
}

/// The moduli of complex numbers, of which NaN is one if a part is.
#[inline(always)]
fn moduli<E: Element>(parts: &[E::Bytes], values: &mut [f64; BLOCK]) -> usize {
    let (pairs, _) = parts.as_chunks::<2>();
    for (value, &[re, im]) in values.iter_mut().zip(pairs) {
        let (re, im) = (E::number(re).to_f64(), E::number(im).to_f64());
        let modulus = re.hypot(im);
        let finite = re.is_finite() && im.is_finite();
        *value = match (re.is_nan() || im.is_nan(), finite) {
            (true, _) => f64::NAN,
            (_, true) => modulus.min(f64::MAX),
            _ => modulus,
        };
    }
    pairs.len()
}

/// The least and the greatest.
type Extremes = (Extreme, Extreme);

/// Extremes of integers, which a float64 may not hold.
#[inline(always)]
fn exact<E: Element>(block: &[E::Bytes]) -> Option<Extremes> {
    E::Number::default().to_integer()?;
    let mut numbers = block.iter().map(|&bytes| E::number(bytes));
    let first = numbers.next()?;
    let (mut low, mut high) = (first, first);
    for number in numbers {
        low = if number < low { number } else { low };
        high = if number > high { number } else { high };
    }
    let (low, high) = low.to_integer().zip(high.to_integer())?;
    Some((Extreme::Integer(low), Extreme::Integer(high)))
}

/// Appends a block of `items`, which stand for the numbers that `number` makes of them.
#[inline(always)]
fn append_block<S: Simd, T: Copy, R: Real>(
    simd: S,
    all: &mut Sums,
    items: &[T],
    number: impl Fn(T) -> R + Copy,
    smallest_normal: f64,
    exact: Option<Extremes>,
) {
    let mut sums = Sums { elements: items.len() as u64, ..Sums::default() };
    if !finite_block(simd, all, items, number, smallest_normal, &mut sums) {
        // Something is not finite; or squares are beyond what a float64 holds.
        let mut finite = [0.0; BLOCK];
        let mut count = 0;
        for value in items.iter().map(|&item| number(item).to_f64()) {
            if value.is_finite() {
                if let Some(place) = finite.get_mut(count) {
                    *place = value;
                }
                count += 1;
            }
            sums.nan += u64::from(value.is_nan());
            sums.pos_inf += u64::from(value == f64::INFINITY);
            sums.neg_inf += u64::from(value == f64::NEG_INFINITY);
        }
        let finite = finite.get(..count).unwrap_or_default();
        if !finite_block(simd, all, finite, |value| value, smallest_normal, &mut sums) {
            immense(finite, &mut sums);
        }
    }
    sums.extremes = exact.or(sums.extremes);
    all.append(&sums);
}

/// The sums of items that are finite, if they and the sums are.
#[inline(always)]
fn finite_block<S: Simd, T: Copy, R: Real>(
    simd: S,
    before: &Sums,
    items: &[T],
    number: impl Fn(T) -> R + Copy,
    smallest_normal: f64,
    sums: &mut Sums,
) -> bool {
    let Some(&first) = items.first() else {
        return true;
    };
    let n = items.len() as f64;
    let pivot = match before.finite() {
        // Nothing is known of the mean: it is looked for first.
        0 => {
            let first = number(first).to_f64();
            first + look(simd, items, number, first).apart / n
        }
        _ => before.mean,
    };
    let seen = look(simd, items, number, pivot);
    if !seen.squares.is_finite() {
        return false;
    }
    if seen.least_magnitude < smallest_normal || seen.least_magnitude == 0.0 {
        count_small(items, number, smallest_normal, sums);
    }
    sums.mean = pivot + seen.apart / n;
    sums.squares = (seen.squares - seen.apart * seen.apart / n).max(0.0);
    sums.extremes = Some((Extreme::Float(seen.low), Extreme::Float(seen.high)));
    true
}

/// The sums of numbers whose squares are beyond what a float64 holds.
fn immense(values: &[f64], sums: &mut Sums) {
    let n = values.len() as f64;
    sums.mean = values.iter().map(|value| value / n).sum();
    sums.squares = f64::INFINITY;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    sums.extremes = Some((Extreme::Float(low), Extreme::Float(high)));
    count_small(values, |value| value, f64::MIN_POSITIVE, sums);
}

#[inline(always)]
fn count_small<T: Copy, R: Real>(
    items: &[T],
    number: impl Fn(T) -> R,
    smallest_normal: f64,
    sums: &mut Sums,
) {
    let (mut zeros, mut small) = (0_u64, 0_u64);
    for &item in items {
        let value = number(item).to_f64();
        zeros += u64::from(value == 0.0);
        small += u64::from(value.abs() < smallest_normal);
    }
    sums.zeros = zeros;
    sums.subnormals = small.saturating_sub(zeros);
}

/// Counts of a stretch by bins of equal width between two edges, as NumPy counts: an element belongs to the bin whose left
/// edge it is not below; the last bin has its right edge, too.
pub(crate) fn bins<E: Element>(bytes: &[u8], complex: bool, edges: &[f64], counts: &mut [u64]) {
    let (Some(&low), Some(&high)) = (edges.first(), edges.last()) else {
        return;
    };
    let last = counts.len().saturating_sub(1);
    let scale = counts.len() as f64 / (high - low);
    // The width, or its inverse, may be more than a float64 holds.
    let even = scale.is_finite() && scale > 0.0;
    let mut count = |value: f64| {
        if !(value >= low && value <= high) {
            return;
        }
        let mut bin = match even {
            true => ((value - low) * scale) as usize,
            false => edges.partition_point(|edge| *edge <= value).saturating_sub(1),
        }
        .min(last);
        if edges.get(bin).is_some_and(|edge| value < *edge) {
            bin = bin.saturating_sub(1);
        } else if bin < last && edges.get(bin + 1).is_some_and(|edge| value >= *edge) {
            bin += 1;
        }
        if let Some(place) = counts.get_mut(bin) {
            *place += 1;
        }
    };
    let numbers = E::split(bytes);
    if complex {
        let mut values = [0.0; BLOCK];
        for block in numbers.chunks(2 * BLOCK) {
            let n = moduli::<E>(block, &mut values);
            values.iter().take(n).for_each(|&value| count(value));
        }
    } else {
        numbers.iter().for_each(|&bytes| count(E::number(bytes).to_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::{F32, I64};
    use proptest::prelude::*;

    fn near(got: f64, want: f64) -> bool {
        (got - want).abs() <= 1e-12 * want.abs().max(f64::MIN_POSITIVE) || got == want
    }

    proptest! {
        /// Against plain loops in two passes.
        #[test]
        fn as_plain_loops_say(bits in proptest::collection::vec(prop_oneof![any::<u32>(), Just(0), Just(1 << 31),
            Just(0x7F80_0000), Just(0xFF80_0000), Just(0x7FC0_0001), 0x3F00_0000u32..0x4000_0000], 0..5000)) {
            let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
            let got = sums::<F32>(&bytes, false);
            let values: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            let count = |what: fn(&f32) -> bool| values.iter().filter(|v| what(v)).count() as u64;
            prop_assert_eq!(got.elements, values.len() as u64);
            prop_assert_eq!(got.nan, count(|v| v.is_nan()));
            prop_assert_eq!(got.pos_inf, count(|v| *v == f32::INFINITY));
            prop_assert_eq!(got.neg_inf, count(|v| *v == f32::NEG_INFINITY));
            prop_assert_eq!(got.zeros, count(|v| *v == 0.0));
            prop_assert_eq!(got.subnormals, count(|v| v.is_subnormal()));
            let finite: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)).collect();
            prop_assert_eq!(got.finite(), finite.len() as u64);
            if finite.is_empty() {
                prop_assert_eq!(got.extremes, None);
            } else {
                let n = finite.len() as f64;
                let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
                let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                prop_assert_eq!(got.extremes, Some((Extreme::Float(low), Extreme::Float(high))));
                let mean = finite.iter().sum::<f64>() / n;
                let magnitude = finite.iter().map(|v| v.abs()).sum::<f64>() / n;
                prop_assert!((got.mean - mean).abs() <= 1e-13 * magnitude);
                let std = (finite.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
                prop_assert!(near(got.std(), std) || (got.std() - std).abs() <= 1e-13 * magnitude);
                prop_assert!(near(got.norm(), finite.iter().map(|v| v * v).sum::<f64>().sqrt()));
            }
        }
    }

    #[test]
    fn a_small_spread_far_from_zero() {
        let bytes: Vec<u8> = (0..100_000)
            .flat_map(|i| (1_000_000.0_f32 + (i % 2) as f32 * 0.0625).to_le_bytes())
            .collect();
        let got = sums::<F32>(&bytes, false);
        assert!((got.std() - 0.03125).abs() < 1e-12, "{}", got.std());
    }

    #[test]
    fn integers_are_exact() {
        let values = [i64::MIN, i64::MIN + 1, i64::MAX - 1];
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let got = sums::<I64>(&bytes, false);
        let (low, high) = (i64::MIN.into(), (i64::MAX - 1).into());
        assert_eq!(got.extremes, Some((Extreme::Integer(low), Extreme::Integer(high))));
    }

    #[test]
    fn bins_hold_their_left_edges() {
        let bytes: Vec<u8> = [0.0_f32, 1.0, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat();
        let mut counts = [0; 4];
        bins::<F32>(&bytes, false, &[0.0, 1.0, 2.0, 3.0, 4.0], &mut counts);
        assert_eq!(counts, [1, 1, 1, 2]);
    }
}
