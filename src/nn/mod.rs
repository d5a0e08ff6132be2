//! The layers that the models are built from, one a file.
//!
//! Every layer takes its weights by name from [`crate::weights::Weights`] and reads its sizes from
//! their shapes. Pictures and feature maps are `[batch, channels, height, width]`, token sequences
//! `[batch, tokens, channels]`.

mod activation;
mod attention_block;
mod chunks;
mod conv2d;
mod group_norm;
mod joint_linear;
mod layer_norm;
mod linear;
mod resample;
mod resnet;
mod row_tiles;
mod time_projections;
mod timestep;
mod tokens;

pub use activation::{gelu, quick_gelu, relu, silu};
pub use attention_block::AttentionBlock;
pub use chunks::by_chunks;
pub use conv2d::Conv2d;
pub use group_norm::{GroupNorm, GroupNormStatistics};
pub use joint_linear::JointLinear;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use resample::{Downsample, DownsamplePadding, Upsample};
pub use resnet::ResnetBlock;
pub use row_tiles::RowTiles;
pub use time_projections::{TimeProjections, TimeShift};
pub use timestep::{guidance_embedding, timestep_embedding};
pub use tokens::{from_tokens, to_tokens};

/// What an intermediate result may take, in bytes: half of the smallest binding that a WebGPU
/// device must offer. More gains no speed and takes memory.
#[cfg(not(test))]
const MAX_INTERMEDIATE_BYTES: usize = 64 << 20;
/// So little that the small tensors of the tests beside the layers are cut too.
#[cfg(test)]
const MAX_INTERMEDIATE_BYTES: usize = 1 << 10;
