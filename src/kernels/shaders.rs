use super::attention::gpu::Flash;
use super::gemm::gpu::{Gemm, Storage, SumSplits};
use super::group_norm::gpu::{Apply, ChannelStatistics, Merge, Small};
use super::layer_norm::gpu::LayerNorm;
use super::wgsl::text;

/// The shaders of Stable Diffusion 1.5 and of the transparency networks by name, to be looked at with
/// a GPU's compiler.
pub fn shaders() -> Vec<(String, String)> {
    let mut shaders = Vec::new();
    let mut add = |name: &str, text: String| shaders.push((name.to_owned(), text));
    for storage in [
        Storage::Q4,
        Storage::Q8,
        Storage::F16,
        Storage::F32,
        Storage::Numbers,
    ] {
        for half in [false, true] {
            for features in [64, 32] {
                for halved in [false, true] {
                    let mut kernel = Gemm::new(storage, features, half);
                    if kernel.half != half {
                        continue;
                    }
                    kernel.tile_rows >>= usize::from(halved);
                    let tile = format!("{}x{}", kernel.tile_rows, kernel.tile_columns);
                    let half = if half { "-half" } else { "" };
                    let name = format!("gemm-{storage:?}{half}-{tile}").to_lowercase();
                    add(&name, text(&kernel));
                }
            }
        }
    }
    add("gemm-sum", text(&SumSplits));
    for width in [8, 40, 80, 160, 512] {
        add(
            &format!("attention-{width}"),
            text(&Flash::for_width(width / 4)),
        );
    }
    add("group-norm-channels", text(&ChannelStatistics));
    add("group-norm-merge", text(&Merge));
    add("group-norm-small", text(&Small));
    add("group-norm-apply", text(&Apply { lanes: 4 }));
    add("layer-norm", text(&LayerNorm));
    shaders
}
