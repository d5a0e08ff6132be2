//! Output files: checked before any work is done, and written all or none.

use std::io::{self, Write};
use std::path::{Path, PathBuf, is_separator};

use glassine::{Error, ErrorCode, Result};
use tempfile::NamedTempFile;

/// The files that a command is going to write.
#[derive(Default)]
pub struct Outputs(Vec<Output>);

struct Output {
    /// As the user named it.
    name: PathBuf,
    /// What the name points to, which is the same unless it is a link.
    target: PathBuf,
}

impl Outputs {
    /// One more file, of one of these kinds.
    ///
    /// # Errors
    /// `bad_option` if it can be known that it cannot be written, or if it is another output.
    pub fn add(&mut self, name: &Path, extensions: &[&str]) -> Result<()> {
        let extension = name.extension().unwrap_or_default().to_ascii_lowercase();
        if !extensions.contains(&&*extension.to_string_lossy()) {
            let known: Vec<String> = extensions.iter().map(|one| format!(".{one}")).collect();
            let hint = match &known[..] {
                [kind] => format!("name a {kind} file"),
                [first @ .., last] => format!("name a {} or {last} file", first.join(", ")),
                [] => String::new(),
            };
            let message = format!("{} cannot be written", name.display());
            return Err(Error::new(ErrorCode::BadOption, message, hint));
        }
        if name.as_os_str().to_string_lossy().ends_with(is_separator) {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!(
                    "{} cannot be written: it is a folder's name",
                    name.display()
                ),
                "name a file",
            ));
        }
        let target = behind_links(name);
        if self.0.iter().any(|other| is_same(&other.target, &target)) {
            return Err(Error::new(
                ErrorCode::BadOption,
                format!("{} is to be written twice", name.display()),
                "name another file",
            ));
        }
        check_place(name, &target)?;
        self.0.push(Output {
            name: name.into(),
            target,
        });
        Ok(())
    }

    /// Refuses an output that is the input at `path`, or one of the tensors' files in that folder.
    pub fn spare(&self, path: &Path) -> Result<()> {
        let Ok(input) = path.canonicalize() else {
            return Ok(());
        };
        for Output { name, target } in &self.0 {
            let inside = target.extension().is_some_and(|one| one == "safetensors")
                && target.exists()
                && absolute(target).starts_with(&input);
            if is_same(target, &input) || inside {
                return Err(Error::new(
                    ErrorCode::BadOption,
                    format!("{} is read and would be overwritten", name.display()),
                    "name another file to write",
                ));
            }
        }
        Ok(())
    }

    /// Writes the files, in the order in which they were added.
    ///
    /// Each is written beside its place first, and all are moved when all are whole.
    pub fn write(&self, contents: Vec<Vec<u8>>) -> Result<()> {
        let failed = |output: &Output, error: io::Error| {
            Error::new(
                ErrorCode::Io,
                format!("cannot write {}: {error}", output.name.display()),
                "nothing was written; make room, or name a file elsewhere",
            )
        };
        let mut written = Vec::new();
        for (output, bytes) in self.0.iter().zip(contents) {
            let file = write_beside(&output.target, &bytes);
            written.push((output, file.map_err(|error| failed(output, error))?));
        }
        let mut created = Vec::new();
        for (output, file) in written {
            let is_new = !output.target.exists();
            if let Err(error) = file.persist(&output.target) {
                for path in created {
                    let _ = std::fs::remove_file(path);
                }
                return Err(failed(output, error.error));
            }
            if is_new {
                created.push(&output.target);
            }
        }
        Ok(())
    }
}

/// Whether a file can be written there, as far as can be known before.
fn check_place(name: &Path, target: &Path) -> Result<()> {
    let refused = |reason: String, hint: &str| {
        let message = format!("{} cannot be written: {reason}", name.display());
        Err(Error::new(ErrorCode::BadOption, message, hint))
    };
    let folder = folder_of(target);
    if !folder.is_dir() {
        let reason = format!("there is no folder {}", folder.display());
        return refused(reason, "create it, or name a file in another");
    }
    if target.is_symlink() {
        return refused("it is a link to itself".into(), "name a file");
    }
    if target.is_dir() {
        return refused("it is a folder".into(), "name a file");
    }
    if target.exists() {
        if !target.is_file() {
            return refused("it is no ordinary file".into(), "name another");
        }
        // Replacing a file needs no right to write to it: whoever took that away means it.
        if let Err(error) = std::fs::OpenOptions::new().write(true).open(target) {
            return refused(error.to_string(), "name another file");
        }
    }
    match temporary_in(folder) {
        Ok(_) => Ok(()),
        Err(error) if is_full(&error) => Err(Error::new(
            ErrorCode::Io,
            format!("{} cannot be written: {error}", name.display()),
            "make room, or name a file elsewhere",
        )),
        Err(error) => refused(error.to_string(), "name a file in a folder of your own"),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn write_beside(target: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = temporary_in(folder_of(target))?;
    file.write_all(bytes)?;
    if let Ok(replaced) = target.metadata() {
        file.as_file().set_permissions(replaced.permissions())?;
    }
    // A full disk may say so only now.
    file.as_file().sync_all()?;
    Ok(file)
}

/// An empty file of a name that nothing else has; it goes with its value.
fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // As any new file, and not for its owner alone, as temporary ones are.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// What a path points to, which need not be there.
fn behind_links(path: &Path) -> PathBuf {
    /// As many as Linux follows.
    const MAX_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match path.read_link() {
            // Relative to the link's folder.
            Ok(to) => path = folder_of(&path).join(to),
            Err(_) => break,
        }
    }
    path
}

/// A path with its folder in full.
fn absolute(path: &Path) -> PathBuf {
    let folder = folder_of(path).canonicalize();
    let folder = folder.unwrap_or_else(|_| folder_of(path).into());
    folder.join(path.file_name().unwrap_or_default())
}

/// Whether two paths are one file, by name or by number.
fn is_same(one: &Path, other: &Path) -> bool {
    if absolute(one) == absolute(other) {
        return true;
    }
    #[cfg(unix)]
    if let (Ok(one), Ok(other)) = (one.metadata(), other.metadata()) {
        use std::os::unix::fs::MetadataExt;
        return (one.dev(), one.ino()) == (other.dev(), other.ino());
    }
    false
}
