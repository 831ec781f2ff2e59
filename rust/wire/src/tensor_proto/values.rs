//! The values of a tensor, made N elements.
//!
//! Each list is gone over twice: once to count, so that no more memory is asked for than the message has values,
//! and once to read. A file that changes in between can spoil values only.

use super::{Elements, Field, Form, Head, PART};
use crate::dtype::DataType;
use crate::limits::MAX_FILLED_TENSOR;
use crate::pb::{Value, packed_varints};
use crate::varint::{Cursor, count_varints};
use crate::{Fault, Result, with_capacity};
use bytes::Bytes;

/// The elements of a message with this head.
pub(super) fn elements(message: &Bytes, head: &Head<'_>) -> Result<Elements> {
    let count = head.shape.elements();
    if let Form::Items { repeats } = head.field.form {
        return match (count, head.content) {
            (0, _) => Ok(Elements::List(Vec::new())),
            (_, []) => fill_list(given_items(message, head.field, count)?, count, repeats),
            (_, content) => content_items(&message.slice_ref(content), head, count),
        };
    }
    let width = head.dtype.width().unwrap_or(1); // all others have a width
    if count == 0 {
        return Ok(Elements::Raw(Bytes::new()));
    }
    if !head.content.is_empty() {
        return dense_content(message.slice_ref(head.content), head, count, width);
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX).saturating_mul(width);
    let values = match head.field.form {
        Form::Fixed(unit) => given_numbers(message, head.field, unit, most)?,
        Form::Varints => given_varints(message, head, width, most)?,
        Form::Octets | Form::Items { .. } => given_octets(message, head, most)?,
    };
    fill_dense(values, count, width)
}

/// `tensor_content` of a type of fixed width.
fn dense_content(content: Bytes, head: &Head<'_>, count: u64, width: usize) -> Result<Elements> {
    let want = count.checked_mul(width as u64);
    if want != Some(content.len() as u64) {
        return Err(Fault::corrupt(
            PART,
            format!(
                "tensor_content has {} bytes, want {count} times {width} for {} of shape {}",
                content.len(),
                head.dtype,
                head.shape
            ),
        ));
    }
    if head.dtype == DataType::BOOL
        && let Some(byte) = content.iter().find(|&&byte| byte > 1)
    {
        return Err(Fault::corrupt(PART, format!("a bool is {byte}, want 0 or 1")));
    }
    Ok(Elements::Raw(clean(content, head.dtype)?))
}

/// `tensor_content` of strings; TensorFlow writes messages in the same way.
fn content_items(content: &Bytes, head: &Head<'_>, count: u64) -> Result<Elements> {
    // An item takes at least the byte of its length, so this also bounds the allocation.
    let count = usize::try_from(count).ok().filter(|&count| count <= content.len());
    let count = count.ok_or_else(|| {
        let (dtype, len, shape) = (head.dtype, content.len(), &head.shape);
        Fault::corrupt(PART, format!("tensor_content has {len} bytes for {dtype} of shape {shape}"))
    })?;
    let mut cursor = Cursor::new(content);
    let mut lengths = with_capacity(count, PART)?;
    let mut total = 0_u64;
    for _ in 0..count {
        let length = cursor.varint32().map_err(|short| {
            Fault::corrupt(PART, format!("tensor_content is cut in its lengths: {short}"))
        })?;
        total += u64::from(length); // fewer than 2^32 bytes each, and fewer of them than a file has bytes
        lengths.push(length);
    }
    let stored = cursor.rest().len();
    if total != stored as u64 {
        let what = format!(
            "the lengths in tensor_content add up to {total} bytes, but {stored} are stored"
        );
        return Err(Fault::corrupt(PART, what));
    }
    let mut items = with_capacity(count, PART)?;
    let mut start = cursor.pos();
    for length in lengths {
        let end = start + length as usize; // within `content`, as the total is
        items.push(content.slice(start..end));
        start = end;
    }
    Ok(Elements::List(items))
}

/// The first `most` bytes of a list of numbers, which may come in pieces.
fn given_numbers(message: &Bytes, field: Field, unit: usize, most: usize) -> Result<Bytes> {
    let mut total = 0_usize;
    let mut first = &[][..];
    for value in field.values(message) {
        let size = match value? {
            Value::Len(list) if list.len() % unit != 0 => {
                let what = format!("{} bytes of numbers of {unit} bytes each", list.len());
                return Err(Fault::corrupt(PART, what));
            }
            Value::Len(list) => {
                if total == 0 {
                    first = list;
                }
                list.len()
            }
            _ => unit,
        };
        total = total.saturating_add(size);
    }
    if first.len() >= most.min(total) {
        return Ok(message.slice_ref(first.get(..most).unwrap_or(first)));
    }
    let room = total.min(most);
    let mut out = with_capacity(room, PART)?;
    let mut put = |bytes: &[u8]| {
        let left = room - out.len();
        out.extend_from_slice(bytes.get(..left).unwrap_or(bytes));
    };
    for value in field.values(message) {
        match value? {
            Value::Len(list) => put(list),
            Value::Fixed32(value) => put(&value.to_le_bytes()),
            Value::Fixed64(value) => put(&value.to_le_bytes()),
            Value::Varint(_) => {}
        }
    }
    Ok(out.into())
}

