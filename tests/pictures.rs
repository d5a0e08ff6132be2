//! Pictures are read within bounds, and made to fit.

use glassine::ErrorCode;
use glassine::image::Picture;

fn assert_refused(file: &[u8], expected: &str) {
    let error = Picture::from_file(file).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadImage, "{error}");
    assert!(error.message.contains(expected), "{error}");
}

#[test]
fn a_picture_that_would_need_more_than_512_mib_is_refused() {
    // A grey PNG of 16384 x 16384 pixels: header, and the beginning of its data.
    let file = [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        b"\0\0\0\x0dIHDR\0\0\x40\0\0\0\x40\0\x08\0\0\0\0\x8c\xa3\x4f\x58",
        b"\0\0\0\0IDAT\x35\xaf\x06\x1e",
    ];
    assert_refused(&file.concat(), "16384 x 16384");
}

#[test]
fn animations_are_refused() {
    let still = include_bytes!("../fuzz/seeds/picture/lossy.webp");
    assert_eq!(Picture::from_file(still).unwrap().width, 5);
    let animated = include_bytes!("../fuzz/seeds/picture/animated.webp");
    assert_refused(animated, "animation");
}

#[test]
fn colours_stay_when_a_picture_is_fitted() {
    let color = [200, 100, 50, 128];
    let picture = Picture {
        width: 9,
        height: 7,
        rgba: color.repeat(9 * 7),
    };
    for (width, height) in [(9, 7), (16, 24), (4, 2)] {
        let fitted = picture.fitted(width, height);
        assert_eq!(fitted.rgba, color.repeat(width * height));
    }
}

#[test]
fn of_a_long_strip_the_middle_is_fitted() {
    // Red ends, and a green middle as wide as high; scaled whole it would take 16 GB.
    let (width, height) = (16_384, 4);
    let green = |x: usize| (width / 2 - 2..width / 2 + 2).contains(&x);
    let pixel = |index: usize| match green(index % width) {
        true => [0, 255, 0, 255],
        false => [255, 0, 0, 255],
    };
    let strip = Picture {
        width,
        height,
        rgba: (0..width * height).flat_map(pixel).collect(),
    };
    let fitted = strip.fitted(512, 512);
    assert_eq!((fitted.width, fitted.height), (512, 512));
    let middle = &fitted.rgba[4 * (256 * 512 + 256)..][..4];
    assert_eq!(middle, [0, 255, 0, 255]);
}
