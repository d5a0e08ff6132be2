//! PackBits, the run-length encoding of PSD and TIFF files.
//!
//! A header from 0 to 127 is followed by one more byte than it says, as they are; one from 129 to 255
//! by a byte that stands 257 minus the header times.

/// The longest run and the longest stretch of other bytes.
const LONGEST: usize = 128;

/// Appends the encoding of `bytes` to `out`.
pub(super) fn pack_bits(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let run = run_length(rest, first);
        if run > 1 {
            out.extend([(257 - run) as u8, first]);
            rest = &rest[run..];
        } else {
            let (literal, tail) = rest.split_at(literal_length(rest));
            out.push((literal.len() - 1) as u8);
            out.extend(literal);
            rest = tail;
        }
    }
}

/// How often `first` stands at the start of `bytes`.
fn run_length(bytes: &[u8], first: u8) -> usize {
    let end = bytes.len().min(LONGEST);
    let other = bytes[..end].iter().position(|byte| *byte != first);
    other.unwrap_or(end)
}

/// How many bytes come before a run that is worth a header of its own, which takes three.
fn literal_length(bytes: &[u8]) -> usize {
    // No more is looked at than one header stands for, and what begins a run there.
    let bytes = &bytes[..bytes.len().min(LONGEST + 2)];
    let run = bytes
        .windows(3)
        .position(|three| three[0] == three[1] && three[1] == three[2]);
    run.unwrap_or(bytes.len()).clamp(1, LONGEST)
}

/// What `packed` stands for, if that is `length` bytes. A header of 128, which stands for nothing, is passed
/// over.
pub(super) fn unpack_bits(mut packed: &[u8], length: usize, out: &mut Vec<u8>) -> Option<()> {
    let end = out.len() + length;
    while let Some((&header, rest)) = packed.split_first() {
        let taken = match header {
            128 => 0,
            129.. => {
                let run = 257 - usize::from(header);
                out.extend(std::iter::repeat_n(*rest.first()?, run));
                1
            }
            _ => {
                let literal = usize::from(header) + 1;
                out.extend(rest.get(..literal)?);
                literal
            }
        };
        if out.len() > end {
            return None;
        }
        packed = &rest[taken..];
    }
    (out.len() == end).then_some(())
}

#[cfg(test)]
mod tests {
    use super::{pack_bits, unpack_bits};

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        pack_bits(bytes, &mut out);
        out
    }

    #[test]
    fn runs_and_others_have_headers() {
        assert!(packed(&[]).is_empty());
        assert_eq!(packed(&[7]), [0, 7]);
        assert_eq!(packed(&[7; 5]), [252, 7]);
        assert_eq!(packed(&[1, 2, 2, 3]), [3, 1, 2, 2, 3]);
        assert_eq!(packed(&[1, 2, 2, 2]), [0, 1, 254, 2]);
    }

    #[test]
    fn everything_comes_back_and_grows_little() {
        let mut state = 1u32;
        for length in 0..600usize {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8 & (1 + (length % 3) as u8)
                })
                .collect();
            let packed = packed(&bytes);
            let mut unpacked = vec![9];
            unpack_bits(&packed, length, &mut unpacked).unwrap();
            assert_eq!(unpacked[1..], bytes);
            assert!(packed.len() <= length + length.div_ceil(128));
        }
    }

    #[test]
    fn what_is_too_short_or_too_long_is_refused() {
        let unpacked = |packed: &[u8], length| {
            let mut out = Vec::new();
            unpack_bits(packed, length, &mut out).map(|()| out)
        };
        assert_eq!(unpacked(&[128, 254, 7], 3), Some(vec![7; 3]));
        for (packed, length) in [
            (&[254, 7][..], 2),
            (&[254, 7], 4),
            (&[254], 3),
            (&[3, 1, 2], 4),
            (&[], 1),
        ] {
            assert_eq!(unpacked(packed, length), None, "{packed:?}");
        }
    }
}
