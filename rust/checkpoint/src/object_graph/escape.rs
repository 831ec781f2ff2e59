//! Names as the keys of a checkpoint spell them (FORMAT 8.3).
//!
//! ```text
//! k.2  k..2         a dot is two
//! k/1  k.S1         a slash is ".S"
//! .ATTRIBUTES       a single dot begins a marker
//! ```

/// A name with its escapes undone, from left to right.
pub fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let meant = match (byte, rest.peek()) {
            (b'.', Some(b'.')) => b'.',
            (b'.', Some(b'S')) => b'/',
            _ => {
                out.push(byte);
                continue;
            }
        };
        rest.next();
        out.push(meant);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn undone_from_left_to_right() {
        for (escaped, name) in [
            ("k.S1", "k/1"),
            ("k..2", "k.2"),
            ("a..Sb....c", "a.Sb..c"),
            ("a.Sb..c", "a/b.c"),
            ("w/.OPTIMIZER_SLOT/opt/m", "w/.OPTIMIZER_SLOT/opt/m"),
            ("end.", "end."),
            ("", ""),
        ] {
            assert_eq!(unescaped(escaped.as_bytes()), name.as_bytes(), "{escaped}");
        }
    }
}
