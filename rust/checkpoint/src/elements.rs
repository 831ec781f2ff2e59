//! The numbers that a tensor's bytes stand for (FORMAT 4.1, 4.6), monomorphic for each type and byte order.
//!
//! ```text
//! float16 bfloat16 float8_* float4       f32, which holds each of their values
//! float32 float64                        themselves
//! int8 … uint64, qint8 … qint32          themselves; quantized ones without their scale, which no checkpoint has
//! int4 int2 uint4 uint2                  i8, u8: the low bits of a byte each; the high bits mean nothing
//! bool                                   u8: 0 or 1
//! complex64 complex128                   two numbers each: real part, imaginary part
//! ```
//!
//! [`visit`] is the one place that goes from a type's number to its [`Element`]; what is generic over that becomes a loop
//! of its own for each type, which the compiler can vectorise.

use std::marker::PhantomData;
use tensorbundle_wire::bundle::ByteOrder;
use tensorbundle_wire::dtype::DataType;

/// How elements of one type lie in memory, and what numbers they are.
pub trait Element: 'static {
    /// The bytes of one number.
    type Bytes: Copy + PartialEq + Send + Sync;
    /// A type of Rust's that holds each of the values.
    type Number: Number;
    /// The least number above zero that is normal; what lies below is subnormal. 0 for integers.
    const SMALLEST_NORMAL: f64;

    /// Cuts memory into numbers. A rest that is no whole number is left out.
    fn split(bytes: &[u8]) -> &[Self::Bytes];
    /// The number that these bytes stand for.
    fn number(bytes: Self::Bytes) -> Self::Number;
    /// The same bytes in the other order.
    fn reversed(bytes: Self::Bytes) -> Self::Bytes;
}

/// A number of Rust's.
pub trait Number: Copy + PartialEq + PartialOrd + Default + Send + Sync + 'static {
    /// Whether a float32 holds each of the values.
    const FITS_F32: bool;

    /// Its value, rounded if that does not fit.
    fn to_f32(self) -> f32;
    /// Its value, rounded if it is an integer of more than 53 bits.
    fn to_f64(self) -> f64;
    /// Its value, if it is an integer.
    fn to_integer(self) -> Option<i128>;
}

macro_rules! numbers {
    ($integer:expr, $fits:expr, $($number:ty)*) => {$(
        impl Number for $number {
            const FITS_F32: bool = $fits;

            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn to_integer(self) -> Option<i128> {
                $integer.then_some(self as i128)
            }
        }
    )*};
}

numbers!(true, true, i8 i16 u8 u16);
numbers!(true, false, i32 i64 u32 u64);
numbers!(false, true, f32);
numbers!(false, false, f64);

/// Elements in big-endian order.
pub struct Big<E>(PhantomData<E>);

impl<E: Element> Element for Big<E> {
    type Bytes = E::Bytes;
    type Number = E::Number;
    const SMALLEST_NORMAL: f64 = E::SMALLEST_NORMAL;

    #[inline(always)]
    fn split(bytes: &[u8]) -> &[E::Bytes] {
        E::split(bytes)
    }

    #[inline(always)]
    fn number(bytes: E::Bytes) -> E::Number {
        E::number(E::reversed(bytes))
    }

    #[inline(always)]
    fn reversed(bytes: E::Bytes) -> E::Bytes {
        E::reversed(bytes)
    }
}

macro_rules! elements {
    ($($(#[$doc:meta])* $name:ident: [u8; $width:literal] as $number:ty, $normal:expr, $decode:expr;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Element for $name {
            type Bytes = [u8; $width];
            type Number = $number;
            const SMALLEST_NORMAL: f64 = $normal;

            #[inline(always)]
            fn split(bytes: &[u8]) -> &[[u8; $width]] {
                bytes.as_chunks().0
            }

            #[inline(always)]
            fn number(bytes: [u8; $width]) -> $number {
                const DECODE: fn([u8; $width]) -> $number = $decode;
                DECODE(bytes)
            }

            #[inline(always)]
            fn reversed(mut bytes: [u8; $width]) -> [u8; $width] {
                bytes.reverse();
                bytes
            }
        }
    )*};
}

