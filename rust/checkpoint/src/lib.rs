//! What a path is, and the checkpoint behind it.
//!
//! ```text
//! locate       a prefix, a file of the set, a directory: which checkpoint is meant
//! variables    the join of a graph and a checkpoint
//! state_file   the `checkpoint` file of a directory
//! directory    the checkpoints in a directory
//! v1_files     the files of a V1 checkpoint
//! meta_file    the file with a checkpoint's graph
//! fingerprint  what `fingerprint.pb` says, and whether it is of this checkpoint
//! arrow        columns of facts, in Arrow's format
//! catalog      whole stores of checkpoints, as rows
//! elements     the numbers that a tensor's bytes stand for, type by type
//! stats        what the values of tensors are like
//! diff         what differs between two checkpoints
//! near         names that are close to one that is not there
//! verify       everything that is wrong with a checkpoint, and what can be saved of it
//! object_graph the objects of a checkpoint of TensorFlow 2, by path
//! ```

#![forbid(unsafe_code)]

mod arrow;
mod catalog;
pub mod diff;
mod directory;
pub mod elements;
mod fingerprint;
mod locate;
mod meta_file;
mod near;
mod object_graph;
mod state_file;
pub mod stats;
mod v1_files;
mod variables;
mod verify;

pub use arrow::{Roles, Table, nodes_table, tensors_table, text};
pub use catalog::{Place, ScanOptions, Tables, Trouble, Walked, folders, places_of, scan, walk};
pub use directory::checkpoints_in;
pub use fingerprint::{index_fingerprint, read_fingerprint};
pub use locate::{Located, is_checkpoint, locate, named_in};
pub use meta_file::{
    choose, file_of, meta_beside, open_meta_graph, open_saved_model, parse_meta_graph,
};
pub use near::near_names;
pub use object_graph::{
    Attribute, Child, Keeps, Miss, ObjectGraph, PART as OBJECT_GRAPH_PART, Saver, Slot, State, Way,
    open_object_graph, unescaped,
};
pub use state_file::{StateFile, read_state_file};
pub use v1_files::V1Files;
pub use variables::{Finding as JoinFinding, Join, KeyFrom, Kind, Misfit, Variable, join};
pub use verify::{Verified, verify};
