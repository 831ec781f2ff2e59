//! The `checkpoint` file of a directory: which checkpoints it holds, the latest one first (FORMAT 1.4).
//!
//! ```text
//! model_checkpoint_path: "ckpt-4"
//! all_model_checkpoint_paths: "ckpt-3"
//! all_model_checkpoint_paths: "ckpt-4"
//! all_model_checkpoint_timestamps: 1795337477.2674108
//! ```

use std::path::Path;
use tensorbundle_store::{Error, Files, Kind, Result, read_ends};
use tensorbundle_wire::Fault;
use tensorbundle_wire::textproto::{self, Field, Value};

/// CheckpointState.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StateFile {
    /// The latest checkpoint's prefix, as written: often absolute, on the machine that wrote it.
    pub latest: Vec<u8>,
    /// All prefixes, oldest first.
    pub all: Vec<Vec<u8>>,
    /// When each was written, in seconds since 1970; empty if it does not say.
    pub timestamps: Vec<f64>,
    /// When the last one was kept for good.
    pub last_preserved: Option<f64>,
}

const PART: &str = "state file";

/// A state file is a few lines for each checkpoint of a directory; this is room for some ten thousand.
const MAX_BYTES: u64 = 4 << 20;

/// Reads a state file.
pub fn read_state_file(files: &Files, path: &Path) -> Result<StateFile> {
    let io = |error| Error::io(path, error, "the directory's state file");
    if files.stat(path).map_err(io)?.kind != Kind::File {
        // A pipe would keep us waiting.
        return Err(io(std::io::ErrorKind::InvalidInput.into()));
    }
    let (text, _) = read_ends(files, path, MAX_BYTES + 1, 0)?;
    if text.len() as u64 > MAX_BYTES {
        let fault = Fault::unsupported(PART, format!("it has more than {MAX_BYTES} bytes"));
        return Err(Error::fault(path, fault));
    }
    StateFile::parse(&text).map_err(|fault| Error::fault(path, fault))
}

impl StateFile {
    /// Reads the bytes of a state file.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        let broken = |what: String| {
            Fault::corrupt(PART, what).advise("give the prefix of a checkpoint instead")
        };
        let mut state = Self::default();
        let text = text.strip_prefix(BOM).unwrap_or(text);
        let message = textproto::parse(text).map_err(|fault| broken(fault.what().into()))?;
        for Field { name, line, value } in message.fields {
            let wrong = |want| broken(format!("line {line}: {name} is no {want}"));
            let string = || string(&value).ok_or_else(|| wrong("UTF-8 text in quotes"));
            let number = || number(&value).ok_or_else(|| wrong("number"));
            match &*name {
                "model_checkpoint_path" => state.latest = string()?,
                "all_model_checkpoint_paths" => state.all.push(string()?),
                "all_model_checkpoint_timestamps" => state.timestamps.push(number()?),
                "last_preserved_timestamp" => state.last_preserved = Some(number()?),
                // Of a newer TensorFlow. Today's passes over the whole file then; the rest is as good as ever.
                _ => {}
            }
        }
        if state.latest.is_empty() {
            return Err(broken("it names no model_checkpoint_path".into()));
        }
        Ok(state)
    }
}

/// What editors on Windows put before a text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The proto's strings are UTF-8; so are TensorFlow's own.
fn string(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Text(text) if std::str::from_utf8(text).is_ok() => Some(text.clone()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        // "1.5f" is allowed, but "inf" ends so too.
        Value::Word(word) => {
            word.parse().ok().or_else(|| word.strip_suffix(['f', 'F'])?.parse().ok())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tensorflow_writes() {
        let state = StateFile::parse(
            b"model_checkpoint_path: \"ckpt-4\"\nall_model_checkpoint_paths: \"ckpt-3\"\n\
              all_model_checkpoint_paths: \"ckpt-4\"\nall_model_checkpoint_timestamps: 1795337477.2674108\n\
              all_model_checkpoint_timestamps: 1795337477.2777073\nlast_preserved_timestamp: 1795337476.2454355\n",
        )
        .unwrap();
        assert_eq!(state.latest, b"ckpt-4");
        assert_eq!(state.all, [b"ckpt-3", b"ckpt-4"]);
        assert_eq!(state.timestamps, [1_795_337_477.267_410_8, 1_795_337_477.277_707_3]);
        assert_eq!(state.last_preserved, Some(1_795_337_476.245_435_5));
    }

    #[test]
    fn the_last_path_wins() {
        let state = StateFile::parse(
            b"model_checkpoint_path: 'a'\r\nmodel_checkpoint_path: 'b' '-1' # newer",
        )
        .unwrap();
        assert_eq!(state.latest, b"b-1");
    }

    #[test]
    fn numbers() {
        for (text, number) in [
            ("1795337477.2674108", Some(1_795_337_477.267_410_8)),
            ("1e3f", Some(1000.0)),
            ("-2F", Some(-2.0)),
            ("inf", Some(f64::INFINITY)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("1ff", None),
            ("f", None),
        ] {
            let text = format!("model_checkpoint_path: 'a' last_preserved_timestamp: {text}");
            let state = StateFile::parse(text.as_bytes()).ok();
            assert_eq!(state.and_then(|state| state.last_preserved), number, "{text}");
        }
    }

    #[test]
    fn what_tensorflow_passes_over() {
        let state =
            StateFile::parse(b"\xef\xbb\xbfmodel_checkpoint_path: 'a' new_field { b: 1 }").unwrap();
        assert_eq!(state.latest, b"a");
    }

    #[test]
    fn broken() {
        for (text, what) in [
            (&b""[..], "it names no model_checkpoint_path"),
            (b"all_model_checkpoint_paths: \"a\"", "it names no model_checkpoint_path"),
            (
                b"model_checkpoint_path: a",
                "line 1: model_checkpoint_path is no UTF-8 text in quotes",
            ),
            (
                b"\nmodel_checkpoint_path: \"\xff\"",
                "line 2: model_checkpoint_path is no UTF-8 text",
            ),
            (b"last_preserved_timestamp: \"1\"", "line 1: last_preserved_timestamp is no number"),
            (b"model_checkpoint_path", "line 1: want ':' or '{'"),
        ] {
            let fault = StateFile::parse(text).unwrap_err();
            assert!(fault.what().starts_with(what), "{fault}");
            assert!(fault.advice().unwrap().contains("give the prefix"));
        }
    }
}
