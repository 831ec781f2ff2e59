//! A tensor's bytes, as Python's buffer protocol hands them on: one of the two files in which `unsafe` stands.

#![allow(unsafe_code)]

use bytes::Bytes;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::{c_int, c_void};

/// Read-only bytes that stay where they are for as long as anything views them.
#[pyclass(frozen, module = "tensorbundle._native")]
pub(crate) struct TensorBuffer(pub(crate) Bytes);

#[pymethods]
impl TensorBuffer {
    /// Fills in a view of all the bytes. A request for a writable one is refused.
    ///
    /// # Safety
    ///
    /// Called by the interpreter only, with a `view` that it owns.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let bytes = &slf.get().0;
        let len = ffi::Py_ssize_t::try_from(bytes.len())
            .map_err(|_| PyBufferError::new_err("more bytes than Python can address"))?;
        let start = bytes.as_ptr().cast::<c_void>().cast_mut();
        // SAFETY: the interpreter gives a `view` to fill in. The function takes a reference to `slf`, which is
        // frozen and owns the bytes, so `start` and `len` stay true until the view is released; `readonly = 1`
        // makes it refuse a writable view, so nothing writes through `start`. What this does not promise:
        // mapped bytes are constant only as long as nobody changes the file (see `store/src/map.rs`).
        let filled = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, len, 1, flags) };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}
