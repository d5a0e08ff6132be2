//! The scene file.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::blend::BlendMode;
use super::color::{Color, ColorSpace};
use super::operator::Operator;
use crate::image::Recipe;
use crate::{Error, ErrorCode, Result};

/// The largest width and height of a scene.
pub const MAX_SIDE: usize = 16384;

/// How many groups may lie within each other.
pub const MAX_DEPTH: usize = 32;

/// The version of the scene file that is read and written.
const VERSION: u32 = 1;

/// A stack of layers on a background: the scene file.
///
/// Width and height are required in a file; everything else has a default. Fields that are not
/// known here are kept in `other` and written back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// The version of the format, 1.
    #[serde(rename = "glassine", default = "version")]
    pub version: u32,
    /// Width in pixels, 1 to [`MAX_SIDE`].
    pub width: usize,
    /// Height in pixels, 1 to [`MAX_SIDE`].
    pub height: usize,
    /// What lies under all layers; transparent unless given.
    #[serde(default)]
    pub background: Color,
    /// Where colours are mixed; sRGB unless given.
    #[serde(default)]
    pub space: ColorSpace,
    /// The layers, bottom first.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Fields of the file that are not known here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A picture, or a group of layers that is composited on its own first.
///
/// The default is neither, and not valid: use [`Layer::picture`] or [`Layer::group`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layer {
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for, such as `foreground` or `background`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The path of its picture, relative to the scene file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The layers of a group, bottom first. They are placed in a space of the size of the scene,
    /// which the group then moves, turns and scales, and blend with each other only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Layer>>,
    /// The left edge before scale and rotation, in pixels; 0 unless given.
    #[serde(serialize_with = "plain_number")]
    pub x: f64,
    /// The top edge before scale and rotation, in pixels; 0 unless given.
    #[serde(serialize_with = "plain_number")]
    pub y: f64,
    /// The factor on width and height, about the centre, above 0; 1 unless given.
    #[serde(serialize_with = "plain_number")]
    pub scale: f64,
    /// The turn about the centre in degrees, clockwise; 0 unless given.
    #[serde(serialize_with = "plain_number")]
    pub rotate: f64,
    /// Whether left and right are exchanged, before the turn.
    pub flip: bool,
    /// The factor on alpha, 0 to 1; 1 unless given.
    #[serde(serialize_with = "plain_number")]
    pub opacity: f64,
    /// How its colours mix with those below.
    pub blend: BlendMode,
    /// Which parts of it and of what lies below remain.
    pub operator: Operator,
    /// Whether it is there at all; true unless given.
    pub visible: bool,
    /// How its picture was made: prompt, seed, model and whatever else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    /// Fields of the file that are not known here.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Scene {
    /// An empty scene with a transparent background.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            version: VERSION,
            width,
            height,
            background: Color::default(),
            space: ColorSpace::default(),
            layers: Vec::new(),
            other: Map::new(),
        }
    }

    /// Reads a scene file and checks it as [`Scene::validate`] does.
    ///
    /// Fails with `bad_option` if the text is no scene; the message says where. Half a character, as in a
    /// name that was cut within an emoji, becomes U+FFFD. A byte order mark is passed over.
    pub fn from_json(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = with_whole_characters(text);
        let mut json = serde_json::Deserializer::from_str(&text);
        let invalid = |error: String| bad_option(format!("this is no valid scene: {error}"), "");
        let scene: Self = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| invalid(error.to_string()))?;
        json.end().map_err(|error| invalid(error.to_string()))?;
        scene.validate()?;
        Ok(scene)
    }

    /// Writes a scene file, indented. Checks it first, as JSON cannot hold every number.
    pub fn to_json(&self) -> Result<String> {
        self.validate()?;
        serde_json::to_string_pretty(self).map_err(|error| {
            let message = format!("cannot write the scene: {error}");
            Error::new(ErrorCode::Internal, message, "")
        })
    }

    /// Fails with `bad_option` for a version, size, number or layer that cannot be.
    pub fn validate(&self) -> Result<()> {
        if self.version != VERSION {
            let version = self.version;
            return Err(bad_option(
                format!("the scene has version {version} of the format"),
                format!("this glassine reads version {VERSION}"),
            ));
        }
        for (side, length) in [("width", self.width), ("height", self.height)] {
            if !(1..=MAX_SIDE).contains(&length) {
                return Err(bad_option(
                    format!("the {side} of the scene is {length}"),
                    format!("use 1 to {MAX_SIDE}"),
                ));
            }
        }
        validate_layers(&self.layers, "", MAX_DEPTH)
    }

    /// The paths of the pictures of all visible layers, each once, in alphabetical order.
    pub fn image_paths(&self) -> Vec<&str> {
        let mut paths = BTreeSet::new();
        collect_paths(&self.layers, false, &mut paths);
        paths.into_iter().collect()
    }

    /// As [`Scene::image_paths`], with those of hidden layers.
    pub fn all_image_paths(&self) -> Vec<&str> {
        let mut paths = BTreeSet::new();
        collect_paths(&self.layers, true, &mut paths);
        paths.into_iter().collect()
    }

    /// The paths by which layers, hidden ones too, name pictures beside their own: a layer's `mask`, and what its
    /// recipe says that it was made from. Each once, in alphabetical order. Not everything that stands
    /// there has to be one.
    pub fn paths_beside(&self) -> Vec<&str> {
        let mut paths = BTreeSet::new();
        collect_beside(&self.layers, &mut paths);
        for own in self.all_image_paths() {
            paths.remove(own);
        }
        paths.into_iter().collect()
    }

    /// How the picture at `path` was made, by the first layer that shows it and says so.
    pub fn recipe_of(&self, path: &str) -> Option<&Recipe> {
        find_recipe(&self.layers, path)
    }
}

