//! Pictures that grow: on their sides, where what is new is made as a masked part is repainted, or as a
//! whole, enlarged, which is repainted everywhere.

use super::hires::Hires;
use super::margins::Margins;
use super::request::{Init, MAX_SIDE, Request};
use crate::image::Picture;
use crate::{Error, ErrorCode, Result, memory};

/// `request` with the larger picture and a mask of what is new.
///
/// # Errors
/// `bad_option` without a picture, and for margins that are not possible.
pub(super) fn extended(request: &Request, margins: Margins, multiple: usize) -> Result<Request> {
    let sides = [margins.left, margins.top, margins.right, margins.bottom];
    if sides.iter().all(|side| *side == 0) || sides.iter().any(|side| *side > MAX_SIDE) {
        return Err(Error::new(
            ErrorCode::BadOption,
            format!("extending by {sides:?} pixels is not possible"),
            format!("give left, top, right or bottom, up to {MAX_SIDE}"),
        ));
    }
    let picture = given(request, "extend")?.extended(sides)?;
    let mask = mask_around(margins, &picture)?;
    grown(request, picture, mask, multiple)
}

/// White where the larger `picture` is new.
fn mask_around(margins: Margins, picture: &Picture) -> Result<Picture> {
    let (width, height) = (picture.width, picture.height);
    let is_old = |index: usize| {
        let (x, y) = (index % width, index / width);
        (margins.left..width - margins.right).contains(&x)
            && (margins.top..height - margins.bottom).contains(&y)
    };
    let pixel = |index| {
        if is_old(index) {
            [0, 0, 0, 255]
        } else {
            [255; 4]
        }
    };
    let pixels = (0..width * height).flat_map(pixel);
    Ok(Picture {
        width,
        height,
        rgba: memory::collected(4 * width * height, pixels, "the mask")?,
    })
}

/// `request` with its picture `scale` times as large, to be given up in part.
///
/// # Errors
/// `bad_option` without a picture, and for a scale that is not possible.
pub(super) fn enlarged(request: &Request, scale: f64, multiple: usize) -> Result<Request> {
    let picture = given(request, "enlarge")?;
    let hires = Hires {
        scale,
        strength: request.strength.unwrap_or(Hires::USUAL_STRENGTH),
    };
    let (width, height) = hires.size((picture.width, picture.height), 1, MAX_SIDE)?;
    let mut white = memory::zeroed(4 * width * height, "the mask")?;
    white.fill(255);
    let mask = Picture {
        width,
        height,
        rgba: white,
    };
    let larger = grown(request, picture.resized(width, height)?, mask, multiple)?;
    Ok(Request {
        strength: Some(hires.strength),
        ..larger
    })
}

fn given<'a>(request: &'a Request, what_for: &str) -> Result<&'a Picture> {
    let bad = |message: String, hint: &str| Err(Error::new(ErrorCode::BadOption, message, hint));
    if request.mask.is_some() || (request.enlarge.is_some() && request.extend.is_some()) {
        let message = format!("a picture to {what_for} is repainted where it is new");
        return bad(
            message,
            "leave the mask out, and enlarge and extend one after the other",
        );
    }
    match request.init_picture() {
        Some(picture) => Ok(picture),
        None => bad(
            format!("there is no picture to {what_for}"),
            "give the picture as init",
        ),
    }
}

/// `request` for `picture` and `mask`: unless it crops, made at the next size whose sides are multiples of
/// `multiple`, of which what is beyond the picture is left out.
fn grown(request: &Request, picture: Picture, mask: Picture, multiple: usize) -> Result<Request> {
    let is_sized = request.width.or(request.height).is_some();
    if request.mask_crop.is_none() && is_sized {
        return Err(Error::new(
            ErrorCode::BadOption,
            "a size was given for a picture that grows",
            "leave it out: it follows from the picture's",
        ));
    }
    let size = |given: Option<usize>, side: usize| {
        given.or(request
            .mask_crop
            .is_none()
            .then(|| side.next_multiple_of(multiple)))
    };
    Ok(Request {
        width: size(request.width, picture.width),
        height: size(request.height, picture.height),
        init: Some(Init::Picture(picture)),
        mask: Some(mask),
        ..request.clone()
    })
}
