//! Any bytes as a TensorProto: what decodes has as many elements as its shape says.

use tensorbundle_wire::tensor_proto::{Elements, decode, summary};

/// Any bytes as a TensorProto: what decodes has as many elements as its shape says.
pub fn tensor(data: &[u8]) {
    let bytes = data.to_vec().into();
    let _ = summary(data);
    let Ok(value) = decode(&bytes) else {
        return;
    };
    let dims = value.shape.dims();
    let count = if dims.contains(&0) { 0 } else { dims.iter().product::<u64>() };
    match value.elements {
        Elements::Raw(raw) => {
            assert_eq!(raw.len() as u64, count * value.dtype.width().unwrap_or(0) as u64);
        }
        Elements::List(list) => assert_eq!(list.len() as u64, count),
        Elements::Splat(one) => assert_eq!(Some(one.len()), value.dtype.width()),
        Elements::SplatList(_) => {}
    }
}
