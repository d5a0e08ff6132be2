//! Pictures are read within bounds, and made to fit.

use glassine::ErrorCode;
use glassine::image::Picture;

fn assert_refused(file: &[u8], expected: &str) {
    let error = Picture::from_file(file).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadImage, "{error}");
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
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
fn pictures_that_are_cut_are_refused_in_one_line() {
    for whole in [
        &include_bytes!("../fuzz/seeds/picture/progressive.jpg")[..],
        include_bytes!("../fuzz/seeds/picture/rgb.jpg"),
        include_bytes!("../fuzz/seeds/picture/rgba.png"),
        include_bytes!("../fuzz/seeds/picture/lossy.webp"),
    ] {
        for cut in (0..whole.len()).step_by(7) {
            // What is there of a scan may be enough for a decoder.
            if let Err(error) = Picture::from_file(&whole[..cut]) {
                assert_eq!(error.code, ErrorCode::BadImage, "at {cut}: {error}");
                assert_eq!(error.to_string().lines().count(), 1, "at {cut}: {error}");
            }
        }
        assert_refused(&whole[..whole.len().min(40)], "cannot be read");
    }
}

#[test]
fn a_jpeg_with_finer_colours_than_light_is_refused() {
    // A progressive one of 5 x 3 pixels, whose second component has four samples for one of the first.
    let file = include_bytes!("../fuzz/seeds/picture/fine-colours.jpg");
    assert_refused(file, "its colours are finer than its light");
    for usual in [
        &include_bytes!("../fuzz/seeds/picture/progressive.jpg")[..],
        include_bytes!("../fuzz/seeds/picture/rgb.jpg"),
        include_bytes!("../fuzz/seeds/picture/grey.jpg"),
        include_bytes!("../fuzz/seeds/picture/cmyk.jpg"),
    ] {
        Picture::from_file(usual).unwrap();
    }
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
        let fitted = picture.fitted(width, height).unwrap();
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
    let fitted = strip.fitted(512, 512).unwrap();
    assert_eq!((fitted.width, fitted.height), (512, 512));
    let middle = &fitted.rgba[4 * (256 * 512 + 256)..][..4];
    assert_eq!(middle, [0, 255, 0, 255]);
}

/// The same 3 x 2 picture in the eight orientations of EXIF, each pixel a letter.
const UPRIGHT: [&str; 3] = ["abc", "def", ""];
const STORED: [[&str; 3]; 8] = [
    ["abc", "def", ""],
    ["cba", "fed", ""],
    ["fed", "cba", ""],
    ["def", "abc", ""],
    ["ad", "be", "cf"],
    ["cf", "be", "ad"],
    ["fc", "eb", "da"],
    ["da", "eb", "fc"],
];

fn letters(rows: [&str; 3]) -> Picture {
    let rows: Vec<&str> = rows.into_iter().filter(|row| !row.is_empty()).collect();
    let pixels = rows.concat().into_bytes().into_iter();
    Picture {
        width: rows[0].len(),
        height: rows.len(),
        rgba: pixels.flat_map(|letter| [letter, 0, 0, 255]).collect(),
    }
}

/// An EXIF block that says no more than this.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    block.extend([orientation, 0, 0, 0, 0, 0, 0]);
    block
}

/// A PNG with these chunks in front of its pixels.
fn with_chunks(png: &[u8], chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    /// Where the first chunk, which is of a fixed length, ends.
    const HEADER: usize = 33;
    let mut file = png[..HEADER].to_vec();
    for (name, data) in chunks {
        let body = [&name[..], data].concat();
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(&body);
        file.extend(crc(&body).to_be_bytes());
    }
    file.extend(&png[HEADER..]);
    file
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

/// A file of one kind of pixels, `pixels` of them in a row.
fn encoded(samples: &[u8], color: image::ExtendedColorType, format: image::ImageFormat) -> Vec<u8> {
    let bytes = usize::from(color.bits_per_pixel()) / 8;
    let width = (samples.len() / bytes) as u32;
    let mut file = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, samples, width, 1, color, format).unwrap();
    file.into_inner()
}

fn png(samples: &[u8], color: image::ExtendedColorType) -> Vec<u8> {
    encoded(samples, color, image::ImageFormat::Png)
}

