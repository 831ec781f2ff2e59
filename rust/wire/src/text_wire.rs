//! A message in text format, as bytes of the wire.
//!
//! The text's fields become fields of the wire in the same order, without a tree between them: what is kept is
//! one buffer for each message that is still open.
//!
//! ```text
//! name: "x"  attr { key: "T" value { type: DT_FLOAT } }  any { [type.googleapis.com/tensorflow.NodeDef] { … } }
//! ```

use crate::schema::{ANY, EnumType, Field, Kind, MessageType, WireType, schema};
use crate::textproto::{self, Name, PART, Sink};
use crate::varint::put_varint;
use crate::{Fault, Result, shown};
use std::borrow::Cow;

/// Bytes of the wire for `text`, which is a message of type `ty`.
pub fn encode(text: &[u8], ty: &MessageType) -> Result<Vec<u8>> {
    let mut encoder = Encoder { inner: Open { ty, number: 0, out: Vec::new() }, outer: Vec::new() };
    textproto::read(text, &mut encoder)?;
    Ok(encoder.inner.out)
}

struct Encoder<'t> {
    inner: Open<'t>,
    outer: Vec<Open<'t>>,
}

/// A message whose end has not come yet.
struct Open<'t> {
    ty: &'t MessageType,
    /// Which field of the message around it this is.
    number: u32,
    out: Vec<u8>,
}

impl Open<'_> {
    fn put_tag(&mut self, number: u32, wire_type: WireType) {
        let wire_type = match wire_type {
            WireType::Varint => 0,
            WireType::Fixed64 => 1,
            WireType::Len => 2,
            WireType::Fixed32 => 5,
        };
        put_varint(&mut self.out, u64::from(number) << 3 | wire_type);
    }

    fn put_bytes(&mut self, number: u32, bytes: &[u8]) {
        self.put_tag(number, WireType::Len);
        put_varint(&mut self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    fn field(&self, name: &Name<'_>) -> Result<&'_ Field> {
        self.ty.field_named(&name.name).ok_or_else(|| {
            let what = match name.name.starts_with('[') {
                true => format!("{} has no extension {}", self.ty.name(), short(&name.name)),
                false => format!("{} has no field {}", self.ty.name(), short(&name.name)),
            };
            bad(name, what + &did_you_mean(&self.ty.near(&name.name)))
        })
    }

    fn wrong(&self, name: &Name<'_>, want: &str, got: &str) -> Fault {
        let field = short(&name.name);
        bad(name, format!("want {want} for {field} of {}, got {got}", self.ty.name()))
    }
}

impl<'a> Sink<'a> for Encoder<'_> {
    fn text(&mut self, name: &Name<'a>, text: Vec<u8>) -> Result<()> {
        let field = self.inner.field(name)?;
        let number = field.number();
        if !matches!(field.kind(), Kind::String | Kind::Bytes) {
            return Err(self.inner.wrong(name, &wanted(field), &shown(&text)));
        }
        self.inner.put_bytes(number, &text);
        Ok(())
    }

    fn word(&mut self, name: &Name<'a>, word: Cow<'a, str>) -> Result<()> {
        let field = self.inner.field(name)?;
        let (number, kind) = (field.number(), field.kind());
        let bits = bits(field, &word).ok_or_else(|| {
            let near = field.enum_type().map(|ty| did_you_mean(&ty.near(&word)));
            let got = short(&word).into_owned() + &near.unwrap_or_default();
            self.inner.wrong(name, &wanted(field), &got)
        })?;
        self.inner.put_tag(number, kind.wire_type());
        match kind.wire_type() {
            WireType::Fixed64 => self.inner.out.extend_from_slice(&bits.to_le_bytes()),
            WireType::Fixed32 => self.inner.out.extend_from_slice(&(bits as u32).to_le_bytes()),
            _ => put_varint(&mut self.inner.out, bits),
        }
        Ok(())
    }

    fn open(&mut self, name: &Name<'a>) -> Result<()> {
        let url = name.name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let (ty, number) = match url {
            Some(url) if self.inner.ty.name() == ANY => {
                let url: String = url.split_ascii_whitespace().collect();
                let known = schema().message(url.rsplit('/').next().unwrap_or_default());
                let ty = known.ok_or_else(|| {
                    let what = format!("a message of a type not known here: {}", short(&url));
                    Fault::unsupported(PART, format!("line {}: {what}", name.line))
                })?;
                self.inner.put_bytes(1, url.as_bytes());
                (ty, 2)
            }
            _ => {
                let field = self.inner.field(name)?;
                let wrong = || self.inner.wrong(name, &wanted(field), "a message");
                (field.message_type().ok_or_else(wrong)?, field.number())
            }
        };
        let inner = Open { ty, number, out: Vec::new() };
        self.outer.push(std::mem::replace(&mut self.inner, inner));
        Ok(())
    }

    fn close(&mut self) {
        if let Some(outer) = self.outer.pop() {
            let inner = std::mem::replace(&mut self.inner, outer);
            self.inner.put_bytes(inner.number, &inner.out);
        }
    }
}

fn bad(name: &Name<'_>, what: String) -> Fault {
    Fault::corrupt(PART, format!("line {}: {what}", name.line))
}

/// A piece of the text, not without end.
fn short(text: &str) -> Cow<'_, str> {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

fn did_you_mean(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(" or ")),
    }
}

