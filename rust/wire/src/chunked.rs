//! A message in chunks: what TensorFlow's proto splitter makes of one that is too large (FORMAT 9.4).
//!
//! ```text
//! records  chunk 0  chunk 1  …  ChunkMetadata { 2 ChunkInfo { 3 offset }*  3 message }
//! ChunkedMessage { 1 chunk_index  2 ChunkedField { 1 way*  3 ChunkedMessage }* }
//! way      field number, then for a repeated field the element's number, for a map the key; then the next field
//! ```
//!
//! A chunk is merged into the message that its way leads to, or becomes the text or bytes there. All ways are put
//! together into one tree first ([`Edits`]), which is then laid over the bytes in one pass (`merge.rs`).

use crate::limits::MAX_MESSAGE_DEPTH;
use crate::pb::{Malformed, Value, fields};
use crate::riegeli::Records;
use crate::schema::MessageType;
use crate::{Fault, Result};
use bytes::Bytes;
use std::collections::{BTreeMap, HashSet};

mod merge;

const PART: &str = "chunked message";

/// The message of type `ty` that is in the chunks of a Riegeli file.
pub fn assemble(file: &[u8], ty: &MessageType) -> Result<Vec<u8>> {
    let records = Records::read(file)?;
    let (at, metadata) = records.last().ok_or_else(|| corrupt("the file has no records"))?;
    let read = || -> Result<Vec<u8>> {
        let mut chunks = Chunks::default();
        let mut messages = Vec::new();
        for field in fields(metadata) {
            match field.map_err(malformed)? {
                (2, Value::Len(info)) => chunks.add(info, &records)?,
                (3, Value::Len(message)) => messages.push(message),
                _ => {}
            }
        }
        let mut edits = Edits::default();
        chunks.collect(&messages, &mut edits, 0)?;
        let mut merged = Vec::new();
        merge::merge(&edits, ty, Vec::new(), &mut merged)?;
        Ok(merged)
    };
    read().map_err(|fault| fault.at(at))
}

fn corrupt(what: impl Into<String>) -> Fault {
    Fault::corrupt(PART, what)
}

fn malformed(why: Malformed) -> Fault {
    corrupt(format!("its description in the last record: {why}"))
}

/// What is put into a message: chunks that are merged into it, and what is put into its fields.
#[derive(Debug, Default)]
struct Edits {
    chunks: Vec<Bytes>,
    fields: BTreeMap<u32, FieldEdits>,
}

#[derive(Debug)]
enum FieldEdits {
    Whole(Box<Edits>),
    Elements(BTreeMap<u64, Edits>),
    Entries(BTreeMap<MapKey, Edits>),
}

/// A key of a map: a text, or the bits of a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum MapKey {
    Text(Vec<u8>),
    Number(u64),
}

/// A step of the way to a message or a field.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Field(u32),
    Index(u64),
    Key(MapKey),
}

/// The chunks, each of which is a record of its own and belongs to one place: so that few bytes cannot stand for many.
#[derive(Debug, Default)]
struct Chunks {
    all: Vec<Option<Bytes>>,
    records: HashSet<u64>,
    /// Of all ways.
    steps: usize,
}

/// A `ChunkedField`.
struct Part<'a> {
    way: Vec<Step>,
    chunk: Option<u64>,
    messages: Vec<&'a [u8]>,
}

impl Chunks {
    /// Adds the chunk of a `ChunkInfo`.
    fn add(&mut self, info: &[u8], records: &Records) -> Result<()> {
        let (mut size, mut offset) = (None, 0);
        for field in fields(info) {
            match field.map_err(malformed)? {
                (2, Value::Varint(value)) => size = Some(value),
                (3, Value::Varint(value)) => offset = value,
                _ => {}
            }
        }
        let number = self.all.len();
        if !self.records.insert(offset) {
            return Err(corrupt(format!("the record at {offset} is listed twice as a chunk")));
        }
        let record = records.at(offset).ok_or_else(|| {
            corrupt(format!("chunk {number} should be the record at {offset}, where there is none"))
        })?;
        if size.is_some_and(|size| size != record.len() as u64) {
            let (got, want) = (record.len(), size.unwrap_or_default());
            return Err(corrupt(format!("chunk {number} has {got} bytes, it should have {want}")));
        }
        self.all.push(Some(record.clone()));
        Ok(())
    }

    fn take(&mut self, number: u64) -> Result<Bytes> {
        let n = self.all.len();
        let chunk = usize::try_from(number).ok().and_then(|number| self.all.get_mut(number));
        let chunk = chunk.ok_or_else(|| corrupt(format!("it has a chunk {number} of {n}")))?;
        chunk.take().ok_or_else(|| corrupt(format!("chunk {number} has two places")))
    }

