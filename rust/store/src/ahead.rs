//! A part of an index in a store, read ahead by one request: what wants bytes of it waits until they have arrived.
//!
//! ```text
//! index   ┊ blocks that are known ┊ a piece │ a piece │ … on its way ┊ index block, footer ┊
//!                                  ↑ start             ↑ arrived     ↑ end
//! ```
//!
//! So blocks are worked on while the next are on the line. Of an index on this machine nothing is read ahead.

use crate::index::Index;
use crate::parallel::both;
use crate::{Error, Result};
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tensorbundle_wire::Fault;
use tensorbundle_wire::table::Source;

/// An index of which a part is being read ahead.
pub(crate) struct Ahead<'a> {
    index: &'a Index,
    range: Range<u64>,
    arrived: Mutex<Arrived>,
    more: Condvar,
}

/// Pieces of the part, one behind the other.
struct Arrived {
    pieces: Vec<(u64, Bytes)>,
    end: u64,
    /// Nothing more comes.
    over: bool,
    /// Nothing more is wanted.
    enough: bool,
}

impl<'a> Ahead<'a> {
    /// Calls `work` while `range` is read, if the index is in a store. An error of that comes before what `work` made without
    /// those bytes.
    pub(crate) fn with<T: Send>(
        index: &'a Index,
        range: Option<Range<u64>>,
        work: impl Fn(&Self) -> T + Sync,
    ) -> Result<T> {
        let file = match index {
            Index::File(file) if file.as_object().is_some() => Some(file),
            _ => None,
        };
        let range = range.filter(|range| file.is_some() && range.start < range.end);
        let range = range.unwrap_or(0..0);
        let end = range.start;
        let arrived = Arrived { pieces: Vec::new(), end, over: range.is_empty(), enough: false };
        let (arrived, more) = (Mutex::new(arrived), Condvar::new());
        let ahead = Self { index, range, arrived, more };
        let Some(file) = file.filter(|_| !ahead.range.is_empty()) else {
            return Ok(work(&ahead));
        };
        let read = || {
            let _over = Over(&ahead);
            file.read_pieces(ahead.range.clone(), &mut |piece| ahead.take(piece))
        };
        let work = || {
            let _enough = Enough(&ahead);
            work(&ahead)
        };
        // The calling thread asks the store: it is the one that hears of Ctrl-C.
        let (made, result) = both(work, read);
        result.map(|()| made)
    }

    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a piece behind the others. `false`: nobody wants more.
    fn take(&self, piece: Bytes) -> bool {
        let mut arrived = self.arrived();
        let start = arrived.end;
        arrived.end += piece.len() as u64;
        arrived.pieces.push((start, piece));
        self.more.notify_all();
        !arrived.enough
    }

    /// Waits for bytes of the part; `None` if they will not come.
    fn wait(&self, range: &Range<u64>) -> Option<Bytes> {
        let missing = |arrived: &mut Arrived| arrived.end < range.end && !arrived.over;
        let arrived = self.more.wait_while(self.arrived(), missing);
        let arrived = arrived.unwrap_or_else(PoisonError::into_inner);
        if arrived.end < range.end {
            return None;
        }
        // The last piece that begins before it; more, if it goes on beyond that.
        let first =
            arrived.pieces.partition_point(|(start, _)| *start <= range.start).checked_sub(1)?;
        let mut pieces = arrived.pieces.get(first..)?.iter();
        let (start, piece) = pieces.next()?;
        let skip = usize::try_from(range.start - start).ok()?;
        let len = usize::try_from(range.end - range.start).ok()?;
        if skip + len <= piece.len() {
            return Some(piece.slice(skip..skip + len));
        }
        let mut joined = BytesMut::with_capacity(len);
        joined.extend_from_slice(piece.get(skip..)?);
        for (_, piece) in pieces {
            let left = len - joined.len();
            joined.extend_from_slice(piece.get(..left).unwrap_or(piece));
            if joined.len() == len {
                break;
            }
        }
        Some(joined.freeze())
    }
}

/// At its end, also at that of a panic, nobody waits any more.
struct Over<'a>(&'a Ahead<'a>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.arrived().over = true;
        self.0.more.notify_all();
    }
}

/// At its end nothing more need come.
struct Enough<'a>(&'a Ahead<'a>);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.arrived().enough = true;
    }
}

