//! The function library (FORMAT 7.3).
//!
//! ```text
//! FunctionDefLibrary { 1 FunctionDef*  2 GradientDef*  3 RegisteredGradient* }
//! FunctionDef { 1 signature: OpDef { 1 name  2 input_arg*  3 output_arg* }  3 node_def*  4 ret  5 attr  6 control_ret … }
//! ```
//!
//! At open only the names are found; a function's nodes are gone over when it is asked for them.

use crate::attr::{Attr, decode_map};
use crate::body::{Body, Builder, string_field};
use crate::names::{Named, Names};
use crate::span::{Source, Span};
use bytes::Bytes;
use once_cell::race::OnceBox;
use tensorbundle_wire::pb::{Value, fields};
use tensorbundle_wire::{Fault, Result};

/// All functions of a file.
pub struct Library {
    source: Source,
    rows: Vec<Row>,
    names: Names,
    bodies: Vec<OnceBox<Body>>,
}

#[derive(Clone, Copy)]
struct Row {
    function: Span,
    name: Span,
    signature: Span,
}

impl Library {
    pub(crate) fn new(source: &Source, libraries: &[Span]) -> Result<Self> {
        let mut rows = Vec::new();
        for &library in libraries {
            let mut all = fields(source.get(library));
            while let Some(field) = all
                .next_field()
                .map_err(|why| source.malformed("function library", library, why))?
            {
                if let (1, Value::Len(function)) = field {
                    rows.push(row(source, function, rows.len())?);
                }
            }
        }
        let bodies = rows.iter().map(|_| OnceBox::new()).collect();
        Ok(Self { source: source.clone(), rows, names: Names::new(), bodies })
    }

    /// How many functions.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// No functions.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The name of function `i`.
    pub fn name(&self, i: u32) -> &[u8] {
        self.rows.get(i as usize).map_or(&[], |row| self.source.get(row.name))
    }

    /// The function of this name. Of several, TensorFlow has no say: none.
    pub fn find(&self, name: &[u8]) -> Named {
        self.names.find(self.rows.len(), |i| self.name(i), name)
    }

    /// The names that more than one function has: the first two numbers of each.
    pub fn duplicates(&self) -> &[(u32, u32)] {
        self.names.again(self.rows.len(), |i| self.name(i))
    }

    /// There is no function of this name.
    pub fn is_none(&self, name: &[u8]) -> bool {
        self.find(name) == Named::None
    }

    /// The attributes of function `i`.
    pub fn attrs(&self, i: u32) -> Result<Vec<(Bytes, Attr)>> {
        const ATTR: u32 = 5;
        decode_map(&self.message(i), ATTR)
    }

    /// The attributes of argument `number` of function `i`.
    pub fn arg_attrs(&self, i: u32, number: u32) -> Result<Vec<(Bytes, Attr)>> {
        arg_attrs(&self.message(i), u64::from(number))
    }

    /// The number of the one function of this name.
    pub(crate) fn one(&self, name: &[u8]) -> Option<u32> {
        match self.find(name) {
            Named::One(i) | Named::Several(i, _) => Some(i),
            Named::None => None,
        }
    }

    /// The serialized FunctionDef.
    pub fn message(&self, i: u32) -> Bytes {
        self.source.slice(self.rows.get(i as usize).map_or(Span::default(), |row| row.function))
    }

    /// How many bytes function `i` takes.
    pub fn message_len(&self, i: u32) -> usize {
        self.rows.get(i as usize).map_or(0, |row| row.function.len as usize)
    }

    /// The OpDef that is its signature.
    pub(crate) fn signature(&self, i: u32) -> &[u8] {
        self.rows.get(i as usize).map_or(&[], |row| self.source.get(row.signature))
    }

    /// The nodes of function `i`.
    pub fn body(&self, i: u32) -> Result<Option<&Body>> {
        let (Some(row), Some(cell)) = (self.rows.get(i as usize), self.bodies.get(i as usize))
        else {
            return Ok(None);
        };
        let make = || {
            self.scan(row).map(Box::new).map_err(|fault| {
                let name = self.source.get(row.name);
                let what = format!("{}: {}", fault.part(), fault.what());
                self.source.corrupt("function", name, row.function, what)
            })
        };
        cell.get_or_try_init(make).map(Some)
    }

    fn scan(&self, row: &Row) -> Result<Body> {
        let mut builder = Builder::new(&self.source);
        let bad = |why| self.source.malformed("function", row.function, why);
        let mut parts = fields(self.source.get(row.signature));
        while let Some(part) = parts.next_field().map_err(bad)? {
            if let (2, Value::Len(arg)) = part {
                builder.arg(arg)?;
            }
        }
        let mut all = fields(self.source.get(row.function));
        while let Some(field) = all.next_field().map_err(bad)? {
            if let (3, Value::Len(node)) = field {
                builder.node(node)?;
            }
        }
        Ok(builder.finish())
    }

    /// The pairs in a map from strings to strings of function `i`: what it returns (4, 6), by output.
    pub fn returns(&self, i: u32, control: bool) -> Result<Vec<(Bytes, Bytes)>> {
        let number = if control { 6 } else { 4 };
        let Some(row) = self.rows.get(i as usize) else {
            return Ok(Vec::new());
        };
        let bad = |why| self.source.malformed("function", row.function, why);
        let mut pairs = std::collections::BTreeMap::new();
        let mut all = fields(self.source.get(row.function));
        while let Some(field) = all.next_field().map_err(bad)? {
            if let (n, Value::Len(entry)) = field
                && n == number
            {
                let key = string_field(entry, 1).map_err(bad)?;
                let value = string_field(entry, 2).map_err(bad)?;
                pairs.insert(self.source.all().slice_ref(key), self.source.all().slice_ref(value));
            }
        }
        Ok(pairs.into_iter().collect())
    }
}

fn row(source: &Source, function: &[u8], i: usize) -> Result<Row> {
    let span = source.span(function);
    let bad = |why| source.malformed("function", span, why);
    let signature = string_field(function, 1).map_err(bad)?;
    let name = string_field(signature, 1).map_err(bad)?;
    if name.is_empty() {
        let fault = Fault::corrupt("function library", format!("function {i} has no name"));
        return Err(source.at(fault, span));
    }
    Ok(Row { function: span, name: source.span(name), signature: source.span(signature) })
}

/// The attributes that a FunctionDef gives its argument `number`.
pub(crate) fn arg_attrs(function: &Bytes, number: u64) -> Result<Vec<(Bytes, Attr)>> {
    const ARG_ATTR: u32 = 7;
    let bad = |why: tensorbundle_wire::pb::Malformed| Fault::corrupt("function", why.to_string());
    let mut found = None;
    let mut all = fields(function);
    while let Some(field) = all.next_field().map_err(bad)? {
        let (ARG_ATTR, Value::Len(entry)) = field else {
            continue;
        };
        let (mut key, mut value) = (0, &[][..]);
        let mut parts = fields(entry);
        while let Some(part) = parts.next_field().map_err(bad)? {
            match part {
                (1, Value::Varint(number)) => key = number,
                (2, Value::Len(bytes)) => value = bytes,
                _ => {}
            }
        }
        if key == number {
            found = Some(function.slice_ref(value));
        }
    }
    found.map_or(Ok(Vec::new()), |attrs| decode_map(&attrs, 1))
}
