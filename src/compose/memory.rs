//! Memory of the size of a scene or a picture, which may not be there.

use crate::Result;
use crate::memory;

const WHAT: &str = "the scene";

/// `length` bytes of 0, or `out_of_memory`.
pub(super) fn transparent_bytes(length: usize) -> Result<Vec<u8>> {
    memory::zeroed(length, WHAT)
}

/// Makes room for `more` values, or fails with `out_of_memory`.
pub(super) fn reserve<T>(values: &mut Vec<T>, more: usize) -> Result<()> {
    memory::reserve(values, more, WHAT)
}
