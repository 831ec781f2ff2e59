//! A file that is read at places.

use crate::buffer::Buffer;
use crate::{Error, Result};
use bytes::Bytes;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tensorbundle_wire::{Fault, table};

/// An open file, and the length it had when it was opened.
#[derive(Debug)]
pub(crate) struct File {
    file: fs::File,
    path: PathBuf,
    len: u64,
}

impl File {
    /// Opens a regular file. Anything else (a pipe, a device) could block for ever.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let kind = fs::metadata(path)?;
        if kind.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        if !kind.is_file() {
            let what = "not a regular file, but a pipe, a socket or a device";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let file = fs::File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, path: path.to_owned(), len })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The same file, held to have had `len` bytes when it was opened.
    pub(crate) fn with_len(self, len: u64) -> Self {
        Self { len, ..self }
    }

    /// Which file it is, whatever it is called; `None` where the system does not say.
    pub(crate) fn id(&self) -> Option<FileId> {
        id_of(&self.file)
    }

    pub(crate) fn as_std(&self) -> &fs::File {
        &self.file
    }

    /// Fills `out` from `offset` on. The caller has held the range against the length at opening.
    pub(crate) fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match read_at(&self.file, rest, offset + done as u64) {
                Ok(0) => {
                    let fault = Fault::corrupt(
                        "file",
                        format!("it ends here, but it had {} bytes when it was opened", self.len),
                    );
                    let fault = fault.at(offset + done as u64);
                    return Err(Error::fault(
                        &self.path,
                        fault.advise(
                            "another process has shortened it: open it again when it is whole",
                        ),
                    ));
                }
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(&self.path, error, "reading")),
            }
        }
        Ok(())
    }
}

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

#[cfg(unix)]
fn id_of(file: &fs::File) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let meta = file.metadata().ok()?;
    Some(FileId(meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn id_of(_file: &fs::File) -> Option<FileId> {
    None
}

impl table::Source for File {
    type Error = Error;

    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let memory = |error| Error::io(&self.path, error, "memory for a part of it");
        let mut buffer = Buffer::zeroed(len).map_err(memory)?;
        self.read_into(offset, buffer.as_mut())?;
        buffer.freeze().map_err(memory)
    }
}

#[cfg(unix)]
fn read_at(file: &fs::File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, out, offset)
}

#[cfg(windows)]
fn read_at(file: &fs::File, out: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, out, offset)
}
