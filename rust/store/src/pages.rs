//! Touching mapped bytes so that a file that was cut short is an error, not the end of the process.
//!
//! A load from a page that the file no longer reaches, or that its disk cannot give, is a SIGBUS.
//! `MADV_POPULATE_READ` (Linux 5.14) brings pages in as a load would, but fails instead. What is left is the time
//! between that call and the last load of the chunk: a fraction of a millisecond. A writer that cuts the file and restores
//! it again and again, while a reader never rests, hits that once in a hundred times or so; a copy that broke off does not.

use memmap2::Mmap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is brought in by one call, and worked on before the next.
pub(crate) const CHUNK: u64 = 4 << 20;

/// The pages of a map.
pub(crate) struct Pages {
    map: Arc<Mmap>,
    /// A bit for each chunk that was brought in whole before: shortening takes a file's end, so it is enough then to
    /// ask for the last page.
    seen: Box<[AtomicUsize]>,
}

const WORD: u64 = usize::BITS as u64;

impl Pages {
    pub(crate) fn new(map: Arc<Mmap>) -> Self {
        let words = (map.len() as u64).div_ceil(CHUNK * WORD);
        Self { map, seen: (0..words).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Brings in the pages of a range, which lies in the map and is no longer than a chunk. `false`: this system
    /// cannot say, so the bytes must be read instead.
    pub(crate) fn bring_in(&self, range: &Range<u64>) -> io::Result<bool> {
        if range.is_empty() {
            return Ok(true);
        }
        let (chunk, len) = (range.start / CHUNK, self.map.len() as u64);
        let whole = chunk * CHUNK..len.min((chunk + 1) * CHUNK);
        let word = self.seen.get((chunk / WORD) as usize);
        let bit = 1 << (chunk % WORD);
        let seen = range.end <= whole.end
            && word.is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0);
        let wanted = if seen { range.end - 1..range.end } else { range.clone() };
        if !populate(&self.map, &wanted)? {
            return Ok(false);
        }
        if let Some(word) = word.filter(|_| !seen && *range == whole) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(true)
    }
}

/// Does what a load from each page would do. `false` if there is no such call.
#[cfg(target_os = "linux")]
fn populate(map: &Mmap, range: &Range<u64>) -> io::Result<bool> {
    let (start, len) = (range.start as usize, (range.end - range.start) as usize);
    loop {
        match map.advise_range(memmap2::Advice::PopulateRead, start, len) {
            Ok(()) => return Ok(true),
            // A kernel before 5.14 does not know it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn populate(_map: &Mmap, _range: &Range<u64>) -> io::Result<bool> {
    Ok(false)
}

/// The chunks of a range, each within one chunk of the file.
pub(crate) fn chunks(range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let (mut at, end) = (range.start, range.end);
    std::iter::from_fn(move || {
        let start = at;
        at = end.min((start / CHUNK + 1) * CHUNK);
        (start < end).then_some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_to_the_grid() {
        let cut = |start, end| {
            let cut = chunks(&(start..end)).map(|chunk| (chunk.start, chunk.end));
            cut.collect::<Vec<_>>()
        };
        assert_eq!(cut(5, 5), []);
        assert_eq!(cut(5, 9), [(5, 9)]);
        let last = (2 * CHUNK, 2 * CHUNK + 1);
        assert_eq!(cut(5, 2 * CHUNK + 1), [(5, CHUNK), (CHUNK, 2 * CHUNK), last]);
        assert_eq!(cut(CHUNK, 2 * CHUNK), [(CHUNK, 2 * CHUNK)]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_was_cut_short_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, vec![1; CHUNK as usize + 9000]).unwrap();
        let file = crate::source::File::open(&crate::Files::Local, &path).unwrap();
        let pages = crate::map::map(&file).unwrap().pages();
        if !pages.bring_in(&(0..CHUNK)).unwrap() {
            return; // an old kernel
        }
        assert!(pages.bring_in(&(0..CHUNK)).unwrap(), "only its last page");
        assert!(pages.bring_in(&(CHUNK..CHUNK + 9000)).unwrap());
        std::fs::File::options().write(true).open(&path).unwrap().set_len(CHUNK - 5000).unwrap();
        assert!(pages.bring_in(&(CHUNK..CHUNK + 9000)).is_err());
        assert!(pages.bring_in(&(0..CHUNK)).is_err());
        assert!(pages.bring_in(&(0..CHUNK - 5000)).unwrap());
    }
}
