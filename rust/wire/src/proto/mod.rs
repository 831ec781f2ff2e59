//! TensorFlow's messages as prost structs, generated from `rust/wire/protos`.
//!
//! Decode them from a [`bytes::Bytes`]: their `bytes` fields are then slices of it, not copies
//! (those of an `Any` are copied). An enum field is the `i32` that was stored, known or not.
//! `string` fields must be UTF-8, and a message nested deeper than 100 levels is a
//! [`prost::DecodeError`], which is what keeps the stack safe. prost drops the fields it does not
//! know, so encoding again what was decoded can lose data.

// Generated code: its names are the format's, and their meaning is said where they are used.
#![allow(missing_docs)]

include!("tensorflow.rs");

/// The package `tensorflow.error`.
pub mod error {
    include!("tensorflow.error.rs");
}

/// The package `tensorflow.proto_splitter`.
pub mod proto_splitter {
    include!("tensorflow.proto_splitter.rs");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::*;

    /// A variant in a tensor in a variant …: `levels` tensors, each inside the one before.
    fn nested_tensor(levels: usize) -> Bytes {
        let mut tensor = TensorProto::default();
        for _ in 1..levels {
            let variant = VariantTensorDataProto { tensors: vec![tensor], ..Default::default() };
            tensor = TensorProto { variant_val: vec![variant], ..Default::default() };
        }
        tensor.encode_to_vec().into()
    }

    #[test]
    fn bytes_fields_are_slices_of_the_source() {
        let content = Bytes::from(vec![7; 4096]);
        let tensor = TensorProto { tensor_content: content, ..Default::default() };
        let source = Bytes::from(tensor.encode_to_vec());
        let read = TensorProto::decode(source.clone()).unwrap();
        assert!(source.as_ptr_range().contains(&read.tensor_content.as_ptr()));
        assert_eq!(read, tensor);
    }

    #[test]
    fn packed_and_unpacked_are_both_read() {
        let packed = TensorProto::decode(&[0x3A, 2, 1, 2][..]).unwrap();
        let unpacked = TensorProto::decode(&[0x38, 1, 0x38, 2][..]).unwrap();
        assert_eq!(packed.int_val, [1, 2]);
        assert_eq!(unpacked, packed);
    }

    #[test]
    fn an_unknown_enum_number_is_kept() {
        let entry = BundleEntryProto::decode(&[0x08, 200, 1][..]).unwrap();
        assert_eq!(entry.dtype, 200);
        assert!(DataType::try_from(entry.dtype).is_err());
    }

    #[test]
    fn an_empty_shape_is_not_an_absent_one() {
        let entry = BundleEntryProto::decode(&[0x12, 0][..]).unwrap();
        assert_eq!(entry.shape, Some(TensorShapeProto::default()));
        assert_eq!(BundleEntryProto::default().shape, None);
    }

    #[test]
    fn deep_nesting_is_an_error() {
        assert!(TensorProto::decode(nested_tensor(50)).is_ok());
        let error = TensorProto::decode(nested_tensor(60)).unwrap_err();
        assert!(error.to_string().contains("recursion limit reached"), "{error}");
    }
}