/// What stands for a field, in words.
fn wanted(field: &Field) -> String {
    match field.kind() {
        Kind::Double | Kind::Float => "a number".into(),
        Kind::Int64 | Kind::SInt64 | Kind::SFixed64 => "a whole number of 64 bits".into(),
        Kind::Int32 | Kind::SInt32 | Kind::SFixed32 => "a whole number of 32 bits".into(),
        Kind::UInt64 | Kind::Fixed64 => "a whole number of 64 bits, not negative,".into(),
        Kind::UInt32 | Kind::Fixed32 => "a whole number of 32 bits, not negative,".into(),
        Kind::Bool => "true or false".into(),
        Kind::Enum => match field.enum_type() {
            Some(ty) => format!("a {}", ty.name()),
            None => "an enum".into(),
        },
        Kind::String | Kind::Bytes => "a quoted text".into(),
        Kind::Message => match field.message_type() {
            Some(ty) => format!("a {} in braces", ty.name()),
            None => "a message".into(),
        },
    }
}

/// The bits that the wire has for a word; a varint of a negative number has all 64.
pub(crate) fn bits(field: &Field, word: &str) -> Option<u64> {
    let int = || integer(word);
    Some(match field.kind() {
        Kind::Double => float(word)?.to_bits(),
        // Rounded twice, as protobuf does.
        Kind::Float => (float(word)? as f32).to_bits().into(),
        Kind::Int64 | Kind::SFixed64 => i64::try_from(int()?).ok()? as u64,
        Kind::Int32 | Kind::SFixed32 => i64::from(i32::try_from(int()?).ok()?) as u64,
        Kind::SInt64 => zigzag(i64::try_from(int()?).ok()?),
        Kind::SInt32 => zigzag(i32::try_from(int()?).ok()?.into()),
        Kind::UInt64 | Kind::Fixed64 => u64::try_from(int()?).ok()?,
        Kind::UInt32 | Kind::Fixed32 => u32::try_from(int()?).ok()?.into(),
        Kind::Bool => truth(word)?.into(),
        Kind::Enum => i64::from(enumerator(field.enum_type()?, word)?) as u64,
        Kind::String | Kind::Bytes | Kind::Message => return None,
    })
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// A whole number: decimal, `0x` hexadecimal or `0` octal.
fn integer(word: &str) -> Option<i128> {
    let (minus, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..)?, 16),
        [b'0', _, ..] => (digits.get(1..)?, 8),
        _ => (digits, 10),
    };
    if !digits.starts_with(|digit: char| digit.is_ascii_hexdigit()) {
        return None; // a sign in the middle
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(if minus { -value } else { value })
}

/// A number with or without a fraction, `inf`, `nan`, and an `f` behind it or not.
fn float(word: &str) -> Option<f64> {
    if word.starts_with('+') || word.starts_with("-+") {
        return None;
    }
    let parsed = word.parse();
    parsed.or_else(|_| word.strip_suffix(['f', 'F']).unwrap_or_default().parse()).ok()
}

