use js_sys::{Array, Function, Reflect, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::convert::{bytes_from_js, event_to_js};
use super::digest;
use super::files::JsFiles;
use super::thrown::Thrown;
use super::values::JsResult;
use crate::pack::{LoadEvent, PackOptions, PackSource, PackStore, Packer};
use crate::pipeline::Event;
use crate::{Error, ErrorCode, Result};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** Where the pack's files are written and read again. */
export interface PackStore {
  write(file: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  read(file: string): Promise<Uint8Array<ArrayBuffer>>;
}
"#;

/// A store behind an object with the functions `read` and `write`.
struct JsStore {
    read: Function,
    write: Function,
    thrown: Thrown,
}

impl PackSource for JsStore {
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        let bytes = self.read.call1(&JsValue::NULL, &file.into());
        bytes_from_js(file, self.thrown.settled(bytes).await?)
    }

    async fn sha256(&self, bytes: &[u8]) -> String {
        digest::sha256(bytes).await
    }
}

impl PackStore for JsStore {
    async fn write(&mut self, file: &str, bytes: Vec<u8>) -> Result<()> {
        let bytes = Uint8Array::from(bytes.as_slice());
        let written = self
            .write
            .call2(&JsValue::NULL, &file.into(), &bytes.into());
        self.thrown.settled(written).await.map(|_| ())
    }
}

/// Packs files of a page as model `name`.
///
/// `files` is an array of `{path, length}`; `read(index, start, end)` gives bytes of one at once.
/// `store` has `write(file, bytes)` and `read(file)`, which may return promises. `report` hears
/// loading events over the files' bytes and stops the packing by answering false. The manifest is
/// what is written last.
#[wasm_bindgen]
pub async fn pack_files(
    name: String,
    #[wasm_bindgen(unchecked_param_type = "RawPackOptions")] options: JsValue,
    #[wasm_bindgen(unchecked_param_type = "{ path: string; length: number }[]")] files: Array,
    #[wasm_bindgen(
        unchecked_param_type = "(index: number, start: number, end: number) => Uint8Array"
    )]
    read: Function,
    #[wasm_bindgen(unchecked_param_type = "PackStore")] store: JsValue,
    #[wasm_bindgen(
        unchecked_param_type = "(event: { loadedBytes: number; totalBytes: number }) => Promise<boolean>"
    )]
    report: Function,
) -> JsResult<()> {
    let thrown = Thrown::default();
    let packed = pack(&name, options, &files, read, &store, report, &thrown).await;
    packed.map_err(|error| thrown.or(error))
}

async fn pack(
    name: &str,
    options: JsValue,
    files: &Array,
    read: Function,
    store: &JsValue,
    report: Function,
    thrown: &Thrown,
) -> Result<()> {
    let options: PackOptions = serde_wasm_bindgen::from_value(options)
        .map_err(|error| bad_options(format!("the options cannot be used: {error}")))?;
    let files = JsFiles::new(files, read);
    let method = |name: &str| {
        let method = Reflect::get(store, &name.into()).unwrap_or_default();
        let method = method.dyn_into::<Function>().ok();
        method.ok_or_else(|| bad_options(format!("the store has no {name}")))
    };
    let mut store = JsStore {
        read: method("read")?,
        write: method("write")?,
        thrown: thrown.clone(),
    };
    let progress = async |event: LoadEvent| {
        let LoadEvent {
            loaded_bytes,
            total_bytes,
        } = event;
        let event = event_to_js(&Event::Loading {
            loaded_bytes,
            total_bytes,
        });
        let answer = thrown.settled(report.call1(&JsValue::NULL, &event)).await;
        answer.is_ok_and(|answer| answer.is_truthy())
    };
    Packer::pack(&options, name, &files, &mut store, progress).await?;
    Ok(())
}

fn bad_options(reason: String) -> Error {
    Error::new(
        ErrorCode::BadOption,
        reason,
        "see the documentation of models.import",
    )
}
