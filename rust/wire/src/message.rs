//! Any message, field by field, without being taken apart.
//!
//! A [`Message`] is its type and its bytes. A field is looked for when it is asked for, and what is found is a
//! slice of the same bytes, so that a message costs nothing until it is used. The rules are protobuf's:
//!
//! ```text
//! scalar             the last one counts
//! message            all of them, merged: their bytes one behind the other
//! member of a oneof  unset by any other member that follows
//! repeated scalar    one value a field, or many in one (packed), or both by turns
//! map                entries of a key (1) and a value (2), each the default if it is missing; the last of a key counts
//! wrong wire type, unknown number, group    not there
//! ```

use crate::pb::{self, Malformed};
use crate::schema::{ANY, Field, Kind, MessageType, WireType, schema};
use crate::varint::Cursor;
use crate::{Fault, Result, shown};
use bytes::Bytes;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

mod value;

#[cfg(test)]
mod tests;

use value::Key;
pub use value::Value;

/// A message of any type.
#[derive(Clone)]
pub struct Message {
    ty: &'static MessageType,
    bytes: Bytes,
}

impl Message {
    /// The message of some bytes, which are looked at only as far as fields are asked for.
    pub fn new(ty: &'static MessageType, bytes: Bytes) -> Self {
        Self { ty, bytes }
    }

    /// Its type.
    pub fn ty(&self) -> &'static MessageType {
        self.ty
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The value of a field that is not repeated; `None` if it is not set, and then [`Value::default_of`]
    /// is what protobuf takes for it.
    pub fn get(&self, field: &Field) -> Result<Option<Value>> {
        let mut last = None;
        let mut merged = None; // the whole of a message that comes in pieces
        let mut fields = pb::fields(&self.bytes);
        while let Some((number, value)) = fields.next_field().map_err(|why| self.bad(why))? {
            if number == field.number() {
                if !field.kind().fits(&value) {
                    continue;
                }
                if let (Kind::Message, pb::Value::Len(piece), Some(pb::Value::Len(before))) =
                    (field.kind(), value, last)
                {
                    append(merged.get_or_insert_with(Vec::new), before, piece, self.part())?;
                }
                last = Some(value);
            } else if field
                .others()
                .iter()
                .any(|(other, kind)| *other == number && kind.fits(&value))
            {
                (last, merged) = (None, None);
            }
        }
        let Some(last) = last else { return Ok(None) };
        if let (Some(merged), Some(ty)) = (merged, field.message_type()) {
            return Ok(Some(Value::Message(Self::new(ty, merged.into()))));
        }
        let value = self.value(field, last);
        Ok(value.filter(|value| field.has_presence() || !value.is_default()))
    }

    /// The value of a field that is not repeated, or the default.
    pub fn get_or_default(&self, field: &Field) -> Result<Value> {
        Ok(self.get(field)?.unwrap_or_else(|| Value::default_of(field)))
    }

    /// The values of a repeated field, one after the other; nothing is kept.
    pub fn values<'a>(&'a self, field: &'a Field) -> Values<'a> {
        Values {
            message: self,
            field,
            fields: Some(pb::fields(&self.bytes)),
            packed: Cursor::new(&[]),
        }
    }

