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
/// memory in tiles, and the softmax is corrected where a tile has larger scores. A query and what it
/// gathers stay in the registers of `parts` invocations, at most ten vectors in each. The scores of
/// a tile stand in workgroup memory, so that its keys are a loop: written out, they took a driver's
/// compiler ten times as long.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct Flash {
    /// Vectors of four in a head.
    width: usize,
    /// Invocations that share a query, a power of two.
    parts: usize,
}

/// Keys of a tile, at most.
const MAX_TILE: usize = 16;

/// The workgroup memory that every device has, in bytes.
const WORKGROUP_BYTES: usize = 16_384;

impl Flash {
    pub(in crate::kernels) fn for_width(width: usize) -> Self {
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

    /// Keys of a tile, a power of two.
    fn tile(&self) -> usize {
        // A key, a value and, of each invocation, the score and its part of it.
        let bytes = self.stride() * 32 + Self::INVOCATIONS as usize * 8;
        let keys = (WORKGROUP_BYTES / bytes).clamp(1, MAX_TILE);
        1 << keys.ilog2()
    }

    /// Code that takes the scores of a tile's keys and the largest one.
    fn take_scores(&self) -> String {
        let dots = each(self.vectors(), |i| format!(" + dot(q{i}, keys[at + {i}u])"));
        let keep = "            let score = select(-3.0e38, sum, start + j < visible);
            largest = max(largest, score);
            scores[j * 64u + invocation] = score;\n";
        if self.parts == 1 {
            return self.over_keys(&format!("            let sum = 0.0{dots};\n{keep}"));
        }
        let share = format!("            partial_scores[j * 64u + invocation] = 0.0{dots};\n");
        let sum = each(self.parts, |part| {
            format!(" + partial_scores[j * 64u + first_part + {part}u]")
        });
        let add_up = format!("            let sum = 0.0{sum};\n{keep}");
        format!(
            "{}        workgroupBarrier();\n{}",
            self.over_keys(&share),
            self.over_keys(&add_up)
        )
    }

    /// Code that adds the values of a tile by the weights of its keys.
    fn gather(&self) -> String {
        let products = each(self.vectors(), |i| {
            format!("            o{i} += weight * values[at + {i}u];\n")
        });
        self.over_keys(&format!(
            "            let weight = exp(scores[j * 64u + invocation] - largest);
            total += weight;\n{products}"
        ))
    }

    /// A loop over the keys `j` of a tile; in `code`, `at` is where this invocation's vectors begin.
    fn over_keys(&self, code: &str) -> String {
        let (stride, vectors) = (self.stride(), self.vectors());
        format!(
            "        for (var j = 0u; j < count; j++) {{
            let at = j * {stride}u + part * {vectors}u;
{code}        }}\n"
        )
    }

    fn workgroup_memory(&self) -> String {
        let (vectors, scores) = (self.tile() * self.stride(), self.tile() * 64);
        let partial_scores = match self.parts {
            1 => String::new(),
            _ => format!("var<workgroup> partial_scores: array<f32, {scores}>;\n"),
        };
        format!(
            "\
var<workgroup> keys: array<vec4<f32>, {vectors}>;
var<workgroup> values: array<vec4<f32>, {vectors}>;
var<workgroup> scores: array<f32, {scores}>;
{partial_scores}"
        )
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
        let load_query = each(vectors, |i| {
            format!(
                "    var q{i} = vec4<f32>(0.0);
    if (at_query && part * {vectors}u + {i}u < {width}u) {{
        q{i} = query[query_base + part * {vectors}u + {i}u] * scale;
    }}
    var o{i} = vec4<f32>(0.0);\n"
            )
        });
        let correct = each(vectors, |i| format!("        o{i} *= correction;\n"));
        let store = each(vectors, |i| {
            format!(
                "        if (part * {vectors}u + {i}u < {width}u) {{
            out[out_base + part * {vectors}u + {i}u] = o{i} / total;
        }}\n"
            )
        });
        let (memory, take_scores, gather) =
            (self.workgroup_memory(), self.take_scores(), self.gather());
        format!(
            "\
{memory}
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
        // That the count is not known keeps compilers from writing the loops out.
        let count = min({tile}u, key_count - start);
        var largest = highest;
{take_scores}        let correction = exp(highest - largest);
        highest = largest;
        total *= correction;
{correct}{gather}    }}
    if (at_query) {{
{store}    }}
}}
",
            tile_vectors = tile * stride,
        )
    }
}
