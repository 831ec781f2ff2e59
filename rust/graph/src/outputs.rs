//! The outputs of a node, by whatever says what they are.
//!
//! In this order: the definition of its op in the file, or the signature of the function it calls; the list of
//! TensorFlow's own ops; how other nodes use it.

use crate::attr::{Attr, List};
use crate::graph::Graph;
use crate::known;
use crate::ports::{MAX_PORTS, Ports};
use crate::signature::{Kind, OutputArg, arg_def, outputs_of};
use bytes::Bytes;
use once_cell::race::OnceBox;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use tensorbundle_wire::Result;

/// Bytes of a node and its definition from which on its outputs are kept, once they were worked out: what many
/// others take from one large node must not be worked out for each of them.
const LARGE: usize = 1024;

/// Outputs that a definition names. TensorFlow's ops have some ten, functions some thousand.
const MAX_OUTPUT_ARGS: usize = 1 << 14;

/// Outputs, as definitions name them, that are kept for all nodes of a body together.
const MAX_KEPT: usize = 1 << 20;

impl<'a> Graph<'a> {
    /// The outputs of a node or argument.
    pub fn ports(&self, i: u32) -> Result<Cow<'a, Ports>> {
        let body = self.body();
        let def = match body.arg(i) {
            Some(_) => None,
            None => self.meta().op_def(body.op(i))?,
        };
        let len = body.node_len(i) + def.map_or(0, <[u8]>::len);
        let unknown = def.is_none() && self.function().is_some() && body.node(i).is_some();
        if len < LARGE && !(unknown && known::find(body.op(i)).is_none()) {
            return self.find_ports(i, def).map(Cow::Owned);
        }
        let all = body.len() + body.num_args();
        let kept = body.ports.get_or_init(|| Box::new((0..all).map(|_| OnceBox::new()).collect()));
        match kept.get(i as usize) {
            Some(cell) => {
                if let Some(ports) = cell.get() {
                    return Ok(Cow::Borrowed(ports));
                }
                let ports = self.find_ports(i, def)?;
                // One large definition may be that of many nodes.
                let runs = body.ports_kept.fetch_add(ports.num_runs(), Ordering::Relaxed);
                if runs > MAX_KEPT {
                    return Ok(Cow::Owned(ports));
                }
                Ok(Cow::Borrowed(cell.get_or_init(|| Box::new(ports))))
            }
            None => self.find_ports(i, def).map(Cow::Owned),
        }
    }

    fn find_ports(&self, i: u32, def: Option<&'a [u8]>) -> Result<Ports> {
        let body = self.body();
        if let Some(arg) = body.arg(i) {
            let def = arg_def(self.meta().source().get(arg.def))
                .map_err(|why| self.fault(i, format!("its definition: {why}")))?;
            let list = def.number.is_some() || matches!(def.kind, Kind::List(_));
            let mut ports = self.ports_of(i, vec![def])?;
            ports.exact = !list; // how long a list is, only a call says
            return Ok(ports);
        }
        let outputs = match def {
            Some(def) => Some(
                outputs_of(def)
                    .map_err(|why| self.fault(i, format!("the definition of its op: {why}")))?,
            ),
            None => known::find(body.op(i)).and_then(known::KnownOp::outputs),
        };
        if let Some(outputs) = outputs {
            if outputs.len() > MAX_OUTPUT_ARGS {
                let what = format!("its op is defined with {} outputs", outputs.len());
                return Err(self.fault(i, format!("{what}, at most {MAX_OUTPUT_ARGS} can be")));
            }
            return self.ports_of(i, outputs);
        }
        if self.function().is_some() {
            let named = Ports::named_so(body.named_outputs(i));
            if !named.is_empty() {
                return Ok(named);
            }
        }
        Ok(Ports::unknown(1))
    }

    fn ports_of(&self, i: u32, outputs: Vec<OutputArg<'_>>) -> Result<Ports> {
        let is_node = self.body().node(i).is_some();
        let mut known: HashMap<Vec<u8>, Option<Attr>> = HashMap::new();
        let attr = |name: &[u8]| {
            if !is_node {
                return Ok(None);
            }
            if let Some(attr) = known.get(name) {
                return Ok(attr.clone());
            }
            let attr = self.attr(i, name)?;
            known.insert(name.to_owned(), attr.clone());
            Ok(attr)
        };
        Ports::of(outputs, Bytes::copy_from_slice, attr).map_err(|what| self.fault(i, what))
    }

    /// The outputs of a node; where nothing says how many, as many as are used or described, and at least one.
    pub fn all_ports(&self, i: u32) -> Result<Cow<'a, Ports>> {
        let ports = self.ports(i)?;
        if ports.exact {
            return Ok(ports);
        }
        let used = self.edges()?.outputs_used(i);
        let described = match self.attr(i, b"_output_shapes")? {
            Some(Attr::List(list)) => List::len(&list),
            _ => 0,
        };
        let described = u32::try_from(described).unwrap_or(u32::MAX).min(MAX_PORTS);
        let len = used.max(described);
        Ok(if len > ports.len() { Cow::Owned(Ports::unknown(len)) } else { ports })
    }
}
