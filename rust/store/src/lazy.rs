//! Many cells that are set once, of which few ever are.
//!
//! A cell is set with one atomic exchange: two threads may both compute a value, one of them is kept. There
//! is no lock that a `fork` could copy in its locked state.

use once_cell::race::OnceBox;

/// `len` empty cells, in chunks that are made when one of their cells is set: a bundle that claims a million
/// shards costs a few kilobytes.
pub(crate) struct Lazy<T> {
    chunks: Vec<OnceBox<[OnceBox<T>; CHUNK]>>,
    len: usize,
}

const CHUNK: usize = 256;

impl<T> Lazy<T> {
    pub(crate) fn new(len: usize) -> Self {
        Self { chunks: (0..len.div_ceil(CHUNK)).map(|_| OnceBox::new()).collect(), len }
    }

    /// The cells that are set.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let chunks =
            self.chunks.iter().enumerate().filter_map(|(c, chunk)| Some((c, chunk.get()?)));
        chunks.flat_map(|(c, chunk)| {
            let cells = chunk.iter().enumerate();
            cells.filter_map(move |(i, cell)| Some((c * CHUNK + i, cell.get()?)))
        })
    }

    /// The value of cell `i`, if it is set.
    pub(crate) fn get(&self, i: usize) -> Option<&T> {
        self.chunks.get(i / CHUNK)?.get()?.get(i % CHUNK)?.get()
    }

    /// The value of cell `i`, made by `make` if it is not set. `None` if there is no such cell.
    pub(crate) fn get_or_try<E>(
        &self,
        i: usize,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Option<&T>, E> {
        let Some(chunk) = self.chunks.get(i / CHUNK).filter(|_| i < self.len) else {
            return Ok(None);
        };
        let chunk = chunk.get_or_init(|| Box::new(std::array::from_fn(|_| OnceBox::new())));
        chunk.get(i % CHUNK).map(|cell| cell.get_or_try_init(|| make().map(Box::new))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_set_once() {
        let lazy = Lazy::new(300);
        assert_eq!(lazy.get(299), None);
        assert_eq!(lazy.get_or_try(299, || Err("no")), Err("no"));
        assert_eq!(lazy.get_or_try(299, || Ok::<_, ()>(7)), Ok(Some(&7)));
        assert_eq!(lazy.get_or_try(299, || Ok::<_, ()>(8)), Ok(Some(&7)));
        assert_eq!(lazy.get(299), Some(&7));
        assert_eq!(lazy.iter().collect::<Vec<_>>(), [(299, &7)]);
        assert_eq!(lazy.get_or_try(300, || Ok::<_, ()>(1)), Ok(None), "no such cell");
        assert_eq!(lazy.get(300), None);
    }
}
