//! Memory of the size of what was handed in, which may not be there: in WebAssembly a failed allocation
//! would end the module.

use crate::{Error, ErrorCode, Result};

/// Makes room for `more` values of `what`.
///
/// # Errors
/// `out_of_memory`, with how much was wanted.
pub(crate) fn reserve<T>(values: &mut Vec<T>, more: usize, what: &str) -> Result<()> {
    let bytes = more.saturating_mul(size_of::<T>());
    let reserved = values.try_reserve(more);
    reserved.map_err(|_| out_of_memory(bytes, what))
}

/// `length` values of 0 of `what`.
///
/// # Errors
/// `out_of_memory`.
pub(crate) fn zeroed<T: Clone + Default>(length: usize, what: &str) -> Result<Vec<T>> {
    let mut values = Vec::new();
    reserve(&mut values, length, what)?;
    values.resize(length, T::default());
    Ok(values)
}

/// `count` values of `what`.
///
/// # Errors
/// `out_of_memory`.
pub(crate) fn collected<T>(
    count: usize,
    all: impl Iterator<Item = T>,
    what: &str,
) -> Result<Vec<T>> {
    let mut values = Vec::new();
    reserve(&mut values, count, what)?;
    values.extend(all);
    Ok(values)
}

/// Asks for so many bytes and gives them back: for what follows and allocates without asking.
///
/// # Errors
/// `out_of_memory`.
pub(crate) fn check_room(bytes: usize, what: &str) -> Result<()> {
    reserve(&mut Vec::<u8>::new(), bytes, what)
}

fn out_of_memory(bytes: usize, what: &str) -> Error {
    Error::new(
        ErrorCode::OutOfMemory,
        format!("there is no memory for {bytes} bytes of {what}"),
        "use smaller pictures or a smaller model, or close what else is open",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error_with_its_size() {
        // As many as no machine has.
        let count = 1usize << (usize::BITS - 4);
        for error in [
            reserve(&mut Vec::<[f32; 4]>::new(), count / 4, "the picture").unwrap_err(),
            zeroed::<f32>(count, "the picture").unwrap_err(),
            collected(count, std::iter::repeat(1f32), "the picture").unwrap_err(),
            check_room(4 * count, "the picture").unwrap_err(),
        ] {
            assert_eq!(error.code, ErrorCode::OutOfMemory);
            let size = (4 * count).to_string();
            assert!(error.message.contains("the picture"), "{error}");
            assert!(error.message.contains(&size), "{error}");
        }
    }

    #[test]
    fn what_can_be_had_is_given() {
        assert_eq!(zeroed::<u8>(3, "the picture").unwrap(), [0; 3]);
        assert_eq!(collected(2, 1..3, "the picture").unwrap(), [1, 2]);
        check_room(1 << 20, "the picture").unwrap();
    }
}
