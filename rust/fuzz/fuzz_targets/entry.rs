//! Headers and entries, and the slices of an entry: decoded, held against each other, tiled.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tensorbundle_wire::bundle::{Entry, Header, check_tiling, slice_key};

fuzz_target!(|data: &[u8]| {
    let _ = Header::parse(data);
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
        assert_eq!(slice_key(b"w", slice).first(), Some(&0));
    }
});
