//! What the outputs of an op are: by the definition in the file, by the signature of a function, or by the list
//! of TensorFlow's own ops (FORMAT 7.2: outputs are numbered flat).

use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::pb::{Malformed, Value, fields};

/// One output of an op, which can be several tensors of a node (OpDef.ArgDef).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputArg<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its type.
    pub kind: Kind<'a>,
    /// The attribute that says how many tensors it is.
    pub number: Option<&'a [u8]>,
    /// Whether they are references.
    pub is_ref: bool,
}

/// What the type of an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Always this one.
    Type(DataType),
    /// What this attribute says.
    Attr(&'a [u8]),
    /// As many tensors as this attribute lists types.
    List(&'a [u8]),
}

/// The outputs of an OpDef.
pub(crate) fn outputs_of(op_def: &[u8]) -> Result<Vec<OutputArg<'_>>, Malformed> {
    const OUTPUT_ARG: u32 = 3;
    let mut outputs = Vec::new();
    let mut all = fields(op_def);
    while let Some(field) = all.next_field()? {
        if let (OUTPUT_ARG, Value::Len(arg)) = field {
            outputs.push(arg_def(arg)?);
        }
    }
    Ok(outputs)
}

/// An ArgDef.
pub(crate) fn arg_def(arg: &[u8]) -> Result<OutputArg<'_>, Malformed> {
    let mut out =
        OutputArg { name: &[], kind: Kind::Type(DataType::INVALID), number: None, is_ref: false };
    let (mut fixed, mut attr, mut list) = (DataType::INVALID, &[][..], &[][..]);
    let mut all = fields(arg);
    while let Some(field) = all.next_field()? {
        match field {
            (1, Value::Len(name)) => out.name = name,
            (3, Value::Varint(number)) => fixed = DataType(number as i32),
            (4, Value::Len(name)) => attr = name,
            (5, Value::Len(name)) => out.number = Some(name).filter(|name| !name.is_empty()),
            (6, Value::Len(name)) => list = name,
            (16, Value::Varint(value)) => out.is_ref = value != 0,
            _ => {}
        }
    }
    out.kind = match (list, attr) {
        ([], []) => Kind::Type(fixed),
        ([], attr) => Kind::Attr(attr),
        (list, _) => Kind::List(list),
    };
    Ok(out)
}

/// An attribute and its default value, a serialized AttrValue.
pub(crate) type Default<'a> = (&'a [u8], &'a [u8]);

/// The attributes of an OpDef that have a default, and its serialized AttrValue. Of several of a name the last counts.
pub(crate) fn defaults_of(op_def: &[u8]) -> Result<Vec<Default<'_>>, Malformed> {
    const ATTR: u32 = 4;
    let mut defaults = Vec::new();
    let mut all = fields(op_def);
    while let Some(field) = all.next_field()? {
        let (ATTR, Value::Len(def)) = field else {
            continue;
        };
        let (mut name, mut default) = (&[][..], None);
        let mut parts = fields(def);
        while let Some(part) = parts.next_field()? {
            match part {
                (1, Value::Len(bytes)) => name = bytes,
                (3, Value::Len(bytes)) => default = Some(bytes),
                _ => {}
            }
        }
        defaults.extend(default.map(|default| (name, default)));
    }
    Ok(defaults)
}
