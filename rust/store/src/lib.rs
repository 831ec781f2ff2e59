//! Tensors in files: V2 bundles, their shards mapped or read; V1 files; partitioned tensors put together.
//!
//! ```text
//! tensors    a checkpoint of either format
//! bundle     opens an index, finds entries, lists them          read       a tensor's bytes
//! listing    every tensor of a bundle                           partition  a tensor from its slices
//! part       which elements of it are asked for
//! shard      one data file, mapped or read when first touched   checksum   what was checked already
//! stretches  a tensor's elements, a part at a time              scan       work on all cores
//! neighbours what lies together in a shard of a store
//! v1         a V1 checkpoint: its files, their tensors
//! files remote                                                  where files are: here, or in a store
//! file source map pages buffer lazy parallel                    files, memory, threads
//! ```
//!
//! A [`Bundle`] is immutable and shared without locks; what it opens on the way (blocks, shards) is set
//! once, by whoever comes first, so that it also survives a `fork` at any moment.

mod ahead;
mod buffer;
mod bundle;
mod checksum;
mod error;
mod file;
mod files;
mod finding;
mod index;
mod lazy;
mod listing;
mod map;
mod neighbours;
mod pages;
mod parallel;
mod part;
mod partition;
mod read;
mod remote;
mod runs;
mod salvage;
mod scan;
mod shard;
mod source;
mod stretches;
mod tensors;
mod v1;
mod verify;

pub use buffer::Scratch;
pub use bundle::{
    Bundle, DataFile, Found, Options, data_files, data_path, dir_and_name, index_path,
};
pub use error::{Error, Result};
pub use file::{read_ends, read_file};
pub use files::{Files, Kind, Listed, Pieces, Remote, Seen, Stat};
pub use finding::{Finding, FindingKind, Findings};
pub use listing::{Listing, Part, Places, Row};
pub use neighbours::{Fetched, Run};
pub use read::{HOST, ReadOptions, Tensor, Value};
pub use salvage::Salvaged;
pub use scan::{Stopped, Watch, Worker, in_order, on_all_cores};
pub use stretches::{Stretches, cut};
pub use tensors::{Format, Place, Tensors};
pub use v1::{Sniffed, V1, V1Tensor, sniff_v1};
pub use verify::Checked;
