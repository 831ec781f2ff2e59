use super::*;
use crate::dtype::Layout;
use crate::limits::MAX_FILLED_TENSOR;
use crate::proto::{self, TensorProto};
use crate::varint::put_varint;
use proptest::prelude::*;
use prost::Message;

fn varints(values: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    values.iter().for_each(|&value| put_varint(&mut out, value));
    out
}

/// A field of bytes.
fn len(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varints(&[number << 3 | 2, bytes.len() as u64]), bytes.to_vec()].concat()
}

fn varint(number: u64, value: u64) -> Vec<u8> {
    varints(&[number << 3, value])
}

fn fixed32(number: u64, bytes: [u8; 4]) -> Vec<u8> {
    [varints(&[number << 3 | 5]), bytes.to_vec()].concat()
}

fn shape(dims: &[i64]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| len(2, &varint(1, dim as u64))).collect();
    len(2, &dims)
}

/// A message with a type, a shape and more fields.
fn tensor(dtype: DataType, dims: &[i64], rest: &[Vec<u8>]) -> Bytes {
    [varint(1, dtype.0 as u64), shape(dims), rest.concat()].concat().into()
}

fn read(dtype: DataType, dims: &[i64], rest: &[Vec<u8>]) -> Elements {
    decode(&tensor(dtype, dims, rest)).unwrap().elements
}

/// What is wrong. It is always corruption.
fn refused(dtype: DataType, dims: &[i64], rest: &[Vec<u8>]) -> String {
    let fault = decode(&tensor(dtype, dims, rest)).unwrap_err();
    assert_eq!((fault.kind(), fault.part()), (crate::FaultKind::Corruption, "tensor"));
    fault.to_string()
}

fn raw(bytes: impl AsRef<[u8]>) -> Elements {
    Elements::Raw(Bytes::copy_from_slice(bytes.as_ref()))
}

fn splat(bytes: impl AsRef<[u8]>) -> Elements {
    Elements::Splat(Bytes::copy_from_slice(bytes.as_ref()))
}

