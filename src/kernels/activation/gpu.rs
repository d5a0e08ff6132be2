use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;

use super::Activation;
use crate::kernels::gemm::GELU;
use crate::kernels::wgsl::{Wgsl, dense, elementwise, empty, launch_elementwise, tensor};

pub(super) fn activate<const D: usize>(x: Tensor<D>, function: Activation) -> Tensor<D> {
    let x = dense(x);
    let count = x.meta.num_elements();
    let out = CubeTensor {
        // In the same order in memory.
        meta: x.meta.clone(),
        ..empty(&x, [count])
    };
    launch_elementwise(Activate { function }, count, &[&x], &out, &[]);
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
        let main = elementwise::<Self>(&format!("    let v = x[at];\n    out[at] = {value};\n"));
        format!("{functions}{main}")
    }
}
