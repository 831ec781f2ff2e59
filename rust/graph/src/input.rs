//! Inputs as nodes write them.
//!
//! ```text
//! in a graph      name   name:2   ^name                                       (FORMAT 7.2)
//! in a function   arg   arg:1   node:output   node:output:1   ^name           (FORMAT 7.3)
//! ```

/// What an input names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// A node to wait for.
    Control(&'a [u8]),
    /// The output of a node of a graph, or of an argument.
    Numbered(&'a [u8], u32),
    /// All of an argument.
    Whole(&'a [u8]),
    /// An output of a node in a function, by name; all of it, or one of its tensors.
    Output(&'a [u8], &'a [u8], Option<u32>),
}

/// An input of a node in a graph. A number behind the last colon wins over a caret.
pub(crate) fn in_graph(text: &[u8]) -> Input<'_> {
    match numbered(text) {
        Some((name, number)) => Input::Numbered(name, number),
        None => match text.strip_prefix(b"^") {
            Some(name) => Input::Control(name),
            None => Input::Numbered(text, 0),
        },
    }
}

/// An input of a node in a function.
pub(crate) fn in_function(text: &[u8]) -> Input<'_> {
    if let Some(name) = text.strip_prefix(b"^") {
        return Input::Control(name);
    }
    let (rest, number) = match numbered(text) {
        Some((rest, number)) => (rest, Some(number)),
        None => (text, None),
    };
    match (rest.iter().position(|&byte| byte == b':'), number) {
        (Some(colon), number) => {
            let (node, output) = rest.split_at(colon);
            Input::Output(node, output.get(1..).unwrap_or_default(), number)
        }
        (None, Some(number)) => Input::Numbered(rest, number),
        (None, None) => Input::Whole(rest),
    }
}

/// `name:digits`
fn numbered(text: &[u8]) -> Option<(&[u8], u32)> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (name, tail) = text.split_at(text.len() - digits);
    let name = name.strip_suffix(b":").filter(|_| digits > 0)?;
    Some((name, number(tail)?))
}

/// Decimal digits; `None` for a number of more than 32 bits.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, &digit| {
        number.checked_mul(10)?.checked_add(u32::from(digit.checked_sub(b'0')?))
    })
}

#[cfg(test)]
mod tests {
    use super::Input::{Control, Numbered, Output, Whole};
    use super::*;

    #[test]
    fn graphs() {
        assert_eq!(in_graph(b"a/b"), Numbered(b"a/b", 0));
        assert_eq!(in_graph(b"a:12"), Numbered(b"a", 12));
        assert_eq!(in_graph(b"^a"), Control(b"a"));
        assert_eq!(in_graph(b"^a:1"), Numbered(b"^a", 1));
        assert_eq!(in_graph(b"a:"), Numbered(b"a:", 0));
        assert_eq!(in_graph(b"a:99999999999"), Numbered(b"a:99999999999", 0));
        assert_eq!(in_graph(b""), Numbered(b"", 0));
    }

    #[test]
    fn functions() {
        assert_eq!(in_function(b"x"), Whole(b"x"));
        assert_eq!(in_function(b"x:1"), Numbered(b"x", 1));
        assert_eq!(in_function(b"Const:output:0"), Output(b"Const", b"output", Some(0)));
        assert_eq!(in_function(b"Const:output"), Output(b"Const", b"output", None));
        assert_eq!(in_function(b"^n"), Control(b"n"));
    }
}
