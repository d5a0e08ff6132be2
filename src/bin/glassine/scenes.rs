//! Scene files and the pictures beside them.

use std::path::{Component, Path, PathBuf};

use glassine::compose::{Scene, flatten, to_ora, to_psd};
use glassine::image::Picture;
use glassine::{Error, ErrorCode, Result};

use crate::files::{read_picture, read_whole};
use crate::outputs::Outputs;

/// Composites the scene in the file `path` into `out`, of the kind that its name says.
pub fn compose(path: &Path, out: &Path) -> Result<()> {
    let mut outputs = Outputs::default();
    outputs.add(out, &["png", "ora", "psd"])?;
    outputs.spare(path)?;
    let scene = Scene::from_json(&read_text(path)?).map_err(|error| {
        let message = format!("{}: {}", path.display(), error.message);
        Error::new(error.code, message, error.hint)
    })?;
    let folder = SceneFolder::of(path);
    for image in scene.all_image_paths() {
        outputs.spare(&folder.file(image)?)?;
    }
    let read = |image: &str| folder.picture(image);
    let extension = out.extension().unwrap_or_default().to_ascii_lowercase();
    let bytes = match &*extension.to_string_lossy() {
        "ora" => to_ora(&scene, read)?,
        "psd" => to_psd(&scene, read)?,
        _ => flatten(&scene, read)?.to_png()?,
    };
    outputs.write(vec![bytes])
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = read_whole(path);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    text.map_err(|reason| {
        Error::new(
            ErrorCode::BadOption,
            format!("cannot read {}: {reason}", path.display()),
            "name a scene file",
        )
    })
}

/// The folder of a scene file. A scene may come from anybody: it names files in there and nowhere else.
struct SceneFolder(PathBuf);

impl SceneFolder {
    fn of(scene: &Path) -> Self {
        let folder = scene.parent().unwrap_or(Path::new(""));
        Self(match folder == Path::new("") {
            true => ".".into(),
            false => folder.into(),
        })
    }

    /// The file that a scene calls `image`, if it lies in the folder, also behind links.
    fn file(&self, image: &str) -> Result<PathBuf> {
        let outside = || {
            Error::new(
                ErrorCode::BadImage,
                format!("the scene names {image:?}, which is outside of its folder"),
                "put the picture beside the scene and name it by its path from there",
            )
        };
        let path = Path::new(image);
        let mut depth = 0;
        for part in path.components() {
            depth += match part {
                Component::Normal(_) => 1,
                Component::CurDir => 0,
                Component::ParentDir if depth > 0 => -1,
                _ => return Err(outside()),
            };
        }
        let path = self.0.join(path);
        match (path.canonicalize(), self.0.canonicalize()) {
            (Ok(file), Ok(folder)) if !file.starts_with(&folder) => Err(outside()),
            // What is not there is said when it is read.
            _ => Ok(path),
        }
    }

    fn picture(&self, image: &str) -> Result<Picture> {
        let path = self.file(image)?;
        if path.exists() && !path.is_file() {
            return Err(Error::new(
                ErrorCode::BadImage,
                format!("cannot read {}: it is no ordinary file", path.display()),
                "name a PNG, JPEG or WebP file",
            ));
        }
        read_picture(&path)
    }
}
