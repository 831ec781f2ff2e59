//! Many pieces of work on all cores, with somebody who watches: progress is told, and everything can be stopped.
//!
//! Threads live for one call, as in `parallel`. The calling thread only watches, so that it can do what other threads
//! must not: call back into Python, look for signals.

use crate::buffer::Scratch;
use crate::files::Files;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How often the watcher is asked.
const TICK: Duration = Duration::from_millis(50);

/// Below this much work a thread is not worth starting.
const SMALL: u64 = 1 << 20;

/// Somebody who is told how many bytes are done, and says whether to go on.
pub type Watch<'a> = dyn FnMut(u64, u64) -> bool + 'a;

/// Work that the watcher stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

/// What a worker has.
pub struct Worker<'a> {
    /// Memory for what is read.
    pub scratch: Scratch,
    done: &'a AtomicU64,
    stop: &'a AtomicBool,
}

impl Worker<'_> {
    /// So many bytes more are done. `false`: stop.
    pub fn advance(&self, bytes: u64) -> bool {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Does `jobs` pieces of work, `bytes` in all, of which each worker takes the next; gives what `work` made of each, in their order.
/// Work that reads `files` of a store waits, so that more threads than cores are worth having.
pub fn on_all_cores<T: Send>(
    files: &Files,
    jobs: usize,
    bytes: u64,
    watch: &mut Watch<'_>,
    work: impl Fn(usize, &mut Worker<'_>) -> T + Sync,
) -> Result<Vec<T>, Stopped> {
    let (next, done, stop) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let run = || {
        let mut worker = Worker { scratch: Scratch::default(), done: &done, stop: &stop };
        let mut made = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= jobs {
                break;
            }
            made.push((i, work(i, &mut worker)));
        }
        made
    };
    // Whoever asks a store is not the one who watches: it would not hear of Ctrl-C.
    let mut made = if (bytes < SMALL || jobs < 2) && !files.is_remote() {
        run()
    } else {
        // Not for small work: it asks the system, which opens files to answer.
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        let cores = files.requests().unwrap_or_else(cores).min(jobs);
        thread::scope(|scope| {
            let (finished, all_finished) = channel::<()>();
            let start = |_| {
                let finished = finished.clone();
                let run = &run;
                thread::Builder::new().spawn_scoped(scope, move || {
                    let made = run();
                    drop(finished);
                    made
                })
            };
            let workers: Vec<_> = (0..cores).map_while(|i| start(i).ok()).collect();
            drop(finished);
            // Without a thread to be had, this one does all the work.
            let mut made = if workers.is_empty() { run() } else { Vec::new() };
            while all_finished.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                if !watch(done.load(Ordering::Relaxed), bytes) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            for worker in workers {
                made.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            made
        })
    };
    let go_on = watch(done.load(Ordering::Relaxed), bytes);
    if stop.load(Ordering::Relaxed) || !go_on {
        return Err(Stopped);
    }
    made.sort_unstable_by_key(|(job, _)| *job);
    Ok(made.into_iter().map(|(_, made)| made).collect())
}

/// The same while nobody watches, so that nobody stops it.
pub fn in_order<T: Send>(jobs: usize, bytes: u64, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let files = &Files::Local;
    on_all_cores(files, jobs, bytes, &mut |_, _| true, |job, _| work(job)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once() {
        for bytes in [0, 1 << 30] {
            for jobs in [0, 1, 1000] {
                let mut told = 0;
                let mut watch = |done, _| {
                    told = done;
                    true
                };
                let made = on_all_cores(&Files::Local, jobs, bytes, &mut watch, |i, worker| {
                    worker.advance(3);
                    i * 2
                });
                assert_eq!(made.unwrap(), (0..jobs).map(|i| i * 2).collect::<Vec<_>>());
                assert_eq!(told, jobs as u64 * 3);
            }
        }
    }

    #[test]
    fn it_stops() {
        let made = on_all_cores(&Files::Local, 1 << 40, 1 << 40, &mut |_, _| false, |_, worker| {
            thread::sleep(Duration::from_millis(1));
            worker.advance(1);
        });
        assert_eq!(made, Err(Stopped));
    }
}