elements! {
    /// `float32`, and the parts of `complex64`.
    F32: [u8; 4] as f32, f32::MIN_POSITIVE as f64, f32::from_le_bytes;
    /// `float64`, and the parts of `complex128`.
    F64: [u8; 8] as f64, f64::MIN_POSITIVE, f64::from_le_bytes;
    /// `float16`.
    F16: [u8; 2] as f32, 1.0 / 16384.0, |bytes| half(u16::from_le_bytes(bytes));
    /// `bfloat16`: the upper half of a float32.
    Bf16: [u8; 2] as f32, f32::MIN_POSITIVE as f64, |bytes| {
        f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)
    };
    /// `int8`, `qint8`.
    I8: [u8; 1] as i8, 0.0, i8::from_le_bytes;
    /// `int16`, `qint16`.
    I16: [u8; 2] as i16, 0.0, i16::from_le_bytes;
    /// `int32`, `qint32`.
    I32: [u8; 4] as i32, 0.0, i32::from_le_bytes;
    /// `int64`.
    I64: [u8; 8] as i64, 0.0, i64::from_le_bytes;
    /// `uint8`, `quint8`.
    U8: [u8; 1] as u8, 0.0, u8::from_le_bytes;
    /// `uint16`, `quint16`.
    U16: [u8; 2] as u16, 0.0, u16::from_le_bytes;
    /// `uint32`.
    U32: [u8; 4] as u32, 0.0, u32::from_le_bytes;
    /// `uint64`.
    U64: [u8; 8] as u64, 0.0, u64::from_le_bytes;
    /// `bool`: what is not 0 is 1, as NumPy counts.
    Bool: [u8; 1] as u8, 0.0, |[byte]| u8::from(byte != 0);
    /// `int4`: the low four bits.
    I4: [u8; 1] as i8, 0.0, |[byte]| ((byte << 4) as i8) >> 4;
    /// `uint4`: the low four bits.
    U4: [u8; 1] as u8, 0.0, |[byte]| byte & 15;
    /// `int2`: the low two bits.
    I2: [u8; 1] as i8, 0.0, |[byte]| ((byte << 6) as i8) >> 6;
    /// `uint2`: the low two bits.
    U2: [u8; 1] as u8, 0.0, |[byte]| byte & 3;
    /// `float8_e5m2`.
    F8E5M2: [u8; 1] as f32, E5M2.smallest_normal(), |[byte]| small(&E5M2_VALUES, byte);
    /// `float8_e4m3fn`.
    F8E4M3Fn: [u8; 1] as f32, E4M3FN.smallest_normal(), |[byte]| small(&E4M3FN_VALUES, byte);
    /// `float8_e4m3fnuz`.
    F8E4M3Fnuz: [u8; 1] as f32, E4M3FNUZ.smallest_normal(), |[byte]| {
        small(&E4M3FNUZ_VALUES, byte)
    };
    /// `float8_e4m3b11fnuz`.
    F8E4M3B11Fnuz: [u8; 1] as f32, E4M3B11FNUZ.smallest_normal(), |[byte]| {
        small(&E4M3B11FNUZ_VALUES, byte)
    };
    /// `float8_e5m2fnuz`.
    F8E5M2Fnuz: [u8; 1] as f32, E5M2FNUZ.smallest_normal(), |[byte]| {
        small(&E5M2FNUZ_VALUES, byte)
    };
    /// `float4_e2m1fn`: the low four bits.
    F4E2M1Fn: [u8; 1] as f32, E2M1FN.smallest_normal(), |[byte]| small(&E2M1FN_VALUES, byte);
}

/// A float16 as a float32. The bits, moved to where a float32 has them, are a number 2^112 times too small, subnormal or
/// not; only infinities and NaNs must be told to stay.
#[inline(always)]
fn half(bits: u16) -> f32 {
    const SCALE: f32 = f32::from_bits((127 + 112) << 23);
    let magnitude = u32::from(bits & 0x7FFF) << 13;
    let scaled = (f32::from_bits(magnitude) * SCALE).to_bits();
    let special = magnitude | 0x7F80_0000;
    let magnitude = if bits & 0x7C00 == 0x7C00 { special } else { scaled };
    f32::from_bits(magnitude | u32::from(bits & 0x8000) << 16)
}

/// A floating-point format of a byte or less: sign, exponent, mantissa.
struct Small {
    exponent: u32,
    mantissa: u32,
    bias: i32,
    special: Special,
}

/// Which of its patterns are no finite numbers.
#[derive(Clone, Copy)]
enum Special {
    /// As IEEE has it: the largest exponent is infinity, or NaN with a mantissa.
    Ieee,
    /// No infinity; all ones behind the sign are NaN.
    Ones,
    /// No infinity, no negative zero: its pattern is the only NaN.
    NegativeZero,
    /// All are finite.
    No,
}

const fn format(exponent: u32, mantissa: u32, bias: i32, special: Special) -> Small {
    Small { exponent, mantissa, bias, special }
}

const E5M2: Small = format(5, 2, 15, Special::Ieee);
const E4M3FN: Small = format(4, 3, 7, Special::Ones);
const E4M3FNUZ: Small = format(4, 3, 8, Special::NegativeZero);
const E4M3B11FNUZ: Small = format(4, 3, 11, Special::NegativeZero);
const E5M2FNUZ: Small = format(5, 2, 16, Special::NegativeZero);
const E2M1FN: Small = format(2, 1, 1, Special::No);

