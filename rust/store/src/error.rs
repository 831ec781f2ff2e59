//! What can go wrong with files: the system's errors, and faults in their bytes.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tensorbundle_wire::{Fault, shown};

/// A result whose error is an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The system refused. Trying again may help, or not.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What the file is for, and what to do.
        context: Cow<'static, str>,
    },
    /// The bytes are wrong or not readable.
    Fault {
        /// The file.
        path: Option<PathBuf>,
        /// The tensor that was asked for.
        tensor: Option<Vec<u8>>,
        /// What is wrong.
        fault: Fault,
    },
    /// The caller asked for what cannot be.
    Argument(String),
}

impl Error {
    /// The system's error about `path`.
    pub fn io(path: &Path, source: io::Error, context: impl Into<Cow<'static, str>>) -> Self {
        Self::Io { path: path.to_owned(), source, context: context.into() }
    }

    /// A fault in the file `path`.
    pub fn fault(path: &Path, fault: Fault) -> Self {
        Self::Fault { path: Some(path.to_owned()), tensor: None, fault }
    }

    /// Says in which file, unless a deeper layer has said it.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        if let Self::Fault { path: path @ None, .. } = &mut self {
            *path = Some(file.to_owned());
        }
        self
    }

    /// Says for which tensor.
    #[must_use]
    pub fn for_tensor(mut self, name: &[u8]) -> Self {
        if let Self::Fault { tensor: tensor @ None, .. } = &mut self {
            *tensor = Some(name.to_owned());
        }
        self
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault { path: None, tensor: None, fault }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source, context } if context.is_empty() => {
                write!(f, "{}: {source}", path.display())
            }
            Self::Io { path, source, context } => {
                write!(f, "{}: {source} ({context})", path.display())
            }
            Self::Fault { path, tensor, fault } => {
                if let Some(name) = tensor {
                    write!(f, "tensor {}: ", shown(name))?;
                }
                let file = path.as_ref().map(|path| path.display().to_string());
                f.write_str(&fault.sentence(file.as_deref()))
            }
            Self::Argument(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Fault { fault, .. } => Some(fault),
            Self::Argument(_) => None,
        }
    }
}
