//! Which part of a tensor is asked for: rows, of the whole or of what lies at one place in it.
//!
//! ```text
//! shape [4, 3, 5]   rows 1..3              elements 15..45, as [2, 3, 5]
//!                   within [2], rows 0..2  elements 30..40, as [2, 5]
//! ```
//!
//! Either way the elements lie together, so that a part of a tensor that is stored in one piece is a view, too.

use crate::read::ReadOptions;
use crate::{Error, Result};
use std::ops::Range;
use tensorbundle_wire::bundle::{Region, Shape};

impl ReadOptions {
    /// The shape of what is asked for; an error if the tensor has no such part.
    pub(crate) fn shape_of(&self, shape: &Shape) -> Result<Shape> {
        let inside = self.within.iter().zip(shape.dims()).all(|(i, dim)| i < dim);
        let Some(inner) = shape.within(self.within.len()).filter(|_| inside) else {
            let what = format!("no index {:?} in a tensor of shape {shape}", self.within);
            return Err(Error::Argument(what));
        };
        match &self.rows {
            Some(rows) => Ok(inner.with_rows(check_rows(&inner, rows)?)),
            None => Ok(inner),
        }
    }

    /// The box of elements that is asked for.
    pub(crate) fn region_of(&self, shape: &Shape) -> Region {
        let mut want = Region::all(shape);
        let mut axes = want.start.iter_mut().zip(&mut want.len);
        for (&i, (start, len)) in self.within.iter().zip(&mut axes) {
            (*start, *len) = (i, 1);
        }
        if let (Some(rows), Some((start, len))) = (&self.rows, axes.next()) {
            (*start, *len) = (rows.start, rows.end - rows.start);
        }
        want
    }

    /// Where that lies in a tensor that is `len` long, in bytes or in elements.
    pub(crate) fn range_of(&self, shape: &Shape, len: u64) -> Range<u64> {
        let mut range = 0..len;
        let mut dims = shape.dims().iter();
        // Of no rows there are none, wherever they lie.
        let row =
            |range: &Range<u64>, dim: u64| (range.end - range.start).checked_div(dim).unwrap_or(0);
        for (i, &dim) in self.within.iter().zip(&mut dims) {
            let row = row(&range, dim);
            range = range.start + i * row..range.start + (i + 1) * row;
        }
        if let (Some(rows), Some(&dim)) = (&self.rows, dims.next()) {
            let row = row(&range, dim);
            range = range.start + rows.start * row..range.start + rows.end * row;
        }
        range
    }
}

fn check_rows(shape: &Shape, rows: &Range<u64>) -> Result<u64> {
    let Some(&all) = shape.dims().first() else {
        return Err(Error::Argument(
            "rows of a scalar: it has no dimension to take them from".into(),
        ));
    };
    if rows.start > rows.end || rows.end > all {
        return Err(Error::Argument(format!("rows {} to {} of {all}", rows.start, rows.end)));
    }
    Ok(rows.end - rows.start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(within: &[u64], rows: Option<Range<u64>>) -> ReadOptions {
        ReadOptions { within: within.into(), rows, ..Default::default() }
    }

    #[test]
    fn a_part_is_a_shape_a_box_and_a_range() {
        let shape = Shape::new(&[4, 3, 5]).unwrap();
        let some = part(&[2], Some(0..2));
        assert_eq!(some.shape_of(&shape).unwrap().dims(), [2, 5]);
        assert_eq!(some.range_of(&shape, 60), 30..40);
        assert_eq!(some.range_of(&shape, 120), 60..80);
        let region = some.region_of(&shape);
        assert_eq!((region.start, region.len), (vec![2, 0, 0], vec![1, 2, 5]));

        let rows = part(&[], Some(1..3));
        assert_eq!(rows.shape_of(&shape).unwrap().dims(), [2, 3, 5]);
        assert_eq!(rows.range_of(&shape, 60), 15..45);

        let one = part(&[3, 2, 4], None);
        assert_eq!(one.shape_of(&shape).unwrap().dims(), []);
        assert_eq!(one.range_of(&shape, 60), 59..60);
        assert_eq!(part(&[], None).range_of(&shape, 60), 0..60);
        assert_eq!(part(&[], Some(0..0)).range_of(&Shape::new(&[0, 9]).unwrap(), 0), 0..0);
    }

    #[test]
    fn no_such_part() {
        let shape = Shape::new(&[4, 3]).unwrap();
        let error = |part: ReadOptions| part.shape_of(&shape).unwrap_err().to_string();
        assert_eq!(error(part(&[4], None)), "no index [4] in a tensor of shape [4, 3]");
        assert_eq!(error(part(&[0, 0, 0], None)), "no index [0, 0, 0] in a tensor of shape [4, 3]");
        assert_eq!(error(part(&[1], Some(1..4))), "rows 1 to 4 of 3");
        assert!(error(part(&[1, 1], Some(0..0))).starts_with("rows of a scalar"));
    }
}
