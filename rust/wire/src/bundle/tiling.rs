//! Do boxes tile a tensor: every element covered, none twice?
//!
//! A box is known by its corners: give each corner the sign of (-1)^(how many of its coordinates are ends),
//! and the signed corners of all boxes cancel down to those of the whole tensor if and only if the boxes
//! tile it. (The signed corners are the mixed derivative of "how often is this element covered", which has
//! only one function behind it.) That is linear in the number of boxes, but doubles with each dimension that
//! is cut; beyond three of those, pairs of boxes are compared.

use super::{Region, Shape};
use crate::{Fault, Result, limits};
use std::cmp::Ordering;
use std::collections::HashMap;

const PART: &str = "slice list";

/// Cut along this many dimensions, boxes are checked by their corners.
const FEW: usize = 3;

/// Checks that `regions`, each within `shape`, tile it exactly.
pub fn check_tiling(shape: &Shape, regions: &[Region]) -> Result<()> {
    let (all, n) = (shape.elements(), regions.len());
    if all == 0 {
        return Ok(());
    }
    let covered = regions.iter().fold(0_u64, |sum, region| sum.saturating_add(region.elements()));
    let overlap = || {
        let what = format!("{n} slices of {covered} elements in a tensor of {all}: some overlap");
        Err(Fault::corrupt(PART, what))
    };
    match covered.cmp(&all) {
        Ordering::Less => {
            let what = format!("{n} slices cover {covered} of {all} elements: some are missing");
            return Err(Fault::corrupt(PART, what));
        }
        Ordering::Greater => return overlap(),
        Ordering::Equal => {}
    }
    // From here on, boxes that do not overlap leave nothing out.
    let cut: Vec<usize> = (0..shape.rank())
        .filter(|&axis| regions.iter().any(|region| region.len.get(axis) != shape.dims().get(axis)))
        .collect();
    let sound = if cut.len() <= FEW {
        corners_cancel(shape, regions, &cut)
    } else if n <= limits::MAX_SLICES_IN_MANY_DIMENSIONS {
        all_disjoint(regions, &cut)
    } else {
        let what =
            format!("{n} slices across {} dimensions are more than can be checked", cut.len());
        return Err(Fault::unsupported(PART, what));
    };
    if sound { Ok(()) } else { overlap() }
}

fn corners_cancel(shape: &Shape, regions: &[Region], cut: &[usize]) -> bool {
    let mut balance: HashMap<[u64; FEW], i64> = HashMap::new();
    let mut count = |region: &Region, weight: i64| {
        for corner in 0..1_u32 << cut.len() {
            let (mut at, mut sign) = ([0; FEW], weight);
            for ((bit, &axis), at) in cut.iter().enumerate().zip(&mut at) {
                *at = side(region, axis).start;
                if corner >> bit & 1 == 1 {
                    sign = -sign;
                    *at = side(region, axis).end;
                }
            }
            *balance.entry(at).or_default() += sign;
        }
    };
    regions.iter().for_each(|region| count(region, 1));
    count(&Region::all(shape), -1);
    balance.values().all(|&sum| sum == 0)
}

fn all_disjoint(regions: &[Region], cut: &[usize]) -> bool {
    let apart = |a: &Region, b: &Region| {
        cut.iter().any(|&axis| {
            let (a, b) = (side(a, axis), side(b, axis));
            a.end <= b.start || b.end <= a.start
        })
    };
    regions.iter().enumerate().all(|(i, a)| regions.iter().take(i).all(|b| apart(a, b)))
}

/// What a box covers of one dimension.
fn side(region: &Region, axis: usize) -> std::ops::Range<u64> {
    let start = region.start.get(axis).copied().unwrap_or(0);
    start..start + region.len.get(axis).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(start: &[u64], len: &[u64]) -> Region {
        Region { start: start.to_vec(), len: len.to_vec() }
    }

    fn shape(dims: &[i64]) -> Shape {
        Shape::new(dims).unwrap()
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

    /// Half of it, half of the rest, and so on, each time along another dimension.
    fn staircase(rank: usize) -> Vec<Region> {
        let (mut start, mut len) = (vec![0; rank], vec![2; rank]);
        let mut halves = Vec::new();
        for axis in 0..rank {
            len[axis] = 1;
            halves.push(region(&start, &len));
            start[axis] = 1;
        }
        halves.push(region(&start, &len));
        halves
    }

    #[test]
    fn cut_along_many_dimensions() {
        let whole = shape(&[2; 40]);
        let mut halves = staircase(40);
        assert_eq!(check_tiling(&whole, &halves), Ok(()));
        // As many elements, but the last box twice and the one before it left out.
        halves[39] = halves[40].clone();
        assert!(check_tiling(&whole, &halves).unwrap_err().what().contains("some overlap"));
        let corner = region(&[0; 40], &[1; 40]);
        let fault = check_tiling(&whole, &[corner]).unwrap_err();
        assert!(fault.what().contains("1 slices cover 1 of 1099511627776 elements"), "{fault}");
    }

    #[test]
    fn too_many_to_compare() {
        let n = limits::MAX_SLICES_IN_MANY_DIMENSIONS as u64 / 8 + 1;
        let cells = |n: u64, depth: u64| {
            (0..n * 4 * depth)
                .map(|i| {
                    region(&[i / 4 / depth, i / 2 / depth % 2, i / depth % 2, i % depth], &[1; 4])
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            check_tiling(&shape(&[n as i64, 2, 2, 1]), &cells(n, 1)),
            Ok(()),
            "cut along three"
        );
        let most = (&shape(&[n as i64 - 1, 2, 2, 2]), &cells(n - 1, 2));
        assert_eq!(most.1.len(), limits::MAX_SLICES_IN_MANY_DIMENSIONS);
        assert_eq!(check_tiling(most.0, most.1), Ok(()));
        let fault = check_tiling(&shape(&[n as i64, 2, 2, 2]), &cells(n, 2)).unwrap_err();
        assert_eq!(fault.kind(), crate::FaultKind::Unsupported);
        assert_eq!(fault.what(), "4104 slices across 4 dimensions are more than can be checked");
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
