use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, TensorData, module};

use super::AttentionMask;
use crate::kernels::flex::{contiguous, for_each_chunk};
use crate::lanes::Lanes;

/// What the scores of a run of queries may take, in bytes: a processor's cache holds them.
const MAX_SCORE_BYTES: usize = 4 << 20;

/// The queries are taken in runs, so that the scores of one stay small.
pub(super) fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    mask: AttentionMask,
) -> Tensor<3> {
    let [batch, queries, channels] = query.dims();
    let keys = key.dims()[1];
    let (query, key, value) = (split(query, heads), split(key, heads), split(value, heads));
    let attended = match mask {
        AttentionMask::Causal => {
            let options = AttentionModuleOptions {
                scale: None,
                softcap: None,
                is_causal: true,
            };
            module::attention(query, key, value, None, None, options)
        }
        AttentionMask::None => {
            let scale = ((channels / heads) as f32).sqrt().recip();
            let key = key.swap_dims(2, 3);
            let attend =
                |query: Tensor<4>| softmax(query.matmul(key.clone()), scale).matmul(value.clone());
            let run = (MAX_SCORE_BYTES / (4 * batch * heads * keys)).clamp(1, queries);
            let runs = query.split(run, 2).into_iter().map(attend);
            Tensor::cat(runs.collect(), 2)
        }
    };
    attended.swap_dims(1, 2).reshape([batch, queries, channels])
}

/// The softmax over the last axis of `scores` times `scale`.
fn softmax(scores: Tensor<4>, scale: f32) -> Tensor<4> {
    let (shape, device) = (scores.dims(), scores.device());
    let mut values = contiguous(scores).storage::<f32>().to_vec();
    for_each_chunk(&mut values, shape[3], |_, row| softmax_row(row, scale));
    Tensor::from_data(TensorData::new(values, shape), &device)
}

fn softmax_row(row: &mut [f32], scale: f32) {
    let (fours, rest) = row.as_chunks_mut::<4>();
    let mut largest = Lanes::splat(f32::MIN);
    for four in &*fours {
        largest = largest.greatest(Lanes::new(*four));
    }
    let all = largest.to_array().into_iter().chain(rest.iter().copied());
    let largest = all.fold(f32::MIN, f32::max);
    let weight = |score: Lanes| ((score - largest) * scale).exp();
    let mut sum = Lanes::splat(0.0);
    for four in &mut *fours {
        let weights = weight(Lanes::new(*four));
        sum = sum + weights;
        *four = weights.to_array();
    }
    let mut total: f32 = sum.to_array().into_iter().sum();
    for score in &mut *rest {
        [*score, ..] = weight(Lanes::splat(*score)).to_array();
        total += *score;
    }
    let share = total.recip();
    for four in fours {
        *four = (Lanes::new(*four) * share).to_array();
    }
    for weight in rest {
        *weight *= share;
    }
}

/// `[batch, tokens, channels]` to `[batch, heads, tokens, channels / heads]`.
fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, channels] = x.dims();
    let width = channels / heads;
    let split = x.reshape([batch, tokens, heads, width]).swap_dims(1, 2);
    // Put in this order in memory, once: every run of queries would do it anew.
    let ordered: Tensor<3> = split.reshape([batch * heads, tokens, width]);
    ordered.reshape([batch, heads, tokens, width])
}
