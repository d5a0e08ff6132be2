//! Pictures packed into one sheet, with the JSON by which game engines find them: TexturePacker's "JSON hash",
//! which Phaser, PixiJS and others read.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::super::blend::BlendMode;
use super::super::flatten::flatten_with;
use super::super::memory::transparent_bytes;
use super::super::operator::Operator;
use super::super::resolve::pictures;
use super::super::scene::{MAX_SIDE, Scene};
use crate::image::Picture;
use crate::{Error, ErrorCode, Result};

/// A picture for a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sprite {
    /// What the game calls it.
    pub name: String,
    /// As large as it is when nothing is cut off.
    pub picture: Picture,
}

/// How sprites are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpriteSheetOptions {
    /// Whether transparent edges are cut off; the JSON says where the rest belongs.
    pub trim: bool,
    /// The space between two sprites and around all, in pixels; at most 256.
    pub padding: usize,
    /// The longest side of the sheet, in pixels; at most [`MAX_SIDE`].
    pub max_side: usize,
}

impl Default for SpriteSheetOptions {
    fn default() -> Self {
        Self {
            trim: true,
            padding: 2,
            max_side: 4096,
        }
    }
}

/// Sprites in one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct SpriteSheet {
    /// All sprites.
    pub picture: Picture,
    /// Where each is, in TexturePacker's form.
    pub json: Value,
}

/// The visible layers and groups at the top of a scene as sprites of the scene's size, lowest first: each as it
/// appears there, with its opacity, alone and mixed with nothing.
///
/// `read` gives the picture at a path of the scene, as for [`flatten`](super::super::flatten).
///
/// # Errors
/// As for [`flatten`](super::super::flatten).
pub fn scene_sprites<P: Borrow<Picture>>(
    scene: &Scene,
    read: impl FnMut(&str) -> Result<P>,
) -> Result<Vec<Sprite>> {
    scene.validate()?;
    let pictures = pictures(scene.image_paths(), read)?;
    let mut alone = Scene {
        layers: Vec::new(),
        background: Default::default(),
        ..scene.clone()
    };
    let mut names = BTreeSet::new();
    let mut sprites = Vec::new();
    for layer in scene.layers.iter().filter(|layer| layer.visible) {
        let name = [&layer.name, &layer.role, &layer.image];
        let name = name.into_iter().flatten().next();
        let name = unique(name.map_or("group", String::as_str), &mut names);
        let mut layer = layer.clone();
        layer.blend = BlendMode::Normal;
        layer.operator = Operator::SourceOver;
        alone.layers = vec![layer];
        sprites.push(Sprite {
            name,
            picture: flatten_with(&alone, &pictures)?,
        });
    }
    Ok(sprites)
}

/// `name`, with a number behind it if it is taken already.
fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = name.to_string();
    let mut number = 1;
    while !taken.insert(candidate.clone()) {
        number += 1;
        candidate = format!("{name}-{number}");
    }
    candidate
}

/// Packs sprites into a sheet. `image` is what the sheet's file is called.
///
/// # Errors
/// `bad_option` for no sprites, two of one name, options out of range, and sprites that do not fit the largest
/// sheet; `bad_image` for a picture without pixels; `out_of_memory`.
pub fn to_sprite_sheet(
    sprites: &[Sprite],
    image: &str,
    options: SpriteSheetOptions,
) -> Result<SpriteSheet> {
    check(sprites, options)?;
    let parts: Vec<Part> = sprites
        .iter()
        .map(|sprite| Part::of(&sprite.picture, options.trim))
        .collect();
    let Packing { places, size } = pack(&parts, options).ok_or_else(|| {
        let side = options.max_side;
        bad_option(
            format!("the sprites do not fit a sheet of {side} x {side} pixels"),
            "use fewer or smaller ones, or a larger maxSide",
        )
    })?;
    let [width, height] = size;
    let mut sheet = Picture {
        width,
        height,
        rgba: transparent_bytes(4 * width * height)?,
    };
    let mut frames = Map::new();
    for ((sprite, part), place) in sprites.iter().zip(&parts).zip(places) {
        part.draw(&sprite.picture, &mut sheet, place);
        frames.insert(sprite.name.clone(), part.frame(&sprite.picture, place));
    }
    let json = json!({
        "frames": frames,
        "meta": {
            "app": "glassine",
            "version": env!("CARGO_PKG_VERSION"),
            "image": image,
            "format": "RGBA8888",
            "size": {"w": width, "h": height},
            "scale": "1",
        },
    });
    Ok(SpriteSheet {
        picture: sheet,
        json,
    })
}

