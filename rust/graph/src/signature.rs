//! What the outputs of an op are: by the definition in the file, by the signature of a function, or by the list
//! of TensorFlow's own ops (FORMAT 7.2: outputs are numbered flat).

use crate::attr::{Attr, List};
use crate::span::Source;
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

/// The default value that an OpDef gives an attribute: a serialized AttrValue.
pub(crate) fn default_of(
    source: &Source,
    op_def: &[u8],
    name: &[u8],
) -> Result<Option<bytes::Bytes>, Malformed> {
    let mut found = None;
    for_attr_defs(op_def, |attr, default| {
        if attr == name {
            found = default;
        }
    })?;
    Ok(found.map(|default| source.all().slice_ref(default)))
}

/// The attributes of an OpDef that have a default.
pub(crate) fn defaults_of(op_def: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut names = Vec::new();
    for_attr_defs(op_def, |attr, default| {
        if default.is_some() {
            names.push(attr);
        }
    })?;
    Ok(names)
}

fn for_attr_defs<'a>(
    op_def: &'a [u8],
    mut each: impl FnMut(&'a [u8], Option<&'a [u8]>),
) -> Result<(), Malformed> {
    const ATTR: u32 = 4;
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
        each(name, default);
    }
    Ok(())
}

/// The outputs of a node, in runs of those that one output of its op stands for.
#[derive(Debug, Clone, Default)]
pub struct Ports<'a> {
    runs: Vec<Run<'a>>,
    /// Whether the op's definition is known: if not, there are at least so many.
    pub exact: bool,
}

#[derive(Debug, Clone)]
struct Run<'a> {
    name: &'a [u8],
    width: u32,
    types: Types,
}

#[derive(Debug, Clone)]
enum Types {
    All(Option<DataType>),
    Each(Vec<DataType>),
}

impl<'a> Ports<'a> {
    /// `len` outputs of an op that nothing is known of.
    pub(crate) fn unknown(len: u32) -> Self {
        Self { runs: vec![Run { name: &[], width: len, types: Types::All(None) }], exact: false }
    }

    /// Outputs of an op that is defined nowhere, as others name them.
    pub(crate) fn named_so(outputs: impl Iterator<Item = (&'a [u8], u32)>) -> Self {
        let mut left = MAX_PORTS;
        let runs = outputs.map(|(name, width)| {
            let width = width.min(left);
            left -= width;
            Run { name, width, types: Types::All(None) }
        });
        Self { runs: runs.collect(), exact: false }
    }

    /// The outputs of a node, whose attributes `attr` looks up. `Err` says what does not fit.
    pub(crate) fn of(
        outputs: Vec<OutputArg<'a>>,
        mut attr: impl FnMut(&[u8]) -> tensorbundle_wire::Result<Option<Attr>>,
    ) -> Result<Self, String> {
        let mut runs = Vec::with_capacity(outputs.len());
        let mut total = 0_u32;
        for output in outputs {
            let mut look = |name: &[u8]| attr(name).map_err(|fault| fault.what().to_owned());
            let referring = |dtype: DataType| if output.is_ref { dtype.referred() } else { dtype };
            let named = |name: &[u8]| tensorbundle_wire::shown(name);
            let (mut width, types) = match output.kind {
                Kind::Type(dtype) => (1, Types::All(Some(referring(dtype)))),
                Kind::Attr(name) => match look(name)? {
                    Some(Attr::Type(dtype)) => (1, Types::All(Some(referring(dtype)))),
                    // In a function the caller may have yet to say.
                    Some(Attr::Placeholder(_)) | None => (1, Types::All(None)),
                    Some(other) => {
                        let kind = other.kind();
                        return Err(format!(
                            "attribute {} is of kind {kind}, want type",
                            named(name)
                        ));
                    }
                },
                Kind::List(name) => match look(name)? {
                    Some(Attr::List(List::Types(types))) => {
                        let types: Vec<_> = types.into_iter().map(referring).collect();
                        (types.len() as u64, Types::Each(types))
                    }
                    Some(Attr::List(List::Empty)) => (0, Types::Each(Vec::new())),
                    Some(Attr::Placeholder(_)) | None => (1, Types::All(None)),
                    Some(other) => {
                        let kind = other.kind();
                        return Err(format!(
                            "attribute {} is of kind {kind}, want a list of types",
                            named(name)
                        ));
                    }
                },
            };
            if let Some(name) = output.number {
                width = match look(name)? {
                    Some(Attr::Int(number)) if (0..=MAX_PORTS as i64).contains(&number) => {
                        number as u64
                    }
                    Some(Attr::Placeholder(_)) | None => 1,
                    Some(Attr::Int(number)) => {
                        let name = named(name);
                        return Err(format!(
                            "attribute {name} claims {number} outputs, at most {MAX_PORTS} can be"
                        ));
                    }
                    Some(other) => {
                        let kind = other.kind();
                        return Err(format!(
                            "attribute {} is of kind {kind}, want int",
                            named(name)
                        ));
                    }
                };
            }
            let width = u32::try_from(width).unwrap_or(u32::MAX);
            total = total.checked_add(width).ok_or("more outputs than can be counted")?;
            runs.push(Run { name: output.name, width, types });
        }
        Ok(Self { runs, exact: true })
    }

    /// How many outputs.
    pub fn len(&self) -> u32 {
        self.runs.iter().fold(0, |sum, run| sum.saturating_add(run.width))
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of output `i`, if it is known.
    pub fn dtype(&self, mut i: u32) -> Option<DataType> {
        for run in &self.runs {
            if i < run.width {
                return match &run.types {
                    Types::All(dtype) => *dtype,
                    Types::Each(types) => types.get(i as usize).copied(),
                };
            }
            i -= run.width;
        }
        None
    }

    /// Which outputs the one called `name` is.
    pub(crate) fn named(&self, name: &[u8]) -> Option<std::ops::Range<u32>> {
        let mut start = 0;
        for run in &self.runs {
            if run.name == name {
                return Some(start..start + run.width);
            }
            start += run.width;
        }
        None
    }

    /// The name that the op's definition gives output `i`, and its number among those of that name.
    pub fn name(&self, mut i: u32) -> Option<(&'a [u8], u32)> {
        for run in &self.runs {
            if i < run.width {
                return Some((run.name, i)).filter(|_| self.exact);
            }
            i -= run.width;
        }
        None
    }
}

/// Outputs that a number in an attribute may claim. Real nodes have thousands at most, and each of more would be
/// an object that costs its author nothing.
pub const MAX_PORTS: u32 = 1 << 20;