fn list(items: &[&'static str]) -> Elements {
    Elements::List(items.iter().map(|&item| Bytes::from(item)).collect())
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn is_slice_of(part: &Bytes, whole: &Bytes) -> bool {
    whole.as_ptr_range().contains(&part.as_ptr())
}

const HUGE: i64 = 1 << 40;
use DataType as T;

#[test]
fn types_and_shapes_that_are_none() {
    for number in [0, -1, 34, 100, 101, 133, i32::MIN] {
        let text = refused(DataType(number), &[0], &[]);
        assert!(text.contains(&format!("(number {number}) has no values")), "{text}");
    }
    assert!(decode(&Bytes::new()).unwrap_err().to_string().contains("type invalid (number 0)"));
    assert!(refused(T::FLOAT, &[2, -1], &[]).contains("[2, -1] has a negative dimension"));
    assert!(refused(T::FLOAT, &[0, -1], &[]).contains("negative dimension"));
    assert!(refused(T::FLOAT, &[1; 255], &[]).contains("255 dimensions or more, at most 254"));
    assert!(refused(T::FLOAT, &[1; 200], &[shape(&[1; 55])]).contains("255 dimensions"));
    assert!(refused(T::FLOAT, &[HUGE, HUGE], &[]).contains("more than 2^63 elements"));
    assert_eq!(read(T::FLOAT, &[1; 254], &[len(5, &floats(&[3.0]))]), raw(floats(&[3.0])));
    assert!(refused(T::FLOAT, &[1], &[len(2, &[0x12, 9])]).contains("unable to parse it"));
}

#[test]
fn no_elements_no_payload() {
    assert_eq!(read(T::FLOAT, &[0], &[len(4, b"abc"), len(5, b"abc")]), raw(b""));
    assert_eq!(read(T::STRING, &[3, 0], &[len(4, b"abc"), len(8, b"abc")]), list(&[]));
    assert_eq!(read(T::INT32, &[0, HUGE, HUGE], &[]), raw(b""));
}

#[test]
fn content_wins() {
    let content = floats(&[1.0, 2.0]);
    let fields = [len(5, &floats(&[7.0, 8.0])), len(4, &content)];
    assert_eq!(read(T::FLOAT, &[2], &fields), raw(&content));
    assert_eq!(read(T::FLOAT, &[2], &[len(4, b"abc"), len(4, &content)]), raw(&content));
    let empty_last = [len(4, &content), len(4, b""), len(5, &floats(&[7.0]))];
    assert_eq!(read(T::FLOAT, &[2], &empty_last), splat(floats(&[7.0])));
    for size in [4, 12] {
        let text = refused(T::FLOAT, &[2], &[len(4, &vec![0; size])]);
        let want =
            format!("tensor_content has {size} bytes, want 2 times 4 for float32 of shape [2]");
        assert!(text.contains(&want), "{text}");
    }
    assert!(refused(T::COMPLEX128, &[1 << 62], &[len(4, b"ab")]).contains("has 2 bytes"));
    assert_eq!(read(T::BOOL, &[2], &[len(4, &[1, 0])]), raw([1, 0]));
    assert!(refused(T::BOOL, &[2], &[len(4, &[1, 2])]).contains("a bool is 2, want 0 or 1"));
    // One byte an element; TensorFlow keeps the other bits, and ignores them.
    assert_eq!(read(T::INT4, &[3], &[len(4, &[0xff, 0x0f, 0x12])]), raw([0x0f, 0x0f, 2]));
    assert_eq!(read(T::UINT2, &[2], &[len(4, &[0xff, 2])]), raw([3, 2]));
    assert!(refused(T::INT4, &[4], &[len(4, &[0x21, 0x43])]).contains("want 4 times 1"));
}

#[test]
fn content_of_strings() {
    assert_eq!(read(T::STRING, &[2], &[len(4, b"\0\x03abc")]), list(&["", "abc"]));
    assert_eq!(read(T::STRING, &[2], &[len(4, b"\x80\0\x83\x80\0abc")]), list(&["", "abc"]));
    // What TensorFlow's own serialize_tensor writes for variants.
    assert_eq!(read(T::VARIANT, &[2], &[len(4, b"\x01\x02abc")]), list(&["a", "bc"]));
    assert_eq!(read(T::RESOURCE, &[], &[len(4, b"\x01a")]), list(&["a"]));
    let text = |bytes: &[u8], dim| refused(T::STRING, &[dim], &[len(4, bytes)]);
    assert!(text(b"\0\x02abc", 2).contains("add up to 2 bytes, but 3 are stored"));
    assert!(text(b"\0\x04abc", 2).contains("add up to 4 bytes, but 3 are stored"));
    assert!(text(b"\0\x03abc", HUGE).contains("5 bytes for string of shape [1099511627776]"));
    assert!(text(b"\x80\x80", 2).contains("cut in its lengths: the bytes end too early"));
    assert!(text(b"\x83\x80\x80\x80\x80\0abc", 1).contains("a varint is too long"));
    assert!(text(b"\xff\xff\xff\xff\x0fabc", 1).contains("add up to 4294967295 bytes"));
}

#[test]
fn fewer_values_the_last_repeats() {
    let two = len(5, &floats(&[1.0, 2.0]));
    assert_eq!(
        read(T::FLOAT, &[2, 2], std::slice::from_ref(&two)),
        raw(floats(&[1.0, 2.0, 2.0, 2.0]))
    );
    assert_eq!(read(T::FLOAT, &[2], std::slice::from_ref(&two)), raw(floats(&[1.0, 2.0])));
    assert_eq!(read(T::FLOAT, &[1], &[two]), raw(floats(&[1.0])), "extra ones are ignored");
    for n in 3..40 {
        let want: Vec<u8> = [1, 2].into_iter().chain(std::iter::repeat_n(3, n - 2)).collect();
        assert_eq!(read(T::UINT8, &[n as i64], &[len(7, &[1, 2, 3])]), raw(want));
    }
    assert_eq!(read(T::FLOAT, &[3], &[]), splat([0; 4]));
    assert_eq!(read(T::COMPLEX128, &[], &[]), splat([0; 16]));
    assert_eq!(read(T::BOOL, &[3], &[varint(11, 1)]), splat([1]));
    assert_eq!(read(T::INT8, &[5], &[len(7, &[7, 7, 7])]), splat([7]));
    let zeros = [0.0_f32, -0.0].map(|zero| zero.to_le_bytes());
    assert_eq!(
        read(T::FLOAT, &[3], &[len(5, &zeros.concat())]),
        raw([zeros[0], zeros[1], zeros[1]].concat()),
        "equal is equal in bits"
    );
    let two = [len(8, b"a"), len(8, b"b")];
    assert_eq!(read(T::STRING, &[3], &two), list(&["a", "b", "b"]));
    assert_eq!(read(T::STRING, &[1], &two), list(&["a"]));
    assert_eq!(read(T::STRING, &[3], &two[..1]), Elements::SplatList("a".into()));
    assert_eq!(read(T::STRING, &[2], &[]), Elements::SplatList(Bytes::new()));
}

#[test]
fn missing_messages_are_default_ones() {
    for (dtype, number) in [(T::RESOURCE, 14), (T::VARIANT, 15)] {
        assert_eq!(read(dtype, &[3], &[len(number, b"a")]), list(&["a", "", ""]));
        assert_eq!(read(dtype, &[1], &[len(number, b"a"), len(number, b"b")]), list(&["a"]));
        let empty = Elements::SplatList(Bytes::new());
        assert_eq!(read(dtype, &[HUGE], &[]), empty);
        assert_eq!(read(dtype, &[HUGE], &[len(number, b""), len(number, b"")]), empty);
    }
}

#[test]
fn values_are_cut_to_their_type() {
    let ints =
        |dtype, values: &[u64]| read(dtype, &[values.len() as i64], &[len(7, &varints(values))]);
    let minus_two = -2_i64 as u64;
    assert_eq!(ints(T::UINT8, &[300]), raw([44]));
    assert_eq!(ints(T::INT8, &[300, minus_two]), raw([44, 0xfe]));
    assert_eq!(ints(T::QINT16, &[3 << 16 | 7]), raw([7, 0]));
    assert_eq!(ints(T::INT32, &[(1 << 32) + 5, minus_two]), raw([5, 0, 0, 0, 254, 255, 255, 255]));
    assert_eq!(ints(T::INT4, &[100, 15, u64::MAX]), raw([4, 15, 15]));
    assert_eq!(ints(T::INT2, &[7, 2]), raw([3, 2]));
    let short = |dtype, number, value| read(dtype, &[], &[varint(number, value)]);
    assert_eq!(short(T::HALF, 13, 0x13e00), raw([0x00, 0x3e]));
    assert_eq!(short(T::BFLOAT16, 13, 0xf_3f80), raw([0x80, 0x3f]));
    assert_eq!(short(T::UINT32, 16, (1 << 32) + 5), raw([5, 0, 0, 0]));
    assert_eq!(short(T::UINT64, 17, u64::MAX), raw([0xff; 8]));
    assert_eq!(read(T::BOOL, &[4], &[len(11, &varints(&[256, 1 << 40, 0, 2]))]), raw([1, 1, 0, 1]));
}

#[test]
fn octets_are_one_field() {
    assert_eq!(read(T::FLOAT8_E5M2, &[3], &[len(18, &[1, 2])]), raw([1, 2, 2]));
    assert_eq!(
        read(T::FLOAT8_E4M3FN, &[3], &[len(18, &[1, 2, 3]), len(18, &[5])]),
        splat([5]),
        "no list: the last one counts"
    );
    assert_eq!(read(T::FLOAT8_E4M3FN, &[3], &[]), splat([0]));
    assert_eq!(read(T::FLOAT4_E2M1FN, &[3], &[len(18, &[0xf2, 3])]), raw([2, 3, 3]));
}

#[test]
fn complex_numbers_are_pairs() {
    let one = len(9, &floats(&[1.0]));
    assert_eq!(
        read(T::COMPLEX64, &[2], std::slice::from_ref(&one)),
        splat([0; 8]),
        "half of one is none"
    );
    let three = [one.clone(), len(9, &floats(&[2.0, 3.0]))];
    assert_eq!(read(T::COMPLEX64, &[2], &three), splat(floats(&[1.0, 2.0])));
    let four = [three.concat(), fixed32(9, 4_f32.to_le_bytes())];
    assert_eq!(read(T::COMPLEX64, &[2], &four), raw(floats(&[1.0, 2.0, 3.0, 4.0])));
    assert_eq!(read(T::COMPLEX64, &[1], &four), raw(floats(&[1.0, 2.0])));
}

#[test]
fn lists_in_pieces_and_fields_of_other_wire_types() {
    let pieces = [
        fixed32(5, 1_f32.to_le_bytes()),
        varint(5, 9),
        len(6, b"no double"),
        len(5, &floats(&[2.0, 3.0])),
        len(5, &[]),
        fixed32(5, 4_f32.to_le_bytes()),
    ];
    assert_eq!(read(T::FLOAT, &[4], &pieces), raw(floats(&[1.0, 2.0, 3.0, 4.0])));
    let pieces = [varint(7, 1), fixed32(7, [9; 4]), len(7, &[2, 3]), varint(7, 4)];
    assert_eq!(read(T::UINT8, &[4], &pieces), raw([1, 2, 3, 4]));
    let other = [varint(4, 9), fixed32(1, [9; 4]), len(1, &[3]), len(7, &[2])];
    assert_eq!(read(T::UINT8, &[], &other), raw([2]));
    let twice = [varint(1, T::UINT8.0 as u64), shape(&[3]), len(7, &[5])];
    let value = decode(&tensor(T::FLOAT, &[2], &twice)).unwrap();
    assert_eq!((value.dtype, value.shape.dims()), (T::UINT8, &[2, 3][..]));
    let unknown_rank = [len(2, &varint(3, 1)), len(7, &[5, 6])];
    assert_eq!(read(T::UINT8, &[2], &unknown_rank), raw([5, 6]));
    assert_eq!(read(T::UINT8, &[], &[vec![0x3b, 0x3c], len(7, &[5])]), raw([5]), "a group");
}

#[test]
fn broken() {
    assert!(refused(T::FLOAT, &[9], &[len(5, &[0; 5])]).contains("5 bytes of numbers of 4 bytes"));
    assert!(refused(T::INT64, &[9], &[len(10, &[0x80])]).contains("the bytes end too early"));
    assert!(refused(T::INT64, &[1], &[len(10, &[0xff; 11])]).contains("a varint is too long"));
    assert!(refused(T::INT64, &[1], &[vec![0x3a, 5, 1]]).contains("unable to parse it"));
    assert!(refused(T::INT64, &[1], &[vec![0]]).contains("unable to parse it"));
}

#[test]
fn slices_of_the_message() {
    let four = floats(&[1.0, 2.0, 3.0, 4.0]);
    let cases = [
        (T::FLOAT, len(4, &four)),
        (T::FLOAT, len(5, &four)),
        (
            T::FLOAT,
            [len(5, &[]), len(5, &floats(&[1.0, 2.0, 3.0, 4.0, 5.0])), len(5, &four)].concat(),
        ),
        (T::UINT4, len(4, &[1, 2, 3, 15])),
        (T::FLOAT8_E5M2, len(18, &four)),
    ];
    for (dtype, rest) in cases {
        let message = tensor(dtype, &[4], &[rest]);
        let value = decode(&message).unwrap();
        let Elements::Raw(bytes) = value.elements else { panic!("{dtype} is not raw") };
        assert_eq!(bytes.len(), 4 * dtype.width().unwrap());
        assert!(is_slice_of(&bytes, &message), "{dtype}");
    }
    for rest in [len(4, b"\x01\x02abc"), [len(8, b"a"), len(8, b"bc")].concat()] {
        let message = tensor(T::STRING, &[2], &[rest]);
        let Elements::List(items) = decode(&message).unwrap().elements else { panic!("no list") };
        assert_eq!(items, ["a", "bc"]);
        assert!(items.iter().all(|item| is_slice_of(item, &message)));
    }
}

/// The data of the V1 records in FORMAT B.5 and 6.1, which have no type and shape of their own.
#[test]
fn records_of_the_format() {
    let read = |dtype, data: &[u8], n| read(dtype, &[n], &[data.to_vec()]);
    let longs = b"\x52\x0d\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\xac\x02";
    let want: Vec<u8> = [1_i64, -2, 300].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(read(T::INT64, longs, 3), raw(want));
    let halves = b"\x6a\x06\x80\x7c\x80\x80\x03\x00";
    assert_eq!(read(T::HALF, halves, 3), raw([0x00, 0x3e, 0x00, 0xc0, 0, 0]));
    assert_eq!(read(T::STRING, b"\x42\0\x42\x03abc", 2), list(&["", "abc"]));
    let pairs = floats(&[1.0, 2.0, 3.0, 0.0]);
    assert_eq!(read(T::COMPLEX64, &[&b"\x4a\x10"[..], &pairs].concat(), 2), raw(&pairs));
    let bytes = b"\x3a\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02";
    assert_eq!(read(T::INT8, bytes, 2), raw([0xff, 2]));
}

#[test]
fn shapes_that_claim_too_much() {
    assert_eq!(read(T::FLOAT, &[HUGE], &[fixed32(5, [1; 4])]), splat([1; 4]));
    assert_eq!(read(T::COMPLEX128, &[i64::MAX], &[]), splat([0; 16]));
    assert_eq!(read(T::STRING, &[HUGE], &[len(8, b"a")]), Elements::SplatList("a".into()));
    let too_many = [
        (T::UINT8, HUGE, len(7, &[1, 2])),
        (T::FLOAT, i64::MAX, len(5, &floats(&[1.0, 2.0]))),
        (T::UINT8, MAX_FILLED_TENSOR as i64 + 1, len(7, &[1, 2])),
        (T::STRING, HUGE, [len(8, b"a"), len(8, b"b")].concat()),
        (T::VARIANT, HUGE, len(15, b"a")),
    ];
    for (dtype, n, values) in too_many {
        let fault = decode(&tensor(dtype, &[n], &[values])).unwrap_err();
        assert_eq!(fault.kind(), crate::FaultKind::Unsupported);
        let text = fault.to_string();
        assert!(text.contains(&format!("to fill {n} elements of ")), "{text}");
        assert!(text.contains("limit of 1073741824 bytes (MAX_FILLED_TENSOR)"), "{text}");
    }
}

#[test]
fn summaries() {
    let sum = |dtype, dims: &[i64], rest: &[Vec<u8>]| {
        let summary = summary(&tensor(dtype, dims, rest)).unwrap();
        assert_eq!(summary.dtype, dtype);
        assert_eq!(summary.shape, Shape::new(dims).unwrap());
        summary.stored
    };
    assert_eq!(sum(T::FLOAT, &[HUGE], &[]), 0);
    assert_eq!(sum(T::FLOAT, &[3], &[len(4, &[0; 12]), len(5, &[0; 4])]), 12);
    assert_eq!(sum(T::FLOAT, &[3], &[len(5, &[0; 8]), fixed32(5, [0; 4]), len(6, &[0; 8])]), 12);
    assert_eq!(sum(T::INT64, &[3], &[len(10, &[1, 2]), varint(10, 300), varint(10, 0)]), 5);
    assert_eq!(sum(T::INT64, &[1], &[varint(10, u64::MAX)]), 10);
    assert_eq!(sum(T::STRING, &[3], &[len(8, b"ab"), len(8, b""), len(8, b"c")]), 3);
    assert_eq!(sum(T::FLOAT8_E5M2, &[3], &[len(18, &[1, 2, 3]), len(18, &[1])]), 1);
    assert!(summary(&tensor(T::FLOAT, &[-1], &[])).is_err());
    assert!(summary(&tensor(DataType(101), &[], &[])).is_err());
    assert!(summary(&[0x2a, 5]).is_err());
}

/// All elements, written out.
fn expand(value: &TensorValue) -> Vec<Vec<u8>> {
    let n = value.shape.elements() as usize;
    match &value.elements {
        Elements::Raw(bytes) => {
            let width = value.dtype.width().unwrap();
            assert_eq!(bytes.len(), n * width);
            bytes.chunks_exact(width).map(<[u8]>::to_vec).collect()
        }
        Elements::List(items) => {
            assert_eq!(items.len(), n);
            items.iter().map(|item| item.to_vec()).collect()
        }
        Elements::Splat(bytes) => {
            assert_eq!(bytes.len(), value.dtype.width().unwrap());
            vec![bytes.to_vec(); n]
        }
        Elements::SplatList(bytes) => vec![bytes.to_vec(); n],
    }
}

/// The values of a tensor of this type as prost has them, each as the bytes of an element.
fn values_of(tensor: &TensorProto, dtype: DataType) -> Vec<Vec<u8>> {
    fn bytes<T: Copy, const N: usize>(list: &[T], le: impl Fn(T) -> [u8; N]) -> Vec<Vec<u8>> {
        list.iter().map(|&value| le(value).to_vec()).collect()
    }
    let pairs = |halves: Vec<Vec<u8>>| halves.chunks_exact(2).map(<[_]>::concat).collect();
    let narrow = |values: &[i32], mask: i32| {
        let cut = |value: &i32| (value & mask).to_le_bytes()[..dtype.width().unwrap()].to_vec();
        values.iter().map(cut).collect()
    };
    match dtype {
        T::FLOAT => bytes(&tensor.float_val, f32::to_le_bytes),
        T::DOUBLE => bytes(&tensor.double_val, f64::to_le_bytes),
        T::COMPLEX64 => pairs(bytes(&tensor.scomplex_val, f32::to_le_bytes)),
        T::COMPLEX128 => pairs(bytes(&tensor.dcomplex_val, f64::to_le_bytes)),
        T::INT64 => bytes(&tensor.int64_val, i64::to_le_bytes),
        T::UINT32 => bytes(&tensor.uint32_val, u32::to_le_bytes),
        T::UINT64 => bytes(&tensor.uint64_val, u64::to_le_bytes),
        T::BOOL => bytes(&tensor.bool_val, |value| [u8::from(value)]),
        T::HALF | T::BFLOAT16 => narrow(&tensor.half_val, -1),
        T::STRING => tensor.string_val.iter().map(|item| item.to_vec()).collect(),
        T::VARIANT => tensor.variant_val.iter().map(Message::encode_to_vec).collect(),
        T::RESOURCE => tensor.resource_handle_val.iter().map(Message::encode_to_vec).collect(),
        T::FLOAT4_E2M1FN => tensor.float8_val.iter().map(|byte| vec![byte & 15]).collect(),
        _ if (24..29).contains(&dtype.0) => bytes(&tensor.float8_val, |byte| [byte]),
        T::INT4 | T::UINT4 => narrow(&tensor.int_val, 15),
        T::INT2 | T::UINT2 => narrow(&tensor.int_val, 3),
        _ => narrow(&tensor.int_val, -1),
    }
}

/// A tensor with the same values in the fields of all types.
fn with_values(dtype: DataType, dims: &[i64], values: &[u64]) -> TensorProto {
    let items = values.iter().map(|value| value.to_string());
    let dim = |&size: &i64| proto::tensor_shape_proto::Dim { size, ..Default::default() };
    let variant = |type_name| proto::VariantTensorDataProto { type_name, ..Default::default() };
    let resource = |name| proto::ResourceHandleProto { name, ..Default::default() };
    let ints: Vec<i32> = values.iter().map(|&value| value as i32).collect();
    let singles: Vec<f32> = values.iter().map(|&value| value as f32).collect();
    let doubles: Vec<f64> = values.iter().map(|&value| value as f64).collect();
    TensorProto {
        dtype: dtype.0,
        tensor_shape: Some(proto::TensorShapeProto {
            dim: dims.iter().map(dim).collect(),
            unknown_rank: false,
        }),
        version_number: 0,
        tensor_content: Bytes::new(),
        float_val: singles.clone(),
        double_val: doubles.clone(),
        int_val: ints.clone(),
        string_val: items.clone().map(Bytes::from).collect(),
        scomplex_val: singles,
        int64_val: values.iter().map(|&value| value as i64).collect(),
        bool_val: values.iter().map(|value| value % 2 == 1).collect(),
        dcomplex_val: doubles,
        half_val: ints,
        resource_handle_val: items.clone().map(resource).collect(),
        variant_val: items.map(variant).collect(),
        uint32_val: values.iter().map(|&value| value as u32).collect(),
        uint64_val: values.to_vec(),
        float8_val: values.iter().map(|&value| value as u8).collect(),
    }
}

/// The same message with each list in two pieces, the second of them not packed.
fn in_pieces(message: &[u8], cut: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for field in crate::pb::raw_fields(message) {
        let (number, value, bytes) = field.unwrap();
        let unit = match (number, value) {
            (5 | 9, Value::Len(list)) => Some((4, list)),
            (6 | 12, Value::Len(list)) => Some((8, list)),
            (7 | 10 | 11 | 13 | 16 | 17, Value::Len(list)) => Some((1, list)),
            _ => None,
        };
        let Some((unit, list)) = unit else {
            out.extend_from_slice(bytes);
            continue;
        };
        let number = u64::from(number);
        if unit == 1 {
            let values: Vec<_> = crate::pb::packed_varints(list).map(Result::unwrap).collect();
            let (packed, single) = values.split_at(cut.min(values.len()));
            out.extend(len(number, &varints(packed)));
            single.iter().for_each(|&value| out.extend(varint(number, value)));
        } else {
            let (packed, single) = list.split_at((cut * unit).min(list.len()));
            out.extend(len(number, packed));
            for value in single.chunks_exact(unit) {
                put_varint(&mut out, number << 3 | if unit == 4 { 5 } else { 1 });
                out.extend_from_slice(value);
            }
        }
    }
    out
}

fn any_dtype() -> impl Strategy<Value = DataType> {
    (1..=33).prop_map(DataType)
}

/// Of many sizes, often the same.
fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![0..3_u64, any::<u64>(), (0..64).prop_map(|bit| 1_u64 << bit)]
}

proptest! {
    #[test]
    fn as_prost_reads_it(
        dtype in any_dtype(),
        dims in prop::collection::vec(0..4_i64, 0..4),
        values in prop::collection::vec(any_value(), 0..12),
        cut in 0..12_usize,
    ) {
        let tensor = with_values(dtype, &dims, &values);
        let n = dims.iter().product::<i64>() as usize;
        let mut want = values_of(&tensor, dtype);
        let default = vec![0; dtype.width().unwrap_or(0)];
        let last = match dtype {
            T::VARIANT | T::RESOURCE => default,
            _ => want.last().cloned().unwrap_or(default),
        };
        want.resize(n.max(want.len()), last);
        want.truncate(n);
        let message = tensor.encode_to_vec();
        let pieces = in_pieces(&message, cut);
        prop_assert_eq!(&TensorProto::decode(&pieces[..]).unwrap(), &tensor);
        for message in [message, pieces] {
            let value = decode(&message.clone().into()).unwrap();
            prop_assert_eq!(expand(&value), want.clone());
            prop_assert_eq!(value.dtype, dtype);
            let summary = summary(&message).unwrap();
            prop_assert_eq!((summary.dtype, &summary.shape), (value.dtype, &value.shape));
        }
    }

    #[test]
    fn content_as_prost_writes_it(dtype in any_dtype(), items: Vec<Vec<u8>>, flip: bool) {
        let (content, want) = match dtype.layout() {
            Layout::Fixed { width, .. } => {
                let items = items.concat();
                let mask = if dtype == T::BOOL { 1 } else { low_mask(dtype) };
                let items: Vec<u8> = items.iter().map(|byte| byte & mask).collect();
                let items: Vec<_> = items.chunks_exact(width).map(<[u8]>::to_vec).collect();
                (items.concat(), items)
            }
            _ => {
                let lengths: Vec<_> = items.iter().map(|item| item.len() as u64).collect();
                ([varints(&lengths), items.concat()].concat(), items)
            }
        };
        prop_assume!(!content.is_empty());
        let mut tensor = with_values(dtype, &[want.len() as i64], &[1, 2]);
        tensor.tensor_content = content.into();
        let message = Bytes::from(tensor.encode_to_vec());
        prop_assert_eq!(summary(&message).unwrap().stored, tensor.tensor_content.len() as u64);
        prop_assert_eq!(expand(&decode(&message).unwrap()), want);
        if flip {
            tensor.tensor_content = [&tensor.tensor_content[..], &[0]].concat().into();
            prop_assert!(decode(&tensor.encode_to_vec().into()).is_err());
        }
    }

    #[test]
    fn bytes_of_any_kind(bytes: Vec<u8>) {
        held(&bytes.into());
    }

    /// The same, with a head that leads to the values.
    #[test]
    fn values_of_any_kind(
        dtype in any_dtype(),
        dims in prop_oneof![
            prop::collection::vec(0..40_i64, 0..3),
            prop::collection::vec(HUGE - 1..=HUGE, 1),
        ],
        number in prop_oneof![Just(None), Just(Some(4)), Just(Some(18))],
        values: Vec<u8>,
        rest: Vec<u8>,
    ) {
        let number = number.unwrap_or_else(|| u64::from(Field::of(dtype).unwrap().number));
        held(&tensor(dtype, &dims, &[len(number, &values), rest]));
    }
}

fn low_mask(dtype: DataType) -> u8 {
    match dtype {
        T::INT4 | T::UINT4 | T::FLOAT4_E2M1FN => 15,
        T::INT2 | T::UINT2 => 3,
        _ => 255,
    }
}

/// Nothing panics, and no more memory is taken than a multiple of the message, but for what the shape asks within
/// the limit.
fn held(message: &Bytes) {
    let stored = summary(message).map(|summary| summary.stored);
    let Ok(value) = decode(message) else { return };
    assert!(stored.unwrap() <= message.len() as u64);
    let (n, width) = (value.shape.elements(), value.dtype.width().unwrap_or(32) as u64);
    let taken = match &value.elements {
        Elements::Raw(bytes) => bytes.len() as u64,
        Elements::List(items) => items.len() as u64 * 32,
        Elements::Splat(bytes) | Elements::SplatList(bytes) => {
            assert!(bytes.len() <= message.len().max(16));
            return;
        }
    };
    assert_eq!(taken, n * width);
    assert!(taken <= message.len() as u64 * 32 || taken <= MAX_FILLED_TENSOR);
}
