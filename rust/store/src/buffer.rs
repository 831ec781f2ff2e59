//! Memory for tensors that are copied: zeroed, aligned for every element type, never an abort.

use bytes::Bytes;
use memmap2::MmapMut;
use std::io;

/// From here on memory comes straight from the system, which gives it back as soon as the array dies.
const LARGE: usize = 1 << 20;

/// What NumPy aligns to, and more than any element needs.
const ALIGN: usize = 64;

/// Zeroed bytes on a boundary of 64.
pub(crate) struct Buffer {
    memory: Memory,
    start: usize,
    len: usize,
}

enum Memory {
    Heap(Vec<u8>),
    Pages(MmapMut),
}

impl Buffer {
    /// `len` zeros, or the error that there is no memory for them.
    pub(crate) fn zeroed(len: usize) -> io::Result<Self> {
        if len >= LARGE {
            let pages = MmapMut::map_anon(len)?;
            // Fewer page faults where the system has large pages to give; it may decline.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            return Ok(Self { memory: Memory::Pages(pages), start: 0, len });
        }
        let heap = vec![0; len + ALIGN];
        let start = heap.as_ptr().align_offset(ALIGN).min(ALIGN);
        Ok(Self { memory: Memory::Heap(heap), start, len })
    }

    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        let all: &mut [u8] = match &mut self.memory {
            Memory::Heap(heap) => heap,
            Memory::Pages(pages) => pages,
        };
        all.get_mut(self.start..self.start + self.len).unwrap_or_default()
    }

    /// The bytes, from now on read-only and shared.
    pub(crate) fn freeze(self) -> io::Result<Bytes> {
        let all = match self.memory {
            Memory::Heap(heap) => Bytes::from(heap),
            Memory::Pages(pages) => Bytes::from_owner(pages.make_read_only()?),
        };
        Ok(all.slice(self.start..self.start + self.len))
    }
}

/// Memory for what is read and looked at, used again and again.
///
/// On a boundary of 64, too: where `rep movsb` writes just behind the beginning of a page, as memory from the heap often has
/// it, some processors copy five times slower.
#[derive(Default)]
pub struct Scratch(Vec<u8>);

impl Scratch {
    /// So many bytes, of whatever value.
    pub fn bytes(&mut self, len: usize) -> &mut [u8] {
        if self.0.len() < len.saturating_add(ALIGN) {
            self.0 = vec![0; len.saturating_add(ALIGN)];
        }
        let start = self.0.as_ptr().align_offset(ALIGN).min(ALIGN);
        self.0.get_mut(start..start + len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_is_aligned_and_as_long_as_asked_for() {
        let mut scratch = Scratch::default();
        for len in [0, 1, 1000, 999, 1 << 20, 5] {
            let bytes = scratch.bytes(len);
            assert_eq!(bytes.len(), len);
            assert_eq!(bytes.as_ptr().align_offset(ALIGN), 0);
        }
    }

    #[test]
    fn aligned_and_zero() {
        for len in [0, 1, 63, 64, 1000, LARGE - 1, LARGE, LARGE + 1] {
            let mut buffer = Buffer::zeroed(len).unwrap();
            assert_eq!(buffer.as_mut().len(), len);
            assert!(buffer.as_mut().iter().all(|&byte| byte == 0));
            buffer.as_mut().fill(7);
            let bytes = buffer.freeze().unwrap();
            assert_eq!(bytes.len(), len);
            assert_eq!(bytes.as_ptr() as usize % ALIGN, 0);
            assert!(bytes.iter().all(|&byte| byte == 7));
        }
    }

    #[test]
    fn no_memory_is_an_error() {
        assert!(Buffer::zeroed(isize::MAX as usize - 4096).is_err());
    }
}
