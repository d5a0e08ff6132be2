//! Safetensors files: a header that is accepted says the truth about every tensor.

#![no_main]

use std::path::Path;

use glassine::internals::weights::{InMemory, SafetensorsFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = InMemory(bytes.to_vec());
    let Ok(mut file) = SafetensorsFile::open_in(&files, Path::new("fuzzed")) else {
        return;
    };
    let tensors = file.tensors().clone();
    let mut total = 0;
    for (name, info) in &tensors {
        let values: usize = info.shape.iter().product();
        assert_eq!(values * info.dtype.size(), info.byte_len() as usize);
        let stored = file.read_bytes(name).expect("bytes that the header places");
        assert_eq!(stored.len() as u64, info.byte_len());
        match file.read(name) {
            Ok(tensor) => assert_eq!(
                (tensor.shape, tensor.data.len()),
                (info.shape.clone(), values)
            ),
            Err(_) => assert!(values == 0 || !info.dtype.is_float()),
        }
        total += info.byte_len();
    }
    assert_eq!(total, file.tensor_bytes());
    assert!(total < bytes.len() as u64);
});
