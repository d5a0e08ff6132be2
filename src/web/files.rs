//! Files that a page gives, as the crate reads files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use js_sys::{Array, Function, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::thrown::message_of;
use super::values::object;
use crate::weights::{Files, ReadAt};

/// Files that a page was given.
#[derive(Debug)]
pub(super) struct JsFiles {
    /// Position and length by path.
    files: BTreeMap<PathBuf, (usize, u64)>,
    read: Function,
}

/// One of them, read in slices by a function that answers at once, as a worker's can.
#[derive(Debug)]
struct JsFile {
    index: usize,
    length: u64,
    read: Function,
}

impl JsFiles {
    /// `files` is an array of `{path, length}`; `read(index, start, end)` gives bytes of one at once.
    pub fn new(files: &Array, read: Function) -> Self {
        let files = files.iter().enumerate().map(|(index, file)| {
            let property = |name: &str| Reflect::get(&file, &name.into()).unwrap_or_default();
            let path = property("path").as_string().unwrap_or_default();
            let length = property("length").as_f64().unwrap_or_default();
            (PathBuf::from(path), (index, length as u64))
        });
        Self {
            files: files.collect(),
            read,
        }
    }
}

/// One file of that name, all by itself.
pub(super) fn one_file(name: &str, length: f64, read: Function) -> (JsFiles, PathBuf) {
    let file = object([("path", name.into()), ("length", length.into())]);
    let files = JsFiles::new(&Array::of1(&file), read);
    (files, Path::new(name).into())
}

impl Files for JsFiles {
    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        let inside = |file: &PathBuf| file != path && file.starts_with(path);
        self.files.keys().any(inside)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadAt>> {
        let file = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let (index, length) = *file;
        let read = self.read.clone();
        Ok(Box::new(JsFile {
            index,
            length,
            read,
        }))
    }
}

impl ReadAt for JsFile {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&mut self, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        let end = start as f64 + buffer.len() as f64;
        let (index, start) = (self.index as f64, start as f64);
        let slice = self
            .read
            .call3(&JsValue::NULL, &index.into(), &start.into(), &end.into());
        let slice = slice.map_err(|thrown| io::Error::other(message_of(&thrown)))?;
        match slice.dyn_into::<Uint8Array>() {
            Ok(bytes) if bytes.length() as usize == buffer.len() => {
                bytes.copy_to(buffer);
                Ok(())
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
