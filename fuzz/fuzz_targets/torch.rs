//! Files of PyTorch's: archives and pickles, whatever they say. A tensor is no larger than the file.

#![no_main]

use std::path::Path;

use glassine::internals::weights::{InMemory, TorchFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = InMemory(bytes.to_vec());
    let Ok(mut file) = TorchFile::open_in(&files, Path::new("fuzzed.pt")) else {
        return;
    };
    let tensors = file.tensors().clone();
    for (name, info) in &tensors {
        let values: usize = info.shape.iter().product();
        assert!(values * info.dtype.size() <= bytes.len());
        match file.read(name) {
            Ok(tensor) => assert_eq!(
                (tensor.shape, tensor.data.len()),
                (info.shape.clone(), values)
            ),
            Err(_) => assert!(values == 0 || !info.dtype.is_float()),
        }
    }
});
