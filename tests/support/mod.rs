//! Golden cases: folders with a `case.json` and tensors, and comparison within their tolerances.
//!
//! The data lies in `tests/golden`, or where the variable `GLASSINE_GOLDEN` says. Missing data
//! fails a test; it never skips one.

pub mod command_line;
pub mod companions;
pub mod lora;
pub mod model;
pub mod psd;
pub mod scenes;
pub mod single_file;
pub mod texts;
pub mod torch;
pub mod zips;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use half::f16;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Where the crate lies now. Clones that share a target folder share test binaries, so that the
/// folder a binary was built in is not to be trusted.
fn crate_folder() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("tests run by cargo"))
}

/// The folder of golden data, or a path inside it.
pub fn golden(path: &str) -> PathBuf {
    let root = env::var_os("GLASSINE_GOLDEN")
        .map_or_else(|| crate_folder().join("tests/golden"), PathBuf::from);
    root.join(path)
}

/// Whether the golden data is the whole of it, and not the reduced copy in `tests/golden`, which
/// leaves out some cases for their size. Tests of those run only then.
pub fn whole_golden() -> bool {
    env::var_os("GLASSINE_GOLDEN").is_some()
}

/// The contents of a file that only the copy in `tests/golden` has.
pub fn copied_bytes(path: &str) -> Vec<u8> {
    read(&crate_folder().join("tests/golden").join(path))
}

/// The contents of a file of golden data.
pub fn golden_bytes(path: &str) -> Vec<u8> {
    read(&golden(path))
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("golden data {}: {error}", path.display()))
}

/// A tensor of any stored type, its values as f64, which holds all of those types exactly.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Tensor {
    /// The values as f32.
    pub fn f32(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// The values as token ids or other small whole numbers.
    pub fn u32(&self) -> Vec<u32> {
        self.values.iter().map(|&value| value as u32).collect()
    }

    /// The values as bytes of a picture.
    pub fn u8(&self) -> Vec<u8> {
        self.values.iter().map(|&value| value as u8).collect()
    }

    /// Entry `index` along the first axis.
    pub fn row(&self, index: usize) -> Tensor {
        let shape = self.shape[1..].to_vec();
        let length: usize = shape.iter().product();
        let values = self.values[index * length..][..length].to_vec();
        Tensor { shape, values }
    }

    /// The largest magnitude.
    pub fn peak(&self) -> f64 {
        self.values
            .iter()
            .fold(0.0, |peak, value| value.abs().max(peak))
    }
}

/// All tensors of a safetensors file.
#[derive(Debug)]
pub struct Tensors {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
}

impl Tensors {
    /// Reads a safetensors file.
    pub fn load(path: &Path) -> Self {
        let bytes = read(path);
        let file = SafeTensors::deserialize(&bytes)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let tensors = file
            .iter()
            .map(|(name, view)| {
                let tensor = Tensor {
                    shape: view.shape().to_vec(),
                    values: values(view.dtype(), view.data()),
                };
                (name.to_string(), tensor)
            })
            .collect();
        Self {
            path: path.to_path_buf(),
            tensors,
        }
    }

    /// The tensor `name`.
    pub fn get(&self, name: &str) -> &Tensor {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("{} has no tensor {name}", self.path.display()))
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }
}

fn values(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| value(*chunk))
            .collect()
    }
    match dtype {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, |chunk| f32::from_le_bytes(chunk).into()),
        Dtype::F16 => each(bytes, |chunk| f16::from_le_bytes(chunk).into()),
        Dtype::I32 => each(bytes, |chunk| i32::from_le_bytes(chunk).into()),
        Dtype::I64 => each(bytes, |chunk| i64::from_le_bytes(chunk) as f64),
        Dtype::U8 => each(bytes, |[byte]| byte.into()),
        other => panic!("golden data holds the type {other:?}, which the tests do not read"),
    }
}

/// How far numbers may be from the expected ones.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// Largest allowed difference of any element.
    pub max_abs: f64,
    /// Smallest allowed cosine between the flattened tensors.
    pub min_cosine: Option<f64>,
}

impl Tolerance {
    /// A limit on the difference of every element, without one on the cosine.
    pub fn max_abs(max_abs: f64) -> Self {
        Self {
            max_abs,
            min_cosine: None,
        }
    }
}

/// One golden case: its description and its tensors.
pub struct Case {
    name: String,
    description: Value,
    tensors: Option<Tensors>,
}

impl Case {
    /// The case in folder `name`, such as `"unet/plain"`. Its tensors are those of the file that
    /// `tensor_file` names, or else of the one called like the folder.
    pub fn load(name: &str) -> Self {
        let folder = golden(name);
        let description: Value = serde_json::from_slice(&read(&folder.join("case.json")))
            .unwrap_or_else(|error| panic!("{name}/case.json: {error}"));
        let own_file = format!("{}.safetensors", name.rsplit('/').next().unwrap_or(name));
        let file = folder.join(description["tensor_file"].as_str().unwrap_or(&own_file));
        Self {
            name: name.into(),
            tensors: file.exists().then(|| Tensors::load(&file)),
            description,
        }
    }

