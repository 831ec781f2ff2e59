//! A tensor's shape, as a checkpoint may hold it.

use crate::pb::{Malformed, Value, fields};
use crate::{Fault, Result, limits};
use std::fmt;

/// Dimensions, none of them negative, whose product fits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<u64>);

impl Shape {
    /// Checks dimensions: at most 254, none negative, and a product that 63 bits hold.
    pub fn new(dims: Vec<i64>) -> Result<Self> {
        const PART: &str = "shape";
        if dims.len() > limits::MAX_RANK {
            return Err(Fault::corrupt(
                PART,
                format!("{} dimensions, at most {}", dims.len(), limits::MAX_RANK),
            ));
        }
        let unsigned: Result<_, _> = dims.iter().map(|&dim| u64::try_from(dim)).collect();
        let negative = |_| Fault::corrupt(PART, format!("{dims:?} has a negative dimension"));
        let shape = Self(unsigned.map_err(negative)?);
        // Zeros last, so that the order of the dimensions does not decide.
        let product = (shape.0.iter().filter(|&&dim| dim != 0))
            .try_fold(1_u64, |product, &dim| product.checked_mul(dim))
            .filter(|&product| i64::try_from(product).is_ok());
        match product {
            Some(_) => Ok(shape),
            None if shape.0.contains(&0) => Ok(shape),
            None => Err(Fault::corrupt(PART, format!("{shape} has more than 2^63 elements"))),
        }
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
        if self.0.contains(&0) { 0 } else { self.0.iter().product() }
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

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Appends the dimensions of a TensorShapeProto. `unknown_rank` is passed over, as TensorFlow does.
pub(super) fn merge_dims(dims: &mut Vec<i64>, message: &[u8]) -> Result<(), Malformed> {
    for field in fields(message) {
        if let (2, Value::Len(dim)) = field? {
            let mut size = 0;
            for field in fields(dim) {
                if let (1, Value::Varint(value)) = field? {
                    size = value as i64;
                }
            }
            dims.push(size);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        let elements = |dims: &[i64]| Shape::new(dims.to_vec()).unwrap().elements();
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
        let text = |dims: Vec<i64>| Shape::new(dims).unwrap_err().to_string();
        assert_eq!(text(vec![2, -1]), "shape: [2, -1] has a negative dimension");
        assert_eq!(text(vec![1; 255]), "shape: 255 dimensions, at most 254");
        assert!(text(vec![1 << 40, 1 << 40]).contains("more than 2^63 elements"));
        assert!(text(vec![1 << 62, 2]).contains("more than 2^63 elements"));
    }
}
