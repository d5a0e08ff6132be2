//! Bytes in memory whose growth can fail.

use std::io::{self, Cursor, Seek, SeekFrom, Write};

/// A file in memory. Where there is no room for more, writing fails and the process goes on.
#[derive(Debug, Default)]
pub(crate) struct MemoryFile(Cursor<Vec<u8>>);

impl MemoryFile {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.0.position() as usize + bytes.len();
        let missing = end.saturating_sub(self.0.get_ref().len());
        let room = self.0.get_mut().try_reserve(missing);
        room.map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MemoryFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}
