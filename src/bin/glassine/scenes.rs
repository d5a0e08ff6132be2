//! Scenes: as a file beside its pictures, and as one file that holds them.

use std::path::{Component, Path, PathBuf};

use glassine::compose::{
    OpenedScene, Scene, SceneImage, SpriteSheetOptions, flatten, open_scene, scene_sprites, to_ora,
    to_psd, to_sprite_sheet, to_zip,
};
use glassine::image::Picture;
use glassine::pipeline::needed_by;
use glassine::{Error, ErrorCode, Result};

use crate::arguments::Compose;
use crate::files::read_whole;
use crate::outputs::Outputs;

/// Makes of a scene what the name of `--out` says.
pub fn compose(arguments: &Compose) -> Result<()> {
    let sheet = [
        ("--padding", arguments.padding.is_some()),
        ("--untrimmed", arguments.untrimmed),
    ];
    needed_by("--sprites", arguments.sprites, &sheet)?;
    let out = &arguments.out;
    let mut outputs = Outputs::default();
    if arguments.sprites {
        outputs.add(out, &["png", "webp"])?;
        outputs.add(&out.with_extension("json"), &["json"])?;
    } else if extension(out) == "json" {
        outputs.make_folder_of(out)?;
        outputs.add(out, &["json"])?;
    } else {
        outputs.add(out, &["png", "webp", "ora", "psd", "zip", "json"])?;
    }
    outputs.spare(&arguments.scene)?;
    let source = Source::open(&arguments.scene)?;
    source.spare(&outputs)?;
    let scene = source.scene();
    let read = |image: &str| source.picture(image);
    let contents = match extension(out).as_str() {
        _ if arguments.sprites => sprite_sheet(&source, arguments)?,
        "ora" => vec![to_ora(scene, read)?],
        "psd" => vec![to_psd(scene, read)?],
        "zip" => vec![to_zip(scene, |image| source.whole(image))?],
        "webp" => vec![flatten(scene, read)?.to_webp(None)?],
        "json" => unpack(&source, out, &mut outputs)?,
        _ => vec![flatten(scene, read)?.to_png()?],
    };
    outputs.write(contents)?;
    for warning in source.warnings() {
        eprintln!("warning: {warning}");
    }
    Ok(())
}

/// The ending of a file's name, in small letters.
fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    extension.to_string_lossy().into_owned()
}

/// The sheet's picture and its JSON.
fn sprite_sheet(source: &Source, arguments: &Compose) -> Result<Vec<Vec<u8>>> {
    let default = SpriteSheetOptions::default();
    let options = SpriteSheetOptions {
        trim: !arguments.untrimmed,
        padding: arguments.padding.unwrap_or(default.padding),
        ..default
    };
    let sprites = scene_sprites(source.scene(), |image| source.picture(image))?;
    let name = arguments.out.file_name().unwrap_or_default();
    let sheet = to_sprite_sheet(&sprites, &name.to_string_lossy(), options)?;
    let picture = match extension(&arguments.out).as_str() {
        "webp" => sheet.picture.to_webp(None)?,
        _ => sheet.picture.to_png()?,
    };
    Ok(vec![picture, format!("{:#}\n", sheet.json).into_bytes()])
}

/// The scene file, and the pictures that `outputs` is told to write beside it.
fn unpack(source: &Source, out: &Path, outputs: &mut Outputs) -> Result<Vec<Vec<u8>>> {
    let scene = source.scene();
    let mut contents = vec![scene.to_json()?.into_bytes()];
    let folder = SceneFolder::of(out);
    for image in scene
        .all_image_paths()
        .into_iter()
        .chain(scene.paths_beside())
    {
        let Some(found) = source.whole(image)? else {
            continue;
        };
        let path = folder.file(image)?;
        let bytes = found.to_file(scene.recipe_of(image))?;
        match read_whole(&path) {
            Ok(there) if there == *bytes => continue,
            Ok(_) => {
                return Err(Error::new(
                    ErrorCode::BadOption,
                    format!(
                        "{} is there already, and is another picture",
                        path.display()
                    ),
                    "name a scene file in a folder of its own",
                ));
            }
            Err(_) => outputs.make_folder_of(&path)?,
        }
        outputs.add(&path, &["png", "jpg", "jpeg", "webp"])?;
        contents.push(bytes.into_owned());
    }
    Ok(contents)
}