#[test]
fn pictures_are_upright() {
    let upright = letters(UPRIGHT);
    for (number, stored) in (1..).zip(STORED) {
        let png = letters(stored).to_png().unwrap();
        let png = with_chunks(&png, &[(b"eXIf", exif(number))]);
        assert_eq!(
            Picture::from_file(&png).unwrap(),
            upright,
            "orientation {number}"
        );
        let webp = webp_with_exif(stored, &exif(number));
        assert_eq!(
            Picture::from_file(&webp).unwrap(),
            upright,
            "orientation {number}"
        );
    }
    let unknown = with_chunks(&upright.to_png().unwrap(), &[(b"eXIf", exif(9))]);
    assert_eq!(Picture::from_file(&unknown).unwrap(), upright);
}

/// A lossless WebP with an EXIF chunk, with the introduction that JPEG has, as some programs write it.
fn webp_with_exif(rows: [&str; 3], exif: &[u8]) -> Vec<u8> {
    let picture = letters(rows);
    let (width, height) = (picture.width as u32, picture.height as u32);
    let mut still = Vec::new();
    image::codecs::webp::WebPEncoder::new_lossless(&mut still)
        .encode(
            &picture.rgba,
            width,
            height,
            image::ExtendedColorType::Rgba8,
        )
        .unwrap();
    let chunk = |name: &[u8], data: &[u8]| {
        let padding = &[0][..data.len() % 2];
        [name, &(data.len() as u32).to_le_bytes(), data, padding].concat()
    };
    let side = |length: u32| (length - 1).to_le_bytes()[..3].to_vec();
    let header = [vec![0b1_1000, 0, 0, 0], side(width), side(height)].concat();
    let body = [
        b"WEBP".to_vec(),
        chunk(b"VP8X", &header),
        still[12..].to_vec(),
        chunk(b"EXIF", &[b"Exif\0\0", exif].concat()),
    ];
    chunk(b"RIFF", &body.concat())
}

#[test]
fn a_phones_jpeg_is_upright() {
    // Red on the left of what is stored, blue on the right; turned clockwise, red is above.
    let pixel = |index: usize| {
        if index % 32 < 16 {
            [255, 0, 0]
        } else {
            [0, 0, 255]
        }
    };
    let samples: Vec<u8> = (0..32 * 16).flat_map(pixel).collect();
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 95)
        .encode(&samples, 32, 16, image::ExtendedColorType::Rgb8)
        .unwrap();
    let jpeg = with_segments(
        &jpeg,
        &[(0xe1, [b"Exif\0\0".as_slice(), &exif(6)].concat())],
    );
    let picture = Picture::from_file(&jpeg).unwrap();
    assert_eq!((picture.width, picture.height), (16, 32));
    let (above, below) = (&picture.rgba[..3], &picture.rgba[4 * 16 * 31..][..3]);
    assert!(above[0] > 240 && above[2] < 15, "{above:?}");
    assert!(below[0] < 15 && below[2] > 240, "{below:?}");
}

/// A JPEG with these segments at its start.
fn with_segments(jpeg: &[u8], segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut file = jpeg[..2].to_vec();
    for (marker, data) in segments {
        file.extend([0xff, *marker]);
        file.extend((data.len() as u16 + 2).to_be_bytes());
        file.extend(data);
    }
    file.extend(&jpeg[2..]);
    file
}

