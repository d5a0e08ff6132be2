use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Tensor, TensorData};

use super::AttentionMask;
use crate::kernels::Channels;
use crate::kernels::flex::{contiguous, for_each_chunk_with};
use crate::kernels::panels::{self, ROWS};
use crate::lanes::Lanes;

/// A panel of queries at a time: the scores of those with all keys stay in a processor's cache.
pub(super) fn attention(
    query: Channels,
    key: Channels,
    value: Channels,
    heads: usize,
    mask: AttentionMask,
) -> Tensor<3> {
    let ([batch, queries, _], channels) = (query.tokens.dims(), query.count);
    let (device, width) = (query.tokens.device(), channels / heads);
    let [_, keys, _] = key.tokens.dims();
    let [query, key, value] = [query, key, value].map(|channels| Heads::new(channels, width));
    let mut result = vec![0f32; batch * queries * channels];
    for (picture, result) in result.chunks_exact_mut(queries * channels).enumerate() {
        let heads: Vec<Head> = (0..heads)
            .map(|head| Head {
                keys: {
                    let key = |token: usize| key.row(picture, token, head);
                    panels::pack(key, keys, width, panels::columns())
                },
                values: {
                    let value = (0..keys).map(|token| value.row(picture, token, head));
                    panels::pack_columns(value, width)
                },
            })
            .collect();
        let room = || Room::new(keys, width);
        for_each_chunk_with(
            result,
            ROWS * channels,
            2 * keys,
            room,
            |room, panel, result| {
                for (index, head) in heads.iter().enumerate() {
                    let token = |row: usize| query.row(picture, panel * ROWS + row, index);
                    let count = result.len() / channels;
                    panels::pack_panel(token, count, ROWS, &mut room.queries);
                    let attended = room.attend(head, panel * ROWS, mask);
                    let rows = result.chunks_exact_mut(channels);
                    for (result, attended) in rows.zip(attended) {
                        panels::copy(&attended[..width], &mut result[index * width..]);
                    }
                }
            },
        );
    }
    Tensor::from_data(TensorData::new(result, [batch, queries, channels]), &device)
}

/// Tokens in parts of their channels.
struct Heads {
    values: FloatTensor<Flex>,
    tokens: usize,
    /// Numbers from one token to the next.
    stride: usize,
    /// The first channel of the first head.
    start: usize,
    width: usize,
}

impl Heads {
    fn new(channels: Channels, width: usize) -> Self {
        let [_, tokens, stride] = channels.tokens.dims();
        Self {
            values: contiguous(channels.tokens),
            tokens,
            stride,
            start: channels.start,
            width,
        }
    }

    /// A head of a picture's token.
    fn row(&self, picture: usize, token: usize, head: usize) -> &[f32] {
        let at = (picture * self.tokens + token) * self.stride + self.start + head * self.width;
        &self.values.storage()[at..][..self.width]
    }
}

/// The keys and values of a head as the right matrices of products.
struct Head {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// What a panel of queries needs.
struct Room {
    queries: Vec<f32>,
    keys: usize,
    scores: Vec<f32>,
    packed_scores: Vec<f32>,
    attended: Vec<f32>,
}

impl Room {
    fn new(keys: usize, width: usize) -> Self {
        let whole_panels = |columns: usize| columns.next_multiple_of(panels::columns());
        Self {
            queries: vec![0f32; ROWS * width],
            keys,
            scores: vec![0f32; ROWS * whole_panels(keys)],
            packed_scores: vec![0f32; ROWS * keys],
            attended: vec![0f32; ROWS * whole_panels(width)],
        }
    }

    /// What the queries attend to, of which the first is the one with index `first`.
    fn attend(
        &mut self,
        head: &Head,
        first: usize,
        mask: AttentionMask,
    ) -> impl Iterator<Item = &[f32]> {
        let width = self.queries.len() / ROWS;
        let stride = panels::columns() * width;
        panels::multiply(&self.queries, &head.keys, stride, width, &mut self.scores);
        let scale = (width as f32).sqrt().recip();
        let row_length = self.scores.len() / ROWS;
        for (row, scores) in self.scores.chunks_exact_mut(row_length).enumerate() {
            let seen = match mask {
                AttentionMask::None => self.keys,
                AttentionMask::Causal => (first + row + 1).min(self.keys),
            };
            let (seen, unseen) = scores.split_at_mut(seen);
            softmax(seen, scale);
            unseen.fill(0.0);
        }
        let row = |row: usize| &self.scores[row * row_length..][..self.keys];
        panels::pack_panel(row, ROWS, ROWS, &mut self.packed_scores);
        let stride = panels::columns() * self.keys;
        panels::multiply(
            &self.packed_scores,
            &head.values,
            stride,
            self.keys,
            &mut self.attended,
        );
        self.attended.chunks_exact(self.attended.len() / ROWS)
    }
}

/// The softmax of `row` times `scale`.
fn softmax(row: &mut [f32], scale: f32) {
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

#[cfg(test)]
mod tests {
    use burn::tensor::module;
    use burn::tensor::ops::AttentionModuleOptions;

    use super::*;
    use crate::kernels::test::{assert_near, random};

    fn split(x: Tensor<3>, heads: usize) -> Tensor<4> {
        let [batch, tokens, channels] = x.dims();
        let split = x.reshape([batch, tokens, heads, channels / heads]);
        split.swap_dims(1, 2)
    }

    /// Against Burn's: one query, tokens and widths that fill no panel, parts of one tensor, a mask.
    #[test]
    fn equals_burns() {
        let cases = [
            (2, 8, 40, 100, 100, AttentionMask::None),
            (2, 1, 160, 33, 9, AttentionMask::None),
            (1, 3, 44, 1, 5, AttentionMask::None),
            (1, 12, 64, 77, 77, AttentionMask::Causal),
            (2, 4, 3, 20, 20, AttentionMask::Causal),
        ];
        for (batch, heads, width, queries, keys, mask) in cases {
            let channels = heads * width;
            let query = random([batch, queries, channels], 1).mul_scalar(3.0);
            let joint = random([batch, keys, 2 * channels], 2);
            let [key, value] = Channels::parts(joint);
            let options = AttentionModuleOptions {
                scale: None,
                softcap: None,
                is_causal: mask == AttentionMask::Causal,
            };
            let expected = module::attention(
                split(query.clone(), heads),
                split(key.clone().narrow(), heads),
                split(value.clone().narrow(), heads),
                None,
                None,
                options,
            );
            let expected = expected.swap_dims(1, 2).reshape([batch, queries, channels]);
            assert_near(
                expected,
                attention(query.into(), key, value, heads, mask),
                1e-5,
            );
        }
    }
}
