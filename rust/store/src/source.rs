//! A file that is read at places.

use crate::buffer::Buffer;
use crate::files::{Files, Kind};
use crate::remote::{INDEX_PART, Object};
use crate::{Error, Result};
use bytes::Bytes;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tensorbundle_wire::{Fault, table};

/// An open file, and the length it had when it was opened.
pub(crate) struct File {
    place: Place,
    path: PathBuf,
    len: u64,
}

enum Place {
    Here(fs::File),
    Store(Box<Object>),
}

impl File {
    /// Opens a regular file. Anything else (a pipe, a device) could block for ever.
    pub(crate) fn open(files: &Files, path: &Path) -> io::Result<Self> {
        let stat = files.stat(path)?;
        if stat.kind == Kind::Dir {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        if stat.kind != Kind::File {
            let what = "not a regular file, but a pipe, a socket or a device";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let (place, len) = match files {
            Files::Local => {
                let file = fs::File::open(path)?;
                let len = file.metadata()?.len();
                (Place::Here(file), len)
            }
            Files::Remote(seen) => {
                (Place::Store(Box::new(Object::new(seen.store().clone(), &stat))), stat.size)
            }
        };
        Ok(Self { place, path: path.to_owned(), len })
    }

    /// The same, of which the parts that are read again and again stay in memory, if it is in a store.
    pub(crate) fn held(self) -> Self {
        let place = match self.place {
            Place::Store(object) => Place::Store(Box::new(object.held())),
            here => here,
        };
        Self { place, ..self }
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
        id_of(self.as_std()?)
    }

    /// The file of the system, unless it is in a store.
    pub(crate) fn as_std(&self) -> Option<&fs::File> {
        match &self.place {
            Place::Here(file) => Some(file),
            Place::Store(_) => None,
        }
    }

    /// The file of a store.
    pub(crate) fn as_object(&self) -> Option<&Object> {
        match &self.place {
            Place::Here(_) => None,
            Place::Store(object) => Some(object),
        }
    }

    /// Fills `out` from `offset` on. The caller has held the range against the length at opening.
    pub(crate) fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let file = match &self.place {
            Place::Here(file) => file,
            Place::Store(object) => {
                let read = object.read_into(&self.path, self.len, offset, out);
                return read.map_err(|error| self.not_read(error, offset));
            }
        };
        let mut done = 0;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match read_at(file, rest, offset + done as u64) {
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

    /// Gives `take` a range of a file of a store, as it arrives, until it wants no more; a large one all at once.
    pub(crate) fn read_pieces(
        &self,
        range: Range<u64>,
        take: &mut dyn FnMut(Bytes) -> bool,
    ) -> Result<()> {
        let len = usize::try_from(range.end - range.start)
            .map_err(|_| Fault::unsupported("file", "larger than this machine can address"))?;
        let Some(object) = self.as_object().filter(|_| len <= INDEX_PART) else {
            take(table::Source::read(self, range.start, len)?);
            return Ok(());
        };
        let offset = range.start;
        object.read_pieces(&self.path, range, take).map_err(|error| self.not_read(error, offset))
    }

    fn not_read(&self, error: io::Error, offset: u64) -> Error {
        if error.kind() != io::ErrorKind::StaleNetworkFileHandle {
            return Error::io(&self.path, error, "reading");
        }
        let fault = Fault::corrupt("file", format!("it was replaced while it was read: {error}"));
        Error::fault(&self.path, fault.at(offset).advise("open the checkpoint again"))
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
