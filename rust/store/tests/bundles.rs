//! Bundles written here and read back: whole and partitioned, mapped and read.

use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tensorbundle_store::{Bundle, Error, Options, ReadOptions, Value, data_path, index_path};
use tensorbundle_wire::bundle::{TensorSlice, slice_key};
use tensorbundle_wire::crc::MaskedCrc;
use tensorbundle_wire::table::builder;
use tensorbundle_wire::varint::put_varint;

/// A bundle that is being written.
struct Writer {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    shards: Vec<Vec<u8>>,
}

impl Writer {
    fn new(shards: usize) -> Self {
        Self { entries: Vec::new(), shards: vec![Vec::new(); shards] }
    }

    fn add(&mut self, key: Vec<u8>, dtype: i32, dims: &[u64], shard: usize, bytes: &[u8]) {
        let mut entry = start(dtype, dims);
        let data = &mut self.shards[shard];
        for (field, value) in [(3, shard), (4, data.len()), (5, bytes.len())] {
            put_varint(&mut entry, field << 3);
            put_varint(&mut entry, value as u64);
        }
        entry.push(6 << 3 | 5);
        entry.extend(MaskedCrc::of(bytes).0.to_le_bytes());
        data.extend(bytes);
        self.entries.push((key, entry));
    }

    fn add_partitioned(&mut self, name: &[u8], dtype: i32, dims: &[u64], slices: &[TensorSlice]) {
        let mut entry = start(dtype, dims);
        for slice in slices {
            let extents = slice.0.iter().flat_map(|&(from, length)| {
                let mut extent = Vec::new();
                put_varint(&mut extent, 1 << 3);
                put_varint(&mut extent, from as u64);
                put_varint(&mut extent, 2 << 3);
                put_varint(&mut extent, length.unwrap() as u64);
                message(1, &extent)
            });
            entry.extend(message(7, &extents.collect::<Vec<_>>()));
        }
        self.entries.push((name.to_vec(), entry));
    }

    fn write(mut self, dir: &Path) -> PathBuf {
        let prefix = dir.join("m");
        let mut header = vec![0x08];
        put_varint(&mut header, self.shards.len() as u64);
        header.extend([0x1a, 2, 0x08, 1]);
        self.entries.push((Vec::new(), header));
        self.entries.sort();
        let options = builder::Options { block_size: 200, ..Default::default() };
        fs::write(index_path(&prefix), builder::table(&self.entries, options)).unwrap();
        for (i, shard) in self.shards.iter().enumerate() {
            fs::write(data_path(&prefix, i as u32, self.shards.len() as u32), shard).unwrap();
        }
        prefix
    }
}

fn message(field: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    put_varint(&mut out, bytes.len() as u64);
    out.extend(bytes);
    out
}

fn start(dtype: i32, dims: &[u64]) -> Vec<u8> {
    let mut entry = vec![0x08];
    put_varint(&mut entry, dtype as u64);
    let dims = dims.iter().flat_map(|&dim| {
        let mut size = vec![0x08];
        put_varint(&mut size, dim);
        message(2, &size)
    });
    entry.extend(message(2, &dims.collect::<Vec<_>>()));
    entry
}

fn raw(bundle: &Bundle, name: &[u8], options: &ReadOptions) -> Result<Vec<u8>, Error> {
    let found = bundle.find(name)?.expect("the tensor is there");
    match bundle.read(&found, options)?.value {
        Value::Raw(bytes) => Ok(bytes.to_vec()),
        Value::List(_) => panic!("fixed width"),
    }
}

fn modes() -> [Options; 2] {
    [true, false].map(|mmap| Options { mmap, verify: true, ..Options::default() })
}

#[test]
fn views_lie_in_one_map_and_outlive_the_bundle() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::new(1);
    writer.add(b"a".to_vec(), 6, &[3], 0, b"abc");
    writer.add(b"b".to_vec(), 1, &[], 0, &1.5_f32.to_le_bytes());
    let bundle = Bundle::open(&writer.write(dir.path()), Options::default()).unwrap();
    let read = |name: &[u8], aligned| {
        let found = bundle.find(name).unwrap().unwrap();
        let options = ReadOptions { aligned, ..Default::default() };
        match bundle.read(&found, &options).unwrap().value {
            Value::Raw(bytes) => bytes,
            Value::List(_) => panic!("fixed width"),
        }
    };
    let (a, b) = (read(b"a", false), read(b"b", false));
    assert_eq!(a.as_ptr() as usize + 3, b.as_ptr() as usize);
    let copy = read(b"b", true);
    assert_ne!(copy.as_ptr(), b.as_ptr());
    assert_eq!(copy.as_ptr() as usize % 4, 0);
    assert_eq!(read(b"a", true).as_ptr(), a.as_ptr());
    drop(bundle);
    assert_eq!((&a[..], &b[..]), (&b"abc"[..], &1.5_f32.to_le_bytes()[..]));
}

