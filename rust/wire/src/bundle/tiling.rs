//! Do boxes tile a tensor: every element covered, none twice?
//!
//! A box is known by its corners: give each corner the sign of (-1)^(how many of its coordinates are ends),
//! and the signed corners of all boxes cancel down to those of the whole tensor if and only if the boxes
//! tile it. (The signed corners are the mixed derivative of "how often is this element covered", which has
//! only one function behind it.) That is linear in the number of boxes, where comparing pairs is not.

use super::{Region, Shape};
use crate::{Fault, Result, limits};
use std::cmp::Ordering;
use std::collections::HashMap;

const PART: &str = "slice list";

/// Checks that `regions`, each within `shape`, tile it exactly.
pub fn check_tiling(shape: &Shape, regions: &[Region]) -> Result<()> {
    if shape.elements() == 0 {
        return Ok(());
    }
    // A dimension that every box covers whole decides nothing.
    let cut: Vec<usize> = (0..shape.rank())
        .filter(|&axis| regions.iter().any(|region| region.len.get(axis) != shape.dims().get(axis)))
        .collect();
    let (all, n) = (shape.elements(), regions.len());
    let covered = regions.iter().fold(0_u64, |sum, region| sum.saturating_add(region.elements()));
    let overlap = || format!("{n} slices of {covered} elements in a tensor of {all}: some overlap");
    match covered.cmp(&all) {
        Ordering::Less => {
            let what = format!("{n} slices cover {covered} of {all} elements: some are missing");
            return Err(Fault::corrupt(PART, what));
        }
        Ordering::Greater => return Err(Fault::corrupt(PART, overlap())),
        Ordering::Equal => {}
    }
    let corners = u32::try_from(cut.len()).ok().and_then(|axes| 1_u64.checked_shl(axes));
    let steps = corners.and_then(|corners| corners.checked_mul(n as u64));
    if steps.is_none_or(|steps| steps > limits::MAX_TILING_STEPS) {
        return Err(Fault::unsupported(
            PART,
            format!("{n} slices across {} dimensions are more than can be checked", cut.len()),
        ));
    }
    let mut balance: HashMap<Vec<u64>, i64> = HashMap::new();
    let mut count = |region: &Region, weight: i64| {
        for corner in 0..corners.unwrap_or(1) {
            let mut at = Vec::with_capacity(cut.len());
            let mut sign = weight;
            for (bit, &axis) in cut.iter().enumerate() {
                let (start, len) = (region.start[axis], region.len[axis]);
                if corner >> bit & 1 == 1 {
                    sign = -sign;
                    at.push(start + len);
                } else {
                    at.push(start);
                }
            }
            *balance.entry(at).or_default() += sign;
        }
    };
    for region in regions {
        count(region, 1);
    }
    count(&Region::all(shape), -1);
    if balance.values().all(|&sum| sum == 0) {
        Ok(())
    } else {
        Err(Fault::corrupt(PART, overlap()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(start: &[u64], len: &[u64]) -> Region {
        Region { start: start.to_vec(), len: len.to_vec() }
    }

    fn shape(dims: &[i64]) -> Shape {
        Shape::new(dims.to_vec()).unwrap()
    }

    #[test]
    fn gaps_and_overlaps() {
        let check = |regions: &[Region]| check_tiling(&shape(&[4, 6]), regions);
        let (top, bottom) = (region(&[0, 0], &[2, 6]), region(&[2, 0], &[2, 6]));
        assert_eq!(check(&[top.clone(), bottom.clone()]), Ok(()));
        assert_eq!(
            check(std::slice::from_ref(&top)).unwrap_err().to_string(),
            "slice list: 1 slices cover 12 of 24 elements: some are missing"
        );
        let twice = check(&[top.clone(), bottom, top.clone()]).unwrap_err().to_string();
        assert!(twice.contains("some overlap"), "{twice}");
        // As many elements as there should be, but one box twice.
        assert!(check(&[top.clone(), top]).is_err());
    }

    #[test]
    fn too_many_dimensions_to_check() {
        // Half of it, half of the rest, and so on, each time along another dimension.
        let dims = vec![2; 31];
        let (mut start, mut len) = (vec![0; 31], vec![2; 31]);
        let mut halves = Vec::new();
        for axis in 0..31 {
            len[axis] = 1;
            halves.push(region(&start, &len));
            start[axis] = 1;
        }
        halves.push(region(&start, &len));
        let fault = check_tiling(&shape(&dims), &halves).unwrap_err();
        assert_eq!(fault.kind(), crate::FaultKind::Unsupported);
        assert_eq!(fault.what(), "32 slices across 31 dimensions are more than can be checked");
        // Uncut dimensions cost nothing.
        let mut len = vec![2; 31];
        len[30] = 1;
        let mut start = vec![0; 31];
        let first = region(&start, &len);
        start[30] = 1;
        assert_eq!(check_tiling(&shape(&dims), &[first, region(&start, &len)]), Ok(()));
    }

    fn boxes() -> impl Strategy<Value = Vec<Region>> {
        let one = (0..4u64, 1..4u64, 0..3u64, 1..3u64, 0..2u64, 1..3u64).prop_map(
            |(a, la, b, lb, c, lc)| {
                region(&[a, b, c], &[la.min(4 - a), lb.min(3 - b), lc.min(2 - c)])
            },
        );
        proptest::collection::vec(one, 1..6)
    }

    /// Cuts a box in two, again and again.
    fn cut(region: Region, seeds: &[u64]) -> Vec<Region> {
        let mut all = vec![region];
        for &seed in seeds {
            let which = seed as usize % all.len();
            let axis = (seed >> 8) as usize % 3;
            let old = all.swap_remove(which);
            if old.len[axis] < 2 {
                all.push(old);
                continue;
            }
            let at = 1 + (seed >> 16) % (old.len[axis] - 1);
            let (mut low, mut high) = (old.clone(), old);
            low.len[axis] = at;
            high.start[axis] += at;
            high.len[axis] -= at;
            all.extend([low, high]);
        }
        all
    }

    proptest! {
        #[test]
        fn agrees_with_counting(boxes in boxes()) {
            let mut times = [[[0; 2]; 3]; 4];
            for region in &boxes {
                for a in 0..region.len[0] { for b in 0..region.len[1] { for c in 0..region.len[2] {
                    let at = [region.start[0] + a, region.start[1] + b, region.start[2] + c].map(|i| i as usize);
                    times[at[0]][at[1]][at[2]] += 1;
                }}}
            }
            let exact = times.iter().flatten().flatten().all(|&n| n == 1);
            prop_assert_eq!(check_tiling(&shape(&[4, 3, 2]), &boxes).is_ok(), exact);
        }

        #[test]
        fn any_cutting_up_tiles(seeds: Vec<u64>) {
            let whole = shape(&[40, 30, 20]);
            let parts = cut(Region::all(&whole), &seeds);
            prop_assert_eq!(check_tiling(&whole, &parts), Ok(()));
            if parts.len() > 1 {
                prop_assert!(check_tiling(&whole, &parts[1..]).is_err());
            }
        }
    }
}
