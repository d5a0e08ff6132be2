//! Files of PyTorch's are read without running what is in them.

use std::path::Path;

use crate::support::golden;
use crate::support::torch::*;
use glassine::ErrorCode;
use glassine::internals::weights::{Disk, InMemory, SafetensorsFile, TorchFile};
use glassine::pipeline::Embedding;

fn open(bytes: &[u8]) -> glassine::Result<TorchFile> {
    TorchFile::open_in(&InMemory(bytes.to_vec()), Path::new("style.pt"))
}

/// Fails unless the file is refused so, in these words.
fn check_refused(bytes: &[u8], code: ErrorCode, word: &str) {
    let error = open(bytes).expect_err("an error");
    let line = error.to_string();
    assert_eq!(error.code, code, "{line}");
    assert!(line.contains("style.pt") && line.contains(word), "{line}");
}

/// What torch wrote before there were archives.
fn legacy(value: &[u8], storages: &[(&str, Vec<u8>, u64)]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    let machine = dict(&[
        ("protocol_version", int(1001)),
        ("little_endian", b"\x88".to_vec()),
    ]);
    let keys: Vec<_> = storages.iter().map(|(key, ..)| text(key)).collect();
    let keys = [b"](", &keys.concat()[..], b"e"].concat();
    let mut bytes = [
        magic,
        pickle(b"M\xe9\x03"),
        pickle(&machine),
        pickle(value),
        pickle(&keys),
    ]
    .concat();
    for (_, numbers, count) in storages {
        bytes.extend(count.to_le_bytes());
        bytes.extend(numbers);
    }
    bytes
}

#[test]
fn a_file_of_torchs_holds_what_its_safetensors_twin_holds() {
    let file = golden("community/tiny-style.pt");
    let mut torch = TorchFile::open_in(&Disk, &file).unwrap();
    let names: Vec<_> = torch.tensors().keys().cloned().collect();
    assert_eq!(names, ["string_to_param.*"]);
    let mut twin = SafetensorsFile::open(golden("community/tiny-style.safetensors")).unwrap();
    let (got, expected) = (torch.read("string_to_param.*"), twin.read("emb_params"));
    let (got, expected) = (got.unwrap(), expected.unwrap());
    assert_eq!(got.shape, expected.shape);
    // The twin is of half floats.
    let close = got.data.iter().zip(&expected.data);
    assert!(
        close
            .into_iter()
            .all(|(got, twin)| (got - twin).abs() < 1e-2)
    );
    let embedding = Embedding::open(&file, None).unwrap();
    assert_eq!(
        (embedding.name(), embedding.vectors().len()),
        ("tiny-style", 3)
    );
}

