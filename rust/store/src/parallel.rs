//! Copying with more than one core. Threads live for one call: there is no pool that a `fork` could break.

use crate::Result;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How much of the output one piece of work fills. A thread is worth starting for it.
const BAND: usize = 8 << 20;

/// Calls `work` with bands of `out`, each of whole rows, and the number of the band's first row; on so many `threads`, or as
/// many as there are cores.
pub(crate) fn for_bands(
    out: &mut [u8],
    row: usize,
    threads: Option<usize>,
    work: impl Fn(u64, &mut [u8]) -> Result<()> + Sync,
) -> Result<()> {
    if out.len() < 2 * BAND || row == 0 {
        return work(0, out);
    }
    let rows = (BAND / row).max(1);
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    let helpers = threads.unwrap_or_else(cores).min(out.len().div_ceil(rows * row)) - 1;
    let bands = Mutex::new(out.chunks_mut(rows * row).enumerate());
    let next = || bands.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some((i, band)) = next() {
            work((i * rows) as u64, band)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        // Without a thread to be had, this one does all the work.
        let helpers: Vec<_> = (0..helpers)
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

/// Does two pieces of work at once, if a thread can be had for the first.
pub(crate) fn both<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, &first);
        let made = second();
        let other = match helper {
            Ok(helper) => helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => first(),
        };
        (other, made)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn every_row_once() {
        for (rows, row) in [(0, 8), (10, 8), (100_000, 1000), (7, 9 << 20), (3, 0)] {
            let mut out = vec![0; rows * row];
            for_bands(&mut out, row, None, |first, band| {
                for (i, row) in band.chunks_mut(row.max(1)).enumerate() {
                    row.fill(row[0] + 1 + ((first + i as u64) % 100) as u8);
                }
                Ok(())
            })
            .unwrap();
            for (i, row) in out.chunks(row.max(1)).enumerate() {
                assert!(row.iter().all(|&byte| byte == 1 + (i % 100) as u8));
            }
        }
    }

    #[test]
    fn an_error_comes_back() {
        let mut out = vec![0; 64 << 20];
        let result = for_bands(&mut out, 1, Some(3), |first, _| match first {
            0 => Ok(()),
            _ => Err(Error::Argument("no".into())),
        });
        assert_eq!(result.unwrap_err().to_string(), "no");
    }
}
