//! Two runs of elements held against each other, in float64.
//!
//! Figures are over the elements that are finite on both sides. Differences of 64-bit integers are exact before they are
//! rounded once. Sums go over eight lanes of a block of a thousand, then block by block and stretch by stretch: a sum of up to
//! 2^32 terms is within 1e-12 of the sum of their magnitudes, and the same whatever the number of cores.

use crate::elements::{Element, Number, Visitor, numbers_per_element, visit};
use pulp::NullaryFnOnce;
use std::marker::PhantomData;
use tensorbundle_wire::bundle::ByteOrder;
use tensorbundle_wire::dtype::DataType;

/// Which elements are close: |a - b| <= atol + rtol * |b|, and infinities that are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tolerance {
    /// A part of |b|.
    pub rtol: f64,
    /// An absolute one.
    pub atol: f64,
}

impl Tolerance {
    /// There is one.
    pub fn is_given(self) -> bool {
        self.rtol != 0.0 || self.atol != 0.0
    }
}

/// How far two runs of elements are apart.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// How many elements were compared.
    pub elements: u64,
    /// How many are not equal.
    pub changed: u64,
    /// How many are not close.
    pub beyond: u64,
    /// Over how many the figures are: those that are finite on both sides. None for strings and variants.
    pub finite: u64,
    /// How many changed that are NaN or infinite on a side.
    pub strange: u64,
    /// The largest |a - b|.
    pub max_abs: f64,
    /// The sum of |a - b|.
    pub sum_abs: f64,
    /// The largest |a - b| / |b|, where b is not 0.
    pub max_rel: f64,
    /// In how many of them b is not 0.
    pub nonzero: u64,
    /// Sums of a b, a a and b b; of complex numbers the real part.
    pub dot: f64,
    /// See there.
    pub a_squares: f64,
    /// See there.
    pub b_squares: f64,
}

impl Figures {
    /// The mean of |a - b|.
    pub fn mean_abs(&self) -> Option<f64> {
        (self.finite > 0).then(|| self.sum_abs / self.finite as f64)
    }

    /// The largest |a - b|.
    pub fn max_abs(&self) -> Option<f64> {
        (self.finite > 0).then_some(self.max_abs)
    }

    /// The largest |a - b| / |b|.
    pub fn max_rel(&self) -> Option<f64> {
        (self.nonzero > 0).then_some(self.max_rel)
    }

    /// The cosine of the angle between both; `None` if one is zero, or its square beyond what a float64 holds.
    pub fn cosine(&self) -> Option<f64> {
        let lengths = self.a_squares.sqrt() * self.b_squares.sqrt();
        let normal = self.a_squares.is_normal() && self.b_squares.is_normal();
        (normal && self.dot.is_finite()).then(|| (self.dot / lengths).clamp(-1.0, 1.0))
    }

    /// Adds those of the elements that follow.
    pub fn extend(&mut self, next: &Self) {
        self.elements += next.elements;
        self.changed += next.changed;
        self.beyond += next.beyond;
        self.finite += next.finite;
        self.strange += next.strange;
        self.max_abs = self.max_abs.max(next.max_abs);
        self.sum_abs += next.sum_abs;
        self.max_rel = self.max_rel.max(next.max_rel);
        self.nonzero += next.nonzero;
        self.dot += next.dot;
        self.a_squares += next.a_squares;
        self.b_squares += next.b_squares;
    }
}

/// Holds elements of a type with numbers against each other; both are in the same byte order.
pub(super) fn compare(
    dtype: DataType,
    order: ByteOrder,
    a: &[u8],
    b: &[u8],
    tolerance: Tolerance,
) -> Figures {
    let complex = numbers_per_element(dtype) == 2;
    visit(dtype, order, Compare { a, b, tolerance, complex }).unwrap_or_default()
}

struct Compare<'a> {
    a: &'a [u8],
    b: &'a [u8],
    tolerance: Tolerance,
    complex: bool,
}

const BLOCK: usize = 1024;
const LANES: usize = 8;

/// A number per element of a block.
type Numbers = [f64; BLOCK];

impl Visitor for Compare<'_> {
    type Output = Figures;

    fn visit<E: Element>(self) -> Figures {
        pulp::Arch::new().dispatch(Elements::<E>(self, PhantomData))
    }
}

