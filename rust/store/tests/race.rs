//! Eight threads come to a fresh bundle at once, again and again: what is opened, loaded and listed when it is first
//! touched is set once, and all see the same. Under a thread sanitizer (`make tsan`) races are found, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;
use tempfile::TempDir;
use tensorbundle_store::{Bundle, Listing, Options, ReadOptions, Value, data_path, index_path};
use tensorbundle_wire::bundle::{TensorSlice, slice_key};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::table::builder;
use tensorbundle_wire::varint::put_varint;

const THREADS: usize = 8;
const TENSORS: usize = 64;
const SHARDS: usize = 4;

fn field(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3);
    put_varint(&mut out, value);
    out
}

fn message(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    put_varint(&mut out, bytes.len() as u64);
    out.extend(bytes);
    out
}

fn entry(shape: &[u8], shard: usize, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut out = field(1, 4); // uint8
    out.extend(message(2, shape));
    for (number, value) in [(3, shard), (4, offset), (5, bytes.len())] {
        out.extend(field(number, value as u64));
    }
    out.push(6 << 3 | 5);
    out.extend(MaskedCrc::of(bytes).0.to_le_bytes());
    out
}

fn name(i: usize) -> Vec<u8> {
    format!("t{i:03}").into_bytes()
}

fn value(i: usize) -> Vec<u8> {
    vec![i as u8; 40 + i]
}

/// Every fourth tensor lies in two slices, in two shards.
fn write(dir: &Path) -> PathBuf {
    let prefix = dir.join("m");
    let mut shards = vec![Vec::new(); SHARDS];
    let mut entries = vec![(Vec::new(), field(1, SHARDS as u64))];
    let dims = |len: usize| message(2, &field(1, len as u64));
    for i in 0..TENSORS {
        let bytes = value(i);
        if i % 4 > 0 {
            let shard = &mut shards[i % SHARDS];
            entries.push((name(i), entry(&dims(bytes.len()), i % SHARDS, shard.len(), &bytes)));
            shard.extend(&bytes);
            continue;
        }
        let mut whole = field(1, 4);
        whole.extend(message(2, &dims(bytes.len())));
        let mut start = 0;
        for (at, piece) in [&bytes[..20], &bytes[20..]].into_iter().enumerate() {
            let (from, len) = (start as u64, piece.len() as u64);
            whole.extend(message(7, &message(1, &[field(1, from), field(2, len)].concat())));
            let shard = &mut shards[at];
            let slice = TensorSlice(vec![(from as i64, Some(len as i64))]);
            let key = slice_key(&name(i), &slice);
            entries.push((key, entry(&dims(piece.len()), at, shard.len(), piece)));
            shard.extend(piece);
            start += piece.len();
        }
        entries.push((name(i), whole));
    }
    entries.sort();
    let options = builder::Options { block_size: 200, ..Default::default() };
    fs::write(index_path(&prefix), builder::table(&entries, options)).unwrap();
    for (i, shard) in shards.iter().enumerate() {
        fs::write(data_path(&prefix, i as u32, SHARDS as u32), shard).unwrap();
    }
    prefix
}

/// What one thread does, beginning where no other does; gives the listing it has seen.
fn work(bundle: &Bundle, thread: usize) -> Arc<Listing> {
    let mut listing = None;
    for step in 0..TENSORS {
        let i = (thread * 13 + step * (2 * thread + 1)) % TENSORS;
        if step == thread * 3 {
            listing = Some(Arc::clone(bundle.listing().unwrap()));
        }
        let found = bundle.find(&name(i)).unwrap().expect("the tensor is there");
        let options = ReadOptions { aligned: thread.is_multiple_of(2), ..Default::default() };
        match bundle.read(&found, &options).unwrap().value {
            Value::Raw(bytes) => assert_eq!(bytes, value(i)),
            Value::List(_) => panic!("of fixed width"),
        }
        if step % 16 == thread {
            assert!(bundle.find(b"not there").unwrap().is_none());
            assert!(bundle.unmapped_shards().len() <= SHARDS);
        }
    }
    listing.expect("was asked for")
}

#[test]
fn threads_come_to_fresh_bundles_at_once() {
    let rounds = std::env::var("RACE_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap());
    let dir = TempDir::new().unwrap();
    let prefix = write(dir.path());
    for round in 0..rounds {
        let options =
            Options { mmap: round % 2 == 0, verify: round % 3 == 0, ..Options::default() };
        let bundle = Bundle::open(&prefix, options).unwrap();
        let start = Barrier::new(THREADS);
        let listings: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|i| {
                    let (bundle, start) = (&bundle, &start);
                    scope.spawn(move || {
                        start.wait();
                        work(bundle, i)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(listings[0].len(), TENSORS);
        assert!(listings.iter().all(|one| Arc::ptr_eq(one, &listings[0])), "it is made once");
    }
}