    /// Packed, a description of a few hundred bytes can have millions of steps; but each way leads to a chunk.
    fn count(&mut self, steps: usize) -> Result<()> {
        self.steps = self.steps.saturating_add(steps);
        let most = MAX_MESSAGE_DEPTH * (self.all.len() + 1);
        if self.steps > most {
            let n = self.all.len();
            return Err(corrupt(format!("more than {most} steps lead to its {n} chunks")));
        }
        Ok(())
    }

    /// Puts a `ChunkedMessage`, which may come in pieces, into the tree.
    fn collect(&mut self, pieces: &[&[u8]], edits: &mut Edits, depth: usize) -> Result<()> {
        if depth > MAX_MESSAGE_DEPTH {
            return Err(corrupt(format!(
                "messages lie in one another more than {MAX_MESSAGE_DEPTH} deep"
            )));
        }
        if let Some(number) = chunk_of(pieces)? {
            edits.chunks.push(self.take(number)?);
        }
        let mut parts = Vec::new();
        for piece in pieces {
            for field in fields(piece) {
                if let (2, Value::Len(field)) = field.map_err(malformed)? {
                    let part = part(field)?;
                    self.count(1 + part.way.len())?;
                    parts.push(part);
                }
            }
        }
        // What comes first in a way comes first; of one place, the earlier chunk.
        parts.sort_by(|a, b| (&a.way, a.chunk).cmp(&(&b.way, b.chunk)));
        for part in parts {
            let deeper = depth + part.way.len().max(1);
            let place = edits.place(part.way)?;
            self.collect(&part.messages, place, deeper)?;
        }
        Ok(())
    }
}

/// The last `chunk_index` of a `ChunkedMessage`.
fn chunk_of(pieces: &[&[u8]]) -> Result<Option<u64>> {
    let mut chunk = None;
    for field in pieces.iter().flat_map(|piece| fields(piece)) {
        if let (1, Value::Varint(number)) = field.map_err(malformed)? {
            chunk = Some(number);
        }
    }
    Ok(chunk)
}

fn part(field: &[u8]) -> Result<Part<'_>> {
    let mut found = Part { way: Vec::new(), chunk: None, messages: Vec::new() };
    for field in fields(field) {
        match field.map_err(malformed)? {
            (1, Value::Len(_)) if found.way.len() == MAX_MESSAGE_DEPTH => {
                return Err(corrupt(format!("a way leads more than {MAX_MESSAGE_DEPTH} deep")));
            }
            (1, Value::Len(index)) => found.way.push(step(index)?),
            (3, Value::Len(message)) => found.messages.push(message),
            _ => {}
        }
    }
    found.chunk = chunk_of(&found.messages)?;
    Ok(found)
}

/// A `FieldIndex`: the last of its kinds counts.
fn step(index: &[u8]) -> Result<Step> {
    let mut found = None;
    for field in fields(index) {
        match field.map_err(malformed)? {
            (1, Value::Varint(number)) => {
                let number = u32::try_from(number)
                    .map_err(|_| corrupt(format!("a way leads to a field {number}")))?;
                found = Some(Step::Field(number));
            }
            (2, Value::Len(key)) => found = Some(Step::Key(map_key(key)?)),
            (3, Value::Varint(number)) => found = Some(Step::Index(number)),
            _ => {}
        }
    }
    found.ok_or_else(|| corrupt("a step of a way is neither a field, nor an index, nor a key"))
}

fn map_key(key: &[u8]) -> Result<MapKey> {
    let mut found = None;
    for field in fields(key) {
        match field.map_err(malformed)? {
            (1, Value::Len(text)) => found = Some(MapKey::Text(text.to_vec())),
            // As the wire has them: a boolean is 0 or 1, a negative number has all 64 bits.
            (2..=6, Value::Varint(number)) => found = Some(MapKey::Number(number)),
            _ => {}
        }
    }
    found.ok_or_else(|| corrupt("a way has a key without a value"))
}

impl Edits {
    /// The edits at the end of a way.
    fn place(&mut self, way: Vec<Step>) -> Result<&mut Self> {
        let mut here = self;
        let mut steps = way.into_iter().peekable();
        while let Some(step) = steps.next() {
            let Step::Field(number) = step else {
                return Err(corrupt("a way has an index or a key without a field before it"));
            };
            let next = steps.next_if(|step| !matches!(step, Step::Field(_)));
            let field = here.fields.entry(number).or_insert_with(|| match next {
                None => FieldEdits::Whole(Box::default()),
                Some(Step::Index(_)) => FieldEdits::Elements(BTreeMap::new()),
                Some(_) => FieldEdits::Entries(BTreeMap::new()),
            });
            here = match (field, next) {
                (FieldEdits::Whole(edits), None) => edits,
                (FieldEdits::Elements(all), Some(Step::Index(index))) => {
                    all.entry(index).or_default()
                }
                (FieldEdits::Entries(all), Some(Step::Key(key))) => all.entry(key).or_default(),
                _ => {
                    let what =
                        format!("ways lead to field {number} with and without an index, or a key");
                    return Err(corrupt(what));
                }
            };
        }
        Ok(here)
    }
}

#[cfg(test)]
mod tests;