/// By the widest vectors that this machine has.
struct Elements<'a, E>(Compare<'a>, PhantomData<E>);

impl<E: Element> NullaryFnOnce for Elements<'_, E> {
    type Output = Figures;

    #[inline(always)]
    fn call(self) -> Figures {
        let Compare { a, b, tolerance, complex } = self.0;
        let parts = if complex { 2 } else { 1 };
        let (a, b) = (E::split(a), E::split(b));
        let mut figures = Figures::default();
        let (mut x, mut y) = ([0.0; BLOCK], [0.0; BLOCK]);
        let (mut apart, mut equal) = ([0.0; BLOCK], [false; BLOCK]);
        for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
            for ((a, b), ((x, y), (apart, equal))) in
                a.iter().zip(b).zip(x.iter_mut().zip(&mut y).zip(apart.iter_mut().zip(&mut equal)))
            {
                let (one, other) = (E::number(*a), E::number(*b));
                (*x, *y) = (one.to_f64(), other.to_f64());
                *apart = difference::<E>(one, other);
                *equal = (a == b) | (x.is_nan() & y.is_nan());
            }
            let n = a.len().min(b.len());
            let block = Block { x: &x, y: &y, apart: &apart, equal: &equal, n };
            let next = if parts == 2 {
                block.complex(tolerance)
            } else if block.is_finite() {
                block.quick(tolerance)
            } else {
                block.careful(tolerance)
            };
            figures.extend(&next);
        }
        figures
    }
}

/// |a - b|, rounded once.
#[inline(always)]
fn difference<E: Element>(a: E::Number, b: E::Number) -> f64 {
    if size_of::<E::Bytes>() == 8
        && let (Some(a), Some(b)) = (a.to_integer(), b.to_integer())
    {
        return (a - b).unsigned_abs() as u64 as f64;
    }
    (a.to_f64() - b.to_f64()).abs()
}

/// Up to a thousand numbers of both, their differences, and which are equal.
struct Block<'a> {
    x: &'a Numbers,
    y: &'a Numbers,
    apart: &'a Numbers,
    equal: &'a [bool; BLOCK],
    n: usize,
}

/// Eight sums, or maxima, side by side.
type Lanes = [f64; LANES];

