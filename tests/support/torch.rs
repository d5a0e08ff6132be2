//! Files as `torch.save` writes them, made of instructions for Python's unpickler.

use std::io::{Cursor, Write};

use glassine::internals::weights::Dtype;
use zip::write::SimpleFileOptions;

use super::single_file::Entry;

// Instructions that leave one value.

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [b"X", &length[..], text.as_bytes()].concat()
}

pub fn int(number: i32) -> Vec<u8> {
    [b"J", &number.to_le_bytes()[..]].concat()
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub fn call(function: Vec<u8>, arguments: &[Vec<u8>]) -> Vec<u8> {
    [function, tuple(arguments), b"R".to_vec()].concat()
}

pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries = entries
        .iter()
        .map(|(key, value)| [text(key), value.clone()].concat());
    [b"}(", &entries.collect::<Vec<_>>().concat()[..], b"u"].concat()
}

pub fn storage(kind: &str, key: &str, count: i32) -> Vec<u8> {
    let fields = [
        text("storage"),
        global("torch", kind),
        text(key),
        text("cpu"),
        int(count),
    ];
    [tuple(&fields), b"Q".to_vec()].concat()
}

pub fn tensor(storage: Vec<u8>, offset: i32, sizes: &[i32], strides: &[i32]) -> Vec<u8> {
    let ints = |values: &[i32]| tuple(&values.iter().copied().map(int).collect::<Vec<_>>());
    let hooks = call(global("collections", "OrderedDict"), &[]);
    call(
        global("torch._utils", "_rebuild_tensor_v2"),
        &[
            storage,
            int(offset),
            ints(sizes),
            ints(strides),
            b"\x89".to_vec(),
            hooks,
        ],
    )
}

pub fn pickle(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

/// A zip archive as `torch.save` writes it.
pub fn archive(value: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut add = |name: &str, bytes: &[u8]| {
        writer.start_file(format!("style/{name}"), stored).unwrap();
        writer.write_all(bytes).unwrap();
    };
    add("data.pkl", &pickle(value));
    add("byteorder", b"little");
    for (key, bytes) in storages {
        add(&format!("data/{key}"), bytes);
    }
    writer.finish().unwrap().into_inner()
}

pub fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A checkpoint as PyTorch Lightning saves it: the tensors' dictionary among notes on the training.
pub fn checkpoint(tensors: &[Entry]) -> Vec<u8> {
    let weights = state(tensors);
    let notes = dict(&[("monitor", text("val/loss"))]);
    let class = global(
        "pytorch_lightning.callbacks.model_checkpoint",
        "ModelCheckpoint",
    );
    let callbacks = [b"}(".to_vec(), class, notes, b"u".to_vec()].concat();
    let whole = dict(&[
        ("global_step", int(470_000)),
        ("state_dict", weights),
        ("callbacks", callbacks),
    ]);
    with_storages(&whole, tensors)
}

/// A dictionary of tensors and nothing else.
pub fn plain(tensors: &[Entry]) -> Vec<u8> {
    with_storages(&state(tensors), tensors)
}

fn state(tensors: &[Entry]) -> Vec<u8> {
    let entries = tensors.iter().enumerate();
    let entries: Vec<_> = entries
        .map(|(index, (name, dtype, shape, bytes))| {
            let kind = match dtype {
                Dtype::F16 => "HalfStorage",
                Dtype::F32 => "FloatStorage",
                Dtype::I64 => "LongStorage",
                Dtype::I32 => "IntStorage",
                other => panic!("no storage of {other:?}"),
            };
            let count = (bytes.len() / dtype.size()) as i32;
            let sizes: Vec<i32> = shape.iter().map(|size| *size as i32).collect();
            let mut strides = vec![1; sizes.len()];
            for axis in (1..sizes.len()).rev() {
                strides[axis - 1] = strides[axis] * sizes[axis];
            }
            let storage = storage(kind, &index.to_string(), count);
            (name.as_str(), tensor(storage, 0, &sizes, &strides))
        })
        .collect();
    dict(&entries)
}

fn with_storages(value: &[u8], tensors: &[Entry]) -> Vec<u8> {
    let names: Vec<String> = (0..tensors.len()).map(|index| index.to_string()).collect();
    let storages = names.iter().zip(tensors);
    let storages = storages.map(|(name, (.., bytes))| (name.as_str(), bytes.clone()));
    archive(value, &storages.collect::<Vec<_>>())
}
