//! What the file says of a tensor's shape: nothing is inferred that it does not say.
//!
//! In this order: the shapes that were written down when the graph was exported (`_output_shapes`); a constant's
//! own; the attribute that is the output's shape, for ops that have one; and through ops that hand their input on.

use crate::attr::{Attr, List, PartialShape, partial_shape};
use crate::graph::Graph;
use bytes::Bytes;
use tensorbundle_wire::dtype::DataType;
use tensorbundle_wire::pb::{Value, fields};
use tensorbundle_wire::{Fault, Result};

/// How often a value is handed on before nobody cares for it. Real graphs do it once or twice.
const MAX_STEPS: usize = 16;

/// Graphs up to this version write an unknown shape of a placeholder as that of a scalar.
const SCALAR_IS_UNKNOWN: i32 = 21;

/// Ops whose attribute says the shape of something else than their output.
const NOT_OF_OUTPUT: [&[u8]; 3] =
    [b"ConditionalAccumulator", b"SparseConditionalAccumulator", b"MapDefun"];

impl Graph<'_> {
    /// The shape of an output, as far as the file says.
    pub fn shape(&self, i: u32, port: u32) -> Result<PartialShape> {
        let (mut i, mut port) = (i, port);
        for _ in 0..MAX_STEPS {
            if let Some(shape) = self.own_shape(i, port)? {
                return Ok(shape);
            }
            let handle = match self.body().op(i) {
                b"Identity" | b"StopGradient" | b"Snapshot" | b"PreventGradient" => false,
                b"ReadVariableOp" => true,
                _ => return Ok(None),
            };
            let Some(edge) = self.inputs(i)?.first().copied() else {
                return Ok(None);
            };
            if handle && self.body().op(edge.src) == b"VarHandleOp" {
                return Ok(match self.attr(edge.src, b"shape")? {
                    Some(Attr::Shape(shape)) => shape,
                    _ => None,
                });
            }
            (i, port) = (edge.src, u32::try_from(edge.port).unwrap_or(0));
        }
        Ok(None)
    }

    /// What a node's own attributes say; the outer `None` is that they say nothing.
    fn own_shape(&self, i: u32, port: u32) -> Result<Option<PartialShape>> {
        let listed = |attr: Option<Attr>| match attr {
            Some(Attr::List(List::Shapes(mut shapes))) if (port as usize) < shapes.len() => {
                Some(shapes.swap_remove(port as usize))
            }
            _ => None,
        };
        if let Some(shape) = listed(self.attr(i, b"_output_shapes")?) {
            return Ok(Some(shape));
        }
        let op = self.body().op(i);
        if op == b"Const" || op == b"HostConst" {
            return match self.attr(i, b"value")? {
                Some(Attr::Tensor(tensor)) => tensor_shape(&tensor).map(|shape| Some(Some(shape))),
                _ => Ok(None),
            };
        }
        let dtype = self.ports(i)?.dtype(port);
        if matches!(dtype, Some(DataType::RESOURCE | DataType::VARIANT)) {
            // A handle is a scalar, whatever the thing is that it stands for.
            return Ok((op == b"VarHandleOp").then(|| Some(Vec::new())));
        }
        if NOT_OF_OUTPUT.contains(&op) {
            return Ok(None);
        }
        if let Some(shape) = listed(self.attr(i, b"output_shapes")?) {
            return Ok(Some(shape));
        }
        let Some(Attr::Shape(shape)) = self.attr(i, b"shape")? else {
            return Ok(None);
        };
        let scalar = shape.as_ref().is_some_and(Vec::is_empty);
        let unknown = match op {
            b"Placeholder" => self.meta().producer() <= SCALAR_IS_UNKNOWN,
            b"Variable" => true,
            _ => false,
        };
        Ok(Some(if scalar && unknown { None } else { shape }))
    }
}

/// The shape of a serialized TensorProto.
fn tensor_shape(tensor: &Bytes) -> Result<Vec<Option<u64>>> {
    let mut dims = Vec::new();
    for field in fields(tensor) {
        let field = field.map_err(|why| Fault::corrupt("tensor", why.to_string()))?;
        if let (2, Value::Len(shape)) = field {
            dims.extend(partial_shape(shape)?.unwrap_or_default());
        }
    }
    Ok(dims)
}
