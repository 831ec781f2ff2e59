//! Sums and extremes by vectors.
//!
//! ```text
//! value   0 1 2 … 15 | 16 17 …     lane = number of the value modulo 16, however wide vectors are, so that sums do not
//! lane    0 1 2 … 15 |  0  1 …     depend on that; only on whether the machine multiplies and adds in one step
//! ```
//!
//! Extremes are taken of what fits into a float32 as such: twice as many in a vector.

use crate::elements::Number;
use pulp::{Simd, bytemuck};

/// Chains of sums that do not wait for each other; no vector has more.
const LANES: usize = 16;

/// What one pass over some values says. If one of them is not finite, the sums are not, and nothing else is said.
pub(super) struct Seen {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) least_magnitude: f64,
    /// The sum of their distances from the pivot.
    pub(super) apart: f64,
    /// The sum of the squares of those.
    pub(super) squares: f64,
}

/// A type of which there are vectors.
pub(super) trait Real: Number {
    type Vector<S: Simd>: bytemuck::Pod;

    fn splat<S: Simd>(simd: S, value: f64) -> Self::Vector<S>;
    fn min<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn max<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    fn abs<S: Simd>(simd: S, a: Self::Vector<S>) -> Self::Vector<S>;
    fn vectors<S: Simd>(values: &[Self]) -> &[Self::Vector<S>];
    /// Folds the lanes of a vector.
    fn fold<S: Simd>(vector: Self::Vector<S>, start: f64, with: fn(f64, f64) -> f64) -> f64;
}

macro_rules! real {
    ($type:ty, $vector:ident, $splat:ident, $min:ident, $max:ident, $abs:ident, $slice:ident) => {
        impl Real for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: f64) -> S::$vector {
                simd.$splat(value as $type)
            }

            #[inline(always)]
            fn min<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$min(a, b)
            }

            #[inline(always)]
            fn max<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$max(a, b)
            }

            #[inline(always)]
            fn abs<S: Simd>(simd: S, a: S::$vector) -> S::$vector {
                simd.$abs(a)
            }

            #[inline(always)]
            fn vectors<S: Simd>(values: &[Self]) -> &[S::$vector] {
                S::$slice(values).0
            }

            #[inline(always)]
            fn fold<S: Simd>(vector: S::$vector, start: f64, with: fn(f64, f64) -> f64) -> f64 {
                let lanes = [vector];
                let lanes = bytemuck::cast_slice::<S::$vector, $type>(&lanes);
                lanes.iter().fold(start, |all, lane| with(all, lane.to_f64()))
            }
        }
    };
}

real!(f32, f32s, splat_f32s, min_f32s, max_f32s, abs_f32s, as_simd_f32s);
real!(f64, f64s, splat_f64s, min_f64s, max_f64s, abs_f64s, as_simd_f64s);

/// Looks at `items`, which stand for the numbers that `number` makes of them.
#[inline(always)]
pub(super) fn look<S: Simd, T: Copy, R: Real>(
    simd: S,
    items: &[T],
    number: impl Fn(T) -> R,
    pivot: f64,
) -> Seen {
    match S::F64_LANES {
        8 => look_by::<S, T, R, 2>(simd, items, number, pivot),
        4 => look_by::<S, T, R, 4>(simd, items, number, pivot),
        2 => look_by::<S, T, R, 8>(simd, items, number, pivot),
        _ => look_by::<S, T, R, LANES>(simd, items, number, pivot),
    }
}

/// With `K` vectors of float64, which together have all lanes.
#[inline(always)]
fn look_by<S: Simd, T: Copy, R: Real, const K: usize>(
    simd: S,
    items: &[T],
    number: impl Fn(T) -> R,
    pivot: f64,
) -> Seen {
    let mut low = R::splat(simd, f64::INFINITY);
    let mut high = R::splat(simd, f64::NEG_INFINITY);
    let mut least = low;
    let mut apart = [simd.splat_f64s(0.0); K];
    let mut squares = apart;
    let pivots = simd.splat_f64s(pivot);
    let (groups, rest) = items.as_chunks::<LANES>();
    for group in groups {
        let values = group.map(&number);
        for &value in R::vectors::<S>(&values) {
            low = R::min(simd, low, value);
            high = R::max(simd, high, value);
            least = R::min(simd, least, R::abs(simd, value));
        }
        let wide = values.map(R::to_f64);
        let (wide, _) = S::as_simd_f64s(&wide);
        for ((apart, square), &value) in apart.iter_mut().zip(&mut squares).zip(wide) {
            let distance = simd.sub_f64s(value, pivots);
            *apart = simd.add_f64s(*apart, distance);
            *square = simd.mul_add_e_f64s(distance, distance, *square);
        }
    }
    let mut seen = Seen {
        low: R::fold::<S>(low, f64::INFINITY, f64::min),
        high: R::fold::<S>(high, f64::NEG_INFINITY, f64::max),
        least_magnitude: R::fold::<S>(least, f64::INFINITY, f64::min),
        apart: sum::<S>(&apart),
        squares: sum::<S>(&squares),
    };
    for &item in rest {
        let value = number(item).to_f64();
        let distance = value - pivot;
        seen.low = seen.low.min(value);
        seen.high = seen.high.max(value);
        seen.least_magnitude = seen.least_magnitude.min(value.abs());
        seen.apart += distance;
        seen.squares += distance * distance;
    }
    seen
}

#[inline(always)]
fn sum<S: Simd>(vectors: &[S::f64s]) -> f64 {
    bytemuck::cast_slice::<S::f64s, f64>(vectors).iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::WithSimd;

    /// Vectors of this machine and single numbers give the same.
    #[test]
    fn the_width_of_vectors_does_not_matter() {
        struct All<'a>(&'a [f64]);
        impl WithSimd for All<'_> {
            type Output = ([u64; 4], f64);
            fn with_simd<S: Simd>(self, simd: S) -> ([u64; 4], f64) {
                let seen = look(simd, self.0, |value: f64| value, 0.3);
                let same = [seen.low, seen.high, seen.least_magnitude, seen.apart];
                (same.map(f64::to_bits), seen.squares)
            }
        }
        for count in [0, 1, 15, 16, 17, 63, 64, 1000, 1024] {
            let values: Vec<_> = (0..count).map(|i| (f64::from(i) * 0.7).sin() / 3.0).collect();
            let (alone, square) = All(&values).with_simd(pulp::Scalar);
            let (together, squares) = pulp::Arch::new().dispatch(All(&values));
            assert_eq!(together, alone, "{count}");
            assert!((squares - square).abs() <= 1e-14 * square, "{count}: {squares} {square}");
        }
    }
}