fn check(sprites: &[Sprite], options: SpriteSheetOptions) -> Result<()> {
    const MAX_PADDING: usize = 256;
    if options.padding > MAX_PADDING {
        let message = format!("a padding of {} is not possible", options.padding);
        return Err(bad_option(message, "use 0 to 256"));
    }
    if !(1..=MAX_SIDE).contains(&options.max_side) {
        let message = format!("a longest side of {} is not possible", options.max_side);
        return Err(bad_option(message, "use 1 to 16384"));
    }
    if sprites.is_empty() {
        return Err(bad_option(
            "there are no sprites".into(),
            "give at least one visible layer",
        ));
    }
    let mut names = BTreeSet::new();
    for Sprite { name, picture } in sprites {
        if !names.insert(name) {
            let message = format!("two sprites are called {name:?}");
            return Err(bad_option(message, "give each a name of its own"));
        }
        if picture.rgba.is_empty() || picture.rgba.len() != 4 * picture.width * picture.height {
            return Err(Error::new(
                ErrorCode::BadImage,
                format!("the sprite {name:?} is not usable"),
                "give at least one pixel and four bytes for each",
            ));
        }
    }
    Ok(())
}

fn bad_option(message: String, hint: &str) -> Error {
    Error::new(ErrorCode::BadOption, message, hint)
}

/// The part of a picture that is on the sheet.
struct Part {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Part {
    /// All of `picture`, or the box around all that is not transparent. One pixel is left of nothing.
    fn of(picture: &Picture, trim: bool) -> Self {
        let whole = Self {
            left: 0,
            top: 0,
            width: picture.width,
            height: picture.height,
        };
        if !trim {
            return whole;
        }
        let mut edges: Option<[usize; 4]> = None;
        let (pixels, _) = picture.rgba.as_chunks::<4>();
        for (y, row) in pixels.chunks_exact(picture.width).enumerate() {
            let seen = |pixel: &[u8; 4]| pixel[3] > 0;
            let (Some(first), Some(last)) = (row.iter().position(seen), row.iter().rposition(seen))
            else {
                continue;
            };
            let [left, top, right, _] = edges.unwrap_or([first, y, last, y]);
            edges = Some([left.min(first), top, right.max(last), y]);
        }
        let [left, top, right, bottom] = edges.unwrap_or_default();
        Self {
            left,
            top,
            width: right - left + 1,
            height: bottom - top + 1,
        }
    }

    fn draw(&self, picture: &Picture, sheet: &mut Picture, [x, y]: [usize; 2]) {
        for row in 0..self.height {
            let from = 4 * ((self.top + row) * picture.width + self.left);
            let to = 4 * ((y + row) * sheet.width + x);
            let length = 4 * self.width;
            sheet.rgba[to..][..length].copy_from_slice(&picture.rgba[from..][..length]);
        }
    }

    fn frame(&self, picture: &Picture, [x, y]: [usize; 2]) -> Value {
        let Self {
            left,
            top,
            width,
            height,
        } = self;
        let trimmed = [*width, *height] != [picture.width, picture.height];
        json!({
            "frame": {"x": x, "y": y, "w": width, "h": height},
            "rotated": false,
            "trimmed": trimmed,
            "spriteSourceSize": {"x": left, "y": top, "w": width, "h": height},
            "sourceSize": {"w": picture.width, "h": picture.height},
        })
    }
}

/// Where each part lies, and how large the sheet is.
struct Packing {
    places: Vec<[usize; 2]>,
    size: [usize; 2],
}

/// The smallest of the packings onto shelves of several widths; `None` if none fits.
fn pack(parts: &[Part], options: SpriteSheetOptions) -> Option<Packing> {
    let SpriteSheetOptions {
        padding, max_side, ..
    } = options;
    let widest = parts.iter().map(|part| part.width).max()? + 2 * padding;
    let area: usize = parts
        .iter()
        .map(|part| (part.width + padding) * (part.height + padding))
        .sum();
    let side = area.isqrt();
    // From a square to wider ones, and the widest that may be.
    let widths = (4..=12)
        .map(|quarters| side * quarters / 4)
        .chain([max_side]);
    let widths = widths.map(|width| width.clamp(widest, max_side.max(widest)));
    let packings = widths
        .map(|width| shelves(parts, width, padding))
        .filter(|packing| packing.size.iter().all(|side| *side <= max_side));
    packings.min_by_key(|packing| {
        let [width, height] = packing.size;
        (width * height, width.max(height))
    })
}

/// Parts side by side in rows of at most this width, the highest first.
fn shelves(parts: &[Part], width: usize, padding: usize) -> Packing {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(parts[*index].height));
    let mut places = vec![[0; 2]; parts.len()];
    let [mut x, mut y] = [padding; 2];
    let (mut shelf, mut longest) = (0, 0);
    for index in order {
        let part = &parts[index];
        if x + part.width + padding > width && x > padding {
            (x, y) = (padding, y + shelf + padding);
            shelf = 0;
        }
        places[index] = [x, y];
        x += part.width + padding;
        // The first on a shelf is its highest.
        shelf = shelf.max(part.height);
        longest = longest.max(x);
    }
    Packing {
        places,
        size: [longest, y + shelf + padding],
    }
}
