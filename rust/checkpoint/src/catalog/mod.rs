//! Whole stores of checkpoints, as rows.
//!
//! ```text
//! walk        directories: what of the files in them are checkpoints, and the sizes and times of those
//! scan        one of them: its rows, whatever is wrong with it
//! sound       whether it looks sound, by its index and the sizes of its shards
//! values      what the values of its tensors are like, if that is asked for
//! columns     the tables that rows go into: checkpoints, findings (tensors: see `arrow`)
//! ```
//!
//! Nothing stops here: what cannot be read is a row that says why.

mod columns;
mod scan;
mod sound;
mod values;
mod walk;

pub use columns::Tables;
pub use scan::{ScanOptions, scan};
pub use walk::{Place, Trouble, Walked, folders, places_of, walk};