impl Layer {
    /// A layer with the picture at `path`, at the top left, opaque and unchanged.
    pub fn picture(path: impl Into<String>) -> Self {
        Self {
            image: Some(path.into()),
            ..Self::default()
        }
    }

    /// A group of `layers`, bottom first.
    pub fn group(layers: Vec<Layer>) -> Self {
        Self {
            layers: Some(layers),
            ..Self::default()
        }
    }

    /// `place` says which layer it is, for people.
    fn validate(&self, place: &str, depth: usize) -> Result<()> {
        let bad = |what: String, hint: &str| {
            Err(bad_option(format!("{}: {what}", self.title(place)), hint))
        };
        let numbers = [
            ("x", self.x),
            ("y", self.y),
            ("scale", self.scale),
            ("rotate", self.rotate),
            ("opacity", self.opacity),
        ];
        for (field, value) in numbers {
            if !value.is_finite() {
                return bad(format!("{field} is {value}"), "use a finite number");
            }
        }
        if self.scale <= 0.0 {
            return bad(format!("scale is {}", self.scale), "use a number above 0");
        }
        if !(0.0..=1.0).contains(&self.opacity) {
            return bad(
                format!("opacity is {}", self.opacity),
                "use a number from 0 to 1",
            );
        }
        match (&self.image, &self.layers) {
            (Some(_), None) => Ok(()),
            (None, Some(_)) if depth == 0 => bad(
                "the groups are too deep".into(),
                &format!("use at most {MAX_DEPTH} levels"),
            ),
            (None, Some(layers)) => validate_layers(layers, &format!("{place}."), depth - 1),
            (None, None) => bad(
                "it has no picture".into(),
                "give image, or layers for a group",
            ),
            (Some(_), Some(_)) => bad("it has both image and layers".into(), "give one of them"),
        }
    }

    fn title(&self, place: &str) -> String {
        match &self.name {
            Some(name) => format!("layer {place} {name:?}"),
            None => format!("layer {place}"),
        }
    }
}

impl Default for Layer {
    fn default() -> Self {
        Self {
            name: None,
            role: None,
            image: None,
            layers: None,
            x: 0.0,
            y: 0.0,
            scale: 1.0,
            rotate: 0.0,
            flip: false,
            opacity: 1.0,
            blend: BlendMode::default(),
            operator: Operator::default(),
            visible: true,
            recipe: None,
            other: Map::new(),
        }
    }
}

/// JSON without escapes of single surrogates, which JavaScript writes for half a character.
fn with_whole_characters(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u") {
        return json.into();
    }
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        whole += &rest[..at];
        rest = &rest[at..];
        let length = match (escaped_unit(rest), rest.get(6..).and_then(escaped_unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                whole += "\u{fffd}";
                rest = &rest[6..];
                continue;
            }
            (Some(_), _) => 6,
            // A backslash and the character that it escapes, if there is one.
            (None, _) => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        whole += &rest[..length];
        rest = &rest[length..];
    }
    whole += rest;
    whole.into()
}

/// The unit of UTF-16 whose escape `json` begins with.
fn escaped_unit(json: &str) -> Option<u16> {
    let digits = json.strip_prefix("\\u")?.get(..4)?;
    let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    are_digits.then(|| u16::from_str_radix(digits, 16).ok())?
}

fn version() -> u32 {
    VERSION
}

fn bad_option(message: String, hint: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadOption, message, hint)
}

fn validate_layers(layers: &[Layer], prefix: &str, depth: usize) -> Result<()> {
    for (index, layer) in layers.iter().enumerate() {
        layer.validate(&format!("{prefix}{}", index + 1), depth)?;
    }
    Ok(())
}

fn collect_paths<'a>(layers: &'a [Layer], hidden: bool, paths: &mut BTreeSet<&'a str>) {
    for layer in layers.iter().filter(|layer| layer.visible || hidden) {
        paths.extend(layer.image.as_deref());
        collect_paths(layer.layers.as_deref().unwrap_or_default(), hidden, paths);
    }
}

/// The options of a request that are pictures: what a recipe may name.
const RECIPE_PICTURES: [&str; 5] = ["foreground", "background", "init", "mask", "control"];

fn collect_beside<'a>(layers: &'a [Layer], paths: &mut BTreeSet<&'a str>) {
    for layer in layers {
        paths.extend(layer.other.get("mask").and_then(Value::as_str));
        let recipe = layer.recipe.iter();
        let named = recipe.flat_map(|recipe| RECIPE_PICTURES.iter().map(|name| recipe.get(*name)));
        paths.extend(named.flatten().filter_map(Value::as_str));
        collect_beside(layer.layers.as_deref().unwrap_or_default(), paths);
    }
}

fn find_recipe<'a>(layers: &'a [Layer], path: &str) -> Option<&'a Recipe> {
    layers.iter().find_map(|layer| match &layer.layers {
        Some(layers) => find_recipe(layers, path),
        None => layer
            .recipe
            .as_ref()
            .filter(|_| layer.image.as_deref() == Some(path)),
    })
}

/// Writes whole numbers without a decimal point, as people write them.
fn plain_number<S: Serializer>(value: &f64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let whole = *value as i64;
    // Beyond 2^53 not every whole number is a float; minus zero has no whole form.
    let exact =
        value.fract() == 0.0 && value.abs() < 9.0e15 && !(whole == 0 && value.is_sign_negative());
    if exact {
        serializer.serialize_i64(whole)
    } else {
        serializer.serialize_f64(*value)
    }
}
