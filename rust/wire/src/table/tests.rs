//! Tables written by the builder and then broken, and the literal one of FORMAT B.1.

use super::builder::{BlockBuilder, Options, put_block, put_footer, table};
use super::*;
use crate::Fault;
use crate::varint::put_varint;
use bytes::Bytes;
use proptest::prelude::*;

/// FORMAT B.1: a header and the float scalar "scalar".
const SMALLEST: &str = "
    00 00 06 08 01 1A 02 08 01
    00 06 0B 73 63 61 6C 61 72 08 01 12 00 28 04 35 D8 FD 7D 89
    00 00 00 00 01 00 00 00
    00 9E D3 07 20
    00 00 00 00 01 00 00 00 00 C0 F2 A1 B0
    00 01 02 74 00 25 00 00 00 00 01 00 00 00
    00 0C 2F 47 C7
    2A 08 37 0E
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    57 FB 80 8B 24 75 47 DB";

fn smallest() -> Vec<u8> {
    SMALLEST.split_whitespace().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn open(file: Vec<u8>) -> Result<Table<Bytes>, Fault> {
    Table::open(Bytes::from(file))
}

fn all(table: &Table<Bytes>) -> Result<Pairs, Fault> {
    let mut pairs = Pairs::new();
    for i in 0..table.block_count() {
        let block = table.load(i)?;
        let mut iter = block.iter();
        while let Some((key, value)) = iter.next_entry() {
            pairs.push((key.to_vec(), value.to_vec()));
        }
    }
    Ok(pairs)
}

fn get(table: &Table<Bytes>, key: &[u8]) -> Result<Option<Bytes>, Fault> {
    let Some(i) = table.block_of(key) else {
        return Ok(None);
    };
    Ok(table.load(i)?.get(key).map(|slot| slot.value))
}

fn some_entries(n: usize) -> Pairs {
    (0..n).map(|i| (format!("layer_{i:04}/kernel").into_bytes(), vec![i as u8; i % 7])).collect()
}

/// A file of one data block with these contents.
fn around(contents: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let data = put_block(&mut file, contents, false);
    let metaindex = put_block(&mut file, &BlockBuilder::new(16).finish(), false);
    let mut handle = Vec::new();
    put_varint(&mut handle, data.offset);
    put_varint(&mut handle, data.size);
    let mut index = BlockBuilder::new(1);
    index.add(b"\xff\xff", &handle);
    let index = put_block(&mut file, &index.finish(), false);
    put_footer(&mut file, Footer { metaindex, index });
    file
}

fn block_fault(contents: &[u8]) -> String {
    let table = open(around(contents)).unwrap();
    let fault = table.load(0).unwrap_err();
    assert_eq!(fault.part(), "data block");
    assert_eq!(fault.offset(), Some(0));
    fault.what().to_owned()
}

#[test]
fn the_smallest_index() {
    let table = open(smallest()).unwrap();
    assert_eq!(table.block_count(), 1);
    assert_eq!(table.handle(0), Some(BlockHandle { offset: 0, size: 0x25 }));
    let pairs = all(&table).unwrap();
    assert_eq!(pairs.len(), 2);
    assert_eq!(pairs[0], (b"".to_vec(), vec![0x08, 1, 0x1a, 2, 0x08, 1]));
    assert_eq!(pairs[1].0, b"scalar");
    assert_eq!(get(&table, b"scalar").unwrap().unwrap().len(), 11);
    assert_eq!(get(&table, b"scala").unwrap(), None);
    assert_eq!(get(&table, b"scalars").unwrap(), None);
    assert_eq!(get(&table, b"z").unwrap(), None);
}

#[test]
fn the_builder_writes_what_tensorflow_writes() {
    let entry = smallest()[18..29].to_vec();
    let pairs = [(vec![], vec![0x08, 1, 0x1a, 2, 0x08, 1]), (b"scalar".to_vec(), entry)];
    assert_eq!(table(&pairs, Options::default()), smallest());
}

#[test]
fn every_single_flipped_bit_is_seen_or_harmless() {
    let file = smallest();
    let want = all(&open(file.clone()).unwrap()).unwrap();
    let metaindex = 0x2a..0x37; // never read
    let handles = 0x4a..0x72; // one can be written in more than one way, and padding follows
    for byte in 0..file.len() {
        for bit in 0..8 {
            let mut broken = file.clone();
            broken[byte] ^= 1 << bit;
            let got = open(broken).and_then(|table| all(&table));
            if metaindex.contains(&byte) || handles.contains(&byte) {
                assert!(got.is_err() || got == Ok(want.clone()));
            } else {
                got.expect_err(&format!("byte {byte:#x}, bit {bit}"));
            }
        }
    }
}

#[test]
fn every_cut_is_seen() {
    let file = smallest();
    for len in 0..file.len() {
        let fault = open(file[..len].to_vec()).err().expect("a cut file");
        assert_eq!(fault.part(), "footer");
    }
    let mut longer = file;
    longer.push(0);
    let fault = open(longer).err().unwrap();
    assert!(fault.what().starts_with("bad magic number"), "{fault}");
}

#[test]
fn a_block_that_cannot_be() {
    assert!(block_fault(&[]).contains("the restarts do not fit"));
    assert!(block_fault(&[0, 0, 0]).contains("the restarts do not fit"));
    assert!(block_fault(&[0; 4]).contains("no restart at its first byte"));
    assert!(block_fault(&[0xff; 4]).contains("the restarts do not fit in its 4 bytes"));
    assert!(block_fault(&[4, 0, 0, 0, 1, 0, 0, 0]).contains("no restart at its first byte"));
    // Two restarts at 0, no entries.
    assert!(block_fault(&[0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]).contains("points to no entry"));
    let entry = |bytes: &[u8], restarts: &[u32]| {
        let mut contents = bytes.to_vec();
        restarts.iter().for_each(|restart| contents.extend(restart.to_le_bytes()));
        contents.extend((restarts.len() as u32).to_le_bytes());
        block_fault(&contents)
    };
    let one = [0, 1, 0, b'a'];
    assert!(
        entry(&[one, [0, 1, 0, b'b']].concat(), &[0, 5])
            .contains("restart 1 of 2 points to no entry")
    );
    assert!(entry(&[one, [0, 1, 0, b'b']].concat(), &[0, 4, 4]).contains("restart 2 of 3"));
    assert!(entry(&one, &[0, 1 << 31]).contains("restart 1 of 2"));
    assert!(
        entry(&[one, [0, 1, 0, b'a']].concat(), &[0]).contains("keys out of order at the entry 4")
    );
    assert!(entry(&[[0, 1, 0, b'b'], one].concat(), &[0]).contains("keys out of order"));
    assert!(entry(&[1, 1, 0, b'a'], &[0]).contains("a restart that shares 1 bytes"));
    assert!(
        entry(&[&one[..], &[2, 1, 0, b'b']].concat(), &[0])
            .contains("it shares 2 bytes with a key of 1")
    );
    assert!(entry(&[&one[..], &[1, 0, 0]].concat(), &[0]).contains("keys out of order"));
    assert!(entry(&[0, 9, 0, b'a'], &[0]).contains("its lengths do not fit"));
    assert!(entry(&[0, 0x80], &[0]).contains("its lengths do not fit"));
    // TensorFlow adds these two in 32 bits and reads out of bounds.
    let wraps = [0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x05, b'a', b'b', b'c', b'd'];
    assert!(entry(&wraps, &[0]).contains("its lengths do not fit"));
}

#[test]
fn compression_is_held_against_what_is_possible() {
    let store = |compressed: &[u8], kind: u8| {
        let mut stored = compressed.to_vec();
        stored.push(kind);
        let crc = crate::crc::MaskedCrc::of(&stored);
        stored.extend(crc.0.to_le_bytes());
        Block::open(&stored.into(), "data block")
    };
    let text = |compressed: &[u8]| store(compressed, 1).unwrap_err().what().to_owned();
    // 4 GiB claimed by five bytes.
    assert!(
        text(&[0xff, 0xff, 0xff, 0xff, 0x0f])
            .contains("5 compressed bytes claim to hold 4294967295, at most 174")
    );
    assert!(text(&[3, 0, b'a']).contains("corrupted compressed block contents"));
    assert!(text(&[]).contains("corrupted compressed block contents"));
    // A copy from before the start (CVE-2018-7577's neighbourhood).
    assert!(text(&[8, 0, b'a', 0x11, 0x09]).contains("corrupted compressed block contents"));
    assert_eq!(
        store(&[0; 8], 2).unwrap_err().what(),
        "bad block type: got 2, want 0 (plain) or 1 (Snappy)"
    );
    // The densest there is: 64 bytes for each three.
    let mut dense = Vec::new();
    put_varint(&mut dense, 1 + 64 * 1000);
    dense.extend([0x00, b'a']);
    (0..1000).for_each(|_| dense.extend([0xfe, 1, 0]));
    let fault = store(&dense, 1).unwrap_err();
    assert!(fault.what().contains("bad block contents"), "unpacked, then: {fault}");
}

#[test]
fn keys_outside_their_separators() {
    let pairs = some_entries(100);
    let file = table(&pairs, Options { block_size: 400, ..Options::default() });
    let sound = open(file.clone()).unwrap();
    assert!(sound.block_count() > 3);
    // The same blocks under separators that are too low: their first keys.
    let footer = Footer::parse(&file[file.len() - 48..]).unwrap();
    let mut broken = file[..footer.index.offset as usize].to_vec();
    let mut index = BlockBuilder::new(1);
    for i in 0..sound.block_count() {
        let handle = sound.handle(i).unwrap();
        let mut value = Vec::new();
        put_varint(&mut value, handle.offset);
        put_varint(&mut value, handle.size);
        let block = sound.load(i).unwrap();
        index.add(block.iter().next_entry().unwrap().0, &value);
    }
    let index = put_block(&mut broken, &index.finish(), false);
    put_footer(&mut broken, Footer { index, ..footer });
    let fault = all(&open(broken).unwrap()).unwrap_err();
    assert!(fault.what().contains("keys that the index block promises elsewhere"), "{fault}");
}

#[test]
fn blocks_may_not_overlap() {
    let mut file = Vec::new();
    let mut data = BlockBuilder::new(16);
    data.add(b"a", b"1");
    let handle = put_block(&mut file, &data.finish(), false);
    let metaindex = put_block(&mut file, &BlockBuilder::new(16).finish(), false);
    let mut value = Vec::new();
    put_varint(&mut value, handle.offset);
    put_varint(&mut value, handle.size);
    let mut index = BlockBuilder::new(1);
    index.add(b"a", &value);
    index.add(b"b", &value);
    let index = put_block(&mut file, &index.finish(), false);
    put_footer(&mut file, Footer { metaindex, index });
    let fault = open(file).err().unwrap();
    assert!(
        fault.what().contains("block 1 begins at byte 0, before the one before ends"),
        "{fault}"
    );
}

fn pairs() -> impl Strategy<Value = Pairs> {
    let key = proptest::collection::vec(
        prop_oneof![Just(0u8), Just(255u8), Just(b'a'), any::<u8>()],
        0..8,
    );
    let value = proptest::collection::vec(any::<u8>(), 0..40);
    proptest::collection::btree_map(key, value, 1..120).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn round_trip(
        pairs in pairs(),
        block_size in 1usize..600,
        restart_interval in 1usize..20,
        snappy: bool,
        probe: Vec<u8>,
    ) {
        let file = table(&pairs, Options { block_size, restart_interval, snappy });
        let table = open(file).unwrap();
        prop_assert_eq!(&all(&table).unwrap(), &pairs);
        for (key, value) in &pairs {
            let got = get(&table, key).unwrap();
            prop_assert_eq!(got.as_deref(), Some(&value[..]));
        }
        let there = pairs.iter().any(|(key, _)| *key == probe);
        prop_assert_eq!(get(&table, &probe).unwrap().is_some(), there);
    }

    #[test]
    fn broken_files_end_in_errors(
        pairs in pairs(),
        snappy: bool,
        at: prop::sample::Index,
        with: u8,
    ) {
        let mut file = table(&pairs, Options { block_size: 100, restart_interval: 4, snappy });
        let i = at.index(file.len());
        file[i] = with;
        if let Ok(table) = open(file) {
            // What still reads, reads as it was.
            if let Ok(got) = all(&table) {
                prop_assert_eq!(got, pairs);
            }
        }
    }

    #[test]
    fn any_contents_are_a_block_or_an_error(bytes: Vec<u8>, key: Vec<u8>) {
        if let Ok(block) = Block::from_contents(bytes.into(), "data block") {
            let _ = block.get(&key);
        }
    }
}
