//! A tensor's shape, as a checkpoint may hold it.

use crate::pb::{Malformed, Value, fields};
use crate::{Fault, Result, limits};
use std::fmt;

/// Dimensions, none of them negative, whose product fits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<u64>);

impl Shape {
    /// Checks dimensions: at most 254, none negative, and a product that 63 bits hold.
    pub fn new(dims: &[i64]) -> Result<Self> {
        let shape = Self(dims.iter().map(|&dim| dim as u64).collect());
        shape.check()?;
        Ok(shape)
    }

    pub(crate) fn check(&self) -> Result<()> {
        const PART: &str = "shape";
        let Self(dims) = self;
        if dims.len() > limits::MAX_RANK {
            let what = format!("{} dimensions, at most {}", dims.len(), limits::MAX_RANK);
            return Err(Fault::corrupt(PART, what));
        }
        if dims.iter().any(|&dim| i64::try_from(dim).is_err()) {
            let dims: Vec<_> = dims.iter().map(|&dim| dim as i64).collect();
            return Err(Fault::corrupt(PART, format!("{dims:?} has a negative dimension")));
        }
        // Where a dimension is 0 the others do not matter, whatever their order.
        let product = dims.iter().try_fold(1_u64, |product, &dim| product.checked_mul(dim));
        if product.is_none_or(|product| i64::try_from(product).is_err()) && !dims.contains(&0) {
            return Err(Fault::corrupt(PART, format!("{self} has more than 2^63 elements")));
        }
        Ok(())
    }

    /// Empties it, for another shape in its place.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends the dimensions of a TensorShapeProto. `unknown_rank` is passed over, as TensorFlow does.
    pub(crate) fn merge(&mut self, message: &[u8]) -> Result<(), Malformed> {
        let mut dims = fields(message);
        while let Some(dim) = dims.next_field()? {
            if let (2, Value::Len(dim)) = dim {
                let mut size = 0;
                let mut parts = fields(dim);
                while let Some(part) = parts.next_field()? {
                    if let (1, Value::Varint(value)) = part {
                        size = value;
                    }
                }
                self.0.push(size);
            }
        }
        Ok(())
    }

    /// The dimensions.
    pub fn dims(&self) -> &[u64] {
        &self.0
    }

    /// How many dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// How many elements.
    pub fn elements(&self) -> u64 {
        elements(&self.0)
    }

    /// The shape of a box within a tensor.
    pub(super) fn of_box(dims: &[u64]) -> Self {
        Self(dims.to_vec())
    }

    /// The shape of what lies at one index of the first `n` dimensions; `None` if there are fewer.
    pub fn within(&self, n: usize) -> Option<Self> {
        self.0.get(n..).map(|dims| Self(dims.into()))
    }

    /// The same with another first dimension.
    #[must_use]
    pub fn with_rows(&self, rows: u64) -> Self {
        let mut dims = self.0.clone();
        if let Some(first) = dims.first_mut() {
            *first = rows;
        }
        Self(dims)
    }
}

/// How many elements a tensor with these dimensions has, or a box of this size within one.
pub fn elements(dims: &[u64]) -> u64 {
    if dims.contains(&0) { 0 } else { dims.iter().product() }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let elements = |dims: &[i64]| Shape::new(dims).unwrap().elements();
        assert_eq!(elements(&[]), 1);
        assert_eq!(elements(&[2, 3, 4]), 24);
        assert_eq!(elements(&[0, 3]), 0);
        // TensorFlow takes the first and aborts on the second.
        assert_eq!(elements(&[0, 1 << 40, 1 << 40]), 0);
        assert_eq!(elements(&[1 << 40, 1 << 40, 0]), 0);
        assert_eq!(elements(&[1; 254]), 1);
    }

    #[test]
    fn refused() {
        let text = |dims: Vec<i64>| Shape::new(&dims).unwrap_err().to_string();
        assert_eq!(text(vec![2, -1]), "shape: [2, -1] has a negative dimension");
        assert_eq!(text(vec![1; 255]), "shape: 255 dimensions, at most 254");
        assert!(text(vec![1 << 40, 1 << 40]).contains("more than 2^63 elements"));
        assert!(text(vec![1 << 62, 2]).contains("more than 2^63 elements"));
    }
}