/// A scene, and where its pictures are.
enum Source {
    /// In the folder of the scene file.
    Folder(Scene, SceneFolder),
    /// In the one file that holds all.
    File(OpenedScene),
}

impl Source {
    fn open(path: &Path) -> Result<Self> {
        let unreadable = |reason: String| {
            Error::new(
                ErrorCode::BadOption,
                format!("cannot read {}: {reason}", path.display()),
                "name a scene file, or a .zip, .ora, .psd, .png, .jpg or .webp file",
            )
        };
        let bytes = read_whole(path).map_err(unreadable)?;
        if extension(path) != "json" && !bytes.trim_ascii_start().starts_with(b"{") {
            return open_scene(&bytes, &path.to_string_lossy()).map(Self::File);
        }
        let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
        let scene = Scene::from_json(&text).map_err(|error| {
            let message = format!("{}: {}", path.display(), error.message);
            Error::new(error.code, message, error.hint)
        })?;
        Ok(Self::Folder(scene, SceneFolder::of(path)))
    }

    fn scene(&self) -> &Scene {
        match self {
            Self::Folder(scene, _) => scene,
            Self::File(opened) => &opened.scene,
        }
    }

    fn warnings(&self) -> &[String] {
        match self {
            Self::Folder(..) => &[],
            Self::File(opened) => &opened.warnings,
        }
    }

    /// Refuses outputs that are the scene's pictures.
    fn spare(&self, outputs: &Outputs) -> Result<()> {
        if let Self::Folder(scene, folder) = self {
            for image in scene.all_image_paths() {
                outputs.spare(&folder.file(image)?)?;
            }
            // What stands there need not be a path.
            for path in scene
                .paths_beside()
                .iter()
                .flat_map(|path| folder.file(path))
            {
                outputs.spare(&path)?;
            }
        }
        Ok(())
    }

    /// The picture of a layer.
    fn image(&self, image: &str) -> Result<SceneImage> {
        match self {
            Self::Folder(_, folder) => folder.image(image),
            // A scene that was opened names no other pictures.
            Self::File(opened) => Ok(opened.images[image].clone()),
        }
    }

    /// The picture at a path of the scene: a layer's, or one that is named beside them, if that is there.
    fn whole(&self, path: &str) -> Result<Option<SceneImage>> {
        if self.scene().all_image_paths().contains(&path) {
            return self.image(path).map(Some);
        }
        Ok(match self {
            Self::Folder(_, folder) => {
                let is_there = folder.file(path).is_ok_and(|path| path.is_file());
                is_there.then(|| folder.image(path)).transpose()?
            }
            Self::File(opened) => opened.images.get(path).cloned(),
        })
    }

    fn picture(&self, image: &str) -> Result<Picture> {
        let named = |error: Error| {
            let path = match self {
                Self::Folder(_, folder) => folder.0.join(image).display().to_string(),
                Self::File(_) => image.to_string(),
            };
            Error::new(error.code, format!("{path}: {}", error.message), error.hint)
        };
        let image = self.image(image)?;
        let picture = image.picture().map_err(named)?;
        Ok(picture.into_owned())
    }
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

    fn image(&self, image: &str) -> Result<SceneImage> {
        let path = self.file(image)?;
        let unreadable = |reason: String| {
            Error::new(
                ErrorCode::BadImage,
                format!("cannot read {}: {reason}", path.display()),
                "name a PNG, JPEG or WebP file",
            )
        };
        if path.exists() && !path.is_file() {
            return Err(unreadable("it is no ordinary file".into()));
        }
        read_whole(&path).map(SceneImage::File).map_err(unreadable)
    }
}
