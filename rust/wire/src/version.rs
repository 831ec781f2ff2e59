//! The version of the format that a checkpoint was written in, and which readers may read it (FORMAT 3.2, 6.1).

use crate::pb::{Malformed, Value, fields, packed_varints};
use crate::{Fault, Result};

/// The format version that this reader, like every TensorFlow, is.
const CONSUMER: i32 = 1;

/// VersionDef.
#[derive(Default)]
pub(crate) struct Version {
    /// The writer's version.
    pub(crate) producer: i32,
    min_consumer: i32,
    bad_consumers: Vec<i32>,
}

impl Version {
    pub(crate) fn merge(&mut self, message: &[u8]) -> Result<(), Malformed> {
        for field in fields(message) {
            match field? {
                (1, Value::Varint(value)) => self.producer = value as i32,
                (2, Value::Varint(value)) => self.min_consumer = value as i32,
                (3, Value::Varint(value)) => self.bad_consumers.push(value as i32),
                (3, Value::Len(packed)) => {
                    for value in packed_varints(packed) {
                        self.bad_consumers.push(value? as i32);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Holds it against this reader's; `part` is where it stands.
    pub(crate) fn check(&self, part: &'static str) -> Result<()> {
        if self.producer < 0 {
            return Err(Fault::corrupt(
                part,
                format!("version of its writer: got {}, want 0 or more", self.producer),
            ));
        }
        if self.min_consumer > CONSUMER {
            return Err(Fault::unsupported(
                part,
                format!(
                    "it asks for a reader of version {}, this one has version {CONSUMER}",
                    self.min_consumer
                ),
            )
            .advise("it was written by a newer TensorFlow: look for a newer tensorbundle"));
        }
        if self.bad_consumers.contains(&CONSUMER) {
            return Err(Fault::unsupported(
                part,
                format!("its writer declared readers of version {CONSUMER} unfit for it"),
            ));
        }
        Ok(())
    }
}
