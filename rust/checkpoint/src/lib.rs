//! What a path is, and the checkpoint behind it.
//!
//! ```text
//! locate       a prefix, a file of the set, a directory: which checkpoint is meant
//! state_file   the `checkpoint` file of a directory
//! near         names that are close to one that is not there
//! ```

#![forbid(unsafe_code)]

mod locate;
mod near;
mod state_file;

pub use locate::{Located, locate};
pub use near::near_names;
pub use state_file::{StateFile, read_state_file};
