//! TensorFlow's element types: numbers, names, widths (FORMAT 4.6).

use std::fmt;

/// A type's number. Numbers are open: a file may hold one that is newer than this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DataType(pub i32);

/// How a type's elements lie in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Elements of `width` bytes, of which units of `unit` bytes follow the file's byte order.
    Fixed {
        /// Bytes of an element.
        width: usize,
        /// Bytes of what a swap of the byte order turns around: half a complex number, else an element.
        unit: usize,
    },
    /// Lengths, then bytes (FORMAT 4.2).
    Strings,
    /// Messages, each behind its length (FORMAT 4.3).
    Variants,
    /// Never in a checkpoint, or not known.
    None,
}

macro_rules! types {
    ($($number:literal $constant:ident $name:literal $layout:expr;)*) => {
        impl DataType {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: DataType = DataType($number);)*
        }
        /// Indexed by number.
        const TABLE: &[(&str, Layout)] = &[$(($name, $layout)),*];
    };
}

const fn fixed(width: usize) -> Layout {
    Layout::Fixed { width, unit: width }
}

const fn complex(width: usize) -> Layout {
    Layout::Fixed { width, unit: width / 2 }
}

types! {
    0 INVALID "invalid" Layout::None;
    1 FLOAT "float32" fixed(4);
    2 DOUBLE "float64" fixed(8);
    3 INT32 "int32" fixed(4);
    4 UINT8 "uint8" fixed(1);
    5 INT16 "int16" fixed(2);
    6 INT8 "int8" fixed(1);
    7 STRING "string" Layout::Strings;
    8 COMPLEX64 "complex64" complex(8);
    9 INT64 "int64" fixed(8);
    10 BOOL "bool" fixed(1);
    11 QINT8 "qint8" fixed(1);
    12 QUINT8 "quint8" fixed(1);
    13 QINT32 "qint32" fixed(4);
    14 BFLOAT16 "bfloat16" fixed(2);
    15 QINT16 "qint16" fixed(2);
    16 QUINT16 "quint16" fixed(2);
    17 UINT16 "uint16" fixed(2);
    18 COMPLEX128 "complex128" complex(16);
    19 HALF "float16" fixed(2);
    20 RESOURCE "resource" Layout::None;
    21 VARIANT "variant" Layout::Variants;
    22 UINT32 "uint32" fixed(4);
    23 UINT64 "uint64" fixed(8);
    24 FLOAT8_E5M2 "float8_e5m2" fixed(1);
    25 FLOAT8_E4M3FN "float8_e4m3fn" fixed(1);
    26 FLOAT8_E4M3FNUZ "float8_e4m3fnuz" fixed(1);
    27 FLOAT8_E4M3B11FNUZ "float8_e4m3b11fnuz" fixed(1);
    28 FLOAT8_E5M2FNUZ "float8_e5m2fnuz" fixed(1);
    29 INT4 "int4" fixed(1);
    30 UINT4 "uint4" fixed(1);
    31 INT2 "int2" fixed(1);
    32 UINT2 "uint2" fixed(1);
    33 FLOAT4_E2M1FN "float4_e2m1fn" fixed(1);
}

/// A reference type is its base type plus this. Graphs have them, checkpoints never.
const REF: i32 = 100;

impl DataType {
    fn row(self) -> Option<&'static (&'static str, Layout)> {
        TABLE.get(usize::try_from(self.0).ok()?)
    }

    /// TensorFlow's Python name, if the number is known.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|row| row.0)
    }

    /// How its elements lie in a shard.
    pub fn layout(self) -> Layout {
        self.row().map_or(Layout::None, |row| row.1)
    }

    /// Bytes of an element, for types of fixed width.
    pub fn width(self) -> Option<usize> {
        match self.layout() {
            Layout::Fixed { width, .. } => Some(width),
            _ => None,
        }
    }

    /// The type of this name, as [`DataType::name`] gives it.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().zip(0..).find(|((known, _), _)| *known == name).map(|(_, i)| Self(i))
    }

    /// It is a reference to another type.
    pub fn is_ref(self) -> bool {
        self.0 > REF && self.0 - REF < TABLE.len() as i32
    }

    /// What a reference refers to; any other type is its own base.
    #[must_use]
    pub fn base(self) -> Self {
        if self.is_ref() { Self(self.0 - REF) } else { self }
    }

    /// The reference to this type.
    #[must_use]
    pub fn referred(self) -> Self {
        if self.0 > 0 && self.name().is_some() { Self(self.0 + REF) } else { self }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None if self.is_ref() => write!(f, "{}_ref", DataType(self.0 - REF)),
            None => write!(f, "unknown({})", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_numbers() {
        assert_eq!(TABLE.len(), 34);
        assert_eq!(DataType::FLOAT4_E2M1FN.name(), Some("float4_e2m1fn"));
        assert_eq!(DataType::STRING.layout(), Layout::Strings);
        assert_eq!(DataType::COMPLEX64.layout(), Layout::Fixed { width: 8, unit: 4 });
        assert_eq!(DataType::HALF.width(), Some(2));
    }

    #[test]
    fn names_of_any_number() {
        assert_eq!(DataType(101).to_string(), "float32_ref");
        assert!(DataType(133).is_ref() && !DataType(134).is_ref() && !DataType(100).is_ref());
        assert_eq!(DataType(101).base(), DataType::FLOAT);
        assert_eq!(
            (DataType::FLOAT.referred(), DataType(101).referred()),
            (DataType(101), DataType(101))
        );
        assert_eq!(DataType::from_name("qint8"), Some(DataType::QINT8));
        assert_eq!(DataType(200).to_string(), "unknown(200)");
        assert_eq!(DataType(-1).to_string(), "unknown(-1)");
    }
}
