//! Memory of the size of a scene or a picture, which may not be there.

use crate::{Error, ErrorCode, Result};

/// `length` bytes of 0, or `out_of_memory`.
pub(super) fn transparent_bytes(length: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reserve(&mut bytes, length)?;
    bytes.resize(length, 0);
    Ok(bytes)
}

/// Makes room for `more` values, or fails with `out_of_memory`.
pub(super) fn reserve<T>(values: &mut Vec<T>, more: usize) -> Result<()> {
    values.try_reserve(more).map_err(|_| {
        let bytes = more.saturating_mul(size_of::<T>());
        Error::new(
            ErrorCode::OutOfMemory,
            format!("there is no memory for {bytes} bytes of the scene"),
            "use a smaller scene, or smaller pictures",
        )
    })
}
