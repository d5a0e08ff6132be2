//! Numbers and sections of a file, none of which reaches beyond its end.

/// What is left of a file, or of a section of it. Numbers are big-endian; `None` is the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A length, which large documents have in 8 bytes.
    pub(super) fn length(&mut self, large: bool) -> Option<usize> {
        match large {
            true => usize::try_from(self.array().map(u64::from_be_bytes)?).ok(),
            false => usize::try_from(self.u32()?).ok(),
        }
    }

    /// A section, its length in front.
    pub(super) fn section(&mut self, large: bool) -> Option<Bytes<'a>> {
        let length = self.length(large)?;
        self.take(length).map(Bytes)
    }
}
