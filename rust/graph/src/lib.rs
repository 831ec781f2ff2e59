//! What a `.meta` holds: nodes, edges, functions, collections, savers.
//!
//! Nothing here knows a path, a file or Python: a graph is a [`bytes::Bytes`], mapped or not, taken apart as far
//! as it is asked.
//!
//! ```text
//! meta_graph  detect     a file, what it is, and a graph of it with all that belongs to it
//! graph  edges  walk     a graph or a function's body; what leads where; ways through it
//! inputs  outputs        of a node: what it takes, what it gives
//! body  node  attr       columns of nodes; one of them; values of attributes
//! library                functions
//! signature  known       what ops' definitions say of outputs; TensorFlow's own ops
//! ports  shape           a node's outputs; their shapes
//! variables  objects     what collections and nodes say of each; what objects say
//! variable_def  link     a VariableDef; which tensor is restored into which variable
//! problems               what is wrong with a graph
//! splice  scopes         a part as a GraphDef again; names as a tree
//! input  names  span     inputs as written; names to numbers; places in the file
//! ```

#![forbid(unsafe_code)]

mod attr;
mod body;
mod detect;
mod edges;
mod graph;
mod input;
mod inputs;
pub mod known;
mod library;
mod link;
mod meta_graph;
mod names;
mod node;
mod objects;
mod outputs;
mod ports;
mod problems;
mod scopes;
mod shape;
mod signature;
mod span;
mod splice;
mod variable_def;
mod variables;
mod walk;

pub use attr::{Attr, Func, List, PartialShape, partial_shape};
pub use body::Body;
pub use detect::What;
pub use edges::{CONTROL, Edge, Edges, MISSING, Use};
pub use graph::{Graph, NoTensor};
pub use library::Library;
pub use link::{Link, Links};
pub use meta_graph::{File, MetaGraph};
pub use names::Named;
pub use node::Node;
pub use objects::ObjectVariable;
pub use ports::{MAX_PORTS, Ports};
pub use scopes::Scope;
pub use signature::{Kind, OutputArg};
pub use variable_def::{SliceInfo, VariableDef};
pub use variables::{GraphVariables, Variable, is_variable_op};
pub use walk::Walk;
