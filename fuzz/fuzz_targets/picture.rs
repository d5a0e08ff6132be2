//! Pictures: PNG, JPEG and WebP files are read within bounds, and what is read can be used.

#![no_main]

use glassine::image::{Picture, padded_rgb};
use libfuzzer_sys::fuzz_target;

/// Larger pictures are only read, for speed.
const MAX_PIXELS: usize = 1 << 14;

fuzz_target!(|bytes: &[u8]| {
    let Ok(picture) = Picture::from_file(bytes) else {
        return;
    };
    let pixels = picture.width * picture.height;
    assert!(pixels > 0 && picture.width.max(picture.height) <= 16_384);
    assert_eq!(picture.rgba.len(), 4 * pixels);
    assert!(picture.rgba.len() <= 512 << 20);
    if pixels > MAX_PIXELS {
        return;
    }
    let png = picture.to_png().expect("a picture can be written");
    assert_eq!(
        Picture::from_file(&png).expect("a written picture"),
        picture
    );
    let fitted = picture.fitted(64, 24).expect("memory");
    assert_eq!(fitted.rgba.len(), 64 * 24 * 4);
    let padded = padded_rgb(&picture);
    assert!(padded.len() == 3 * pixels && padded.iter().all(|value| value.is_finite()));
});