#[test]
fn views_of_a_storage_are_read_by_their_strides() {
    let numbers = || storage("FloatStorage", "0", 6);
    let value = dict(&[
        ("whole", tensor(numbers(), 0, &[2, 3], &[3, 1])),
        ("turned", tensor(numbers(), 0, &[3, 2], &[1, 3])),
        (
            "inner",
            dict(&[("column", tensor(numbers(), 1, &[2], &[3]))]),
        ),
        ("one", tensor(numbers(), 5, &[], &[])),
    ]);
    let bytes = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    for file in [
        archive(&value, &[("0", bytes.clone())]),
        legacy(&value, &[("0", bytes.clone(), 6)]),
    ] {
        let mut file = open(&file).unwrap();
        for (name, shape, expected) in [
            ("whole", &[2, 3][..], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0][..]),
            ("turned", &[3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
            ("inner.column", &[2], &[1.0, 4.0]),
            ("one", &[], &[5.0]),
        ] {
            let tensor = file.read(name).unwrap();
            assert_eq!(
                (&tensor.shape[..], &tensor.data[..]),
                (shape, expected),
                "{name}"
            );
        }
        assert!(file.read("nothere").is_err());
    }
}

#[test]
fn numbers_of_every_floating_type_are_read() {
    let kinds: [(&str, Vec<u8>); 4] = [
        ("DoubleStorage", 1.5f64.to_le_bytes().into()),
        ("FloatStorage", 1.5f32.to_le_bytes().into()),
        ("HalfStorage", half::f16::from_f32(1.5).to_le_bytes().into()),
        (
            "BFloat16Storage",
            half::bf16::from_f32(1.5).to_le_bytes().into(),
        ),
    ];
    for (kind, bytes) in kinds {
        let value = dict(&[("x", tensor(storage(kind, "0", 1), 0, &[1], &[1]))]);
        let mut file = open(&archive(&value, &[("0", bytes)])).unwrap();
        assert_eq!(file.read("x").unwrap().data, [1.5], "{kind}");
    }
    let whole = dict(&[("x", tensor(storage("LongStorage", "0", 1), 0, &[1], &[1]))]);
    let mut file = open(&archive(&whole, &[("0", vec![0; 8])])).unwrap();
    assert_eq!(file.read("x").unwrap_err().code, ErrorCode::ModelDamaged);
}

#[test]
fn the_original_implementations_files_are_read() {
    let parameter = call(
        global("torch._utils", "_rebuild_parameter"),
        &[
            tensor(storage("FloatStorage", "0", 2), 0, &[1, 2], &[2, 1]),
            b"\x88".to_vec(),
            call(global("collections", "OrderedDict"), &[]),
        ],
    );
    let set = call(global("__builtin__", "set"), &[b"]".to_vec()]);
    let fields = dict(&[
        ("training", b"\x88".to_vec()),
        ("_parameters", dict(&[("*", parameter)])),
        ("_non_persistent_buffers_set", set),
    ]);
    let module = global("torch.nn.modules.container", "ParameterDict");
    let module = [module, b")\x81".to_vec(), fields, b"b".to_vec()].concat();
    let value = dict(&[
        ("string_to_token", dict(&[("*", int(265))])),
        ("string_to_param", module),
    ]);
    let bytes = legacy(&value, &[("0", floats(&[1.0, 2.0]), 2)]);
    let embedding = Embedding::from_bytes("old.pt", bytes, None).unwrap();
    assert_eq!(embedding.vectors()[0][..], [1.0, 2.0]);
}

#[test]
fn nothing_is_run() {
    let command = || vec![text("touch /tmp/never")];
    let system = call(global("os", "system"), &command());
    let stacked = [text("builtins"), text("eval"), b"\x93".to_vec()].concat();
    let instance = [b"(", &text("x")[..], b"isubprocess\nPopen\n"].concat();
    let hidden = dict(&[("a", dict(&[("b", tuple(std::slice::from_ref(&system)))]))]);
    for (value, name) in [
        (system, "os.system"),
        (call(global("posix", "system"), &command()), "posix.system"),
        (call(stacked, &command()), "builtins.eval"),
        (instance, "subprocess.Popen"),
        (hidden, "os.system"),
        (global("__builtin__", "getattr"), "__builtin__.getattr"),
        (global("torch", "load"), "torch.load"),
        (global("torch.nn.modules.linear", "Linear"), "Linear"),
        (global("collections", "defaultdict"), "defaultdict"),
    ] {
        check_refused(&archive(&value, &[]), ErrorCode::ModelUnsupported, name);
        check_refused(&pickle(&value), ErrorCode::ModelUnsupported, name);
        check_refused(&legacy(&value, &[]), ErrorCode::ModelUnsupported, name);
    }
    let ancient = b"cos\nsystem\n(S'touch /tmp/never'\ntR.".to_vec();
    let error = Embedding::from_bytes("style.pt", ancient, None).unwrap_err();
    assert!(error.to_string().contains("os.system"), "{error}");
}

#[test]
fn what_is_called_otherwise_than_torch_does_is_refused() {
    let damaged = |value: Vec<u8>| {
        let bytes = archive(&value, &[("0", vec![0; 16])]);
        check_refused(&bytes, ErrorCode::ModelDamaged, "sound");
    };
    let numbers = || storage("FloatStorage", "0", 4);
    damaged(call(global("torch", "FloatStorage"), &[int(1 << 30)]));
    damaged(call(text("os.system"), &[]));
    damaged(dict(&[("x", tensor(int(1), 0, &[1], &[1]))]));
    damaged(dict(&[("x", tensor(numbers(), 0, &[5], &[1]))]));
    damaged(dict(&[("x", tensor(numbers(), 3, &[2], &[1]))]));
    damaged(dict(&[("x", tensor(numbers(), 0, &[2, 2], &[1]))]));
    damaged(dict(&[("x", tensor(numbers(), -1, &[1], &[1]))]));
    damaged(dict(&[("x", tensor(numbers(), 0, &[2], &[-1]))]));
    // One number seen as four billion.
    damaged(dict(&[(
        "x",
        tensor(numbers(), 0, &[65_536, 65_536], &[0, 0]),
    )]));
    damaged(dict(&[(
        "x",
        tensor(storage("FloatStorage", "0", 5), 0, &[1], &[1]),
    )]));
    damaged(dict(&[(
        "x",
        tensor(storage("FloatStorage", "1", 4), 0, &[1], &[1]),
    )]));
    damaged(b"(Q".to_vec());
    damaged(b"h\x05".to_vec());
    damaged(b"a".to_vec());
    damaged(b"\xfe".to_vec());
}

#[test]
fn values_that_hold_each_other_end() {
    let itself = [b"}q\0", &text("a")[..], b"h\0s"].concat();
    check_refused(
        &archive(&itself, &[]),
        ErrorCode::ModelDamaged,
        "each other",
    );
    // Each holds the one before twice.
    let mut doubled = b"}q\0".to_vec();
    for level in 0..60u8 {
        let inner = [b'h', level];
        let both = [&text("a")[..], &inner, &text("b"), &inner].concat();
        doubled.extend([b"}q", &[level + 1][..], b"(", &both, b"u"].concat());
    }
    check_refused(
        &archive(&doubled, &[]),
        ErrorCode::ModelDamaged,
        "each other",
    );
    let deep = [b"]".repeat(100_000), b"a".repeat(99_999)].concat();
    assert!(open(&archive(&deep, &[])).unwrap().tensors().is_empty());
    let many = archive(&b"]0".repeat(1 << 21), &[]);
    check_refused(&many, ErrorCode::ModelDamaged, "too many");
}

#[test]
fn archives_that_lie_are_refused() {
    let value = dict(&[("x", tensor(storage("FloatStorage", "0", 4), 0, &[4], &[1]))]);
    let sound = archive(&value, &[("0", floats(&[1.0; 4]))]);
    assert!(open(&sound).is_ok());
    let directory: Vec<_> = (0..sound.len() - 4)
        .filter(|at| sound[*at..].starts_with(b"PK\x01\x02"))
        .collect();
    let last = *directory.last().unwrap();
    let patched = |patches: &[(usize, &[u8])]| {
        let mut bytes = sound.clone();
        for (at, patch) in patches {
            bytes[*at..at + patch.len()].copy_from_slice(patch);
        }
        bytes
    };
    let huge = 0xffff_fff0_u32.to_le_bytes();
    for (what, bytes) in [
        ("deflated", patched(&[(last + 10, &[8, 0])])),
        ("a size", patched(&[(last + 24, &[200, 0, 0, 0])])),
        (
            "both sizes",
            patched(&[(last + 20, &[200, 0, 0, 0]), (last + 24, &[200, 0, 0, 0])]),
        ),
        ("huge", patched(&[(last + 20, &huge), (last + 24, &huge)])),
        ("elsewhere", patched(&[(last + 42, &huge)])),
        ("no pickle", archive(b"", &[])[40..].to_vec()),
    ] {
        let error = open(&bytes).expect_err(what);
        assert_eq!(error.code, ErrorCode::ModelDamaged, "{what}: {error}");
    }
    let mut changed = sound.clone();
    let at = changed
        .windows(4)
        .position(|bytes| bytes == b"_v2\n")
        .unwrap();
    changed[at - 2] ^= 1;
    assert!(open(&changed).is_err(), "the pickle's checksum");
}

#[test]
fn damage_anywhere_is_an_error_and_no_panic() {
    let value = dict(&[(
        "x",
        tensor(storage("FloatStorage", "0", 4), 0, &[2, 2], &[2, 1]),
    )]);
    let numbers = floats(&[1.0; 4]);
    for sound in [
        archive(&value, &[("0", numbers.clone())]),
        legacy(&value, &[("0", numbers, 4)]),
    ] {
        for length in 0..sound.len() {
            assert!(open(&sound[..length]).is_err(), "{length} bytes");
        }
        for at in 0..sound.len() {
            for bit in 0..8 {
                let mut bytes = sound.clone();
                bytes[at] ^= 1 << bit;
                if let Ok(mut file) = open(&bytes) {
                    let names: Vec<_> = file.tensors().keys().cloned().collect();
                    for name in names {
                        let _ = file.read(&name);
                    }
                }
            }
        }
    }
}
