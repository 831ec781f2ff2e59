//! TensorFlow's own ops: names, the versions that have them, and what their outputs are.
//!
//! `ops.txt` is data, made from TensorFlow's registries by `tests/make_op_list.py`; its first lines say how it
//! is written. No graph needs it to open: it tells custom ops from TensorFlow's, and knows how many outputs a
//! node has where a file comes without the definitions of its ops.

use crate::signature::{Kind, OutputArg};
use once_cell::race::OnceBox;
use tensorbundle_wire::dtype::DataType;

static TEXT: &str = include_str!("ops.txt");
static OPS: OnceBox<Vec<KnownOp>> = OnceBox::new();

/// One of TensorFlow's ops.
#[derive(Debug, Clone, Copy)]
pub struct KnownOp {
    /// Its name.
    pub name: &'static str,
    /// The first of [`versions`] that has it.
    pub first: &'static str,
    /// The last of [`versions`] that has it.
    pub last: &'static str,
    outputs: &'static str,
}

/// The versions of TensorFlow that the list was made from, in order.
pub fn versions() -> Vec<&'static str> {
    let line = TEXT.lines().find_map(|line| line.strip_prefix("# versions:"));
    line.unwrap_or_default().split_ascii_whitespace().collect()
}

/// All of them, by name.
pub fn all() -> &'static [KnownOp] {
    OPS.get_or_init(|| {
        let lines = TEXT.lines().filter(|line| !line.starts_with('#'));
        Box::new(
            lines
                .filter_map(|line| {
                    let mut parts = line.split('\t');
                    Some(KnownOp {
                        name: parts.next()?,
                        first: parts.next()?,
                        last: parts.next()?,
                        outputs: parts.next()?,
                    })
                })
                .collect(),
        )
    })
}

/// The op of this name, if it is one of TensorFlow's.
pub fn find(name: &[u8]) -> Option<&'static KnownOp> {
    let i = all().binary_search_by(|op| op.name.as_bytes().cmp(name)).ok()?;
    all().get(i)
}

impl KnownOp {
    /// Its outputs, if the list knows them.
    pub(crate) fn outputs(&self) -> Option<Vec<OutputArg<'static>>> {
        match self.outputs {
            "?" => None,
            "" => Some(Vec::new()),
            outputs => outputs.split(',').map(output).collect(),
        }
    }
}

/// `name:TYPE`, see the head of `ops.txt`.
fn output(text: &'static str) -> Option<OutputArg<'static>> {
    let (name, ty) = text.split_once(':')?;
    let (ty, is_ref) = match ty.strip_suffix('&') {
        Some(ty) => (ty, true),
        None => (ty, false),
    };
    let (list, ty) = match ty.strip_prefix('*') {
        Some(ty) => (true, ty),
        None => (false, ty),
    };
    let (number, ty) = match ty.split_once('*') {
        Some((number, ty)) => (Some(number.strip_prefix('$')?.as_bytes()), ty),
        None => (None, ty),
    };
    let kind = match ty.strip_prefix('$') {
        Some(attr) if list => Kind::List(attr.as_bytes()),
        Some(attr) => Kind::Attr(attr.as_bytes()),
        None => Kind::Type(DataType::from_name(ty)?),
    };
    Some(OutputArg { name: name.as_bytes(), kind, number, is_ref })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_well_formed() {
        assert!(all().windows(2).all(|pair| pair[0].name < pair[1].name));
        let versions = versions();
        assert!(versions.len() > 8 && all().len() > 1400);
        for op in all() {
            assert!(versions.contains(&op.first) && versions.contains(&op.last), "{op:?}");
            assert!(op.outputs == "?" || op.outputs().is_some(), "{op:?}");
        }
    }

    #[test]
    fn outputs_of_each_form() {
        let outputs = |name: &[u8]| find(name).unwrap().outputs().unwrap();
        assert_eq!(outputs(b"NoOp"), []);
        let split = &outputs(b"Split")[0];
        assert_eq!((split.kind, split.number), (Kind::Attr(b"T"), Some(&b"num_split"[..])));
        let variable = &outputs(b"VariableV2")[0];
        assert_eq!((variable.kind, variable.is_ref), (Kind::Attr(b"dtype"), true));
        assert_eq!(outputs(b"RestoreV2")[0].kind, Kind::List(b"dtypes"));
        assert_eq!(outputs(b"Switch").len(), 2);
        assert!(find(b"ShellExecute").is_none());
    }
}
