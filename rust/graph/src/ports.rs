//! The outputs of a node, numbered flat (FORMAT 7.2): how many there are, of which types, under which names.

use crate::attr::{Attr, List};
use crate::signature::{Kind, OutputArg};
use bytes::Bytes;
use std::ops::Range;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::{Result, shown};

/// Outputs of one node. Real nodes have thousands at most; a number in an attribute that claims more would make
/// an object of each, which costs its author nothing.
pub const MAX_PORTS: u32 = 1 << 20;

/// The outputs of a node, in runs of those that one output of its op stands for.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    runs: Vec<Run>,
    /// The runs in order of their names, where they are many.
    by_name: Vec<u32>,
    /// Whether the op's definition is known: if not, there are at least so many.
    pub exact: bool,
}

#[derive(Debug, Clone)]
struct Run {
    name: Bytes,
    start: u32,
    width: u32,
    types: Types,
}

#[derive(Debug, Clone)]
enum Types {
    All(Option<DataType>),
    Each(Vec<DataType>),
}

/// From here on names are looked up in order instead of one by one.
const MANY: usize = 16;

impl Ports {
    /// `len` outputs of an op that nothing is known of.
    pub(crate) fn unknown(len: u32) -> Self {
        Self::named_so([(Bytes::new(), len)].into_iter())
    }

    /// Outputs of an op that is defined nowhere, as others name them.
    pub(crate) fn named_so(outputs: impl Iterator<Item = (Bytes, u32)>) -> Self {
        let mut ports = Self::default();
        for (name, width) in outputs {
            let width = width.min(MAX_PORTS - ports.len());
            ports.push(name, width, Types::All(None));
        }
        ports.sorted()
    }

    /// The outputs of a node, whose attributes `attr` looks up. `Err` says what does not fit.
    pub(crate) fn of(
        outputs: Vec<OutputArg<'_>>,
        name: impl Fn(&[u8]) -> Bytes,
        mut attr: impl FnMut(&[u8]) -> Result<Option<Attr>>,
    ) -> Result<Self, String> {
        let mut ports = Self { exact: true, ..Self::default() };
        for output in outputs {
            let mut look = |name: &[u8]| attr(name).map_err(|fault| fault.what().to_owned());
            let (mut width, types) = types_of(&output, &mut look)?;
            if let Some(number) = output.number {
                width = match look(number)? {
                    Some(Attr::Int(claimed)) => u64::try_from(claimed)
                        .ok()
                        .filter(|&claimed| claimed <= u64::from(MAX_PORTS))
                        .ok_or_else(|| {
                            let name = shown(number);
                            format!("attribute {name} claims {claimed} outputs, at most {MAX_PORTS} can be")
                        })?,
                    Some(Attr::Placeholder(_)) | None => 1,
                    Some(other) => return Err(unfit(number, &other, "int")),
                };
            }
            let left = u64::from(MAX_PORTS - ports.len());
            let width = u32::try_from(width).ok().filter(|&width| u64::from(width) <= left);
            let width = width.ok_or_else(|| format!("it claims more than {MAX_PORTS} outputs"))?;
            ports.push(name(output.name), width, types);
        }
        Ok(ports.sorted())
    }

    fn push(&mut self, name: Bytes, width: u32, types: Types) {
        let start = self.len();
        self.runs.push(Run { name, start, width, types });
    }

    fn sorted(mut self) -> Self {
        if self.runs.len() > MANY {
            self.by_name = (0..self.runs.len() as u32).collect();
            let name = |i: &u32| self.runs.get(*i as usize).map(|run| &run.name);
            self.by_name.sort_by(|a, b| name(a).cmp(&name(b))); // stable: the first of a name stays first
        }
        self
    }

    /// How many outputs the definition names.
    pub(crate) fn num_runs(&self) -> usize {
        self.runs.len()
    }

    /// How many outputs.
    pub fn len(&self) -> u32 {
        self.runs.last().map_or(0, |run| run.start + run.width)
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn run(&self, i: u32) -> Option<&Run> {
        let at = self.runs.partition_point(|run| run.start + run.width <= i);
        self.runs.get(at)
    }

    /// The type of output `i`, if it is known.
    pub fn dtype(&self, i: u32) -> Option<DataType> {
        let run = self.run(i)?;
        match &run.types {
            Types::All(dtype) => *dtype,
            Types::Each(types) => types.get((i - run.start) as usize).copied(),
        }
    }

    /// Which outputs the one called `name` is.
    pub(crate) fn named(&self, name: &[u8]) -> Option<Range<u32>> {
        let run = if self.by_name.is_empty() {
            self.runs.iter().find(|run| run.name == name)
        } else {
            let of = |&i: &u32| self.runs.get(i as usize);
            let at =
                self.by_name.partition_point(|i| of(i).is_some_and(|run| run.name[..] < *name));
            self.by_name.get(at).and_then(of).filter(|run| run.name == name)
        };
        run.map(|run| run.start..run.start + run.width)
    }
}

/// How many tensors an output is by its type alone, and their types.
fn types_of(
    output: &OutputArg<'_>,
    look: &mut impl FnMut(&[u8]) -> Result<Option<Attr>, String>,
) -> Result<(u64, Types), String> {
    let referring = |dtype: DataType| if output.is_ref { dtype.referred() } else { dtype };
    Ok(match output.kind {
        Kind::Type(dtype) => (1, Types::All(Some(referring(dtype)))),
        Kind::Attr(name) => match look(name)? {
            Some(Attr::Type(dtype)) => (1, Types::All(Some(referring(dtype)))),
            // In a function the caller may have yet to say.
            Some(Attr::Placeholder(_)) | None => (1, Types::All(None)),
            Some(other) => return Err(unfit(name, &other, "type")),
        },
        Kind::List(name) => match look(name)? {
            Some(Attr::List(List::Types(types))) => {
                let types: Vec<_> = types.into_iter().map(referring).collect();
                (types.len() as u64, Types::Each(types))
            }
            Some(Attr::List(List::Empty)) => (0, Types::Each(Vec::new())),
            Some(Attr::Placeholder(_)) | None => (1, Types::All(None)),
            Some(other) => return Err(unfit(name, &other, "a list of types")),
        },
    })
}

fn unfit(name: &[u8], attr: &Attr, want: &str) -> String {
    format!("attribute {} is of kind {}, want {want}", shown(name), attr.kind())
}
