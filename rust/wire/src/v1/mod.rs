//! What the table of a V1 checkpoint says (FORMAT 6).
//!
//! ```text
//! ""          SavedTensorSlices { meta { tensor { name shape type slice* }*  versions } }      the table of contents
//! slice key   SavedTensorSlices { data { name  slice  data: TensorProto } }                    one slice of a tensor
//! ```
//!
//! The TensorProto holds only values: their type and number are those that the contents say.

mod contents;
mod record;

pub use contents::{Contents, SavedTensor};
pub use record::Record;

/// Does the value of the empty key belong to a V1 table? Its first field is a message, a V2 header's a number.
pub fn is_contents(value: &[u8]) -> bool {
    value.first() == Some(&0x0a)
}