#[test]
fn a_file_that_shrinks_is_an_error_when_it_is_read() {
    let dir = TempDir::new().unwrap();
    let mut writer = Writer::new(1);
    writer.add(b"a".to_vec(), 6, &[1000], 0, &[7; 1000]);
    let prefix = writer.write(dir.path());
    let bundle = Bundle::open(&prefix, Options { mmap: false, ..Options::default() }).unwrap();
    let all = ReadOptions::default();
    assert_eq!(raw(&bundle, b"a", &all).unwrap(), [7; 1000]);
    let shard = fs::OpenOptions::new().write(true).open(data_path(&prefix, 0, 1)).unwrap();
    shard.set_len(500).unwrap();
    let text = raw(&bundle, b"a", &all).unwrap_err().to_string();
    assert!(text.contains("at byte 500: it ends here, but it had 1000 bytes"), "{text}");
}

fn cut(dims: &[u64], seeds: &[u64]) -> Vec<TensorSlice> {
    let mut parts = vec![dims.iter().map(|&dim| (0, dim)).collect::<Vec<_>>()];
    for &seed in seeds {
        let which = seed as usize % parts.len();
        let axis = (seed >> 8) as usize % dims.len();
        let (start, len) = parts[which][axis];
        if len > 1 {
            let at = 1 + (seed >> 16) % (len - 1);
            let mut high = parts[which].clone();
            parts[which][axis] = (start, at);
            high[axis] = (start + at, len - at);
            parts.push(high);
        }
    }
    let extent = |(start, len): (u64, u64)| (start as i64, Some(len as i64));
    parts.into_iter().map(|part| TensorSlice(part.into_iter().map(extent).collect())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn slices_make_the_tensor_again(
        dims in proptest::collection::vec(1..9u64, 1..4),
        seeds in proptest::collection::vec(any::<u64>(), 0..12),
        shards in 1usize..4,
        rows: (prop::sample::Index, prop::sample::Index),
    ) {
        let dir = TempDir::new().unwrap();
        let elements: u64 = dims.iter().product();
        let tensor: Vec<u8> = (0..elements).flat_map(|i| (i as u16).wrapping_mul(257).to_le_bytes()).collect();
        let slices = cut(&dims, &seeds);
        let mut writer = Writer::new(shards);
        writer.add_partitioned(b"w", 17, &dims, &slices);
        for (i, slice) in slices.iter().enumerate() {
            let lens: Vec<u64> = slice.0.iter().map(|(_, len)| len.unwrap() as u64).collect();
            let mut bytes = Vec::new();
            for element in 0..elements {
                let (mut rest, mut inside) = (element, true);
                for (axis, &(start, len)) in slice.0.iter().enumerate().rev() {
                    let at = (rest % dims[axis]) as i64;
                    rest /= dims[axis];
                    inside &= at >= start && at < start + len.unwrap();
                }
                if inside {
                    bytes.extend(&tensor[element as usize * 2..element as usize * 2 + 2]);
                }
            }
            writer.add(slice_key(b"w", slice), 17, &lens, i % shards, &bytes);
        }
        let prefix = writer.write(dir.path());
        for mode in modes() {
            let bundle = Bundle::open(&prefix, mode).unwrap();
            prop_assert_eq!(&raw(&bundle, b"w", &ReadOptions::default()).unwrap(), &tensor);
            let (a, b) = (rows.0.index(dims[0] as usize + 1) as u64, rows.1.index(dims[0] as usize + 1) as u64);
            let some = ReadOptions { rows: Some(a.min(b)..a.max(b)), ..Default::default() };
            let row = tensor.len() / dims[0] as usize;
            let want = &tensor[a.min(b) as usize * row..a.max(b) as usize * row];
            prop_assert_eq!(&raw(&bundle, b"w", &some).unwrap(), want);
            let names: Vec<_> = bundle.listing().unwrap().names().map(<[u8]>::to_vec).collect();
            prop_assert_eq!(names, [b"w"]);
        }
    }
}