/// The first `most` bytes of the elements that a list of varints is. Narrow ones keep their low bits.
fn given_varints(message: &Bytes, head: &Head<'_>, width: usize, most: usize) -> Result<Bytes> {
    let mut given = 0_usize;
    for value in head.field.values(message) {
        given += match value? {
            Value::Len(list) => count_varints(list) as usize,
            _ => 1,
        };
    }
    let room = given.saturating_mul(width).min(most);
    let mut out = with_capacity(room, PART)?;
    let bits = element_bits(head.dtype);
    let mut put = |value: u64| {
        if out.len() < room {
            out.extend_from_slice(bits(value).to_le_bytes().get(..width).unwrap_or_default());
        }
    };
    for value in head.field.values(message) {
        match value? {
            Value::Len(list) => {
                for value in packed_varints(list) {
                    put(value.map_err(super::malformed)?);
                }
            }
            Value::Varint(value) => put(value),
            _ => {}
        }
    }
    Ok(out.into())
}

/// The first `most` bytes of a field that is bytes, of which the last one counts.
fn given_octets(message: &Bytes, head: &Head<'_>, most: usize) -> Result<Bytes> {
    let mut last = &[][..];
    for value in head.field.values(message) {
        if let Value::Len(bytes) = value? {
            last = bytes;
        }
    }
    clean(message.slice_ref(last.get(..most).unwrap_or(last)), head.dtype)
}

/// The first `count` of the strings or messages.
fn given_items(message: &Bytes, field: Field, count: u64) -> Result<Vec<Bytes>> {
    let mut given = 0_usize;
    for value in field.values(message) {
        value?;
        given += 1;
    }
    let room = usize::try_from(count).unwrap_or(usize::MAX).min(given);
    let mut items = with_capacity(room, PART)?;
    for value in field.values(message).take(room) {
        if let Value::Len(item) = value? {
            items.push(message.slice_ref(item));
        }
    }
    Ok(items)
}

/// Makes the whole values in `values` `count` elements.
fn fill_dense(values: Bytes, count: u64, width: usize) -> Result<Elements> {
    let given = values.len() / width;
    let whole = values.get(..given * width).unwrap_or_default();
    if given as u64 >= count {
        return Ok(Elements::Raw(values.slice_ref(whole)));
    }
    let Some(first) = whole.get(..width) else {
        return Ok(Elements::Splat(vec![0; width].into()));
    };
    if whole.chunks_exact(width).all(|value| value == first) {
        return Ok(Elements::Splat(Bytes::copy_from_slice(first))); // lets go of the others
    }
    let size = filled(given, count, width)? * width;
    let mut out = with_capacity(size, PART)?;
    out.extend_from_slice(whole);
    // From here on there is only the last value: once, twice, four times, …
    let start = out.len() - width;
    while out.len() < size {
        let more = (out.len() - start).min(size - out.len());
        out.extend_from_within(start..start + more);
    }
    Ok(Elements::Raw(out.into()))
}

/// Makes strings or messages `count` elements.
fn fill_list(mut items: Vec<Bytes>, count: u64, repeats: bool) -> Result<Elements> {
    let given = items.len();
    if given as u64 >= count {
        return Ok(Elements::List(items));
    }
    let fill = items.last().filter(|_| repeats).cloned().unwrap_or_default();
    if items.iter().all(|item| *item == fill) {
        return Ok(Elements::SplatList(fill));
    }
    let count = filled(given, count, size_of::<Bytes>())?;
    let mut out = with_capacity(count, PART)?;
    out.append(&mut items);
    out.resize(count, fill);
    Ok(Elements::List(out))
}

/// How many elements values are filled up to, if it is a number that memory is given for.
fn filled(given: usize, count: u64, width: usize) -> Result<usize> {
    let most = MAX_FILLED_TENSOR / width as u64;
    usize::try_from(count).ok().filter(|_| count <= most).ok_or_else(|| {
        Fault::unsupported(
            PART,
            format!(
                "{given} values are to fill {count} elements of {width} bytes, \
                 more than the limit of {MAX_FILLED_TENSOR} bytes (MAX_FILLED_TENSOR)"
            ),
        )
    })
}

/// What makes an element of a varint.
pub(super) fn element_bits(dtype: DataType) -> impl Fn(u64) -> u64 {
    let (mask, is_bool) = (low_bits(dtype), dtype == DataType::BOOL);
    move |value| if is_bool { u64::from(value != 0) } else { value & mask }
}

/// The bits of a value that are the element's, for the types that have fewer than their bytes (FORMAT 4.5).
fn low_bits(dtype: DataType) -> u64 {
    match dtype {
        DataType::INT4 | DataType::UINT4 | DataType::FLOAT4_E2M1FN => 0x0f,
        DataType::INT2 | DataType::UINT2 => 0x03,
        _ => u64::MAX,
    }
}

/// Zeroes the bits that are no element's; almost always they are zero.
fn clean(bytes: Bytes, dtype: DataType) -> Result<Bytes> {
    let mask = low_bits(dtype) as u8;
    if mask == u8::MAX || bytes.iter().all(|byte| byte & !mask == 0) {
        return Ok(bytes);
    }
    let mut out = with_capacity(bytes.len(), PART)?;
    out.extend(bytes.iter().map(|byte| byte & mask));
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filled_up_to_the_limit() {
        let most = MAX_FILLED_TENSOR / 4;
        assert_eq!(filled(2, most, 4).unwrap() as u64, most);
        let fault = filled(2, most + 1, 4).unwrap_err();
        assert_eq!(fault.kind(), crate::FaultKind::Unsupported);
        assert!(fault.what().contains("2 values are to fill 268435457 elements of 4 bytes"));
        assert!(fault.what().contains("1073741824 bytes (MAX_FILLED_TENSOR)"));
    }
}
