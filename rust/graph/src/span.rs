//! Places in a file: every part of a graph is one, and nothing of it is copied until it is asked for.

use bytes::Bytes;
use tensorbundle_wire::pb::Malformed;
use tensorbundle_wire::{Fault, shown};

/// A part of the file. Protobuf messages hold less than 2 GiB, so 32 bits say where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// The largest file that spans can address. TensorFlow itself stops at 2 GiB.
pub(crate) const MAX_LEN: usize = u32::MAX as usize;

/// A file, as binary protobuf.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    bytes: Bytes,
    /// It was made of a text or of chunks: places in it mean nothing to the user.
    made: bool,
}

impl Source {
    pub(crate) fn new(bytes: Bytes, made: bool) -> Self {
        Self { bytes, made }
    }

    pub(crate) fn all(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes of a part.
    #[inline]
    pub(crate) fn get(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        self.bytes.get(start..start.saturating_add(span.len as usize)).unwrap_or_default()
    }

    /// The bytes of a part, kept alive.
    pub(crate) fn slice(&self, span: Span) -> Bytes {
        self.bytes.slice_ref(self.get(span))
    }

    /// Where `part` is, which was cut out of this file.
    #[inline]
    pub(crate) fn span(&self, part: &[u8]) -> Span {
        // Addresses, not pointers, are held against each other: nothing here needs to be trusted.
        let start = (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        match (u32::try_from(start), u32::try_from(part.len())) {
            (Ok(start), Ok(len)) if !part.is_empty() => Span { start, len },
            _ => Span::default(),
        }
    }

    /// Says where in the file, if that is where the user can look.
    pub(crate) fn at(&self, fault: Fault, span: Span) -> Fault {
        if self.made { fault } else { fault.at(u64::from(span.start)) }
    }

    /// The fault of a part that is no message.
    pub(crate) fn malformed(&self, part: &'static str, span: Span, why: Malformed) -> Fault {
        self.at(Fault::corrupt(part, why.to_string()), span)
    }

    /// The fault of something named.
    pub(crate) fn corrupt(&self, part: &str, name: &[u8], span: Span, what: String) -> Fault {
        self.at(Fault::corrupt(format!("{part} {}", shown(name)), what), span)
    }
}
