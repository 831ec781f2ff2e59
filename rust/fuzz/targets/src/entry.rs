//! An entry and its slices: decoded, held against each other, tiled.

use tensorbundle_wire::bundle::{Entry, check_tiling, slice_key, sliced_tensor};

/// An entry and its slices: decoded, held against each other, tiled.
pub fn entry(data: &[u8]) {
    let Ok(entry) = Entry::parse(data) else {
        return;
    };
    let _ = entry.place(2);
    let _ = entry.check_size(4);
    let regions: Vec<_> =
        entry.slices.iter().flat_map(|slice| slice.region(&entry.shape)).collect();
    // Bounded, so that a run is not spent on the few inputs that take long.
    if regions.len() < 200 {
        let _ = check_tiling(&entry.shape, &regions);
    }
    for slice in &entry.slices {
        assert_eq!(sliced_tensor(&slice_key(b"w", slice)).as_deref(), Some(&b"w"[..]));
    }
}
