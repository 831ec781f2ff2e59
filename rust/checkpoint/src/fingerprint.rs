//! A SavedModel's fingerprint (FORMAT 9.3).
//!
//! ```text
//! export/fingerprint.pb              FingerprintDef { 1–5 hashes  6 version  7 uuid }
//! export/variables/variables.index   its bytes have the hash that field 5 says
//! ```

use bytes::Bytes;
use std::path::Path;
use tensorbundle_store::{Error, Files, Result, read_file};
use tensorbundle_wire::fingerprint::fingerprint64;
use tensorbundle_wire::pb::{Value, fields};
use tensorbundle_wire::{Fault, lookalike};

/// Bytes of the largest file that is taken for a fingerprint: real ones have some sixty.
const LARGEST: usize = 1 << 16;

/// The serialized FingerprintDef in a file, whose fields are those of one.
pub fn read_fingerprint(files: &Files, path: &Path) -> Result<Bytes> {
    let bytes = read_file(files, path, true)?;
    check(&bytes).map_err(|fault| {
        let head = bytes.get(..lookalike::HEAD_LEN as usize).unwrap_or(&bytes);
        Error::fault(
            path,
            match lookalike::describe(head, bytes.len() as u64) {
                Some(looks) => fault.advise(looks),
                None => fault.advise("the file was cut short, or its bytes are damaged"),
            },
        )
    })?;
    Ok(bytes)
}

/// FarmHash's Fingerprint64 of a file: of a checkpoint's index, what its SavedModel's fingerprint says.
pub fn index_fingerprint(files: &Files, path: &Path, mmap: bool) -> Result<u64> {
    Ok(fingerprint64(&read_file(files, path, mmap)?))
}

fn check(bytes: &[u8]) -> std::result::Result<(), Fault> {
    let corrupt = |what: String| Fault::corrupt("fingerprint", what);
    match bytes.len() {
        0 => return Err(corrupt("it says nothing".into())),
        len if len > LARGEST => {
            return Err(corrupt(format!("{len} bytes are too many: at most {LARGEST}")));
        }
        _ => {}
    }
    for field in fields(bytes) {
        let (number, value) = field.map_err(|why| corrupt(why.to_string()))?;
        match (number, value) {
            (1..=5, Value::Varint(_)) | (8.., _) => {}
            (6, Value::Len(version)) if fields(version).all(|field| field.is_ok()) => {}
            (7, Value::Len(uuid)) if uuid.is_ascii() => {}
            _ => return Err(corrupt(format!("its field {number} is none of a FingerprintDef"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_is_one() {
        assert!(check(b"\x08\x01\x28\xff\x01\x32\x02\x08\x04\x3a\x0212").is_ok());
        assert!(check(b"\x08\x01\x4a\x01x").is_ok(), "a later version may say more");
        for (bytes, said) in [
            (&b""[..], "nothing"),
            (b"\x08\x01\x28", "too early"),
            (b"\x0a\x01x", "field 1"),
            (b"\x32\x02\x08", "too early"),
            (b"\x32\x01\x08", "field 6"),
            (b"version https://git-lfs", "tag"),
        ] {
            let fault = check(bytes).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
        assert!(check(&vec![8; 1 << 17]).unwrap_err().to_string().contains("too many"));
    }
}
