//! Two runs of elements held against each other, in float64.
//!
//! Figures are over the elements that are finite on both sides. Differences of 64-bit integers are exact before they are
//! rounded once. Sums go over eight lanes of a block of a thousand, then block by block and stretch by stretch: a sum of up to
//! 2^32 terms is within 1e-12 of the sum of their magnitudes, and the same whatever the number of cores.

use crate::elements::{Element, Number, Visitor, numbers_per_element, visit};
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
        let parts = if self.complex { 2 } else { 1 };
        let (a, b) = (E::split(self.a), E::split(self.b));
        let mut figures = Figures::default();
        let (mut x, mut y) = ([0.0; BLOCK], [0.0; BLOCK]);
        let (mut exact, mut equal) = ([0.0; BLOCK], [false; BLOCK]);
        for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
            for ((a, b), ((x, y), (exact, equal))) in
                a.iter().zip(b).zip(x.iter_mut().zip(&mut y).zip(exact.iter_mut().zip(&mut equal)))
            {
                let (one, other) = (E::number(*a), E::number(*b));
                (*x, *y) = (one.to_f64(), other.to_f64());
                *exact = difference::<E>(one, other);
                *equal = (a == b) | (x.is_nan() & y.is_nan());
            }
            let n = a.len().min(b.len());
            let block = Block { x: &x, y: &y, exact: &exact, equal: &equal, n };
            let next = if parts == 2 {
                block.complex(self.tolerance)
            } else if block.is_finite() {
                block.quick(self.tolerance)
            } else {
                block.careful(self.tolerance)
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
    exact: &'a Numbers,
    equal: &'a [bool; BLOCK],
    n: usize,
}

/// Sums and maxima, lane by lane.
#[derive(Default)]
struct Lanes {
    max_abs: [f64; LANES],
    sum_abs: [f64; LANES],
    max_rel: [f64; LANES],
    dot: [f64; LANES],
    xx: [f64; LANES],
    yy: [f64; LANES],
    beyond: [f64; LANES],
    nonzero: [f64; LANES],
}

impl Block<'_> {
    fn is_finite(&self) -> bool {
        let both = self.x.iter().zip(self.y).take(self.n);
        both.fold(true, |finite, (x, y)| finite & x.is_finite() & y.is_finite())
    }

    fn changed(&self) -> u64 {
        let equal = self.equal.get(..self.n).unwrap_or_default();
        (self.n - equal.iter().map(|&equal| usize::from(equal)).sum::<usize>()) as u64
    }

    /// All are finite.
    fn quick(&self, tolerance: Tolerance) -> Figures {
        let mut lanes = Lanes::default();
        let whole = self.n.next_multiple_of(LANES).min(BLOCK);
        // The numbers behind the last are those of a block before, and must not count.
        let cut = |numbers: &Numbers| {
            let mut own = *numbers;
            own.get_mut(self.n..).unwrap_or_default().fill(0.0);
            own
        };
        let (x, y, exact) = if self.n == BLOCK {
            (*self.x, *self.y, *self.exact)
        } else {
            (cut(self.x), cut(self.y), cut(self.exact))
        };
        let (x, y, exact) = (x.as_chunks().0, y.as_chunks().0, exact.as_chunks().0);
        for ((x, y), exact) in x.iter().zip(y).zip(exact).take(whole / LANES) {
            lanes.add(x, y, exact, tolerance);
        }
        let n = self.n as u64;
        Figures { elements: n, changed: self.changed(), finite: n, ..lanes.into_figures() }
    }

    /// One by one.
    fn careful(&self, tolerance: Tolerance) -> Figures {
        let mut figures = Figures { changed: self.changed(), ..Figures::default() };
        let values = self.x.iter().zip(self.y).zip(self.exact.iter().zip(self.equal));
        for ((&x, &y), (&exact, &equal)) in values.take(self.n) {
            figures.elements += 1;
            figures.strange += u64::from(!(equal || x.is_finite() && y.is_finite()));
            figures.add(
                exact,
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

impl Lanes {
    #[inline(always)]
    fn add(
        &mut self,
        x: &[f64; LANES],
        y: &[f64; LANES],
        exact: &[f64; LANES],
        tolerance: Tolerance,
    ) {
        let larger = |a: f64, b: f64| if b > a { b } else { a };
        macro_rules! each {
            ($lane:ident, $x:ident, $y:ident, $d:ident: $value:expr) => {
                for (((lane, &$x), &$y), &$d) in self.$lane.iter_mut().zip(x).zip(y).zip(exact) {
                    let _ = ($x, $y, $d);
                    let was = *lane;
                    *lane = $value(was);
                }
            };
        }
        let limit = |y: f64| tolerance.atol + tolerance.rtol * y.abs();
        each!(max_abs, x, y, d: |was| larger(was, d));
        each!(sum_abs, x, y, d: |was| was + d);
        each!(max_rel, x, y, d: |was| larger(was, if y == 0.0 { 0.0 } else { d / y.abs() }));
        each!(dot, x, y, d: |was| was + x * y);
        each!(xx, x, y, d: |was| was + x * x);
        each!(yy, x, y, d: |was| was + y * y);
        each!(beyond, x, y, d: |was| was + if d <= limit(y) { 0.0 } else { 1.0 });
        each!(nonzero, x, y, d: |was| was + if y == 0.0 { 0.0 } else { 1.0 });
    }

    fn into_figures(self) -> Figures {
        let sum = |lanes: [f64; LANES]| lanes.iter().sum::<f64>();
        let max = |lanes: [f64; LANES]| lanes.iter().fold(0.0, |a: f64, &b| a.max(b));
        Figures {
            max_abs: max(self.max_abs),
            sum_abs: sum(self.sum_abs),
            max_rel: max(self.max_rel),
            dot: sum(self.dot),
            a_squares: sum(self.xx),
            b_squares: sum(self.yy),
            beyond: sum(self.beyond) as u64,
            nonzero: sum(self.nonzero) as u64,
            ..Figures::default()
        }
    }
}