impl Block<'_> {
    #[inline(always)]
    fn is_finite(&self) -> bool {
        let both = self.x.iter().zip(self.y).take(self.n);
        both.fold(true, |finite, (x, y)| finite & x.is_finite() & y.is_finite())
    }

    #[inline(always)]
    fn changed(&self) -> u64 {
        let equal = self.equal.get(..self.n).unwrap_or_default();
        let count = |n: u32, &equal: &bool| n.wrapping_add(u32::from(equal));
        self.n as u64 - u64::from(equal.iter().fold(0, count))
    }

    /// All are finite. A few lanes at a time, again and again: a block stays near the core, and lanes in its registers.
    #[inline(always)]
    fn quick(&self, tolerance: Tolerance) -> Figures {
        if self.n < BLOCK {
            return self.padded(tolerance);
        }
        let (x, y, apart) = (lanes(self.x), lanes(self.y), lanes(self.apart));
        let all = (x, y, apart);
        let max_abs = over(all, |max, _, _, d| larger(max, d));
        let sum_abs = over(all, |sum, _, _, d| sum + d);
        let dot = over(all, |sum, x, y, _| sum + x * y);
        let xx = over(all, |sum, x, _, _| sum + x * x);
        let yy = over(all, |sum, _, y, _| sum + y * y);
        let counts = |yes: bool| if yes { 1.0 } else { 0.0 };
        let nonzero = over(all, |sum, _, y, _| sum + counts(y != 0.0));
        // 0 / 0, where b is 0, is no number, and so no larger than any. A branch would cost more.
        let max_rel = over(all, |max, _, y, d| larger(max, d * counts(y != 0.0) / y.abs()));
        let Tolerance { rtol, atol } = tolerance;
        let close = over(all, |sum, _, y, d| sum + counts(d <= atol + rtol * y.abs()));
        let sum = |lanes: Lanes| lanes.iter().sum::<f64>();
        let max = |lanes: Lanes| lanes.into_iter().fold(0.0, larger);
        let n = self.n as u64;
        Figures {
            elements: n,
            changed: self.changed(),
            beyond: n - sum(close) as u64,
            finite: n,
            strange: 0,
            max_abs: max(max_abs),
            sum_abs: sum(sum_abs),
            max_rel: max(max_rel),
            nonzero: sum(nonzero) as u64,
            dot: sum(dot),
            a_squares: sum(xx),
            b_squares: sum(yy),
        }
    }

    /// A last block, with zeros behind its end, which then do not count.
    #[inline(always)]
    fn padded(&self, tolerance: Tolerance) -> Figures {
        let pad = |numbers: &Numbers| {
            let mut own = *numbers;
            own.get_mut(self.n..).unwrap_or_default().fill(0.0);
            own
        };
        let (x, y, apart) = (pad(self.x), pad(self.y), pad(self.apart));
        let whole = Block { x: &x, y: &y, apart: &apart, equal: self.equal, n: BLOCK };
        let figures = whole.quick(tolerance);
        let n = self.n as u64;
        Figures { elements: n, changed: self.changed(), finite: n, ..figures }
    }

    /// One by one.
    fn careful(&self, tolerance: Tolerance) -> Figures {
        let mut figures = Figures { changed: self.changed(), ..Figures::default() };
        let values = self.x.iter().zip(self.y).zip(self.apart.iter().zip(self.equal));
        for ((&x, &y), (&apart, &equal)) in values.take(self.n) {
            figures.elements += 1;
            figures.strange += u64::from(!(equal || x.is_finite() && y.is_finite()));
            figures.add(
                apart,
                y.abs(),
                x.is_finite() && y.is_finite(),
                x == y || (x.is_nan() && y.is_nan()),
                tolerance,
            );
            if x.is_finite() && y.is_finite() {
                figures.add_products(x * y, x * x, y * y);
            }
        }
        figures
    }

    /// Two by two: real part and imaginary part.
    fn complex(&self, tolerance: Tolerance) -> Figures {
        let mut figures = Figures::default();
        let (x, y) = (self.x.as_chunks::<2>().0, self.y.as_chunks::<2>().0);
        let equal = self.equal.as_chunks::<2>().0;
        for ((&[xr, xi], &[yr, yi]), equal) in x.iter().zip(y).zip(equal).take(self.n / 2) {
            figures.elements += 1;
            figures.changed += u64::from(*equal != [true; 2]);
            let finite = [xr, xi, yr, yi].iter().all(|part| part.is_finite());
            figures.strange += u64::from(*equal != [true; 2] && !finite);
            let nan = |re: f64, im: f64| re.is_nan() || im.is_nan();
            let alike = (xr == yr && xi == yi) || (nan(xr, xi) && nan(yr, yi));
            figures.add((xr - yr).hypot(xi - yi), yr.hypot(yi), finite, alike, tolerance);
            if finite {
                figures.add_products(xr * yr + xi * yi, xr * xr + xi * xi, yr * yr + yi * yi);
            }
        }
        figures
    }
}

impl Figures {
    /// One more element, of which `size` is |b|.
    fn add(&mut self, apart: f64, size: f64, finite: bool, alike: bool, tolerance: Tolerance) {
        let close = finite && apart <= tolerance.atol + tolerance.rtol * size;
        self.beyond += u64::from(!(close || alike));
        if finite {
            self.finite += 1;
            self.max_abs = self.max_abs.max(apart);
            self.sum_abs += apart;
            if size != 0.0 {
                self.nonzero += 1;
                self.max_rel = self.max_rel.max(apart / size);
            }
        }
    }

    fn add_products(&mut self, dot: f64, a_squares: f64, b_squares: f64) {
        self.dot += dot;
        self.a_squares += a_squares;
        self.b_squares += b_squares;
    }
}

fn lanes(numbers: &Numbers) -> &[Lanes] {
    numbers.as_chunks().0
}

#[inline(always)]
fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Goes over a block, a, b and |a - b|, with a number for each lane.
#[inline(always)]
fn over(
    (x, y, apart): (&[Lanes], &[Lanes], &[Lanes]),
    add: impl Fn(f64, f64, f64, f64) -> f64,
) -> Lanes {
    let mut all = [0.0; LANES];
    for ((x, y), apart) in x.iter().zip(y).zip(apart) {
        for (((own, x), y), apart) in all.iter_mut().zip(x).zip(y).zip(apart) {
            *own = add(*own, *x, *y, *apart);
        }
    }
    all
}
