//! Paths for the pictures of layers.

use std::collections::BTreeMap;

use super::super::scene_image::SceneImage;

/// Pictures under paths that say which layer they are of.
#[derive(Default)]
pub(super) struct Pictures(BTreeMap<String, SceneImage>);

impl Pictures {
    /// One more picture, of a layer called `name`; gives its path.
    pub(super) fn add(&mut self, name: &str, image: SceneImage) -> String {
        let extension = match &image {
            SceneImage::File(bytes) => extension(bytes),
            SceneImage::Pixels(_) => "png",
        };
        let stem = stem(name);
        let mut numbers = 1usize..;
        let path = numbers.find_map(|number| {
            let path = match number {
                1 => format!("{stem}.{extension}"),
                _ => format!("{stem}-{number}.{extension}"),
            };
            (!self.0.contains_key(&path)).then_some(path)
        });
        // There are more numbers than pictures.
        let path = path.unwrap_or_default();
        self.0.insert(path.clone(), image);
        path
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_images(self) -> BTreeMap<String, SceneImage> {
        self.0
    }
}

/// The letters and digits of a name's first words, as any file may be called.
fn stem(name: &str) -> String {
    const MAX_WORDS: usize = 8;
    const MAX_LETTERS: usize = 60;
    let lower = name.to_lowercase();
    // A layer without a name of its own is called after its picture's file.
    let endings = [".png", ".jpg", ".jpeg", ".webp"];
    let bare = endings.iter().find_map(|ending| lower.strip_suffix(ending));
    let words = bare
        .unwrap_or(&lower)
        .split(|letter: char| !letter.is_alphanumeric());
    let words: Vec<&str> = words
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .collect();
    match words.is_empty() {
        true => "layer".into(),
        false => words.join("-").chars().take(MAX_LETTERS).collect(),
    }
}

fn extension(file: &[u8]) -> &'static str {
    match file {
        [0xff, 0xd8, ..] => "jpg",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        _ => "png",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_has_a_path_of_its_own() {
        let mut pictures = Pictures::default();
        let mut add = |name: &str, file: &[u8]| pictures.add(name, SceneImage::File(file.into()));
        assert_eq!(add("Äpfel & Birnen!", b"\x89PNG"), "äpfel-birnen.png");
        assert_eq!(add("äpfel birnen", b"\x89PNG"), "äpfel-birnen-2.png");
        assert_eq!(add("apple.v2.PNG", b"\xff\xd8\xff"), "apple-v2.jpg");
        assert_eq!(add("../..", b"\xff\xd8\xff"), "layer.jpg");
        assert_eq!(add("🍐", b"RIFF"), "layer.webp");
        assert!(add(&"x".repeat(400), b"").len() < 70);
    }
}
