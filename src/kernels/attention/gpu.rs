use burn::tensor::Tensor;

use super::{AttentionMask, Channels};
use crate::kernels::wgsl::{Wgsl, each, empty, floats, launch, tensor};

pub(super) fn attention(
    query: Channels,
    key: Channels,
    value: Channels,
    heads: usize,
    mask: AttentionMask,
) -> Tensor<3> {
    let [batch, queries, _] = query.tokens.dims();
    let (keys, channels) = (key.tokens.dims()[1], query.count);
    let scale = 1.0 / (channels as f32 / heads as f32).sqrt();
    let mut info = vec![
        queries,
        keys,
        channels / 4,
        scale.to_bits() as usize,
        (mask == AttentionMask::Causal).into(),
    ];
    // Where each begins, and how long a row of it is, in vectors.
    let memory = [query, key, value].map(|operand| {
        info.extend([operand.start / 4, operand.tokens.dims()[2] / 4]);
        floats(operand.tokens)
    });
    let [query, key, value] = &memory;
    let out = empty(query, [batch, queries, channels]);
    let kernel = Flash::for_width(channels / heads / 4);
    let workgroups = [queries.div_ceil(kernel.queries()), heads, batch];
    launch(kernel, workgroups, &[query, key, value], &out, &info);
    tensor(out)
}

/// Attention as in "FlashAttention" (Dao et al., 2022): keys and values pass through workgroup
/// memory in tiles, and the softmax is corrected as larger scores appear. A query and what it
/// gathers stay in the registers of `parts` invocations, at most ten vectors in each.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Flash {
    /// Vectors of four in a head.
    width: usize,
    /// Invocations that share a query, a power of two.
    parts: usize,
}

/// Keys whose scores are taken before the softmax is corrected, where a tile has as many.
const RUN: usize = 8;

/// What keys and values of a tile may take in workgroup memory together, in vectors.
const TILE_VECTORS: usize = 768;

impl Flash {
    fn for_width(width: usize) -> Self {
        let parts = width.div_ceil(10).next_power_of_two();
        Self { width, parts }
    }

    /// Vectors of a head in one invocation.
    fn vectors(&self) -> usize {
        self.width.div_ceil(self.parts)
    }

    /// Vectors of a head in a tile, filled up.
    fn stride(&self) -> usize {
        self.vectors() * self.parts
    }

    /// Queries of a workgroup.
    fn queries(&self) -> usize {
        Self::INVOCATIONS as usize / self.parts
    }

    /// Keys of a tile.
    fn tile(&self) -> usize {
        let keys = (TILE_VECTORS / 2 / self.stride()).clamp(1, 32);
        match keys < RUN {
            true => 1 << keys.ilog2(),
            false => keys / RUN * RUN,
        }
    }
}

impl Wgsl for Flash {
    const INVOCATIONS: u32 = 64;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("query", "vec4<f32>"),
            ("key", "vec4<f32>"),
            ("value", "vec4<f32>"),
            ("out", "vec4<f32>"),
        ]
    }

    fn body(&self) -> String {
        let (width, parts, vectors) = (self.width, self.parts, self.vectors());
        let (stride, tile, queries) = (self.stride(), self.tile(), self.queries());
        let run = RUN.min(tile);
        let load_query = each(vectors, |i| {
            format!(
                "    var q{i} = vec4<f32>(0.0);
    if (at_query && part * {vectors}u + {i}u < {width}u) {{
        q{i} = query[query_base + part * {vectors}u + {i}u] * scale;
    }}
    var o{i} = vec4<f32>(0.0);\n"
            )
        });
        let scores = each(run, |j| {
            let dots = each(vectors, |i| {
                format!(" s{j} += dot(q{i}, keys[at + {}u]);", j * stride + i)
            });
            format!("            var s{j} = 0.0;{dots}\n")
        });
        let share = match parts {
            1 => String::new(),
            _ => {
                let write = each(run, |j| {
                    format!(
                        "            shared_scores[{}u + invocation] = s{j};\n",
                        j * 64
                    )
                });
                let read = each(run, |j| {
                    let sum: Vec<String> = (0..parts)
                        .map(|part| format!("shared_scores[{}u + first_part]", j * 64 + part))
                        .collect();
                    format!("            s{j} = {};\n", sum.join(" + "))
                });
                format!(
                    "{write}            workgroupBarrier();\n{read}            workgroupBarrier();\n"
                )
            }
        };
        let mask = each(run, |j| {
            format!("            s{j} = select(-3.0e38, s{j}, first + {j}u < visible);\n")
        });
        let largest = each(run, |j| {
            format!("            largest = max(largest, s{j});\n")
        });
        let weights = each(run, |j| {
            format!("            let p{j} = exp(s{j} - largest); total += p{j};\n")
        });
        let gather = each(vectors, |i| {
            let products = each(run, |j| {
                format!(" + p{j} * values[at + {}u]", j * stride + i)
            });
            format!("            o{i} = o{i} * correction{products};\n")
        });
        let store = each(vectors, |i| {
            format!(
                "        if (part * {vectors}u + {i}u < {width}u) {{
            out[out_base + part * {vectors}u + {i}u] = o{i} / total;
        }}\n"
            )
        });
        let shared_scores = match parts {
            1 => String::new(),
            _ => format!("var<workgroup> shared_scores: array<f32, {}>;\n", run * 64),
        };
        format!(
            "\
var<workgroup> keys: array<vec4<f32>, {tile_vectors}>;
var<workgroup> values: array<vec4<f32>, {tile_vectors}>;
{shared_scores}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {{
    let query_count = info(0u);
    let key_count = info(1u);
    let row = info(2u);
    let scale = bitcast<f32>(info(3u));
    let part = invocation % {parts}u;
    let first_part = invocation - part;
    let index = workgroup.x * {queries}u + invocation / {parts}u;
    let at_query = index < query_count;
    let head = workgroup.y * {width}u;
    let token = workgroup.z * query_count + index;
    let query_base = info(5u) + token * info(6u) + head;
    let key_row = info(8u);
    let key_base = info(7u) + workgroup.z * key_count * key_row + head;
    let value_row = info(10u);
    let value_base = info(9u) + workgroup.z * key_count * value_row + head;
    let out_base = token * row + head;
    let visible = select(key_count, min(index + 1u, key_count), info(4u) == 1u);
{load_query}    var highest = -3.0e38;
    var total = 0.0;
    for (var start = 0u; start < key_count; start += {tile}u) {{
        workgroupBarrier();
        for (var i = invocation; i < {tile_vectors}u; i += 64u) {{
            let at_key = start + i / {stride}u;
            let column = i % {stride}u;
            var k = vec4<f32>(0.0);
            var v = vec4<f32>(0.0);
            if (at_key < key_count && column < {width}u) {{
                k = key[key_base + at_key * key_row + column];
                v = value[value_base + at_key * value_row + column];
            }}
            keys[i] = k;
            values[i] = v;
        }}
        workgroupBarrier();
        for (var offset = 0u; offset < {tile}u; offset += {run}u) {{
            let at = offset * {stride}u + part * {vectors}u;
            let first = start + offset;
{scores}{share}{mask}            var largest = highest;
{largest}            let correction = exp(highest - largest);
            highest = largest;
            total *= correction;
{weights}{gather}        }}
    }}
    if (at_query) {{
{store}    }}
}}
",
            tile_vectors = tile * stride,
        )
    }
}
