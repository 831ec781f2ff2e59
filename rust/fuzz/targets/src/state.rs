//! Any bytes as the state file of a directory.

use tensorbundle_checkpoint::StateFile;

/// Any bytes as the state file of a directory.
pub fn state(data: &[u8]) {
    if let Ok(state) = StateFile::parse(data) {
        assert!(!state.latest.is_empty(), "it names a checkpoint");
        for path in state.all.iter().chain([&state.latest]) {
            assert!(std::str::from_utf8(path).is_ok(), "the proto's strings are UTF-8");
            assert!(path.len() <= data.len());
        }
        assert!(state.all.len() + state.timestamps.len() <= data.len());
    }
}
