//! What a file is that is not what it should be: the things people really find in place of a checkpoint.

/// How many bytes from the start of a file are enough to tell.
pub const HEAD_LEN: u64 = 256;

/// Says what a file of `len` bytes that begins with `head` looks like, and what to do about it.
pub fn describe(head: &[u8], len: u64) -> Option<String> {
    let starts = |prefix: &[u8]| head.starts_with(prefix);
    if len == 0 {
        return Some("the file is empty: the copy or the save was interrupted".into());
    }
    if starts(b"version https://git-lfs") {
        return Some("this is a Git LFS pointer, not the file: run `git lfs pull`".into());
    }
    if starts(b"/annex/objects/") || head.windows(15).any(|part| part == b".git/annex/obje") {
        return Some("this is a git-annex pointer, not the file: run `git annex get`".into());
    }
    if starts(&[0x1f, 0x8b]) {
        return Some("this is a gzip file: unpack it first".into());
    }
    if starts(b"PK\x03\x04") {
        return Some("this is a zip archive: unpack it first".into());
    }
    if starts(b"\x89HDF\r\n\x1a\n") {
        return Some(
            "this is an HDF5 file (Keras .h5 weights), not a TensorFlow checkpoint".into(),
        );
    }
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        return Some(
            "this is a web page: the download got an error page in place of the file".into(),
        );
    }
    if head.windows(3).any(|part| part == [0xef, 0xbf, 0xbd]) {
        return Some(
            "it holds U+FFFD characters: a text filter has replaced its bytes for good; \
             get the original again, as binary"
                .into(),
        );
    }
    if len <= HEAD_LEN
        && head.iter().all(|byte| byte.is_ascii_graphic() || b" \t\r\n".contains(byte))
    {
        let line = String::from_utf8_lossy(head.trim_ascii()).replace(['\r', '\n'], " ");
        return Some(format!(
            "the file is only the text {line:?}: a link or a pointer that was copied as a file?"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn names_what_people_find() {
        for (head, word) in [
            (&b""[..], "empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
            (b"/annex/objects/SHA256E-s1--00.index", "git annex get"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"PK\x03\x04", "zip"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
            (b"\n<!DOCTYPE html>", "web page"),
            (b"\x08\x01\xef\xbf\xbd", "U+FFFD"),
            (b"model.ckpt-10.index", "\"model.ckpt-10.index\""),
        ] {
            let said = describe(head, head.len() as u64).expect(word);
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn says_nothing_of_other_bytes() {
        assert_eq!(describe(&[0, 0, 6, 8, 1], 122), None);
        assert_eq!(describe(b"plain text, but the file is long", 100_000), None);
    }
}
