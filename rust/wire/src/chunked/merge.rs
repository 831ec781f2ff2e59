//! Edits laid over the bytes of a message.
//!
//! ```text
//! message field    all its pieces, with the edits, as one, behind the other fields
//! element          in its place; one more than there are is added
//! entry of a map   the last of its key, with the edits, behind the other fields
//! text, bytes      the chunk, in place of what is there
//! number           the chunk is its text
//! ```

use super::{Edits, FieldEdits, MapKey, PART, corrupt};
use crate::pb::{Malformed, Value, fields, raw_fields};
use crate::schema::{Field, Kind, MessageType, WireType};
use crate::text_wire::bits;
use crate::varint::put_varint;
use crate::{Fault, Result, shown};
use std::collections::BTreeMap;

/// Appends the message that has `parts`, which are merged, with the edits.
pub(super) fn merge<'a>(
    edits: &'a Edits,
    ty: &'a MessageType,
    mut parts: Vec<&'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<()> {
    parts.extend(edits.chunks.iter().map(|chunk| &chunk[..]));
    if edits.fields.is_empty() {
        return parts.iter().try_for_each(|part| append(out, part));
    }
    let mut targets = BTreeMap::new();
    for (&number, edits) in &edits.fields {
        targets.insert(number, Target::new(ty, number, edits)?);
    }
    let bad = |why: Malformed| corrupt(format!("a chunk is no {}: {why}", ty.name()));
    for part in parts {
        for field in raw_fields(part) {
            let (number, value, raw) = field.map_err(bad)?;
            targets.values_mut().for_each(|target| target.pass(number, &value));
            let kept = match targets.get_mut(&number) {
                Some(target) => target.meet(value, out)?,
                None => true,
            };
            if kept {
                append(out, raw)?;
            }
        }
    }
    targets.into_values().try_for_each(|target| target.finish(out))
}

/// Appends bytes, of which there can be as many as the limits allow; the memory may not be had.
fn append(out: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    if out.try_reserve(bytes.len()).is_err() {
        let what = format!("no memory for {} bytes", out.len().saturating_add(bytes.len()));
        return Err(Fault::unsupported(PART, what));
    }
    out.extend_from_slice(bytes);
    Ok(())
}

/// A field with edits, and what was seen of it.
struct Target<'a> {
    field: &'a Field,
    seen: Seen<'a>,
}

