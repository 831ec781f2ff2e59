//! Sums and extremes by vectors.
//!
//! ```text
//! value   0 1 2 3 4 5 6 7 | 8 9 …      lane = number of the value modulo 8, however wide vectors are:
//! lane    0 1 2 3 4 5 6 7 | 0 1 …      sums are the same to the bit on every machine
//! ```

use pulp::{Simd, bytemuck};

/// Chains of sums that do not wait for each other.
const LANES: usize = 8;

/// What one pass over some values says. With a NaN among them, only that the sum is one.
pub(super) struct Seen {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) least_magnitude: f64,
    pub(super) sum: f64,
}

/// Their extremes, and their sum.
#[inline(always)]
pub(super) fn look<S: Simd>(simd: S, values: &[f64]) -> Seen {
    match S::F64_LANES {
        8 => look_by::<S, 1>(simd, values),
        4 => look_by::<S, 2>(simd, values),
        2 => look_by::<S, 4>(simd, values),
        _ => look_by::<S, LANES>(simd, values),
    }
}

/// The sums of the squares of their distances from `mean`, and of the distances.
#[inline(always)]
pub(super) fn apart<S: Simd>(simd: S, values: &[f64], mean: f64) -> (f64, f64) {
    match S::F64_LANES {
        8 => apart_by::<S, 1>(simd, values, mean),
        4 => apart_by::<S, 2>(simd, values, mean),
        2 => apart_by::<S, 4>(simd, values, mean),
        _ => apart_by::<S, LANES>(simd, values, mean),
    }
}

/// `K` vectors at a time, which together have all lanes; and what is left.
#[inline(always)]
fn groups<S: Simd, const K: usize>(values: &[f64]) -> (&[[S::f64s; K]], &[f64]) {
    let (whole, rest) = values.as_chunks::<LANES>();
    let (vectors, _) = S::as_simd_f64s(whole.as_flattened());
    (vectors.as_chunks().0, rest)
}

#[inline(always)]
fn lanes<S: Simd>(vectors: &[S::f64s]) -> impl Iterator<Item = f64> {
    bytemuck::cast_slice::<S::f64s, f64>(vectors).iter().copied()
}

#[inline(always)]
fn look_by<S: Simd, const K: usize>(simd: S, values: &[f64]) -> Seen {
    let (groups, rest) = groups::<S, K>(values);
    let mut low = [simd.splat_f64s(f64::INFINITY); K];
    let mut high = [simd.splat_f64s(f64::NEG_INFINITY); K];
    let mut least = low;
    let mut sum = [simd.splat_f64s(0.0); K];
    for group in groups {
        let places = low.iter_mut().zip(&mut high).zip(&mut least).zip(&mut sum);
        for ((((low, high), least), sum), &value) in places.zip(group) {
            *low = simd.min_f64s(*low, value);
            *high = simd.max_f64s(*high, value);
            *least = simd.min_f64s(*least, simd.abs_f64s(value));
            *sum = simd.add_f64s(*sum, value);
        }
    }
    let mut seen = Seen {
        low: lanes::<S>(&low).fold(f64::INFINITY, f64::min),
        high: lanes::<S>(&high).fold(f64::NEG_INFINITY, f64::max),
        least_magnitude: lanes::<S>(&least).fold(f64::INFINITY, f64::min),
        sum: lanes::<S>(&sum).sum(),
    };
    for &value in rest {
        seen.low = seen.low.min(value);
        seen.high = seen.high.max(value);
        seen.least_magnitude = seen.least_magnitude.min(value.abs());
        seen.sum += value;
    }
    seen
}

#[inline(always)]
fn apart_by<S: Simd, const K: usize>(simd: S, values: &[f64], mean: f64) -> (f64, f64) {
    let (groups, rest) = groups::<S, K>(values);
    let means = simd.splat_f64s(mean);
    let mut squares = [simd.splat_f64s(0.0); K];
    let mut sums = squares;
    for group in groups {
        for ((square, sum), &value) in squares.iter_mut().zip(&mut sums).zip(group) {
            let distance = simd.sub_f64s(value, means);
            *square = simd.add_f64s(*square, simd.mul_f64s(distance, distance));
            *sum = simd.add_f64s(*sum, distance);
        }
    }
    let (mut square, mut sum): (f64, f64) = (lanes::<S>(&squares).sum(), lanes::<S>(&sums).sum());
    for value in rest {
        let distance = value - mean;
        square += distance * distance;
        sum += distance;
    }
    (square, sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of this machine and single numbers give the same bits.
    #[test]
    fn the_width_of_vectors_does_not_matter() {
        struct Both<'a>(&'a [f64]);
        impl pulp::WithSimd for Both<'_> {
            type Output = [u64; 6];
            fn with_simd<S: Simd>(self, simd: S) -> [u64; 6] {
                let seen = look(simd, self.0);
                let (square, sum) = apart(simd, self.0, 0.3);
                [seen.low, seen.high, seen.least_magnitude, seen.sum, square, sum].map(f64::to_bits)
            }
        }
        for count in [0, 1, 7, 8, 9, 63, 64, 1000, 1024] {
            let values: Vec<_> = (0..count).map(|i| (f64::from(i) * 0.7).sin() / 3.0).collect();
            let alone = pulp::WithSimd::with_simd(Both(&values), pulp::Scalar);
            assert_eq!(pulp::Arch::new().dispatch(Both(&values)), alone, "{count}");
        }
    }
}
