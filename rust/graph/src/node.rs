//! One node, decoded as far as it is asked (FORMAT 7.2).

use crate::attr::Attr;
use crate::span::{Source, Span};
use bytes::Bytes;
use std::collections::HashMap;
use tensorbundle_wire::pb::{Fields, Malformed, Value, fields};
use tensorbundle_wire::{Fault, Result, shown};

/// A NodeDef.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    source: &'a Source,
    span: Span,
}

const INPUT: u32 = 3;
const DEVICE: u32 = 4;
const ATTR: u32 = 5;

impl<'a> Node<'a> {
    pub(crate) fn new(source: &'a Source, span: Span) -> Self {
        Self { source, span }
    }

    fn fields(&self) -> Fields<'a> {
        fields(self.source.get(self.span))
    }

    /// The device it is placed on, empty if on none.
    pub fn device(&self) -> &'a [u8] {
        let mut device = &[][..];
        for (number, value) in self.fields().flatten() {
            if let (DEVICE, Value::Len(bytes)) = (number, value) {
                device = bytes;
            }
        }
        device
    }

    /// Its inputs as written: data, then control.
    // The builder has walked over the whole node, so there is nothing malformed at this level.
    pub fn inputs(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fields().flatten().filter_map(|field| match field {
            (INPUT, Value::Len(bytes)) => Some(bytes),
            _ => None,
        })
    }

    /// An attribute as it stands in the node.
    pub fn attr(&self, name: &[u8]) -> Result<Option<Attr>> {
        let bytes = self.attr_bytes(name)?;
        let attr = bytes.map(|bytes| Attr::decode(&bytes)).transpose();
        attr.map_err(|why| self.bad(name, &why))
    }

    /// The serialized AttrValue of an attribute.
    pub fn attr_bytes(&self, name: &[u8]) -> Result<Option<Bytes>> {
        let mut found = None;
        for (number, value) in self.fields().flatten() {
            if let (ATTR, Value::Len(entry)) = (number, value)
                && let (key, value) = map_entry(entry).map_err(|why| self.malformed(why))?
                && key == name
            {
                found = Some(value);
            }
        }
        Ok(found.map(|value| value.join(self.source)))
    }

    /// Its attributes in the order of the file, none twice: the last of each name counts.
    pub fn attrs(&self) -> Result<Vec<(Bytes, Attr)>> {
        let mut last: HashMap<&[u8], usize> = HashMap::new();
        let mut found: Vec<(&[u8], Pieces<'_>)> = Vec::new();
        for (number, value) in self.fields().flatten() {
            if let (ATTR, Value::Len(entry)) = (number, value) {
                let (key, value) = map_entry(entry).map_err(|why| self.malformed(why))?;
                let place = *last.entry(key).or_insert(found.len());
                match found.get_mut(place) {
                    Some(known) => *known = (key, value),
                    None => found.push((key, value)),
                }
            }
        }
        let attrs = found.into_iter().map(|(key, value)| {
            let attr = Attr::decode(&value.join(self.source)).map_err(|why| self.bad(key, &why))?;
            Ok((Bytes::copy_from_slice(key), attr))
        });
        attrs.collect()
    }

    fn bad(&self, name: &[u8], why: &Fault) -> Fault {
        self.fault(format!("attribute {}: {}", shown(name), why.what()))
    }

    fn malformed(&self, why: Malformed) -> Fault {
        self.fault(format!("an attribute: {why}"))
    }

    pub(crate) fn fault(&self, what: String) -> Fault {
        let name = crate::body::string_field(self.source.get(self.span), 1).unwrap_or_default();
        self.source.corrupt("node", name, self.span, what)
    }
}

/// A message that may stand in pieces: protobuf merges those that come again.
#[derive(Clone, Copy)]
pub(crate) enum Pieces<'a> {
    One(&'a [u8]),
    Again(&'a [u8]),
}

impl Pieces<'_> {
    pub(crate) fn join(&self, source: &Source) -> Bytes {
        match *self {
            Pieces::One(bytes) => source.all().slice_ref(bytes),
            // Their concatenation is their merger. `entry` is the whole entry: see `map_entry`.
            Pieces::Again(entry) => {
                let values = fields(entry).flatten().filter_map(|field| match field {
                    (2, Value::Len(bytes)) => Some(bytes),
                    _ => None,
                });
                values.flatten().copied().collect()
            }
        }
    }
}

/// Key and value of an entry of a map from strings to messages.
pub(crate) fn map_entry(entry: &[u8]) -> Result<(&[u8], Pieces<'_>), Malformed> {
    let (mut key, mut value, mut again) = (&[][..], &[][..], false);
    let mut all = fields(entry);
    let mut seen = false;
    while let Some(field) = all.next_field()? {
        match field {
            (1, Value::Len(bytes)) => key = bytes,
            (2, Value::Len(bytes)) => {
                (value, again) = (bytes, seen);
                seen = true;
            }
            _ => {}
        }
    }
    Ok((key, if again { Pieces::Again(entry) } else { Pieces::One(value) }))
}
