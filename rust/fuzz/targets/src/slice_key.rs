//! Slice keys and ordered code, both ways: what decodes encodes to what decodes alike, in the same order.
//!
//! ```text
//! any bytes                    as a key, and as each of the three forms
//! name 00 start[8] length[8]…  as a slice, little-endian, that is made a key
//! ```

use tensorbundle_wire::bundle::{self, SliceKeys, TensorSlice, sliced_tensor};
use tensorbundle_wire::limits::MAX_RANK;
use tensorbundle_wire::ordered_code::{
    put_num, put_signed, put_string, take_num, take_signed, take_string,
};
use tensorbundle_wire::varint::Cursor;

/// Slice keys and ordered code, both ways: what decodes encodes to what decodes alike, in the same order.
pub fn slice_key(data: &[u8]) {
    decode(data);
    let name_len = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (name, rest) = data.split_at(name_len);
    let numbers: Vec<i64> = rest
        .get(1..)
        .unwrap_or_default()
        .chunks_exact(8)
        .filter_map(|bytes| bytes.try_into().ok().map(i64::from_le_bytes))
        .collect();
    encode(name, &numbers);
}

fn decode(data: &[u8]) {
    if let Some(name) = sliced_tensor(data) {
        let mut cursor = Cursor::new(data);
        assert_eq!(take_num(&mut cursor), Ok(0));
        assert_eq!(take_string(&mut cursor), Ok(name));
    }
    let mut cursor = Cursor::new(data);
    if let Ok(number) = take_num(&mut cursor) {
        let mut out = Vec::new();
        put_num(&mut out, number);
        assert!(
            out.len() <= data.len() - cursor.rest().len(),
            "the form that is written is the shortest"
        );
        assert_eq!(take_num(&mut Cursor::new(&out)), Ok(number));
    }
    let mut cursor = Cursor::new(data);
    if let Ok(string) = take_string(&mut cursor) {
        let mut out = Vec::new();
        put_string(&mut out, &string);
        assert_eq!(out, data[..data.len() - cursor.rest().len()], "a string has one form");
    }
    let mut cursor = Cursor::new(data);
    if let Ok(number) = take_signed(&mut cursor) {
        let mut out = Vec::new();
        put_signed(&mut out, number);
        assert!(
            out.len() <= data.len() - cursor.rest().len(),
            "the form that is written is the shortest"
        );
        assert_eq!(take_signed(&mut Cursor::new(&out)), Ok(number));
    }
}

fn encode(name: &[u8], numbers: &[i64]) {
    let extents: Vec<_> =
        numbers.chunks_exact(2).take(MAX_RANK).map(|pair| (pair[0], Some(pair[1]))).collect();
    let slice = TensorSlice(extents);
    let key = SliceKeys::new(name).key(&slice).to_vec();
    assert_eq!(sliced_tensor(&key).as_deref(), Some(name));
    assert_eq!(bundle::slice_key(name, &slice), key);
    for pair in numbers.windows(2) {
        let codes = [pair[0], pair[1]].map(|number| {
            let mut out = Vec::new();
            put_signed(&mut out, number);
            out
        });
        assert_eq!(codes[0].cmp(&codes[1]), pair[0].cmp(&pair[1]), "codes sort as numbers do");
    }
}
