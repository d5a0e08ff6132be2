//! SHA-256, by which files are known.

use std::io;

use sha2::{Digest, Sha256};

use super::files::ReadAt;

/// The SHA-256 of `bytes` in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// That of a file's bytes from `start` on, of which few at a time are in memory.
pub(super) fn sha256_from(file: &mut dyn ReadAt, start: u64) -> io::Result<String> {
    const CHUNK: u64 = 1 << 20;
    let end = file.length()?;
    let mut hash = Sha256::new();
    let mut at = start;
    let mut chunk = Vec::new();
    while at < end {
        chunk.resize(CHUNK.min(end - at) as usize, 0);
        file.read_at(at, &mut chunk)?;
        hash.update(&chunk);
        at += chunk.len() as u64;
    }
    Ok(hex(&hash.finalize()))
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
