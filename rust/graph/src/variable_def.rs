//! What a VariableDef says, and the SaveSliceInfoDef in it (FORMAT 7.5).

use bytes::Bytes;
use tensorbundle_wire::pb::{Malformed, Value, fields, packed_varints};

/// What a VariableDef says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VariableDef {
    /// The tensor of the variable.
    pub variable_name: Bytes,
    /// The op that initializes it.
    pub initializer_name: Bytes,
    /// The tensor of its value.
    pub snapshot_name: Bytes,
    /// The tensor of its initial value.
    pub initial_value_name: Bytes,
    /// Whether it is trained; false in old files.
    pub trainable: bool,
    /// Whether it is a resource.
    pub is_resource: bool,
    /// Where it lies in the variable it is a part of.
    pub slice: Option<SliceInfo>,
}

/// Where a part lies in a partitioned variable (SaveSliceInfoDef).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SliceInfo {
    /// The name of the whole.
    pub full_name: Bytes,
    /// The shape of the whole.
    pub full_shape: Vec<i64>,
    /// Where the part begins.
    pub offset: Vec<i64>,
    /// The shape of the part.
    pub shape: Vec<i64>,
}

impl VariableDef {
    /// Reads a serialized VariableDef.
    pub fn decode(message: &Bytes) -> Result<Self, Malformed> {
        let mut def = Self::default();
        let mut all = fields(message);
        while let Some(field) = all.next_field()? {
            match field {
                (1, Value::Len(name)) => def.variable_name = message.slice_ref(name),
                (2, Value::Len(name)) => def.initializer_name = message.slice_ref(name),
                (3, Value::Len(name)) => def.snapshot_name = message.slice_ref(name),
                (4, Value::Len(slice)) => {
                    SliceInfo::merge(def.slice.get_or_insert_default(), message, slice)?;
                }
                (5, Value::Varint(value)) => def.is_resource = value != 0,
                (6, Value::Len(name)) => def.initial_value_name = message.slice_ref(name),
                (7, Value::Varint(value)) => def.trainable = value != 0,
                _ => {}
            }
        }
        Ok(def)
    }
}

impl SliceInfo {
    /// Does the part lie in the whole?
    pub fn is_sound(&self) -> bool {
        let rank = self.full_shape.len();
        let fits = |((&start, &len), &dim): ((&i64, &i64), &i64)| {
            start >= 0 && len >= 0 && start.checked_add(len).is_some_and(|end| end <= dim)
        };
        self.offset.len() == rank
            && self.shape.len() == rank
            && self.offset.iter().zip(&self.shape).zip(&self.full_shape).all(fits)
    }

    fn merge(&mut self, source: &Bytes, message: &[u8]) -> Result<(), Malformed> {
        let mut all = fields(message);
        while let Some((number, value)) = all.next_field()? {
            let list = match number {
                2 => &mut self.full_shape,
                3 => &mut self.offset,
                4 => &mut self.shape,
                _ => {
                    if let (1, Value::Len(name)) = (number, value) {
                        self.full_name = source.slice_ref(name);
                    }
                    continue;
                }
            };
            match value {
                Value::Varint(value) => list.push(value as i64),
                Value::Len(packed) => {
                    for value in packed_varints(packed) {
                        list.push(value? as i64);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
