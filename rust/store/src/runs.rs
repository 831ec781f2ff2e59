//! Where a piece of a tensor goes: the runs of elements that lie together both in the piece and in the whole.

use tensorbundle_wire::bundle::Region;

/// Calls `copy(from, to, n)` for each run of elements in the overlap of `piece` and `want`: `n` elements from
/// element `from` of the piece to element `to` of what is wanted. Both lie in row-major order.
pub(crate) fn for_runs<E>(
    piece: &Region,
    want: &Region,
    mut copy: impl FnMut(u64, u64, u64) -> Result<(), E>,
) -> Result<(), E> {
    let Some(axes) = overlap(piece, want) else {
        return Ok(());
    };
    // From the last axis up: while both are covered whole, one run goes on over the next axis.
    let mut run = 1;
    let mut outer = axes.len();
    while let Some(axis) = outer.checked_sub(1).and_then(|i| axes.get(i)) {
        run *= axis.len;
        outer -= 1;
        if axis.len != axis.piece_len || axis.len != axis.want_len {
            break;
        }
    }
    let outer = axes.get(..outer).unwrap_or_default();
    let from: u64 = axes.iter().map(|axis| axis.from * axis.piece_stride).sum();
    let to: u64 = axes.iter().map(|axis| axis.to * axis.want_stride).sum();
    // The axes outside the run are counted like the wheels of an odometer.
    let mut at = vec![0; outer.len()];
    loop {
        let (mut from, mut to) = (from, to);
        for (axis, i) in outer.iter().zip(&at) {
            from += i * axis.piece_stride;
            to += i * axis.want_stride;
        }
        copy(from, to, run)?;
        let mut wheels = outer.iter().zip(&mut at).rev();
        loop {
            let Some((axis, i)) = wheels.next() else {
                return Ok(());
            };
            *i += 1;
            if *i < axis.len {
                break;
            }
            *i = 0;
        }
    }
}

/// Do they share elements?
pub(crate) fn overlaps(piece: &Region, want: &Region) -> bool {
    overlap(piece, want).is_some()
}

/// One axis of an overlap.
struct Axis {
    /// Where it begins in the piece and in what is wanted.
    from: u64,
    to: u64,
    /// How long it is, and how long both are.
    len: u64,
    piece_len: u64,
    want_len: u64,
    /// Elements from one index to the next.
    piece_stride: u64,
    want_stride: u64,
}

fn overlap(piece: &Region, want: &Region) -> Option<Vec<Axis>> {
    let sides = |region: &Region| -> Vec<(u64, u64)> {
        region.start.iter().copied().zip(region.len.iter().copied()).collect()
    };
    let mut axes = Vec::with_capacity(piece.len.len());
    for ((piece_start, piece_len), (want_start, want_len)) in
        sides(piece).into_iter().zip(sides(want))
    {
        let start = piece_start.max(want_start);
        let end = (piece_start + piece_len).min(want_start + want_len);
        let len = end.checked_sub(start).filter(|&len| len > 0)?;
        axes.push(Axis {
            from: start - piece_start,
            to: start - want_start,
            len,
            piece_len,
            want_len,
            piece_stride: 1,
            want_stride: 1,
        });
    }
    let (mut piece_stride, mut want_stride) = (1, 1);
    for axis in axes.iter_mut().rev() {
        (axis.piece_stride, axis.want_stride) = (piece_stride, want_stride);
        piece_stride *= axis.piece_len;
        want_stride *= axis.want_len;
    }
    Some(axes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(start: &[u64], len: &[u64]) -> Region {
        Region { start: start.to_vec(), len: len.to_vec() }
    }

    fn runs(piece: &Region, want: &Region) -> Vec<(u64, u64, u64)> {
        let mut runs = Vec::new();
        for_runs(piece, want, |from, to, n| {
            runs.push((from, to, n));
            Ok::<_, ()>(())
        })
        .unwrap();
        runs
    }

    #[test]
    fn rows_are_one_run_columns_are_many() {
        let all = region(&[0, 0], &[4, 6]);
        assert_eq!(runs(&region(&[2, 0], &[2, 6]), &all), [(0, 12, 12)]);
        assert_eq!(
            runs(&region(&[0, 2], &[4, 3]), &all),
            [(0, 2, 3), (3, 8, 3), (6, 14, 3), (9, 20, 3)]
        );
        assert_eq!(runs(&region(&[2, 0], &[2, 6]), &region(&[3, 0], &[1, 6])), [(6, 0, 6)]);
        assert_eq!(runs(&region(&[], &[]), &region(&[], &[])), [(0, 0, 1)]);
        assert_eq!(runs(&region(&[0, 0], &[2, 6]), &region(&[2, 0], &[2, 6])), []);
        assert!(!overlaps(&region(&[0], &[2]), &region(&[2], &[2])));
    }

    proptest! {
        #[test]
        fn every_shared_element_once(
            (starts, lens, from, count) in (1usize..4).prop_flat_map(|rank| {
                let side = |most| proptest::collection::vec(0..most, rank);
                let long = || proptest::collection::vec(1..4u64, rank);
                (side(3u64), long(), side(3u64), long())
            })
        ) {
            let (piece, want) = (region(&starts, &lens), region(&from, &count));
            let mut got = Vec::new();
            for (from, to, n) in runs(&piece, &want) {
                got.extend((0..n).map(|i| (from + i, to + i)));
            }
            // The plain way: index by index.
            let index = |region: &Region, at: &[u64]| {
                let inside = |axis: usize| at[axis] >= region.start[axis] && at[axis] < region.start[axis] + region.len[axis];
                (0..at.len()).all(inside).then(|| {
                    (0..at.len()).fold(0, |sum, axis| sum * region.len[axis] + at[axis] - region.start[axis])
                })
            };
            let mut expected = Vec::new();
            let mut at = vec![0; starts.len()];
            'all: loop {
                if let (Some(a), Some(b)) = (index(&piece, &at), index(&want, &at)) {
                    expected.push((a, b));
                }
                for axis in (0..at.len()).rev() {
                    at[axis] += 1;
                    if at[axis] < 8 { continue 'all; }
                    at[axis] = 0;
                }
                break;
            }
            got.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(got, expected);
        }
    }
}
