//! OpenRaster as scenes: the layers that `stack.xml` stacks.

use std::collections::BTreeMap;
use std::str::FromStr;

use roxmltree::{Document, Node};

use super::super::blend::BlendMode;
use super::super::inside::inside;
use super::super::operator::Operator;
use super::super::scene::{Layer, MAX_DEPTH};
use super::super::scene_image::SceneImage;
use super::archive::Archive;
use super::{OpenedScene, Pictures, bad_image, recipe_in, scene_of_size};
use crate::Result;

const STACK: &str = "stack.xml";

/// The picture of the whole that every file has.
const MERGED: &str = "mergedimage.png";

const HINT: &str = "save it anew with the program that made it";

/// Reads an archive that has a `stack.xml`.
pub(super) fn read(archive: &mut Archive) -> Result<OpenedScene> {
    let xml = archive.read_text(STACK)?;
    let document = Document::parse(&xml);
    let document =
        document.map_err(|error| bad_image(format!("its {STACK} is no XML: {error}"), HINT))?;
    let image = document.root_element();
    let side = |name: &str| {
        let text = image.attribute(name).unwrap_or_default();
        text.trim().parse::<usize>().unwrap_or_default()
    };
    let (width, height) = (side("w"), side("h"));
    // The size first: layers are not read for a scene that cannot be.
    let mut scene = scene_of_size(width, height, Vec::new())?;
    let root = children(image, "stack").next();
    let root = root.ok_or_else(|| bad_image(format!("its {STACK} has no stack"), HINT))?;
    let mut reader = Reader {
        archive,
        paths: BTreeMap::new(),
        pictures: Pictures::default(),
        warnings: Vec::new(),
    };
    scene.layers = reader.stack(root, MAX_DEPTH)?;
    if reader.pictures.is_empty() && !reader.warnings.is_empty() {
        scene.layers = vec![reader.merged()?];
    }
    Ok(OpenedScene {
        scene,
        images: reader.pictures.into_images(),
        warnings: reader.warnings,
    })
}

fn children<'a>(node: Node<'a, 'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children()
        .filter(move |child| child.has_tag_name(name))
}

struct Reader<'r, 'a> {
    archive: &'r mut Archive<'a>,
    /// The scene's path for each picture of the archive that was read.
    paths: BTreeMap<String, String>,
    pictures: Pictures,
    warnings: Vec<String>,
}

impl Reader<'_, '_> {
    /// The layers of a stack, bottom first; the file has them top first.
    fn stack(&mut self, stack: Node, depth: usize) -> Result<Vec<Layer>> {
        let mut layers = Vec::new();
        let mut elements: Vec<Node> = stack.children().filter(Node::is_element).collect();
        elements.reverse();
        for element in elements {
            let name = element.attribute("name").unwrap_or_default();
            match element.tag_name().name() {
                "stack" => {
                    let deeper = depth.checked_sub(1).ok_or_else(|| {
                        bad_image(
                            format!("it has groups in groups, more than {MAX_DEPTH} deep"),
                            "put some of them beside each other",
                        )
                    })?;
                    let group = Layer::group(self.stack(element, deeper)?);
                    let group = self.settings(element, group);
                    self.tell_of_passing_through(element, &group);
                    layers.push(group);
                }
                "layer" => {
                    if let Some(layer) = self.picture(element) {
                        layers.push(self.settings(element, layer));
                    }
                }
                other => self.warn(
                    name,
                    &format!("is of a kind that is not read ({other}); it is left out"),
                ),
            }
        }
        Ok(layers)
    }

    fn warn(&mut self, name: &str, what: &str) {
        self.warnings.push(format!("layer {name:?} {what}"));
    }

    /// A layer with its picture alone. One that cannot be read is said.
    fn picture(&mut self, element: Node) -> Option<Layer> {
        let name = element.attribute("name").unwrap_or_default();
        let source = element.attribute("src").unwrap_or_default();
        match self.source(name, source) {
            Ok((path, recipe)) => Some(Layer {
                recipe,
                ..Layer::picture(path)
            }),
            Err(reason) => {
                self.warn(name, &format!("is left out: {reason}"));
                None
            }
        }
    }

