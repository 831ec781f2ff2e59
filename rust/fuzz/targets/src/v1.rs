//! Any bytes as the values of a V1 table: contents, a record, and the values in it.

use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::tensor_proto::CountedValues;
use tensorbundle_wire::v1::{Contents, Record};

/// Any bytes as the values of a V1 table: contents, a record, and the values in it.
pub fn v1(data: &[u8]) {
    if let Ok(contents) = Contents::parse(data, data.len() as u64) {
        for tensor in contents.tensors {
            assert!(!tensor.slices.is_empty());
            for slice in tensor.slices {
                let _ = slice.region(&tensor.shape);
            }
        }
    }
    let bytes = data.to_vec().into();
    let message = match Record::parse(&bytes) {
        Ok(record) => record.data,
        Err(_) => bytes,
    };
    for dtype in (1..40).map(DataType) {
        for count in 0..5_u64 {
            let Ok(values) = CountedValues::new(&message, dtype, count) else {
                continue;
            };
            let Some(width) = dtype.width() else {
                if let Ok(items) = values.items(0, count) {
                    assert_eq!(items.len() as u64, count);
                }
                continue;
            };
            let mut all = vec![0; count as usize * width];
            if values.copy_to(0, &mut all).is_ok() && count > 0 {
                let mut last = vec![0; width];
                values.copy_to(count - 1, &mut last).expect("the last of those that were read");
                assert_eq!(all[all.len() - width..], last);
            }
        }
    }
}
