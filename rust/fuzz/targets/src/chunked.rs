//! Any bytes as the chunks of a SavedModel and as what is said of them, in a sound file of records.

use highway::{HighwayHash, HighwayHasher, Key};
use tensorbundle_graph::File;
use tensorbundle_wire::varint::put_varint;

/// "Riegeli/records\n", twice.
const KEY: [u64; 4] =
    [0x2f69_6c65_6765_6952, 0x0a73_6472_6f63_6572, 0x2f69_6c65_6765_6952, 0x0a73_6472_6f63_6572];

/// The first block header and the signature, which all files have.
pub(crate) const SIGNATURE: [u64; 8] =
    [0x3f4a_880d_d170_af83, 0, 0x40, 0xa9e1_8792_3cc2_ba91, 0, 0x72c3_b1e9_c013_9fe1, 0x73, 0];

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    HighwayHasher::new(Key(KEY)).hash64(bytes)
}

/// Any bytes as the chunks of a SavedModel and as what is said of them, in a sound file of records.
pub fn chunked(data: &[u8]) {
    // The last part is the ChunkedMessage, the others are chunks.
    let mut records: Vec<Vec<u8>> = data.split(|&byte| byte == 0xfe).map(<[u8]>::to_vec).collect();
    let message = records.pop().unwrap_or_default();
    if data.len() > 4096 {
        return;
    }
    let mut metadata = Vec::new();
    for i in 0..records.len() as u64 {
        let mut info = vec![0x08, 1, 0x18]; // a message; its place: that of the chunk of records and its number in it
        put_varint(&mut info, 64 + i);
        metadata.extend_from_slice(&[0x12, info.len() as u8]);
        metadata.extend_from_slice(&info);
    }
    metadata.push(0x1a);
    put_varint(&mut metadata, message.len() as u64);
    metadata.extend_from_slice(&message);
    records.push(metadata);

    let mut sizes = Vec::new();
    records.iter().for_each(|record| put_varint(&mut sizes, record.len() as u64));
    let values = records.concat();
    let mut body = vec![0]; // not compressed
    put_varint(&mut body, sizes.len() as u64);
    body.extend_from_slice(&sizes);
    body.extend_from_slice(&values);
    let words = [
        body.len() as u64,
        hash(&body),
        u64::from(b'r') | (records.len() as u64) << 8,
        values.len() as u64,
    ];
    let header: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut file: Vec<u8> = SIGNATURE.iter().flat_map(|word| word.to_le_bytes()).collect();
    file.extend_from_slice(&hash(&header).to_le_bytes());
    file.extend_from_slice(&header);
    file.extend_from_slice(&body);
    file.resize(file.len().max(64 + records.len()), 0);

    if let Ok(opened) = File::parse(file.into()) {
        for i in 0..opened.len().min(10) {
            let _ = opened.tags(i);
            let _ = opened.meta_graph(i);
        }
    }
}