fn truth(word: &str) -> Option<bool> {
    match word {
        "true" | "True" | "t" => Some(true),
        "false" | "False" | "f" => Some(false),
        word => match integer(word)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// By name, or by a number that need not have one.
fn enumerator(ty: &EnumType, word: &str) -> Option<i32> {
    ty.number_of(word).or_else(|| i32::try_from(integer(word)?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto;
    use crate::proto::attr_value::Value as Attr;
    use proptest::prelude::*;
    use prost::Message as _;

    fn read<M: prost::Message + Default>(name: &str, text: &str) -> M {
        let ty = schema().message(name).unwrap();
        M::decode(&*encode(text.as_bytes(), ty).unwrap()).unwrap()
    }

    fn attr(text: &str) -> Option<Attr> {
        read::<proto::AttrValue>("tensorflow.AttrValue", text).value
    }

    fn what(name: &str, text: &str) -> String {
        encode(text.as_bytes(), schema().message(name).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn literal_bytes() {
        let bytes = |name, text: &str| encode(text.as_bytes(), schema().message(name).unwrap());
        let value = |text| bytes("tensorflow.AttrValue", text).unwrap();
        assert_eq!(value("i: 300"), [0x18, 0xac, 0x02]);
        assert_eq!(value("i: -1").len(), 11);
        assert_eq!(value("type: -1").len(), 11);
        assert_eq!(value("type: DT_FLOAT type: 3"), [0x30, 1, 0x30, 3]);
        assert_eq!(value("f: -1.5f"), [0x25, 0, 0, 0xc0, 0xbf]);
        assert_eq!(value("shape { dim { size: 2 } }"), [0x3a, 4, 0x12, 2, 0x08, 2]);
        let value = |text| bytes("tensorflow.StructuredValue", text).unwrap();
        assert_eq!(value("int64_value: -1"), [0x60, 1]);
    }

    #[test]
    fn a_node() {
        let node: proto::NodeDef = read(
            "tensorflow.NodeDef",
            "name: 'a' op: \"Const\" input: ['x', '^y'] input: 'z'\n\
             attr { key: 'T' value { type: DT_INT32 } } attr: < key: 'e' value < list { } > >",
        );
        assert_eq!((&*node.name, &*node.op), ("a", "Const"));
        assert_eq!(node.input, ["x", "^y", "z"]);
        assert_eq!(node.attr["T"].value, Some(Attr::Type(3)));
        assert!(matches!(node.attr["e"].value, Some(Attr::List(_))));
    }

    #[test]
    fn numbers() {
        for (word, want) in [("0x1F", 31), ("-0x10", -16), ("017", 15), ("0", 0), ("- 5", -5)] {
            assert_eq!(attr(&format!("i: {word}")), Some(Attr::I(want)), "{word}");
        }
        let least = "-9223372036854775808";
        assert_eq!(attr(&format!("i: {least}")), Some(Attr::I(i64::MIN)));
        for (word, want) in [
            ("inf", f32::INFINITY),
            ("-inf", f32::NEG_INFINITY),
            ("-Infinity", f32::NEG_INFINITY),
            ("1.5f", 1.5),
            ("1e3F", 1000.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("7", 7.0),
        ] {
            assert_eq!(attr(&format!("f: {word}")), Some(Attr::F(want)), "{word}");
        }
        assert!(matches!(attr("f: nan"), Some(Attr::F(value)) if value.is_nan()));
        for (word, want) in [("true", true), ("True", true), ("t", true), ("1", true), ("f", false)]
        {
            assert_eq!(attr(&format!("b: {word}")), Some(Attr::B(want)), "{word}");
        }
        assert_eq!(attr("type: 1000"), Some(Attr::Type(1000)));
    }

    #[test]
    fn an_expanded_any() {
        let list: proto::collection_def::AnyList = read(
            "tensorflow.CollectionDef.AnyList",
            "value { [type.googleapis.com/tensorflow.AssetFileDef] { filename: 'f' } }\n\
             value { type_url: 'u' value: '\\000\\377' }",
        );
        let asset = proto::AssetFileDef { filename: "f".into(), ..Default::default() };
        assert_eq!(list.value[0].type_url, "type.googleapis.com/tensorflow.AssetFileDef");
        assert_eq!(list.value[0].value, asset.encode_to_vec());
        assert_eq!((&*list.value[1].type_url, &*list.value[1].value), ("u", &[0, 255][..]));
    }

    #[test]
    fn what_is_wrong_names_line_type_and_near_names() {
        for (name, text, want) in [
            (
                "NodeDef",
                "name: 'a'\ninptu: 'b'",
                "line 2: tensorflow.NodeDef has no field inptu; did you mean input?",
            ),
            ("NodeDef", "\n[a.b]: 1", "line 2: tensorflow.NodeDef has no extension [a.b]"),
            (
                "NodeDef",
                "name: 1",
                "line 1: want a quoted text for name of tensorflow.NodeDef, got 1",
            ),
            (
                "NodeDef",
                "name { }",
                "line 1: want a quoted text for name of tensorflow.NodeDef, got a message",
            ),
            (
                "AttrValue",
                "shape: 1",
                "line 1: want a tensorflow.TensorShapeProto in braces for shape of tensorflow.AttrValue, got 1",
            ),
            (
                "AttrValue",
                "i: '1'",
                "line 1: want a whole number of 64 bits for i of tensorflow.AttrValue, got \"1\"",
            ),
            (
                "AttrValue",
                "i: 9223372036854775808",
                "line 1: want a whole number of 64 bits for i of tensorflow.AttrValue, got 9223372036854775808",
            ),
            (
                "AttrValue",
                "b: yes",
                "line 1: want true or false for b of tensorflow.AttrValue, got yes",
            ),
            (
                "AttrValue",
                "f: 1.5g",
                "line 1: want a number for f of tensorflow.AttrValue, got 1.5g",
            ),
            (
                "AttrValue",
                "type: DT_FLAOT",
                "line 1: want a tensorflow.DataType for type of tensorflow.AttrValue, got DT_FLAOT; did you mean DT_FLOAT",
            ),
            (
                "AttrValue",
                "type: 2147483648",
                "line 1: want a tensorflow.DataType for type of tensorflow.AttrValue, got 2147483648",
            ),
            (
                "CollectionDef.AnyList",
                "value { [x/y.Z] { } }",
                "line 1: a message of a type not known here: x/y.Z",
            ),
            (
                "CollectionDef.AnyList",
                "value { [x/y.Z]: 1 }",
                "line 1: google.protobuf.Any has no extension [x/y.Z]",
            ),
        ] {
            let got = what(&format!("tensorflow.{name}"), text);
            assert!(got.starts_with(&format!("text proto: {want}")), "{got}");
        }
        for word in ["+1", "-+1", "--1", "0x", "0x-1", "09", "1.0", "1e3", "a"] {
            assert!(
                what("tensorflow.AttrValue", &format!("i: {word}")).contains("whole"),
                "{word}"
            );
        }
        for word in ["+1", "-+1", "ff", "0x1", "1..2"] {
            assert!(
                what("tensorflow.AttrValue", &format!("f: {word}")).contains("number"),
                "{word}"
            );
        }
        let long = "x".repeat(10_000);
        assert!(what("tensorflow.NodeDef", &format!("{long}: 1")).len() < 400);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = "dict_value { fields { value {".repeat(40);
        assert!(what("tensorflow.StructuredValue", &deep).contains("nest deeper than 100"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_message_or_an_error(text in "[a-z:{}<>\\[\\]\"'0-9. \n]{0,60}") {
            for ty in schema().messages() {
                let _ = encode(text.as_bytes(), ty);
            }
        }

        #[test]
        fn numbers_as_rust_writes_them(i: i64, f in any::<f32>(), double: f64) {
            prop_assert_eq!(attr(&format!("i: {i}")), Some(Attr::I(i)));
            prop_assert_eq!(attr(&format!("f: {f:?}")), Some(Attr::F(f)));
            let value: proto::StructuredValue =
                read("tensorflow.StructuredValue", &format!("float64_value: {double:e} int64_value: {i}"));
            prop_assert_eq!(value.kind, Some(proto::structured_value::Kind::Int64Value(i)));
        }
    }
}
