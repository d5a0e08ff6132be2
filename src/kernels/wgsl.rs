//! Launching kernels that are written in WGSL.

use burn::backend::{Cube, DType};
use burn::tensor::{Int, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::template::{KernelSource, SourceKernel, SourceTemplate};
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::attributes::BufferIOAttr;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::{CubeCount, CubeDim, KernelId};
use cubecl::server::{KernelArguments, MetadataBindingInfo};

/// The most workgroups along one axis that WebGPU promises.
const MAX_WORKGROUPS: usize = 65_535;

/// The text of a kernel. Two of the same type that are equal must have the same text.
pub(super) trait Wgsl:
    Clone + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static
{
    /// Invocations in a workgroup.
    const INVOCATIONS: u32;

    /// Whether it computes in half precision, which a device has to have (`shader-f16`).
    fn half_precision(&self) -> bool {
        false
    }

    /// What is bound, in order, before `info`: the name and the type of the elements. The last one
    /// is written.
    fn bindings(&self) -> Vec<(&'static str, &'static str)>;

    /// Declarations and the function `main`, which can use the bindings and `info(index)`.
    fn body(&self) -> String;
}

struct Source<K>(K);

impl<K: Wgsl> KernelSource for Source<K> {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(text(&self.0))
    }

    fn id(&self) -> KernelId {
        KernelId::new::<K>().info(self.0.clone())
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// The whole shader.
pub(super) fn text(kernel: &impl Wgsl) -> String {
    // In a browser each tensor has a buffer of its own. Elsewhere several share one, which a
    // dispatch cannot both read and write unless all its bindings are for writing.
    let read = match cfg!(target_arch = "wasm32") {
        true => "read",
        false => "read_write",
    };
    let bindings = kernel.bindings();
    let last = bindings.len() - 1;
    let mut text = match kernel.half_precision() {
        true => "enable f16;\n".to_owned(),
        false => String::new(),
    };
    for (index, (name, element)) in bindings.iter().enumerate() {
        let access = if index == last { "read_write" } else { read };
        text += &format!(
            "@group(0) @binding({index}) var<storage, {access}> {name}: array<{element}>;\n"
        );
    }
    // Numbers arrive as pairs of words, the lower one first.
    text += &format!(
        "@group(0) @binding({}) var<storage, {read}> info_words: array<u32>;\n\
         fn info(index: u32) -> u32 {{ return info_words[index * 2u]; }}\n",
        bindings.len()
    );
    text + &kernel.body()
}

/// Whether a tensor's device computes in half precision.
pub(super) fn has_half_precision(tensor: &CubeTensor) -> bool {
    let half = ElemType::Float(FloatKind::F16);
    tensor.client.properties().supports_type(half)
}

/// Runs `kernel` on `workgroups`, with `inputs` and `output` bound in order.
pub(super) fn launch<K: Wgsl>(
    kernel: K,
    workgroups: [usize; 3],
    inputs: &[&CubeTensor],
    output: &CubeTensor,
    info: &[usize],
) {
    let [x, y, z] = workgroups;
    assert!(workgroups.iter().all(|count| *count <= MAX_WORKGROUPS));
    let mut arguments = KernelArguments::new();
    for input in inputs {
        let binding = input.handle.clone().binding();
        arguments = arguments.with_buffer_io(binding, BufferIOAttr::ReadOnly);
    }
    let info = info.iter().map(|number| *number as u64).collect();
    let arguments = arguments
        .with_buffer(output.handle.clone().binding())
        .with_info(MetadataBindingInfo::custom(info));
    output.client.launch(
        Box::new(SourceKernel::new(
            Source(kernel),
            CubeDim::new_1d(K::INVOCATIONS),
        )),
        CubeCount::Static(x as u32, y as u32, z as u32),
        arguments,
    );
}

/// Runs an [`elementwise`] kernel for `count` elements, which become the first number of `info`.
pub(super) fn launch_elementwise<K: Wgsl>(
    kernel: K,
    count: usize,
    inputs: &[&CubeTensor],
    output: &CubeTensor,
    info: &[usize],
) {
    let workgroups = spread(count.div_ceil(K::INVOCATIONS as usize));
    let info: Vec<usize> = [count].into_iter().chain(info.iter().copied()).collect();
    launch(kernel, workgroups, inputs, output, &info);
}

/// The function `main` of a kernel whose invocations compute one element each: `body` is given its
/// number as `at`.
pub(super) fn elementwise<K: Wgsl>(body: &str) -> String {
    let invocations = K::INVOCATIONS;
    format!(
        "\
@compute @workgroup_size({invocations})
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {{
    let at = (workgroup.x + workgroup.y * workgroups.x) * {invocations}u + invocation;
    if (at >= info(0u)) {{ return; }}
{body}}}
"
    )
}

/// Text for each of `count` indices.
pub(super) fn each(count: usize, text: impl Fn(usize) -> String) -> String {
    (0..count).map(text).collect()
}

/// `count` workgroups on two axes; the kernel finds its number as `x + y * num_workgroups.x` and
/// must pass over those beyond the last.
pub(super) fn spread(count: usize) -> [usize; 3] {
    let rows = count.div_ceil(MAX_WORKGROUPS).max(1);
    [count.div_ceil(rows), rows, 1]
}

/// The memory of a tensor on the GPU, in the order of its axes.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    let tensor = tensor.try_into_primitive::<Cube>();
    into_contiguous(tensor.expect("the caller asked where the tensor is"))
}

/// The memory of `[batch, channels, height, width]` as `[batch, height, width, channels]`.
pub(super) fn channels_last(map: Tensor<4>) -> CubeTensor {
    floats(map.permute([0, 2, 3, 1]))
}

/// The map behind what [`channels_last`] gives.
pub(super) fn map_of(memory: CubeTensor) -> Tensor<4> {
    tensor::<4>(memory).permute([0, 3, 1, 2])
}

/// The memory of a tensor on the GPU without gaps, in whatever order it is.
pub(super) fn dense<const D: usize>(tensor: Tensor<D>) -> CubeTensor {
    let tensor = tensor.try_into_primitive::<Cube>();
    let tensor = tensor.expect("the caller asked where the tensor is");
    match tensor.is_contiguous_buffer() {
        true => tensor,
        false => into_contiguous(tensor),
    }
}

/// As [`floats`], of 32-bit words.
pub(super) fn words<const D: usize>(tensor: Tensor<D, Int>) -> CubeTensor {
    let tensor = tensor.try_into_primitive::<Cube>();
    into_contiguous(tensor.expect("the caller asked where the tensor is"))
}

/// What memory of more than half as many bytes takes.
const TILE_BYTES: usize = 32 << 20;

/// New memory for `shape` numbers beside `like`.
///
/// CubeCL reuses free memory for whatever fits in it. Tiles of maps are of many sizes up to
/// [`TILE_BYTES`]: since all take as much, any can be where any other was.
pub(super) fn empty<const D: usize>(like: &CubeTensor, shape: [usize; D]) -> CubeTensor {
    let (client, device) = (like.client.clone(), like.device.clone());
    let bytes = shape.iter().product::<usize>() * DType::F32.size();
    if !(TILE_BYTES / 2 + 1..TILE_BYTES).contains(&bytes) {
        return empty_device_contiguous_dtype(client, device, shape.into(), DType::F32);
    }
    let memory = client
        .empty(TILE_BYTES)
        .offset_end((TILE_BYTES - bytes) as u64);
    CubeTensor::new_contiguous(client, device, shape.into(), memory, DType::F32)
}

/// The tensor behind memory.
pub(super) fn tensor<const D: usize>(memory: CubeTensor) -> Tensor<D> {
    Tensor::from_primitive::<Cube>(memory)
}