/// An ICC profile.
fn profile(
    class: &[u8; 4],
    space: &[u8; 4],
    pcs: &[u8; 4],
    tags: &[(&[u8; 4], Vec<u8>)],
) -> Vec<u8> {
    let fixed = |value: f64| ((value * 65536.0).round() as i32).to_be_bytes();
    let mut header = vec![0; 128];
    header[8..12].copy_from_slice(&[4, 0x30, 0, 0]);
    header[12..16].copy_from_slice(class);
    header[16..20].copy_from_slice(space);
    header[20..24].copy_from_slice(pcs);
    header[24..36].copy_from_slice(&[0x07, 0xe4, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    header[36..40].copy_from_slice(b"acsp");
    for (at, value) in [0.9642, 1.0, 0.8249].into_iter().enumerate() {
        header[68 + 4 * at..][..4].copy_from_slice(&fixed(value));
    }
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let start = 128 + 4 + 12 * tags.len();
    let mut data = Vec::new();
    for (name, tag) in tags {
        table.extend(*name);
        table.extend(((start + data.len()) as u32).to_be_bytes());
        table.extend((tag.len() as u32).to_be_bytes());
        data.extend(tag);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut profile = [header, table, data].concat();
    let length = profile.len() as u32;
    profile[..4].copy_from_slice(&length.to_be_bytes());
    profile
}

fn xyz(values: [f64; 3]) -> Vec<u8> {
    let values = values.map(|value| ((value * 65536.0).round() as i32).to_be_bytes());
    [b"XYZ \0\0\0\0".to_vec(), values.concat()].concat()
}

/// The curve of sRGB, by its parameters.
fn srgb_curve() -> Vec<u8> {
    let parameters = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045];
    let parameters = parameters.map(|value: f64| ((value * 65536.0).round() as i32).to_be_bytes());
    [b"para\0\0\0\0\0\x03\0\0".to_vec(), parameters.concat()].concat()
}

/// An RGB profile with these primaries as XYZ under D50.
fn rgb_profile([red, green, blue]: [[f64; 3]; 3]) -> Vec<u8> {
    let tags = [
        (b"rXYZ", xyz(red)),
        (b"gXYZ", xyz(green)),
        (b"bXYZ", xyz(blue)),
        (b"rTRC", srgb_curve()),
        (b"gTRC", srgb_curve()),
        (b"bTRC", srgb_curve()),
    ];
    profile(b"mntr", b"RGB ", b"XYZ ", &tags)
}

fn display_p3() -> Vec<u8> {
    rgb_profile([
        [0.51512, 0.2412, -0.00105],
        [0.29198, 0.69225, 0.04189],
        [0.1571, 0.06657, 0.78407],
    ])
}

/// The values that sRGB has in its own profiles.
fn srgb() -> Vec<u8> {
    rgb_profile([
        [0.43607, 0.22249, 0.01392],
        [0.38515, 0.71687, 0.09708],
        [0.14307, 0.06061, 0.7141],
    ])
}

/// The chunk iCCP of a PNG.
fn iccp(profile: &[u8]) -> Vec<u8> {
    // zlib without compression.
    let mut sums = (1u32, 0u32);
    for byte in profile {
        sums.0 = (sums.0 + u32::from(*byte)) % 65521;
        sums.1 = (sums.1 + sums.0) % 65521;
    }
    let length = profile.len() as u16;
    [
        b"profile\0\0\x78\x01\x01".to_vec(),
        length.to_le_bytes().to_vec(),
        (!length).to_le_bytes().to_vec(),
        profile.to_vec(),
        (sums.1 << 16 | sums.0).to_be_bytes().to_vec(),
    ]
    .concat()
}

/// The chunk cHRM: white, red, green and blue.
fn chrm(points: [[f64; 2]; 4]) -> Vec<u8> {
    let values = points.as_flattened().iter();
    let values = values.flat_map(|value| ((value * 100_000.0).round() as u32).to_be_bytes());
    values.collect()
}

const P3: [[f64; 2]; 4] = [[0.3127, 0.329], [0.68, 0.32], [0.265, 0.69], [0.15, 0.06]];

fn gama(gamma: u32) -> Vec<u8> {
    gamma.to_be_bytes().to_vec()
}

/// What the first pixel of a file is read as.
fn first(file: &[u8]) -> [u8; 4] {
    let picture = Picture::from_file(file).unwrap();
    *picture.rgba.first_chunk().unwrap()
}

#[test]
fn profiles_and_chunks_become_srgb() {
    let rgb = png(&[51, 204, 77], image::ExtendedColorType::Rgb8);
    let grey = png(&[128], image::ExtendedColorType::L8);
    let linear_grey = profile(
        b"mntr",
        b"GRAY",
        b"XYZ ",
        &[(b"kTRC", b"curv\0\0\0\0\0\0\0\0".to_vec())],
    );
    let (p3, srgb_icc) = (iccp(&display_p3()), iccp(&srgb()));
    let cicp = |primaries: u8, transfer: u8| vec![primaries, transfer, 0, 1];
    type Chunks<'a> = Vec<(&'a [u8; 4], Vec<u8>)>;
    let cases: Vec<(&str, &[u8], Chunks, [u8; 3])> = vec![
        ("nothing", &rgb, vec![], [51, 204, 77]),
        (
            "Display P3",
            &rgb,
            vec![(b"iCCP", p3.clone())],
            [0, 208, 51],
        ),
        (
            "sRGB's profile",
            &rgb,
            vec![(b"iCCP", srgb_icc.clone())],
            [51, 204, 77],
        ),
        (
            "a broken profile",
            &rgb,
            vec![(b"iCCP", iccp(b"none"))],
            [51, 204, 77],
        ),
        (
            "a grey profile",
            &grey,
            vec![(b"iCCP", iccp(&linear_grey))],
            [188; 3],
        ),
        (
            "a grey profile for colour",
            &rgb,
            vec![(b"iCCP", iccp(&linear_grey))],
            [51, 204, 77],
        ),
        (
            "an RGB profile for grey",
            &grey,
            vec![(b"iCCP", p3.clone())],
            [128; 3],
        ),
        ("linear", &grey, vec![(b"gAMA", gama(100_000))], [188; 3]),
        (
            "the usual gamma",
            &rgb,
            vec![(b"gAMA", gama(45_455))],
            [51, 204, 77],
        ),
        (
            "sRGB before gAMA",
            &grey,
            vec![(b"sRGB", vec![0]), (b"gAMA", gama(100_000))],
            [128; 3],
        ),
        ("cHRM alone", &rgb, vec![(b"cHRM", chrm(P3))], [51, 204, 77]),
        (
            "cHRM",
            &rgb,
            vec![(b"gAMA", gama(45_455)), (b"cHRM", chrm(P3))],
            [0, 208, 51],
        ),
        ("cICP", &rgb, vec![(b"cICP", cicp(12, 13))], [0, 208, 51]),
        (
            "cICP of sRGB first",
            &rgb,
            vec![(b"cICP", cicp(1, 13)), (b"iCCP", p3.clone())],
            [51, 204, 77],
        ),
        (
            "cICP of P3 first",
            &rgb,
            vec![(b"cICP", cicp(12, 13)), (b"sRGB", vec![0])],
            [0, 208, 51],
        ),
        (
            "an unknown cICP",
            &rgb,
            vec![(b"cICP", cicp(2, 2)), (b"iCCP", p3.clone())],
            [0, 208, 51],
        ),
        (
            "a profile before gAMA",
            &rgb,
            vec![(b"iCCP", srgb_icc), (b"gAMA", gama(100_000))],
            [51, 204, 77],
        ),
        // ((0.50196 + 0.0993) / 1.0993)^(1 / 0.45) is 0.2615, of which sRGB makes 0.5483.
        (
            "BT.709's curve",
            &grey,
            vec![(b"cICP", cicp(1, 1))],
            [140; 3],
        ),
    ];
    for (name, file, chunks, [red, green, blue]) in cases {
        let seen = first(&with_chunks(file, &chunks));
        assert_eq!(seen, [red, green, blue, 255], "{name}");
    }
    let bright = with_chunks(&rgb, &[(b"cICP", cicp(9, 16))]);
    assert_refused(&bright, "high dynamic range");
}

#[test]
fn colour_under_alpha_0_is_converted_and_alpha_stays() {
    let rgba = png(&[51, 204, 77, 0], image::ExtendedColorType::Rgba8);
    let seen = first(&with_chunks(&rgba, &[(b"iCCP", iccp(&display_p3()))]));
    assert_eq!(seen, [0, 208, 51, 0]);
    let grey = png(&[128, 7], image::ExtendedColorType::La8);
    let seen = first(&with_chunks(&grey, &[(b"gAMA", gama(100_000))]));
    assert_eq!(seen, [188, 188, 188, 7]);
}

#[test]
fn sixteen_bits_are_converted_before_they_are_rounded() {
    // A linear 310 of 65535 is 0.0584 in sRGB, which is 15 of 255; from one byte it would be 13.
    let grey = png(&310u16.to_ne_bytes(), image::ExtendedColorType::L16);
    assert_eq!(first(&grey), [1, 1, 1, 255]);
    let linear = with_chunks(&grey, &[(b"gAMA", gama(100_000))]);
    assert_eq!(first(&linear), [15, 15, 15, 255]);
}

#[test]
fn jpeg_and_webp_have_profiles_too() {
    let color = [51, 204, 77].repeat(64);
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 100)
        .encode(&color, 8, 8, image::ExtendedColorType::Rgb8)
        .unwrap();
    let segment = [b"ICC_PROFILE\0\x01\x01".as_slice(), &display_p3()].concat();
    let plain = first(&jpeg);
    let [red, green, blue, _] = first(&with_segments(&jpeg, &[(0xe2, segment)]));
    assert!(plain[0].abs_diff(51) < 3, "{plain:?}");
    assert!(red < 12 && green.abs_diff(208) < 3 && blue.abs_diff(51) < 4);

    let mut webp = Vec::new();
    let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    image::ImageEncoder::set_icc_profile(&mut encoder, display_p3()).unwrap();
    encoder
        .encode(&[51, 204, 77], 1, 1, image::ExtendedColorType::Rgb8)
        .unwrap();
    assert_eq!(first(&webp), [0, 208, 51, 255]);
}

