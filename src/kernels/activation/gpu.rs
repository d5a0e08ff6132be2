use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;

use super::Activation;
use crate::kernels::gemm::GELU;
use crate::kernels::wgsl::{Wgsl, dense, empty, launch, spread, tensor};

pub(super) fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    let x = dense(x);
    let count = x.meta.num_elements();
    let out = CubeTensor {
        // In the same order in memory.
        meta: x.meta.clone(),
        ..empty(&x, [count])
    };
    let workgroups = spread(count.div_ceil(Activate::INVOCATIONS as usize));
    launch(Activate { function }, workgroups, &[&x], &out, &[count]);
    tensor(out)
}

/// One number an invocation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Activate {
    function: Activation,
}

impl Wgsl for Activate {
    const INVOCATIONS: u32 = 256;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![("x", "f32"), ("out", "f32")]
    }

    fn body(&self) -> String {
        let (functions, value) = match self.function {
            Activation::Silu => ("", "v / (1.0 + exp(-v))"),
            Activation::Relu => ("", "max(v, 0.0)"),
            Activation::Gelu => (GELU, "gelu(v)"),
            Activation::QuickGelu => ("", "v / (1.0 + exp(-1.702 * v))"),
        };
        format!(
            "\
{functions}
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {{
    let at = (workgroup.x + workgroup.y * workgroups.x) * 256u + invocation;
    if (at >= info(0u)) {{ return; }}
    let v = x[at];
    out[at] = {value};
}}
"
        )
    }
}
