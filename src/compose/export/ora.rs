//! OpenRaster (openraster.org, version 0.0.5): a zip archive of PNG files and an XML file that stacks
//! them. Krita, GIMP, MyPaint and others read it.

use std::borrow::Borrow;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use super::super::blend::BlendMode;
use super::super::operator::Operator;
use super::super::resolve::{Content, ResolvedLayer};
use super::super::scene::Scene;
use super::{export, place};
use crate::image::{MemoryFile, Picture};
use crate::{Error, ErrorCode, Result};

const FORMAT: &str = "OpenRaster";

/// The longest side of the thumbnail, in pixels.
const THUMBNAIL_SIDE: usize = 256;

/// `scene` as an OpenRaster file, with the flattened scene as its merged image.
///
/// `resolve` gives the picture at a path of the scene, as for [`flatten`](super::super::flatten); it
/// is asked for those of hidden layers, too.
///
/// Fails as `flatten` does, and with `bad_option` for a scene in linear light, blend mode `exclusion`
/// and operators that OpenRaster does not have: it has `source-over` with every other mode, and with
/// mode `normal` `lighter`, `destination-in`, `destination-out`, `source-atop` and
/// `destination-atop`.
pub fn to_ora<P: Borrow<Picture>>(
    scene: &Scene,
    resolve: impl FnMut(&str) -> Result<P>,
) -> Result<Vec<u8>> {
    export(scene, FORMAT, resolve, |layers, merged| {
        let mut archive = Archive::new();
        // First and not compressed, so that the type of the file can be read at a fixed place.
        archive.add("mimetype", b"image/openraster")?;
        let (width, height) = (scene.width, scene.height);
        let mut stack = Stack {
            scene_size: [width, height],
            archive: &mut archive,
            xml: String::new(),
            pictures: 0,
        };
        stack.line(format_args!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
        stack.line(format_args!(
            "<image version=\"0.0.5\" w=\"{width}\" h=\"{height}\">\n<stack>"
        ));
        stack.add(layers)?;
        stack.line(format_args!("</stack>\n</image>"));
        let xml = stack.xml;
        archive.add("stack.xml", xml.as_bytes())?;
        archive.add("mergedimage.png", &merged.to_png()?)?;
        archive.add("Thumbnails/thumbnail.png", &thumbnail(merged)?.to_png()?)?;
        archive.finish()
    })
}

/// A stack of layers on its way into the archive.
struct Stack<'a> {
    scene_size: [usize; 2],
    archive: &'a mut Archive,
    /// The XML up to here.
    xml: String,
    /// How many pictures the archive has.
    pictures: usize,
}

impl Stack<'_> {
    /// Adds `layers`, which the file has top first.
    fn add(&mut self, layers: &[ResolvedLayer]) -> Result<()> {
        for layer in layers.iter().rev() {
            let attributes = attributes(layer)?;
            match &layer.content {
                Content::Picture(picture, transform) => {
                    let placed = place(picture, transform, self.scene_size)?;
                    self.pictures += 1;
                    let path = format!("data/layer{:03}.png", self.pictures);
                    self.archive.add(&path, &placed.picture.to_png()?)?;
                    let (x, y) = (placed.left, placed.top);
                    self.line(format_args!(
                        "<layer src=\"{path}\" x=\"{x}\" y=\"{y}\" {attributes}/>"
                    ));
                }
                Content::Group(layers) => {
                    self.line(format_args!("<stack isolation=\"isolate\" {attributes}>"));
                    self.add(layers)?;
                    self.line(format_args!("</stack>"));
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, line: std::fmt::Arguments) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.xml, "{line}");
    }
}

/// The attributes that layers and groups share.
fn attributes(layer: &ResolvedLayer) -> Result<String> {
    let operation = composite_op(layer).ok_or_else(|| layer.inexpressible(FORMAT))?;
    let visibility = if layer.visible { "visible" } else { "hidden" };
    Ok(format!(
        "name=\"{}\" opacity=\"{}\" visibility=\"{visibility}\" composite-op=\"{operation}\"",
        escaped(layer.name),
        layer.opacity,
    ))
}

/// The value of attribute `composite-op`, which names blend mode and operator at once.
fn composite_op(layer: &ResolvedLayer) -> Option<String> {
    let name = match (layer.blend, layer.operator) {
        (BlendMode::Exclusion, _) => return None,
        (BlendMode::Normal, operator) => match operator {
            Operator::SourceOver => "src-over",
            Operator::Lighter => "plus",
            Operator::DestinationIn => "dst-in",
            Operator::DestinationOut => "dst-out",
            Operator::SourceAtop => "src-atop",
            Operator::DestinationAtop => "dst-atop",
            _ => return None,
        },
        (blend, Operator::SourceOver) => blend.as_str(),
        _ => return None,
    };
    Some(format!("svg:{name}"))
}

/// `text` inside the quotes of an attribute, without the characters that XML cannot have.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '"' => escaped += "&quot;",
            '\t' | '\n' | '\r' => escaped += &format!("&#{};", character as u32),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

fn thumbnail(merged: &Picture) -> Result<Picture> {
    let longest = merged.width.max(merged.height);
    if longest <= THUMBNAIL_SIDE {
        return Ok(merged.clone());
    }
    let side = |length: usize| (length * THUMBNAIL_SIDE).div_ceil(longest);
    merged.fitted(side(merged.width), side(merged.height))
}

/// A zip archive in memory. Nothing in it is compressed, as PNG files are already.
struct Archive(ZipWriter<MemoryFile>);

impl Archive {
    fn new() -> Self {
        Self(ZipWriter::new(MemoryFile::default()))
    }

    fn add(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let options = SimpleFileOptions::default();
        self.0.start_file(path, options).map_err(failed)?;
        let written = self.0.write_all(bytes);
        written.map_err(|error| failed(error.into()))
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.finish().map_err(failed)?.into_bytes())
    }
}

fn failed(error: ZipError) -> Error {
    let full = matches!(&error, ZipError::Io(error) if error.kind() == ErrorKind::OutOfMemory);
    Error::new(
        if full {
            ErrorCode::OutOfMemory
        } else {
            ErrorCode::BadOption
        },
        format!("cannot write the OpenRaster file: {error}"),
        "use fewer or smaller layers",
    )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("<a> & \"b\""), "&lt;a> &amp; &quot;b&quot;");
        assert_eq!(escaped("ö\u{1}\n"), "ö&#10;");
    }
}
