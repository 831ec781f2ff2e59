//! A file of a store that is read at places: each request costs as much as some megabytes.
//!
//! ```text
//! held      of an index: all of a small one, else its end, which holds footer and index block
//! windows   what was read ahead of reads to come
//! parts     a large range: cut, and fetched by several requests at once
//! pieces    of one answer, each as it arrives
//! ```

use crate::files::{Remote, Stat};
use bytes::Bytes;
use once_cell::race::OnceBox;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;

/// An index of up to so many bytes is read whole.
const SMALL: u64 = 256 << 10;

/// Bytes of a larger one's end that are read at once.
const END: u64 = 64 << 10;

/// Bytes of one request, at most.
const PART: usize = 4 << 20;

/// The same of an index: few are larger, and one that is not is listed by one request more than it is opened by.
pub(crate) const INDEX_PART: usize = 8 << 20;

/// Ranges this close are read as one: the bytes between them come sooner than another answer.
pub(crate) const GAP: u64 = 64 << 10;

/// So many parts of a range, or of a tensor, are fetched at once.
const AT_ONCE: usize = 6;

/// So many windows at most: those of reads that run at once, each of which releases its own.
const WINDOWS: usize = 4;

/// Tries to lock what is locked for as long as some words are copied.
const PATIENCE: usize = 1000;

/// A file of a store, as it was when it was opened.
pub(crate) struct Object {
    store: Arc<dyn Remote>,
    version: Option<Arc<str>>,
    /// Bytes that stay: of an index.
    held: Option<OnceBox<Piece>>,
    /// Bytes that were read ahead. Who finds them locked for long asks the store.
    windows: Mutex<Vec<Piece>>,
}

/// Bytes of a file, and where they begin.
#[derive(Clone)]
struct Piece {
    start: u64,
    bytes: Bytes,
}

impl Piece {
    fn get(&self, range: &Range<u64>) -> Option<&[u8]> {
        let start = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        self.bytes.get(start..start.checked_add((range.end - range.start) as usize)?)
    }
}

impl Object {
    pub(crate) fn new(store: Arc<dyn Remote>, stat: &Stat) -> Self {
        Self { store, version: stat.version.clone(), held: None, windows: Mutex::default() }
    }

    /// From now on what is read of its end, or of all of it if it is small, stays in memory.
    pub(crate) fn held(self) -> Self {
        Self { held: Some(OnceBox::new()), ..self }
    }

    /// Fills `out` from `offset` on; the file has `len` bytes.
    pub(crate) fn read_into(
        &self,
        path: &Path,
        len: u64,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<()> {
        let range = offset..offset + out.len() as u64;
        if self.copy_windows(&range, out) {
            return Ok(());
        }
        if let Some(held) = &self.held {
            let start = if len <= SMALL { 0 } else { len - END };
            if range.start >= start {
                let read =
                    || self.ask(path, start..len).map(|bytes| Box::new(Piece { start, bytes }));
                let piece = held.get_or_try_init(read)?;
                if let Some(bytes) = piece.get(&range) {
                    out.copy_from_slice(bytes);
                    return Ok(());
                }
            }
        }
        self.fetch(path, offset, out)
    }

    /// They are locked for less than it takes to ask, unless it was another process's thread that locked them before a fork.
    fn windows(&self) -> Option<MutexGuard<'_, Vec<Piece>>> {
        (0..PATIENCE).find_map(|_| match self.windows.try_lock() {
            Err(TryLockError::WouldBlock) => {
                thread::yield_now();
                None
            }
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Ok(windows) => Some(windows),
        })
    }

    fn copy_windows(&self, range: &Range<u64>, out: &mut [u8]) -> bool {
        let found = self
            .windows()
            .and_then(|windows| windows.iter().find(|piece| piece.get(range).is_some()).cloned());
        found
            .is_some_and(|piece| piece.get(range).map(|bytes| out.copy_from_slice(bytes)).is_some())
    }

    /// Keeps bytes from `start` on in memory, in place of others from there: what is read of them next asks nobody. None
    /// release what was kept.
    pub(crate) fn keep(&self, start: u64, bytes: Bytes) {
        let Some(mut windows) = self.windows() else {
            return;
        };
        let mut released: Vec<_> = windows.extract_if(.., |piece| piece.start == start).collect();
        if !bytes.is_empty() {
            let oldest = windows.len().saturating_sub(WINDOWS - 1);
            released.extend(windows.drain(..oldest));
            windows.push(Piece { start, bytes });
        }
        drop(windows);
        drop(released);
    }

    fn fetch(&self, path: &Path, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let one = |at: u64, part: &mut [u8]| {
            let bytes = self.ask(path, at..at + part.len() as u64)?;
            part.copy_from_slice(&bytes);
            Ok(())
        };
        let most = if self.held.is_some() { INDEX_PART } else { PART };
        if out.len() <= most {
            return one(offset, out);
        }
        let jobs = out.len().div_ceil(most);
        let parts = Mutex::new(out.chunks_mut(most).enumerate());
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        at_once(jobs, |_| match next() {
            Some((i, part)) => one(offset + (i * most) as u64, part),
            None => Ok(()),
        })
    }

    /// Asks the store, and holds the answer to what was asked for.
    fn ask(&self, path: &Path, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let want = range.end - range.start;
        let bytes = self.store.read(path, self.version.as_deref(), range)?;
        if bytes.len() as u64 == want {
            return Ok(bytes);
        }
        Err(short(bytes.len() as u64, want))
    }

    /// Gives `take` a range piece by piece, as they arrive by one request, until it wants no more.
    pub(crate) fn read_pieces(
        &self,
        path: &Path,
        range: Range<u64>,
        take: &mut dyn FnMut(Bytes) -> bool,
    ) -> io::Result<()> {
        let (want, mut came) = (range.end - range.start, 0);
        for piece in self.store.pieces(path, self.version.as_deref(), range) {
            let piece = piece?;
            came += piece.len() as u64;
            if came > want {
                break;
            }
            if !take(piece) {
                return Ok(());
            }
        }
        if came == want { Ok(()) } else { Err(short(came, want)) }
    }
}

fn short(came: u64, want: u64) -> io::Error {
    let what = format!("the store gave {came} bytes, want {want}");
    io::Error::new(io::ErrorKind::UnexpectedEof, what)
}

/// Neighbours of one file that are worth one request: what lies between them costs less than another request would.
pub(crate) fn merged(ranges: &mut Vec<Range<u64>>, gap: u64, most: u64) {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match joined.last_mut() {
            Some(last)
                if range.start <= last.end.saturating_add(gap)
                    && range.end.max(last.end) - last.start <= most =>
            {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    *ranges = joined;
}

/// Calls `work` with each number below `jobs`, on some threads, as each waits for a store. The first error ends it.
pub(crate) fn at_once<E: Send>(
    jobs: usize,
    work: impl Fn(usize) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = || {
        while !failed.load(Ordering::Relaxed) {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= jobs {
                break;
            }
            work(i).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        // Without a thread to be had, this one does all the work.
        let helpers: Vec<_> = (1..jobs.min(AT_ONCE))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, run).ok())
            .collect();
        let mut result = run();
        for helper in helpers {
            let theirs = helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(theirs);
        }
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_request() {
        let mut ranges = vec![50..60, 0..10, 15..20, 12..13, 70..70, 100..120];
        merged(&mut ranges, 5, 1000);
        assert_eq!(ranges, [0..20, 50..60, 100..120]);
        let mut ranges = vec![0..10, 10..20, 20..30];
        merged(&mut ranges, 0, 20);
        assert_eq!(ranges, [0..20, 20..30]);
    }
}