static E5M2_VALUES: [f32; 256] = E5M2.values();
static E4M3FN_VALUES: [f32; 256] = E4M3FN.values();
static E4M3FNUZ_VALUES: [f32; 256] = E4M3FNUZ.values();
static E4M3B11FNUZ_VALUES: [f32; 256] = E4M3B11FNUZ.values();
static E5M2FNUZ_VALUES: [f32; 256] = E5M2FNUZ.values();
static E2M1FN_VALUES: [f32; 256] = E2M1FN.values();

#[inline(always)]
fn small(values: &'static [f32; 256], byte: u8) -> f32 {
    values.get(usize::from(byte)).copied().unwrap_or_default()
}

/// 2 to the power of `n`, which a float32 holds as a normal number.
const fn power(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

impl Small {
    const fn smallest_normal(&self) -> f64 {
        power(1 - self.bias) as f64
    }

    const fn value(&self, byte: u8) -> f32 {
        let bits = byte as u32;
        let exponent = bits >> self.mantissa & ((1 << self.exponent) - 1);
        let mantissa = bits & ((1 << self.mantissa) - 1);
        let rest = bits & ((1 << (self.mantissa + self.exponent)) - 1);
        let negative = bits >> (self.mantissa + self.exponent) & 1 == 1;
        let top = exponent == (1 << self.exponent) - 1;
        let magnitude = match self.special {
            Special::Ieee if top && mantissa == 0 => f32::INFINITY,
            Special::Ieee if top => f32::NAN,
            Special::Ones if rest == (1 << (self.mantissa + self.exponent)) - 1 => f32::NAN,
            Special::NegativeZero if rest == 0 && negative => f32::NAN,
            _ => {
                let normal = if exponent == 0 { 0 } else { 1 << self.mantissa };
                let exponent = if exponent == 0 { 1 } else { exponent as i32 };
                (mantissa + normal) as f32 * power(exponent - self.bias - self.mantissa as i32)
            }
        };
        if negative { -magnitude } else { magnitude }
    }

    const fn values(&self) -> [f32; 256] {
        let mut values = [0.0; 256];
        let (mut rest, mut byte) = (values.as_mut_slice(), 0);
        while let Some((first, others)) = rest.split_first_mut() {
            *first = self.value(byte);
            byte = byte.wrapping_add(1);
            rest = others;
        }
        values
    }
}

/// Something that is done for whatever type a tensor has.
pub trait Visitor {
    /// What comes of it.
    type Output;
    /// Does it for elements of type `E`.
    fn visit<E: Element>(self) -> Self::Output;
}

/// Hands the element type of `dtype` in this byte order to a visitor; `None` if it is no type of numbers. Bytes of complex
/// numbers are visited as their parts.
pub fn visit<V: Visitor>(dtype: DataType, order: ByteOrder, visitor: V) -> Option<V::Output> {
    macro_rules! either {
        ($element:ty) => {
            match order {
                ByteOrder::Little => visitor.visit::<$element>(),
                ByteOrder::Big => visitor.visit::<Big<$element>>(),
            }
        };
    }
    Some(match dtype {
        DataType::FLOAT | DataType::COMPLEX64 => either!(F32),
        DataType::DOUBLE | DataType::COMPLEX128 => either!(F64),
        DataType::HALF => either!(F16),
        DataType::BFLOAT16 => either!(Bf16),
        DataType::INT16 | DataType::QINT16 => either!(I16),
        DataType::INT32 | DataType::QINT32 => either!(I32),
        DataType::INT64 => either!(I64),
        DataType::UINT16 | DataType::QUINT16 => either!(U16),
        DataType::UINT32 => either!(U32),
        DataType::UINT64 => either!(U64),
        // One byte has one order.
        DataType::INT8 | DataType::QINT8 => visitor.visit::<I8>(),
        DataType::UINT8 | DataType::QUINT8 => visitor.visit::<U8>(),
        DataType::BOOL => visitor.visit::<Bool>(),
        DataType::INT4 => visitor.visit::<I4>(),
        DataType::UINT4 => visitor.visit::<U4>(),
        DataType::INT2 => visitor.visit::<I2>(),
        DataType::UINT2 => visitor.visit::<U2>(),
        DataType::FLOAT8_E5M2 => visitor.visit::<F8E5M2>(),
        DataType::FLOAT8_E4M3FN => visitor.visit::<F8E4M3Fn>(),
        DataType::FLOAT8_E4M3FNUZ => visitor.visit::<F8E4M3Fnuz>(),
        DataType::FLOAT8_E4M3B11FNUZ => visitor.visit::<F8E4M3B11Fnuz>(),
        DataType::FLOAT8_E5M2FNUZ => visitor.visit::<F8E5M2Fnuz>(),
        DataType::FLOAT4_E2M1FN => visitor.visit::<F4E2M1Fn>(),
        _ => return None,
    })
}

/// How many numbers an element of a type is: two if it is complex, else one.
pub fn numbers_per_element(dtype: DataType) -> u64 {
    if matches!(dtype, DataType::COMPLEX64 | DataType::COMPLEX128) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Decode<'a>(&'a [u8]);

    impl Visitor for Decode<'_> {
        type Output = Vec<f64>;
        fn visit<E: Element>(self) -> Vec<f64> {
            E::split(self.0).iter().map(|&bytes| E::number(bytes).to_f64()).collect()
        }
    }

    fn decode(dtype: DataType, bytes: &[u8]) -> Vec<f64> {
        visit(dtype, ByteOrder::Little, Decode(bytes)).unwrap()
    }

    #[test]
    fn one_in_each_small_float() {
        // FORMAT 4.5.
        for (dtype, one) in [
            (DataType::FLOAT8_E5M2, 0x3C),
            (DataType::FLOAT8_E4M3FN, 0x38),
            (DataType::FLOAT8_E4M3FNUZ, 0x40),
            (DataType::FLOAT8_E4M3B11FNUZ, 0x58),
            (DataType::FLOAT8_E5M2FNUZ, 0x40),
        ] {
            assert_eq!(decode(dtype, &[one, one | 0x80]), [1.0, -1.0], "{dtype}");
        }
        let fours = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
        let bytes: Vec<u8> = (0..8).collect();
        assert_eq!(decode(DataType::FLOAT4_E2M1FN, &bytes), fours);
        assert_eq!(decode(DataType::FLOAT4_E2M1FN, &[0xFA]), [-1.0]);
    }

    #[test]
    fn what_is_not_finite() {
        let five = decode(DataType::FLOAT8_E5M2, &[0x7C, 0xFC, 0x7D, 0x01]);
        assert_eq!(five[..2], [f64::INFINITY, f64::NEG_INFINITY]);
        assert!(five[2].is_nan() && five[3] == 1.0 / 65536.0);
        let four = decode(DataType::FLOAT8_E4M3FN, &[0x7E, 0x7F, 0xFF, 0x80]);
        assert!(four[0] == 448.0 && four[1].is_nan() && four[2].is_nan() && four[3] == 0.0);
        let fnuz = decode(DataType::FLOAT8_E4M3FNUZ, &[0x80, 0x7F]);
        assert!(fnuz[0].is_nan() && fnuz[1] == 240.0);
        let halves = decode(DataType::HALF, &[0, 0x7C, 0, 0xFC, 1, 0x7E, 1, 0, 0xFF, 0x7B]);
        assert_eq!(halves[..2], [f64::INFINITY, f64::NEG_INFINITY]);
        assert!(halves[2].is_nan());
        assert_eq!(halves[3..], [2.0_f64.powi(-24), 65504.0]);
    }

    #[test]
    fn low_bits_are_sign_extended() {
        assert_eq!(decode(DataType::INT4, &[0x0F, 0xFF, 7, 8]), [-1.0, -1.0, 7.0, -8.0]);
        assert_eq!(decode(DataType::INT2, &[3, 1, 2]), [-1.0, 1.0, -2.0]);
        assert_eq!(decode(DataType::UINT4, &[0xFF]), [15.0]);
        assert_eq!(decode(DataType::UINT2, &[0xFF]), [3.0]);
    }

    #[test]
    fn both_orders_and_parts() {
        let big = |dtype, bytes: &[u8]| visit(dtype, ByteOrder::Big, Decode(bytes)).unwrap();
        assert_eq!(big(DataType::BFLOAT16, &[0x3F, 0x80]), [1.0]);
        assert_eq!(big(DataType::INT32, &[0xFF, 0xFF, 0xFF, 0xFE]), [-2.0]);
        let two = [1_f32.to_le_bytes(), 2_f32.to_le_bytes()].concat();
        assert_eq!(decode(DataType::COMPLEX64, &two), [1.0, 2.0]);
        assert!(visit(DataType::STRING, ByteOrder::Big, Decode(&[])).is_none());
    }

    #[test]
    fn every_type_of_fixed_width_has_numbers() {
        for number in 0..40 {
            let dtype = DataType(number);
            let found = visit(dtype, ByteOrder::Little, Decode(&[]));
            assert_eq!(found.is_some(), dtype.width().is_some(), "{dtype}");
        }
    }
}
