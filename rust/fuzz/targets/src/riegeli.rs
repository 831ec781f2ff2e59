//! Any bytes as a file of records; behind a sound signature too, with the hashes put right.

use crate::chunked::{SIGNATURE, hash};
use tensorbundle_wire::limits::max_unpacked;
use tensorbundle_wire::riegeli::Records;

/// Any bytes as a file of records; behind a sound signature too, with the hashes put right.
pub fn riegeli(data: &[u8]) {
    read(data);
    // As a chunk: data size and hash are true, so that the fuzzer gets past them.
    if let Some((header, body)) = data.split_at_checked(24) {
        let mut rest = (body.len() as u64).to_le_bytes().to_vec();
        rest.extend_from_slice(&hash(body).to_le_bytes());
        rest.extend_from_slice(&header[8..]);
        let mut file: Vec<u8> = SIGNATURE.iter().flat_map(|word| word.to_le_bytes()).collect();
        file.extend_from_slice(&hash(&rest).to_le_bytes());
        file.extend_from_slice(&rest);
        file.extend_from_slice(body);
        // A chunk takes as many bytes as it has records, or more.
        file.resize(file.len().max(64 + usize::from(header[9])), 0);
        read(&file);
    }
}

fn read(file: &[u8]) {
    let Ok(records) = Records::read(file) else {
        return;
    };
    assert_eq!(records.is_empty(), records.last().is_none());
    if let Some((position, last)) = records.last() {
        assert_eq!(records.at(position), Some(last));
        assert!(last.len() as u64 <= max_unpacked(file.len() as u64));
    }
}