impl Source for Ahead<'_> {
    type Error = Error;

    fn len(&self) -> u64 {
        self.index.len()
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let range = offset..offset.saturating_add(len as u64);
        if range.start < self.range.start || self.range.end < range.end {
            return self.index.read(offset, len);
        }
        self.wait(&range).ok_or_else(|| {
            Fault::corrupt("index", format!("{len} bytes did not come")).at(offset).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Kind, Listed, Pieces, Remote, Stat};
    use crate::source::File;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    const LEN: u64 = 1000;

    fn byte(at: u64) -> u8 {
        (at % 251) as u8
    }

    /// A file whose answers come in pieces of a size, of which one is an error or the last.
    struct InPieces {
        size: usize,
        ends: Option<(usize, bool)>,
        /// Before the next piece.
        delay: Duration,
        asked: AtomicUsize,
    }

    impl Remote for InPieces {
        fn stat(&self, _: &Path) -> io::Result<Stat> {
            Ok(Stat { kind: Kind::File, size: LEN, mtime_ns: 0, version: None })
        }

        fn list(&self, _: &Path) -> io::Result<Vec<Listed>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn read(&self, _: &Path, _: Option<&str>, range: Range<u64>) -> io::Result<Bytes> {
            Ok(range.map(byte).collect())
        }

        fn pieces(&self, _: &Path, _: Option<&str>, range: Range<u64>) -> Pieces<'_> {
            let all: Vec<_> = range.map(byte).collect();
            let pieces: Vec<_> = all.chunks(self.size).map(Bytes::copy_from_slice).collect();
            let last = self.ends.map_or(usize::MAX, |(last, _)| last);
            let error = self.ends.is_some_and(|(_, error)| error);
            let end = error.then(|| Err(io::Error::other("the line is cut")));
            let given = pieces.into_iter().take(last).map(Ok).chain(end);
            Box::new(given.inspect(|_| {
                self.asked.fetch_add(1, Ordering::Relaxed);
                thread::sleep(self.delay);
            }))
        }
    }

    fn index(size: usize, ends: Option<(usize, bool)>) -> Index {
        of(&Arc::new(InPieces { size, ends, delay: Duration::ZERO, asked: AtomicUsize::new(0) }))
    }

    fn of(store: &Arc<InPieces>) -> Index {
        let files = Files::remote(store.clone());
        Index::File(File::open(&files, Path::new("s://x.index")).unwrap().held())
    }

    #[test]
    fn bytes_are_waited_for() {
        for size in [1, 7, 100, 899, 900, 5000] {
            let index = index(size, None);
            let seen = Ahead::with(&index, Some(50..950), |ahead| {
                let ranges = [(900, 50), (50, 1), (50, 900), (93, 14), (0, 60), (940, 60), (51, 0)];
                ranges.map(|(start, len)| {
                    let want: Vec<_> = (start..start + len as u64).map(byte).collect();
                    ahead.read(start, len).unwrap() == want
                })
            });
            assert_eq!(seen.unwrap(), [true; 7], "pieces of {size}");
        }
    }

    #[test]
    fn an_answer_that_ends_is_an_error_and_no_wait() {
        for (error, text) in
            [(false, "the store gave 300 bytes, want 900"), (true, "the line is cut")]
        {
            let index = index(100, Some((3, error)));
            let read = Ahead::with(&index, Some(50..950), |ahead| {
                assert_eq!(ahead.read(340, 10).unwrap().len(), 10);
                let lost = ahead.read(340, 11).unwrap_err().to_string();
                assert!(lost.contains("11 bytes did not come"), "{lost}");
            });
            let told = read.unwrap_err().to_string();
            assert!(told.starts_with("s://x.index: ") && told.contains(text), "{told}");
        }
    }

    #[test]
    fn what_nobody_wants_is_not_read() {
        let (delay, asked) = (Duration::from_millis(2), AtomicUsize::new(0));
        let store = Arc::new(InPieces { size: 1, ends: None, delay, asked });
        let index = of(&store);
        let first = Ahead::with(&index, Some(0..LEN), |ahead| ahead.read(0, 1).unwrap());
        assert_eq!(first.unwrap(), [0].as_slice());
        assert!(store.asked.load(Ordering::Relaxed) < LEN as usize, "it went on to the end");
        assert_eq!(
            Ahead::with(&index, None, |ahead| ahead.read(999, 1).unwrap()).unwrap()[0],
            byte(999)
        );
    }
}
