//! What can be wrong with bytes: one type that says which part, what, where, and what to do about it.

use std::borrow::Cow;
use std::fmt;

/// A result whose error is a [`Fault`].
pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The bytes are not what the format allows. Reading on in the same part makes no sense.
    Corruption,
    /// The bytes may be fine, but this reader does not know how to read them.
    Unsupported,
}

/// Something wrong in a file's bytes. The layer above adds which file.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault(Box<Inner>); // boxed, so that a Result stays small

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: FaultKind,
    part: Cow<'static, str>,
    what: String,
    offset: Option<u64>,
    advice: Option<Cow<'static, str>>,
    got_want: Option<(String, String)>,
}

impl Fault {
    /// Bytes of `part` that break the format; `what` says how, with got and want.
    pub fn corrupt(part: impl Into<Cow<'static, str>>, what: impl Into<String>) -> Self {
        Self::new(FaultKind::Corruption, part.into(), what.into())
    }

    /// Bytes of `part` that this reader cannot read.
    pub fn unsupported(part: impl Into<Cow<'static, str>>, what: impl Into<String>) -> Self {
        Self::new(FaultKind::Unsupported, part.into(), what.into())
    }

    fn new(kind: FaultKind, part: Cow<'static, str>, what: String) -> Self {
        Self(Box::new(Inner { kind, part, what, offset: None, advice: None, got_want: None }))
    }

    /// Says where in the file the part begins, unless a deeper layer has said it already.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// Says what the user can do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.0.advice.get_or_insert(advice.into());
        self
    }

    /// Says what was found and what should have been, for programs: the sentence says it in its own way.
    #[must_use]
    pub fn got_want(mut self, got: impl fmt::Display, want: impl fmt::Display) -> Self {
        self.0.got_want.get_or_insert_with(|| (got.to_string(), want.to_string()));
        self
    }

    /// What was found, where that can be put in a word or a number.
    pub fn got(&self) -> Option<&str> {
        self.0.got_want.as_ref().map(|(got, _)| got.as_str())
    }

    /// What should have been there.
    pub fn want(&self) -> Option<&str> {
        self.0.got_want.as_ref().map(|(_, want)| want.as_str())
    }

    /// Corruption, or not supported.
    pub fn kind(&self) -> FaultKind {
        self.0.kind
    }

    /// Which part of the file, in the words of the format.
    pub fn part(&self) -> &str {
        &self.0.part
    }

    /// What is wrong with it.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// Where the part begins in the file.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// What the user can do.
    pub fn advice(&self) -> Option<&str> {
        self.0.advice.as_deref()
    }

    /// The whole sentence, with the name of the file where the layer above knows it.
    pub fn sentence(&self, file: Option<&str>) -> String {
        let mut text = self.0.part.to_string();
        if let Some(file) = file {
            text.push_str(" of ");
            text.push_str(file);
        }
        if let Some(offset) = self.0.offset {
            text.push_str(&format!(" at byte {offset}"));
        }
        text.push_str(": ");
        text.push_str(&self.0.what);
        if let Some(advice) = &self.0.advice {
            text.push_str("; ");
            text.push_str(advice);
        }
        text
    }
}

/// Bytes of a file as a message shows them: text where they are, and not without end.
pub fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 200;
    let text = String::from_utf8_lossy(bytes.get(..MOST).unwrap_or(bytes));
    format!("{text:?}{}", if bytes.len() > MOST { "…" } else { "" })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence(None))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({:?}, {self})", self.0.kind)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shown(b"a\xffb\n"), "\"a\u{fffd}b\\n\"");
        assert_eq!(shown(&[b'a'; 1000]), format!("\"{}\"…", "a".repeat(200)));
    }

    #[test]
    fn says_part_file_place_and_remedy() {
        let fault = Fault::corrupt("footer", "bad magic").at(74).at(99).advise("copy it again");
        assert_eq!(fault.to_string(), "footer at byte 74: bad magic; copy it again");
        assert_eq!(
            fault.sentence(Some("m.index")),
            "footer of m.index at byte 74: bad magic; copy it again"
        );
        assert_eq!(fault.kind(), FaultKind::Corruption);
    }
}