    /// The scene's path for the picture at `source`, and how that was made.
    fn source(
        &mut self,
        name: &str,
        source: &str,
    ) -> std::result::Result<(String, Option<crate::image::Recipe>), String> {
        let missing = || format!("its picture {source:?} is not in the file");
        let source_path = inside(source).ok_or_else(missing)?;
        let file = self
            .archive
            .read(&source_path)
            .map_err(|error| error.message)?;
        let file = file.ok_or_else(missing)?;
        let recipe = recipe_in(&file);
        if let Some(path) = self.paths.get(&source_path) {
            return Ok((path.clone(), recipe));
        }
        let image = SceneImage::File(file);
        image.picture().map_err(|error| error.message)?;
        let path = self.pictures.add(name, image);
        self.paths.insert(source_path, path.clone());
        Ok((path, recipe))
    }

    /// `layer` with the name, place and mixing of an element.
    fn settings(&mut self, element: Node, mut layer: Layer) -> Layer {
        let name = element.attribute("name").unwrap_or_default();
        if !name.is_empty() {
            layer.name = Some(name.into());
        }
        layer.x = self.number(element, "x", layer.x);
        layer.y = self.number(element, "y", layer.y);
        layer.opacity = self.number(element, "opacity", 1.0).clamp(0.0, 1.0);
        layer.visible = element.attribute("visibility") != Some("hidden");
        if let Some(operation) = element.attribute("composite-op") {
            match mixing(operation) {
                Some((blend, operator)) => (layer.blend, layer.operator) = (blend, operator),
                None => self.warn(
                    name,
                    &format!(
                        "mixes in a way that is not known ({operation}); it is taken as normal"
                    ),
                ),
            }
        }
        layer
    }

    fn number(&mut self, element: Node, attribute: &str, default: f64) -> f64 {
        let Some(text) = element.attribute(attribute) else {
            return default;
        };
        let number = f64::from_str(text.trim()).ok();
        number
            .filter(|number| number.is_finite())
            .unwrap_or_else(|| {
                let name = element.attribute("name").unwrap_or_default();
                self.warn(
                    name,
                    &format!(
                        "has {attribute} {text:?}, which is no number; it is taken as {default}"
                    ),
                );
                default
            })
    }

    /// A group that is not isolated lets its layers mix with what lies below it, which no group does here.
    fn tell_of_passing_through(&mut self, element: Node, group: &Layer) {
        let mixes = |layer: &Layer| {
            (layer.blend, layer.operator) != (BlendMode::Normal, Operator::SourceOver)
        };
        let isolated = element.attribute("isolation") == Some("isolate")
            || group.opacity < 1.0
            || mixes(group);
        if !isolated && super::any_mixes(group.layers.as_deref().unwrap_or_default(), &mixes) {
            let name = element.attribute("name").unwrap_or_default();
            self.warn(name, super::PASSES_THROUGH);
        }
    }

    /// The picture of the whole as the only layer, for want of any other.
    fn merged(&mut self) -> Result<Layer> {
        let none = || bad_image("none of its layers can be read", HINT);
        let file = self.archive.read(MERGED)?.ok_or_else(none)?;
        let image = SceneImage::File(file);
        image.picture().map_err(|_| none())?;
        let path = self.pictures.add("merged", image);
        self.warnings.push(super::ONLY_MERGED.into());
        Ok(Layer {
            name: Some("merged".into()),
            ..Layer::picture(path)
        })
    }
}

/// What a `composite-op` means.
fn mixing(operation: &str) -> Option<(BlendMode, Operator)> {
    let name = operation.strip_prefix("svg:")?;
    let porter_duff = match name {
        "src-over" => "source-over",
        "plus" => "lighter",
        "clear" | "xor" => name,
        "src" => "copy",
        "dst" => "destination",
        "dst-over" => "destination-over",
        "src-in" => "source-in",
        "dst-in" => "destination-in",
        "src-out" => "source-out",
        "dst-out" => "destination-out",
        "src-atop" => "source-atop",
        "dst-atop" => "destination-atop",
        blend => return Some((blend.parse().ok()?, Operator::SourceOver)),
    };
    Some((BlendMode::Normal, porter_duff.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_name() {
        for (operation, expected) in [
            (
                "svg:src-over",
                Some((BlendMode::Normal, Operator::SourceOver)),
            ),
            ("svg:plus", Some((BlendMode::Normal, Operator::Lighter))),
            (
                "svg:dst-out",
                Some((BlendMode::Normal, Operator::DestinationOut)),
            ),
            (
                "svg:color-dodge",
                Some((BlendMode::ColorDodge, Operator::SourceOver)),
            ),
            ("krita:dissolve", None),
            ("svg:magic", None),
            ("multiply", None),
        ] {
            assert_eq!(mixing(operation), expected, "{operation}");
        }
    }
}