/// A JPEG of one block of one colour, four samples, marked as Adobe marks it.
fn four_channels(samples: [u8; 4], transform: u8) -> Vec<u8> {
    let adobe = [b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat();
    // Quantized by 8, so that the first coefficient of a flat block is its value minus 128.
    let quantization = [vec![0], vec![8; 64]].concat();
    let mut frame = vec![8, 0, 8, 0, 8, 4];
    let mut scan = vec![4];
    for component in 1..=4 {
        frame.extend([component, 0x11, 0]);
        scan.extend([component, 0]);
    }
    scan.extend([0, 63, 0]);
    // Lengths of differences have codes of 4 bits; the end of a block has the code 0.
    let lengths = [vec![0, 0, 0, 0, 12], vec![0; 12], (0..12).collect()].concat();
    let end = [vec![0x10, 1], vec![0; 15], vec![0]].concat();
    let mut bits = String::new();
    for sample in samples {
        let value = i32::from(sample) - 128;
        let length = (32 - value.unsigned_abs().leading_zeros()) as usize;
        let coded = if value < 0 {
            value + (1 << length) - 1
        } else {
            value
        };
        bits += &format!("{length:04b}");
        if length > 0 {
            bits += &format!("{coded:0length$b}");
        }
        bits += "0";
    }
    let mut data = Vec::new();
    for byte in bits.as_bytes().chunks(8) {
        let byte = format!("{:1<8}", std::str::from_utf8(byte).unwrap());
        let byte = u8::from_str_radix(&byte, 2).unwrap();
        data.push(byte);
        if byte == 0xff {
            data.push(0);
        }
    }
    let segments = [
        (0xee, adobe),
        (0xdb, quantization),
        (0xc0, frame),
        (0xc4, lengths),
        (0xc4, end),
        (0xda, scan),
    ];
    let mut file = with_segments(&[0xff, 0xd8], &segments);
    file.extend(data);
    file.extend([0xff, 0xd9]);
    file
}

/// A profile of inks whose lightness is (1 - K) (1 - C / 2) of white, without colour.
fn ink_profile(bits: usize) -> Vec<u8> {
    let entry = |value: f64| match bits {
        8 => vec![(value * 255.0).round() as u8],
        // White is 65280 in these.
        _ => ((value * 65280.0).round() as u16).to_be_bytes().to_vec(),
    };
    let neutral = 128.0 / 255.0;
    let mut table = match bits {
        8 => b"mft1\0\0\0\0\x04\x03\x02\0".to_vec(),
        _ => b"mft2\0\0\0\0\x04\x03\x02\0".to_vec(),
    };
    table.extend([0; 36]);
    let identity: Vec<u8> = match bits {
        8 => (0..=255).collect(),
        _ => vec![0, 0, 255, 255],
    };
    if bits == 16 {
        table.extend([0, 2, 0, 2]);
    }
    table.extend(identity.repeat(4));
    for node in 0..16 {
        let (cyan, black) = (f64::from(node >> 3), f64::from(node & 1));
        for value in [(1.0 - black) * (1.0 - cyan / 2.0), neutral, neutral] {
            table.extend(entry(value));
        }
    }
    table.extend(identity.repeat(3));
    profile(b"prtr", b"CMYK", b"Lab ", &[(b"A2B0", table)])
}

#[test]
fn inks_are_mixed_by_their_profile() {
    // 40 % of cyan and 20 % of black: lightness 64, of which sRGB makes 155.
    let (cmyk, ycck) = ([153, 255, 255, 204], [30, 111, 179, 204]);
    for (samples, transform) in [(cmyk, 0), (ycck, 2)] {
        let jpeg = four_channels(samples, transform);
        let [red, green, blue, alpha] = first(&jpeg);
        assert!(red.abs_diff(122) < 3 && green.abs_diff(204) < 3 && blue.abs_diff(204) < 3);
        assert_eq!(alpha, 255);
        for bits in [8, 16] {
            let segment = [b"ICC_PROFILE\0\x01\x01".as_slice(), &ink_profile(bits)].concat();
            let seen = first(&with_segments(&jpeg, &[(0xe2, segment)]));
            let near = seen[..3].iter().all(|value| value.abs_diff(155) <= 2);
            assert!(
                near && seen[3] == 255,
                "{bits} bits, transform {transform}: {seen:?}"
            );
        }
        let other = [b"ICC_PROFILE\0\x01\x01".as_slice(), &display_p3()].concat();
        assert_eq!(
            first(&with_segments(&jpeg, &[(0xe2, other)])),
            [red, green, blue, 255]
        );
    }
}

#[test]
fn tables_of_colours_are_followed() {
    // Curves, a matrix that exchanges red and blue, and a grid that inverts, into XYZ.
    let curve = b"curv\0\0\0\0\0\0\0\0".to_vec();
    let matrix = [[0.0, 0.0, 0.482], [0.0, 0.5, 0.0], [0.4124, 0.0, 0.0]];
    let matrix: Vec<u8> = matrix
        .as_flattened()
        .iter()
        .chain(&[0.0; 3])
        .flat_map(|value| ((value * 65536.0_f64).round() as i32).to_be_bytes())
        .collect();
    let mut grid = vec![2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    for node in 0..8u8 {
        grid.extend([node >> 2, node >> 1 & 1, node & 1].map(|bit| 255 * (1 - bit)));
    }
    let curves = curve.repeat(3);
    let mut table = b"mAB \0\0\0\0\x03\x03\0\0".to_vec();
    let (first_curves, grid_at) = (32, 32 + curves.len());
    let matrix_at = grid_at + grid.len();
    for offset in [first_curves, matrix_at, first_curves, grid_at, first_curves] {
        table.extend((offset as u32).to_be_bytes());
    }
    table.extend(curves);
    table.extend(grid);
    table.extend(matrix);
    let profile = profile(b"scnr", b"RGB ", b"XYZ ", &[(b"A2B0", table)]);
    let file = |color: [u8; 3]| {
        let png = png(&color, image::ExtendedColorType::Rgb8);
        first(&with_chunks(&png, &[(b"iCCP", iccp(&profile))]))
    };
    // All channels at 255 come out of the grid as 0, and at 0 as the white of D50.
    assert_eq!(file([255, 255, 255]), [0, 0, 0, 255]);
    let white = file([0, 0, 0]);
    assert!(white[..3].iter().all(|value| *value >= 253), "{white:?}");
    // Half the light of white is 188.
    let half = file([127, 127, 127]);
    assert!(
        half[..3].iter().all(|value| value.abs_diff(188) <= 1),
        "{half:?}"
    );
    // The last channel is X after the exchange; of Y and Z alone sRGB makes this blue.
    let [red, _, blue, _] = file([0, 0, 255]);
    assert!(
        red == 0 && blue.abs_diff(247) <= 1,
        "red {red}, blue {blue}"
    );
}

#[test]
fn an_animated_png_is_refused() {
    let still = letters(UPRIGHT).to_png().unwrap();
    let animated = with_chunks(&still, &[(b"acTL", vec![0, 0, 0, 2, 0, 0, 0, 0])]);
    assert_refused(&animated, "animation");
}

#[test]
fn broken_profiles_and_chunks_do_not_panic() {
    let rgb = png(&[51, 204, 77], image::ExtendedColorType::Rgb8);
    let inks = four_channels([153, 255, 255, 204], 0);
    let in_png = |profile: &[u8]| with_chunks(&rgb, &[(b"iCCP", iccp(profile))]);
    let in_jpeg = |profile: &[u8]| {
        let segment = [b"ICC_PROFILE\0\x01\x01".as_slice(), profile].concat();
        with_segments(&inks, &[(0xe2, segment)])
    };
    for (profile, file) in [
        (display_p3(), &in_png as &dyn Fn(&[u8]) -> Vec<u8>),
        (ink_profile(8), &in_jpeg),
        (ink_profile(16), &in_jpeg),
    ] {
        // Tables are long, and alike.
        for at in (0..profile.len().min(400)).chain([profile.len() - 1]) {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = profile.clone();
                broken[at] = value;
                let picture = Picture::from_file(&file(&broken)).unwrap();
                assert_eq!(picture.rgba[3], 255);
            }
            assert_eq!(
                Picture::from_file(&file(&profile[..at])).unwrap().rgba[3],
                255
            );
        }
    }
    for data in [
        vec![],
        vec![0; 3],
        vec![0; 4],
        vec![0xff; 4],
        vec![0; 32],
        vec![0xff; 32],
    ] {
        for name in [
            b"gAMA", b"cHRM", b"cICP", b"sRGB", b"eXIf", b"iCCP", b"acTL",
        ] {
            let usual = (b"gAMA", gama(45_455));
            let file = with_chunks(&rgb, &[usual, (name, data.clone())]);
            // Whether it is a picture at all, others decide.
            let _ = Picture::from_file(&file);
        }
    }
}