    /// The values of a repeated field. They take some fifty times as much memory as a packed list of small
    /// numbers; [`Message::values`] takes none.
    pub fn all(&self, field: &Field) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        for value in self.values(field) {
            push(&mut all, value?, self.part())?;
        }
        Ok(all)
    }

    /// The entries of a map, each key once, in the order in which the keys first come.
    pub fn entries(&self, field: &Field) -> Result<Vec<(Value, Value)>> {
        let Some((key_field, value_field)) = field.entry() else { return Ok(Vec::new()) };
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        for entry in self.values(field) {
            let Value::Message(entry) = entry? else { continue };
            let key = entry.get_or_default(key_field)?;
            let value = entry.get_or_default(value_field)?;
            let Some(name) = Key::of(&key) else { continue };
            match places.get(&name).and_then(|&place| entries.get_mut(place)) {
                Some((_, old)) => *old = value,
                None => {
                    places.try_reserve(1).map_err(|_| no_memory(self.part()))?;
                    places.insert(name, entries.len());
                    push(&mut entries, (key, value), self.part())?;
                }
            }
        }
        Ok(entries)
    }

    /// The value of a map's key.
    pub fn entry(&self, field: &Field, key: &Value) -> Result<Option<Value>> {
        let Some((key_field, value_field)) = field.entry() else { return Ok(None) };
        let mut found = None;
        for entry in self.values(field) {
            let Value::Message(entry) = entry? else { continue };
            if entry.get_or_default(key_field)? == *key {
                found = Some(entry);
            }
        }
        found.map(|entry| entry.get_or_default(value_field)).transpose()
    }

    /// Whether a field is set: a repeated one, whether it has values.
    pub fn has(&self, field: &Field) -> Result<bool> {
        if field.is_repeated() {
            return Ok(self.values(field).next().transpose()?.is_some());
        }
        Ok(self.get(field)?.is_some())
    }

    /// The fields that are set, in the order of their numbers.
    pub fn present(&self) -> Result<Vec<&'static Field>> {
        let mut seen = vec![false; self.ty.fields().len()];
        let mut fields = pb::fields(&self.bytes);
        while let Some((number, _)) = fields.next_field().map_err(|why| self.bad(why))? {
            let place = self.ty.fields().binary_search_by_key(&number, |field| field.number());
            if let Some(seen) = place.ok().and_then(|place| seen.get_mut(place)) {
                *seen = true;
            }
        }
        let seen = self.ty.fields().iter().zip(seen).filter(|(_, seen)| *seen);
        let mut present = Vec::new();
        for (field, _) in seen {
            if self.has(field)? {
                present.push(field);
            }
        }
        Ok(present)
    }

    /// The member of a oneof that is set. A name that is no oneof's is an error of the caller: `None`.
    pub fn which(&self, oneof: &str) -> Result<Option<&'static Field>> {
        let mut last = None;
        let mut fields = pb::fields(&self.bytes);
        while let Some((number, value)) = fields.next_field().map_err(|why| self.bad(why))? {
            let member = self.ty.field(number).filter(|field| field.oneof() == Some(oneof));
            last = member.filter(|field| field.kind().fits(&value)).or(last);
        }
        Ok(last)
    }

    /// The field of a name. One that the type does not have is a mistake in this program.
    pub fn field(&self, name: &str) -> Result<&'static Field> {
        self.ty.field_named(name).ok_or_else(|| {
            Fault::unsupported(self.part(), format!("it has no field {}", shown(name.as_bytes())))
        })
    }

    /// The `string` or `bytes` of a name; empty if it is not set.
    pub fn text(&self, name: &str) -> Result<Bytes> {
        match self.get(self.field(name)?)? {
            Some(Value::Text(bytes) | Value::Bytes(bytes)) => Ok(bytes),
            _ => Ok(Bytes::new()),
        }
    }

    /// The `repeated string` or `repeated bytes` of a name.
    pub fn texts(&self, name: &str) -> Result<Vec<Bytes>> {
        let mut all = Vec::new();
        for value in self.values(self.field(name)?) {
            if let Value::Text(bytes) | Value::Bytes(bytes) = value? {
                push(&mut all, bytes, self.part())?;
            }
        }
        Ok(all)
    }

    /// The signed number or enum of a name; 0 if it is not set.
    pub fn int(&self, name: &str) -> Result<i64> {
        Ok(match self.get(self.field(name)?)? {
            Some(Value::Int(value)) => value,
            Some(Value::Enum(value, _)) => i64::from(value),
            _ => 0,
        })
    }

    /// The `bool` of a name; false if it is not set.
    pub fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.get(self.field(name)?)? == Some(Value::Bool(true)))
    }

    /// The message of a name.
    pub fn message(&self, name: &str) -> Result<Option<Self>> {
        match self.get(self.field(name)?)? {
            Some(Value::Message(message)) => Ok(Some(message)),
            _ => Ok(None),
        }
    }

    /// The `repeated` messages of a name.
    pub fn messages(&self, name: &str) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for value in self.values(self.field(name)?) {
            if let Value::Message(message) = value? {
                push(&mut all, message, self.part())?;
            }
        }
        Ok(all)
    }

    /// The message inside a `google.protobuf.Any`.
    pub fn unpack(&self) -> Result<Self> {
        if self.ty.name() != ANY {
            return Err(Fault::unsupported(self.part(), format!("only an {ANY} can be unpacked")));
        }
        let url = self.text("type_url")?;
        let name = url.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let ty = std::str::from_utf8(name).ok().and_then(|name| schema().message(name));
        let ty = ty.ok_or_else(|| {
            let what = match url.is_empty() {
                true => "it does not say of which type it is".to_owned(),
                false => format!("it holds a message of a type not known here: {}", shown(&url)),
            };
            Fault::unsupported(self.part(), what)
        })?;
        Ok(Self::new(ty, self.text("value")?))
    }

    fn part(&self) -> &'static str {
        self.ty.short_name()
    }

    fn bad(&self, why: Malformed) -> Fault {
        Fault::corrupt(self.part(), why.to_string())
    }

    /// What the wire has, as the field's kind; `None` if that is not how the wire has it.
    fn value(&self, field: &Field, value: pb::Value<'_>) -> Option<Value> {
        // A slice of `self.bytes` is a part of them with a hold on all of them.
        Value::of_wire(field, value, |part| self.bytes.slice_ref(part))
    }
}

