//! Columns that are being made, many values at a time: what a listing has side by side is copied at once.

use super::text;
use arrow_array::builder::{NullBufferBuilder, OffsetBufferBuilder};
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, ArrowPrimitiveType, ListArray, PrimitiveArray, StringArray};
use arrow_schema::{ArrowError, DataType, Field};
use std::sync::Arc;

/// Text.
pub(crate) struct Texts {
    text: String,
    ends: OffsetBufferBuilder<i32>,
    nulls: NullBufferBuilder,
}

impl Texts {
    /// Makes room for so many values, and for so much text in all of them.
    pub(crate) fn reserve(&mut self, values: usize, text: usize) {
        self.ends.reserve(values);
        self.text.reserve(text);
    }

    /// Appends a value.
    pub(crate) fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.ends.push_length(value.len());
        self.nulls.append_non_null();
    }

    /// Appends a value, or none.
    pub(crate) fn push_option(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.push(value),
            None => {
                self.ends.push_length(0);
                self.nulls.append_null();
            }
        }
    }

    /// Appends the same value so many times.
    pub(crate) fn repeat(&mut self, value: &str, times: usize) {
        self.reserve(times, value.len().saturating_mul(times));
        for _ in 0..times {
            self.text.push_str(value);
            self.ends.push_length(value.len());
        }
        self.nulls.append_n_non_nulls(times);
    }

    /// Appends names, which stand in `bytes` one behind the other.
    pub(crate) fn extend<'a>(
        &mut self,
        bytes: &[u8],
        names: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        match std::str::from_utf8(bytes) {
            Ok(all) if all.is_ascii() => {
                self.reserve(names.len(), all.len());
                self.text.push_str(all);
                self.nulls.append_n_non_nulls(names.len());
                names.for_each(|name| self.ends.push_length(name.len()));
            }
            _ => names.for_each(|name| self.push(&text(name))),
        }
    }

    /// Value `i`; nothing, if it is null.
    pub(crate) fn get(&self, i: usize) -> &str {
        let end = |i: usize| self.ends.get(i).and_then(|&end| usize::try_from(end).ok());
        let range = end(i).zip(end(i + 1));
        range.and_then(|(start, end)| self.text.get(start..end)).unwrap_or_default()
    }

    /// The column; it is empty then.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let done = std::mem::take(self);
        if i32::try_from(done.text.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(done.text.len()));
        }
        let (ends, nulls) = (done.ends.finish(), done.nulls.build());
        let array = StringArray::try_new(ends, done.text.into_bytes().into(), nulls)?;
        Ok(Arc::new(array))
    }
}

impl Clone for Texts {
    fn clone(&self) -> Self {
        let mut copy = Self::default();
        let rows = self.nulls.len();
        for i in 0..rows {
            copy.push_option(self.nulls.is_valid(i).then(|| self.get(i)));
        }
        copy
    }
}

impl Default for Texts {
    fn default() -> Self {
        let ends = OffsetBufferBuilder::new(0);
        Self { text: String::new(), ends, nulls: NullBufferBuilder::new(0) }
    }
}

/// Numbers.
pub(crate) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    /// Appends a value, or none.
    pub(crate) fn push_option(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    /// Appends values.
    pub(crate) fn extend(&mut self, values: impl ExactSizeIterator<Item = T::Native>) {
        self.nulls.append_n_non_nulls(values.len());
        self.values.extend(values);
    }

    /// The column; it is empty then.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let done = std::mem::take(self);
        let array = PrimitiveArray::<T>::try_new(done.values.into(), done.nulls.build())?;
        Ok(Arc::new(array))
    }
}

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

/// Lists of numbers.
pub(crate) struct Lists {
    values: Vec<i64>,
    ends: OffsetBufferBuilder<i32>,
}

impl Lists {
    /// Appends lists, whose `values` stand one behind the other.
    pub(crate) fn extend(
        &mut self,
        values: impl Iterator<Item = i64>,
        lengths: impl ExactSizeIterator<Item = usize>,
    ) {
        self.values.extend(values);
        self.ends.reserve(lengths.len());
        lengths.for_each(|length| self.ends.push_length(length));
    }

    /// The column; it is empty then.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let done = std::mem::take(self);
        if i32::try_from(done.values.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(done.values.len()));
        }
        let item = Arc::new(Field::new("item", DataType::Int64, true));
        let values = PrimitiveArray::<Int64Type>::try_new(done.values.into(), None)?;
        Ok(Arc::new(ListArray::try_new(item, done.ends.finish(), Arc::new(values), None)?))
    }
}

impl Default for Lists {
    fn default() -> Self {
        Self { values: Vec::new(), ends: OffsetBufferBuilder::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;

    #[test]
    fn texts() {
        let mut texts = Texts::default();
        texts.extend(b"abc", [&b"a"[..], b"", b"bc"].into_iter());
        texts.push_option(None);
        texts.extend(b"\xffx", [&b"\xff"[..], b"x"].into_iter());
        // A character that two names share is none.
        texts.extend("ä".as_bytes(), [&b"\xc3"[..], b"\xa4"].into_iter());
        texts.repeat("z", 2);
        let want = ["a", "", "bc", "", "\\xff", "x", "\\xc3", "\\xa4", "z", "z"];
        assert_eq!((0..10).map(|i| texts.get(i)).collect::<Vec<_>>(), want);
        let (copy, whole) = (texts.clone().finish().unwrap(), texts.finish().unwrap());
        assert_eq!(&copy, &whole);
        let whole = whole.as_string::<i32>();
        assert_eq!(whole.iter().map(Option::unwrap_or_default).collect::<Vec<_>>(), want);
        assert_eq!(whole.iter().position(|text| text.is_none()), Some(3));
        assert_eq!(texts.finish().unwrap().len(), 0);
    }
}