enum Seen<'a> {
    /// The pieces of a message.
    Whole(&'a Edits, Vec<&'a [u8]>),
    /// How many elements.
    Elements(&'a BTreeMap<u64, Edits>, u64),
    /// For a key, the pieces of the value of its last entry.
    Entries(&'a BTreeMap<MapKey, Edits>, BTreeMap<&'a MapKey, Vec<&'a [u8]>>),
}

impl<'a> Target<'a> {
    fn new(ty: &'a MessageType, number: u32, edits: &'a FieldEdits) -> Result<Self> {
        let name = ty.name();
        let field = ty.field(number).ok_or_else(|| {
            corrupt(format!("a way leads to field {number}, which {name} has not"))
        })?;
        let wrong = |what: &str| {
            let way = match edits {
                FieldEdits::Whole(_) => "only its number",
                FieldEdits::Elements(_) => "an index",
                FieldEdits::Entries(_) => "a key",
            };
            Err(corrupt(format!("a way has {way} for {} of {name}, which is {what}", field.name())))
        };
        let packed = field.kind().wire_type() != WireType::Len;
        let seen = match edits {
            FieldEdits::Entries(all) if field.is_map() => {
                let texts = field.entry().is_some_and(|(key, _)| key.kind() == Kind::String);
                if all.keys().any(|key| matches!(key, MapKey::Text(_)) != texts) {
                    return wrong("a map with keys of another type");
                }
                Seen::Entries(all, BTreeMap::new())
            }
            _ if field.is_map() => return wrong("a map"),
            FieldEdits::Elements(_) if field.is_repeated() && packed => {
                let what = format!(
                    "{} of {name}: a list of numbers in chunks cannot be read",
                    field.name()
                );
                return Err(Fault::unsupported(PART, what));
            }
            FieldEdits::Elements(all) if field.is_repeated() => Seen::Elements(all, 0),
            _ if field.is_repeated() => return wrong("repeated"),
            FieldEdits::Whole(edits) => Seen::Whole(edits, Vec::new()),
            _ => return wrong("not repeated"),
        };
        Ok(Self { field, seen })
    }

    /// Another member of its oneof unsets it.
    fn pass(&mut self, number: u32, value: &Value<'_>) {
        if let Seen::Whole(_, pieces) = &mut self.seen
            && self.field.others().iter().any(|(other, kind)| *other == number && kind.fits(value))
        {
            pieces.clear();
        }
    }

    /// Takes in a value of its number. True: the value stays as it is.
    fn meet(&mut self, value: Value<'a>, out: &mut Vec<u8>) -> Result<bool> {
        if !self.field.kind().fits(&value) {
            return Ok(true);
        }
        match (&mut self.seen, value) {
            (Seen::Whole(_, pieces), Value::Len(bytes)) => pieces.push(bytes),
            (Seen::Whole(..), _) => {}
            (Seen::Elements(all, count), Value::Len(bytes)) => {
                let edits = all.get(count);
                *count += 1;
                match edits {
                    Some(edits) => put(self.field, edits, vec![bytes], out)?,
                    None => return Ok(true),
                }
            }
            (Seen::Entries(all, values), Value::Len(bytes)) => {
                let (key, pieces) = entry(bytes, all)?;
                match all.get_key_value(&key) {
                    Some((key, _)) => {
                        values.insert(key, pieces);
                    }
                    None => return Ok(true),
                }
            }
            _ => return Ok(true),
        }
        Ok(false)
    }

    /// Appends what comes behind the other fields.
    fn finish(self, out: &mut Vec<u8>) -> Result<()> {
        let Self { field, seen } = self;
        match seen {
            Seen::Whole(edits, pieces) => put(field, edits, pieces, out),
            Seen::Elements(all, mut count) => {
                for (&index, edits) in all.range(count..) {
                    if index != count {
                        let what = format!(
                            "a way leads to {} {index}, of which there are {count}",
                            field.name()
                        );
                        return Err(corrupt(what));
                    }
                    put(field, edits, Vec::new(), out)?;
                    count += 1;
                }
                Ok(())
            }
            Seen::Entries(all, mut values) => {
                let Some((key_field, value_field)) = field.entry() else { return Ok(()) };
                for (key, edits) in all {
                    let mut whole = Vec::new();
                    match key {
                        MapKey::Text(text) => put_bytes(key_field.number(), text, &mut whole)?,
                        MapKey::Number(number) => {
                            put_tag(key_field, &mut whole);
                            put_varint(&mut whole, *number);
                        }
                    }
                    put(value_field, edits, values.remove(key).unwrap_or_default(), &mut whole)?;
                    put_bytes(field.number(), &whole, out)?;
                }
                Ok(())
            }
        }
    }
}

/// Key and value of an entry; the value in as many pieces as it comes.
fn entry<'a>(bytes: &'a [u8], like: &BTreeMap<MapKey, Edits>) -> Result<(MapKey, Vec<&'a [u8]>)> {
    let texts = matches!(like.keys().next(), Some(MapKey::Text(_)));
    let mut key = if texts { MapKey::Text(Vec::new()) } else { MapKey::Number(0) };
    let mut pieces = Vec::new();
    for field in fields(bytes) {
        match field.map_err(|why| corrupt(format!("the entry of a map: {why}")))? {
            (1, Value::Len(text)) if texts => key = MapKey::Text(text.to_vec()),
            (1, Value::Varint(number)) if !texts => key = MapKey::Number(number),
            (2, Value::Len(value)) => pieces.push(value),
            _ => {}
        }
    }
    Ok((key, pieces))
}

/// Appends a value of a field: a message of pieces and edits, or what a chunk says.
fn put<'a>(
    field: &'a Field,
    edits: &'a Edits,
    pieces: Vec<&'a [u8]>,
    out: &mut Vec<u8>,
) -> Result<()> {
    if let Some(ty) = field.message_type() {
        let mut message = Vec::new();
        merge(edits, ty, pieces, &mut message)?;
        put_bytes(field.number(), &message, out)?;
        return Ok(());
    }
    let name = field.name();
    let [chunk] = edits.chunks.as_slice() else {
        let n = edits.chunks.len();
        return Err(corrupt(format!("{name} is no message and should be one chunk, not {n}")));
    };
    if !edits.fields.is_empty() {
        return Err(corrupt(format!("a way leads into {name}, which is no message")));
    }
    if matches!(field.kind(), Kind::String | Kind::Bytes) {
        return put_bytes(field.number(), chunk, out);
    }
    let word = std::str::from_utf8(chunk).ok().and_then(|word| bits(field, word.trim()));
    let word = word.ok_or_else(|| corrupt(format!("{name} cannot be {}", shown(chunk))))?;
    put_tag(field, out);
    match field.kind().wire_type() {
        WireType::Fixed64 => out.extend_from_slice(&word.to_le_bytes()),
        WireType::Fixed32 => out.extend_from_slice(&(word as u32).to_le_bytes()),
        _ => put_varint(out, word),
    }
    Ok(())
}

fn put_tag(field: &Field, out: &mut Vec<u8>) {
    let wire_type = match field.kind().wire_type() {
        WireType::Varint => 0,
        WireType::Fixed64 => 1,
        WireType::Len => 2,
        WireType::Fixed32 => 5,
    };
    put_varint(out, u64::from(field.number()) << 3 | wire_type);
}

fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    append(out, bytes)
}