/// Puts `piece` behind what came `before`, which is all there was if `merged` is still empty. What stands in
/// `merged` already are pieces of one message, so it never grows larger than that.
fn append(merged: &mut Vec<u8>, before: &[u8], piece: &[u8], part: &'static str) -> Result<()> {
    let before = if merged.is_empty() { before } else { &[] };
    merged.try_reserve(before.len().saturating_add(piece.len())).map_err(|_| no_memory(part))?;
    merged.extend_from_slice(before);
    merged.extend_from_slice(piece);
    Ok(())
}

fn push<T>(all: &mut Vec<T>, value: T, part: &'static str) -> Result<()> {
    all.try_reserve(1).map_err(|_| no_memory(part))?;
    all.push(value);
    Ok(())
}

fn no_memory(part: &'static str) -> Fault {
    Fault::unsupported(part, "no memory for all values of a field")
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty && self.bytes == other.bytes
    }
}

impl Eq for Message {}

impl Hash for Message {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ty.name().hash(state);
        self.bytes.hash(state);
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.ty.name(), shown(&self.bytes))
    }
}

/// The values of a repeated field. Comes to its end after a fault.
pub struct Values<'a> {
    message: &'a Message,
    field: &'a Field,
    /// `None` at the end.
    fields: Option<pb::Fields<'a>>,
    /// What is left of a packed list.
    packed: Cursor<'a>,
}

impl Values<'_> {
    fn step(&mut self) -> Result<Option<Value>, Malformed> {
        let kind = self.field.kind();
        loop {
            if !self.packed.is_empty() {
                let value = match kind.wire_type() {
                    WireType::Varint => pb::Value::Varint(self.packed.varint64()?),
                    WireType::Fixed64 => {
                        pb::Value::Fixed64(u64::from_le_bytes(self.packed.array()?))
                    }
                    _ => pb::Value::Fixed32(u32::from_le_bytes(self.packed.array()?)),
                };
                return Ok(self.message.value(self.field, value));
            }
            let Some(fields) = &mut self.fields else { return Ok(None) };
            match fields.next_field()? {
                None => return Ok(None),
                Some((number, _)) if number != self.field.number() => {}
                Some((_, value)) if kind.fits(&value) => {
                    return Ok(self.message.value(self.field, value));
                }
                Some((_, pb::Value::Len(list))) => self.packed = Cursor::new(list),
                Some(_) => {}
            }
        }
    }
}

impl Iterator for Values<'_> {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fields.as_ref()?;
        let step = self.step().map_err(|why| self.message.bad(why)).transpose();
        if !matches!(step, Some(Ok(_))) {
            self.fields = None;
        }
        step
    }
}