    /// Everything in `case.json`.
    pub fn description(&self) -> &Value {
        &self.description
    }

    /// The number at a JSON pointer into `case.json`, such as `"/tolerance/rgba_max_abs"`.
    pub fn number(&self, pointer: &str) -> f64 {
        self.description
            .pointer(pointer)
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("{}/case.json has no number {pointer}", self.name))
    }

    /// The text at a JSON pointer into `case.json`, such as `"/settings/prompt"`.
    pub fn text(&self, pointer: &str) -> &str {
        self.description
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{}/case.json has no text {pointer}", self.name))
    }

    /// The names of the expected tensors.
    pub fn expected_names(&self) -> Vec<&str> {
        self.description["expected"]
            .as_object()
            .unwrap_or_else(|| panic!("{}/case.json has no expected tensors", self.name))
            .keys()
            .map(String::as_str)
            .collect()
    }

    /// The tensor `name`, input or expected.
    pub fn tensor(&self, name: &str) -> &Tensor {
        self.tensors
            .as_ref()
            .unwrap_or_else(|| panic!("the golden case {} has no tensor file", self.name))
            .get(name)
    }

    /// Whether the case has a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.as_ref().is_some_and(|all| all.contains(name))
    }

    /// The values of the tensor `name` as f32.
    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.tensor(name).f32()
    }

    /// The tensor `name` on the CPU device.
    pub fn on_device<const D: usize>(&self, name: &str) -> burn::tensor::Tensor<D> {
        let tensor = self.tensor(name);
        let data = burn::tensor::TensorData::new(tensor.f32(), tensor.shape.clone());
        burn::tensor::Tensor::from_data(data, &burn::tensor::Device::flex())
    }

    /// The tolerance that the case gives the expected tensor `name`.
    pub fn tolerance(&self, name: &str) -> Tolerance {
        let tolerance = &self.description["expected"][name]["tolerance"];
        Tolerance {
            max_abs: tolerance["max_abs"]
                .as_f64()
                .unwrap_or_else(|| panic!("{}/case.json has no tolerance for {name}", self.name)),
            min_cosine: tolerance["min_cosine"].as_f64(),
        }
    }

    /// Fails unless `got` is the expected tensor `name` within the tolerance that the case gives.
    pub fn check<T: Copy + Into<f64>>(&self, name: &str, got: &[T]) {
        self.check_within(name, got, self.tolerance(name));
    }

    /// Fails unless `got` is the tensor `name` within `tolerance`.
    pub fn check_within<T: Copy + Into<f64>>(&self, name: &str, got: &[T], tolerance: Tolerance) {
        let expected = &self.tensor(name).values;
        assert_close(&format!("{}: {name}", self.name), got, expected, tolerance);
    }
}

/// The values of a tensor on the CPU device.
pub fn values_of<const D: usize>(tensor: burn::tensor::Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32 values")
}

/// Fails unless `got` equals `expected` within `tolerance`; says where it is farthest off.
pub fn assert_close<G, E>(name: &str, got: &[G], expected: &[E], tolerance: Tolerance)
where
    G: Copy + Into<f64>,
    E: Copy + Into<f64>,
{
    let got: Vec<f64> = got.iter().map(|&value| value.into()).collect();
    let expected: Vec<f64> = expected.iter().map(|&value| value.into()).collect();
    assert_eq!(got.len(), expected.len(), "{name}: number of values");
    if let Some(index) = got.iter().position(|value| !value.is_finite()) {
        panic!("{name}: value {index} is {}", got[index]);
    }
    let (worst, difference) = largest_difference(&got, &expected);
    assert!(
        difference <= tolerance.max_abs,
        "{name}: value {worst} is {}, expected {}: off by {difference:e}, allowed {:e}",
        got[worst],
        expected[worst],
        tolerance.max_abs,
    );
    if let Some(allowed) = tolerance.min_cosine {
        let cosine = cosine(&got, &expected);
        assert!(
            cosine >= allowed,
            "{name}: cosine {cosine}, allowed {allowed}"
        );
    }
}

fn largest_difference(got: &[f64], expected: &[f64]) -> (usize, f64) {
    let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, 0.0))
}

/// The cosine of the angle between two vectors; 1 for two zero vectors, less where only one is zero.
pub fn cosine<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    let dot = |a: &[T], b: &[T]| -> f64 {
        let pairs = a.iter().zip(b);
        pairs.map(|(x, y)| (*x).into() * (*y).into()).sum()
    };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths == 0.0 {
        return 1.0 - dot(a, a) - dot(b, b);
    }
    dot(a, b) / lengths
}
