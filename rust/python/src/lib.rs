//! `tensorbundle._native`: thin classes over the Rust core. What users see is `python/tensorbundle`.

mod arrow;
mod buffer;
mod catalog;
mod diff;
mod directory;
mod dtypes;
mod errors;
mod graph;
mod info;
mod message;
mod names;
mod objects;
mod reader;
mod remote;
mod rows;
mod stats;
mod variables;
mod verify;
mod watch;

/// The native half of tensorbundle.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use super::arrow::ArrowTable;
    #[pymodule_export]
    use super::buffer::TensorBuffer;
    #[pymodule_export]
    use super::catalog::{ArrowWriter, Places, folders, places_of, walk};
    #[pymodule_export]
    use super::diff::{DiffRows, diff};
    #[pymodule_export]
    use super::directory::{is_checkpoint, named_in, read_state, scan_directory};
    #[pymodule_export]
    use super::dtypes::dtype_of;
    #[pymodule_export]
    use super::graph::{
        AttrPlaceholder, Function, FunctionRef, Graph, MetaGraphReader, Operation,
        SavedModelReader, Scope, Tensor, index_fingerprint, read_fingerprint, tensorflow_op,
        tensorflow_versions,
    };
    #[pymodule_export]
    use super::info::{SliceInfo, TensorInfo};
    #[pymodule_export]
    use super::message::Message;
    #[pymodule_export]
    use super::objects::ObjectGraphReader;
    #[pymodule_export]
    use super::reader::Reader;
    #[pymodule_export]
    use super::stats::stats;
    #[pymodule_export]
    use super::variables::{VariableRow, join};
    #[pymodule_export]
    use super::verify::verify;

    /// Of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "its name in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Built without optimisation: not to be measured.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "its name in Python")]
    const __debug_build__: bool = cfg!(debug_assertions);
}
