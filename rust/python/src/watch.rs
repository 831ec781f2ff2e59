//! Long work with the GIL let go, but for moments in which progress is told and signals are looked for.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use tensorbundle_store::Watch;

/// Does `work`, which is stopped by what `progress(done, total)` raises, or a signal. Those come out, whatever the work says.
pub(crate) fn watched<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&mut Watch<'_>) -> T + Send,
) -> PyResult<T> {
    let progress = progress.map(|progress| progress.clone().unbind());
    let mut raised = None;
    let mut watch = |done: u64, total: u64| {
        if raised.is_some() {
            return false;
        }
        let told = Python::attach(|py| {
            py.check_signals()?;
            // Of how many is not always known yet.
            let progress = progress.as_ref().filter(|_| total > 0);
            progress.map_or(Ok(()), |progress| progress.call1(py, (done, total)).map(|_| ()))
        });
        raised = told.err();
        raised.is_none()
    };
    let made = py.detach(|| work(&mut watch));
    raised.map_or(Ok(made), Err)
}

/// What is raised where work was stopped, and nobody said why.
pub(crate) fn stopped() -> PyErr {
    PyKeyboardInterrupt::new_err("stopped")
}
