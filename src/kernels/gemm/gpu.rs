use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;

use super::{Addends, ConvGeometry, ConvRows};
use crate::kernels::wgsl::{
    Wgsl, channels_last, each, elementwise, empty, floats, has_half_precision, launch,
    launch_elementwise, map_of, spread, tensor, words,
};
use crate::kernels::{Channels, StoredValues, StoredWeight, dequantize};

/// Inputs that it takes at a time.
const TILE_DEPTH: usize = 16;
/// With fewer workgroups a GPU stands idle.
const ENOUGH_WORKGROUPS: usize = 128;

pub(super) fn linear(
    x: Tensor<3>,
    weight: &StoredWeight,
    out: usize,
    addends: Addends<3>,
) -> Tensor<3> {
    let product = Product::of_rows(&x, out, false);
    let addends = AddendBuffers {
        bias: addends.bias,
        shift: addends.shift,
        residual: addends.residual.map(floats),
    };
    product.of_tokens(x, weight, addends)
}

pub(super) fn linear_geglu(
    x: Tensor<3>,
    weight: &StoredWeight,
    out: usize,
    bias: Option<Tensor<1>>,
) -> Tensor<3> {
    let addends = AddendBuffers {
        bias,
        shift: None,
        residual: None,
    };
    Product::of_rows(&x, out, true).of_tokens(x, weight, addends)
}

pub(super) fn conv2d_by_rows(
    shape: [usize; 4],
    weight: &StoredWeight,
    rows: impl Iterator<Item = ConvRows>,
) -> Tensor<4> {
    let [batch, out, height, width] = shape;
    let mut target = None;
    let mut top = 0;
    for ConvRows {
        x,
        geometry,
        addends,
    } in rows
    {
        let [_, inputs, x_height, x_width] = x.dims();
        let residual_area = addends.residual.as_ref().map_or(0, |residual| {
            let [_, _, height, width] = residual.dims();
            height * width
        });
        let output = geometry.output([x_height, x_width]);
        let product = Product {
            batch,
            input: [x_height, x_width],
            output,
            inputs,
            out,
            geometry,
            geglu: false,
            residual_area,
            residual_start: addends.residual_top * width,
            out_area: height * width,
            out_start: top * width,
        };
        let addends = AddendBuffers {
            bias: addends.bias,
            shift: addends.shift,
            residual: addends.residual.map(channels_last),
        };
        let x = channels_last(x);
        let target = target.get_or_insert_with(|| empty(&x, [batch, height, width, out]));
        product.compute(x, weight, addends, target);
        top += output[0];
    }
    assert_eq!(top, height, "rows of an output");
    map_of(target.expect("an output has rows"))
}

/// What is added to a product, as the kernel takes it.
struct AddendBuffers {
    bias: Option<Tensor<1>>,
    shift: Option<Channels>,
    /// With the channels last.
    residual: Option<CubeTensor>,
}

/// One use of the kernel: a convolution of maps with the channels last.
struct Product {
    batch: usize,
    /// Height and width.
    input: [usize; 2],
    output: [usize; 2],
    /// Features.
    inputs: usize,
    out: usize,
    geometry: ConvGeometry,
    /// Compute twice `out` features, and gate the first half by the second.
    geglu: bool,
    /// Pixels of a picture of the residual's map and of the output's, and which of those is the first
    /// that is read and written.
    residual_area: usize,
    residual_start: usize,
    out_area: usize,
    out_start: usize,
}

impl Product {
    /// A product of the rows of `x`, a convolution of one tap over maps of one row.
    fn of_rows(x: &Tensor<3>, out: usize, geglu: bool) -> Self {
        let [batch, rows, inputs] = x.dims();
        Self {
            batch,
            input: [1, rows],
            output: [1, rows],
            inputs,
            out,
            geometry: ConvGeometry::POINTWISE,
            geglu,
            residual_area: rows,
            residual_start: 0,
            out_area: rows,
            out_start: 0,
        }
    }

    /// The product of tokens.
    fn of_tokens(&self, x: Tensor<3>, weight: &StoredWeight, addends: AddendBuffers) -> Tensor<3> {
        let x = floats(x);
        let out = empty(&x, [self.batch, self.out_area, self.out]);
        self.compute(x, weight, addends, &out);
        tensor(out)
    }

    /// Writes into `out`, which has the channels last.
    fn compute(
        &self,
        x: CubeTensor,
        weight: &StoredWeight,
        addends: AddendBuffers,
        out: &CubeTensor,
    ) {
        let [height, width] = self.output;
        let rows = self.batch * height * width;
        let AddendBuffers {
            bias,
            shift,
            residual,
        } = addends;
        let operand = Operand::new(
            weight,
            self.taps() * self.inputs * self.columns(),
            self.inputs,
        );
        let half = has_half_precision(&x);
        let mut kernel = Gemm::new(operand.storage, self.columns(), half);
        let columns = self.columns().div_ceil(kernel.tile_columns);
        if rows.div_ceil(kernel.tile_rows) * columns < ENOUGH_WORKGROUPS {
            kernel.tile_rows /= 2;
        }
        let row_tiles = rows.div_ceil(kernel.tile_rows);
        let steps = self.taps() * self.inputs.div_ceil(TILE_DEPTH);
        let splits = self.splits(row_tiles * columns, steps);
        let bias = bias.map(floats);
        let shift = shift.map(|shift| (shift.start, shift.tokens.dims()[2], floats(shift.tokens)));
        let (shift_start, shift_row) = shift
            .as_ref()
            .map_or((0, 0), |(start, row, _)| (*start, *row));
        let shift = shift.map(|(_, _, memory)| memory);
        let flags = usize::from(bias.is_some())
            | usize::from(shift.is_some()) << 1
            | usize::from(residual.is_some()) << 2
            | usize::from(self.geglu) << 3;
        let [top, left] = self.geometry.padding.map(|(before, _)| before);
        let [input_height, input_width] = self.input;
        let enlarged = self.geometry.enlarged;
        let [map_height, map_width] = enlarged.map_or(self.input, |enlarged| enlarged.size);
        let skip = enlarged.map_or(0, |enlarged| enlarged.skip);
        let info = [
            rows,
            self.columns(),
            self.inputs,
            height * width,
            width,
            input_height,
            input_width,
            self.geometry.kernel[1],
            self.taps(),
            self.geometry.stride,
            top,
            left,
            map_height,
            map_width,
            enlarged.is_some().into(),
            steps.div_ceil(splits),
            if splits > 1 { 0 } else { flags },
            operand.group_words,
            columns,
            shift_start,
            shift_row,
            skip,
            self.residual_area,
            self.residual_start,
            if splits > 1 {
                height * width
            } else {
                self.out_area
            },
            if splits > 1 { 0 } else { self.out_start },
        ];
        // What is not there is not read, but something has to be bound.
        let bias = bias.as_ref().unwrap_or(&x);
        let shift = shift.as_ref().unwrap_or(&x);
        let residual = residual.as_ref().unwrap_or(&x);
        let mut inputs = vec![&x, &operand.values, bias, shift, residual];
        inputs.extend(&operand.scales);
        // Row tiles may be more than fit one axis.
        let [x_count, y_count, _] = spread(row_tiles * columns);
        if splits == 1 {
            return launch(kernel, [x_count, y_count, 1], &inputs, out, &info);
        }
        let partial = empty(&x, [splits, rows, self.columns()]);
        launch(kernel, [x_count, y_count, splits], &inputs, &partial, &info);
        let info = [
            self.out,
            self.columns(),
            height * width,
            splits,
            rows,
            flags,
            shift_start,
            shift_row,
            self.residual_area,
            self.residual_start,
            self.out_area,
            self.out_start,
        ];
        let inputs = [&partial, bias, shift, residual];
        launch_elementwise(SumSplits, rows * self.out, &inputs, out, &info);
    }

    fn taps(&self) -> usize {
        let [height, width] = self.geometry.kernel;
        height * width
    }

    /// Rows of the weight.
    fn columns(&self) -> usize {
        self.out << usize::from(self.geglu)
    }

    /// Into how many parts the inputs are split where there are few workgroups.
    fn splits(&self, workgroups: usize, steps: usize) -> usize {
        // A part of fewer than 16 steps is not worth its share of the second pass.
        let most = (steps / 16).clamp(1, 16);
        ENOUGH_WORKGROUPS.div_ceil(workgroups).min(most)
    }
}

/// How the kernel finds weights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) enum Storage {
    /// Single `f32`, for a number of inputs that is no multiple of four.
    Numbers,
    F32,
    F16,
    Q8,
    Q4,
}

impl Storage {
    /// Whether weights have no more than half precision.
    fn is_rounded(self) -> bool {
        matches!(self, Self::F16 | Self::Q8 | Self::Q4)
    }
}

/// A weight as the kernel binds it.
struct Operand {
    storage: Storage,
    values: CubeTensor,
    scales: Option<CubeTensor>,
    /// Words that share a scale.
    group_words: usize,
}

impl Operand {
    /// `count` weights in runs of `inputs`.
    fn new(weight: &StoredWeight, count: usize, inputs: usize) -> Self {
        let (storage, values, scales, group_words) = match &weight.values {
            StoredValues::F32(values) if inputs.is_multiple_of(4) => {
                (Storage::F32, floats(values.as_ref().clone()), None, 1)
            }
            StoredValues::F16(values) if inputs.is_multiple_of(4) => {
                (Storage::F16, words(values.as_ref().clone()), None, 1)
            }
            StoredValues::Quantized(quantized) if inputs.is_multiple_of(quantized.group) => {
                let (storage, levels) = match quantized.bits {
                    4 => (Storage::Q4, 8),
                    _ => (Storage::Q8, 4),
                };
                let scales = Some(words(quantized.scales.clone()));
                let values = words(quantized.words.clone());
                (storage, values, scales, quantized.group / levels)
            }
            _ => {
                let storage = match inputs.is_multiple_of(4) {
                    true => Storage::F32,
                    false => Storage::Numbers,
                };
                (storage, floats(dequantize(weight, count)), None, 1)
            }
        };
        Self {
            storage,
            values,
            scales,
            group_words,
        }
    }
}

/// A tile of `tile_rows` pixels and `tile_columns` features a workgroup of 128 invocations, 4 or 8
/// pixels and 4 features each. Both operands of 16 inputs at a time stand in workgroup memory as
/// vectors along the inputs; an invocation's rows and columns are interleaved with its neighbours', so
/// that these read neighbouring vectors. `table.md` has what a GPU compiler makes of it.
///
/// In half precision both operands are rounded, and the 16 products of a step are summed up in two
/// halves of eight; over the steps sums are `f32`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct Gemm {
    pub(in crate::kernels) storage: Storage,
    pub(in crate::kernels) half: bool,
    pub(in crate::kernels) tile_rows: usize,
    pub(in crate::kernels) tile_columns: usize,
}

impl Gemm {
    /// For so many features, on a device that computes in half precision or does not. Where features
    /// are few, a tile is narrow and high.
    pub(in crate::kernels) fn new(storage: Storage, features: usize, half: bool) -> Self {
        let (tile_rows, tile_columns) = match features {
            ..=32 => (128, 32),
            _ => (64, 64),
        };
        Self {
            storage,
            half: half && storage.is_rounded(),
            tile_rows,
            tile_columns,
        }
    }

    /// Numbers of the tiles.
    fn element(&self) -> &'static str {
        match self.half {
            true => "f16",
            false => "f32",
        }
    }

    /// Invocations that are beside each other in a tile.
    fn across(&self) -> usize {
        self.tile_columns / 4
    }

    /// Invocations that are below each other in a tile.
    fn down(&self) -> usize {
        Self::INVOCATIONS as usize / self.across()
    }

    /// Code that brings what each invocation loads of the weights into workgroup memory.
    fn load_weights(&self) -> String {
        // How many vectors a load gives, and the load.
        let (vectors, code) = match self.storage {
            Storage::Numbers => (
                1,
                "let at = (row * taps + tap) * inputs + channel + part * 4u;
            var v = vec4<f32>(0.0);
            for (var i = 0u; i < 4u; i++) {
                if (inside && channel + part * 4u + i < inputs) { v[i] = weight[at + i]; }
            }
            tile_b[part * WIDEu + column] = vec4<ELEMENT>(v);",
            ),
            Storage::F32 => (
                1,
                "let at = ((row * taps + tap) * inputs + channel) / 4u + part;
            var v = vec4<f32>(0.0);
            if (inside && channel + part * 4u < inputs) { v = weight[at]; }
            tile_b[part * WIDEu + column] = vec4<ELEMENT>(v);",
            ),
            Storage::F16 => (
                1,
                "let at = ((row * taps + tap) * inputs + channel) / 4u + part;
            var v = vec4<f32>(0.0);
            if (inside && channel + part * 4u < inputs) {
                let w = weight[at];
                v = vec4<f32>(unpack2x16float(w.x), unpack2x16float(w.y));
            }
            tile_b[part * WIDEu + column] = vec4<ELEMENT>(v);",
            ),
            Storage::Q8 => (
                1,
                "let at = ((row * taps + tap) * inputs + channel) / 4u + part;
            var v = vec4<f32>(0.0);
            if (inside && channel + part * 4u < inputs) {
                let w = weight[at];
                let levels = vec4<f32>(vec4<u32>(w, w >> 8u, w >> 16u, w >> 24u) & vec4<u32>(255u));
                v = (levels - 128.0) * scale_of(at);
            }
            tile_b[part * WIDEu + column] = vec4<ELEMENT>(v);",
            ),
            Storage::Q4 => (
                2,
                "let at = ((row * taps + tap) * inputs + channel) / 8u + part;
            var low = vec4<f32>(0.0);
            var high = vec4<f32>(0.0);
            if (inside && channel + part * 8u < inputs) {
                let w = weight[at];
                let scale = scale_of(at);
                let l = vec4<u32>(w, w >> 4u, w >> 8u, w >> 12u) & vec4<u32>(15u);
                let h = vec4<u32>(w >> 16u, w >> 20u, w >> 24u, w >> 28u) & vec4<u32>(15u);
                low = (vec4<f32>(l) - 8.0) * scale;
                high = (vec4<f32>(h) - 8.0) * scale;
            }
            tile_b[part * 2u * WIDEu + column] = vec4<ELEMENT>(low);
            tile_b[(part * 2u + 1u) * WIDEu + column] = vec4<ELEMENT>(high);",
            ),
        };
        let wide = self.tile_columns;
        let code = code.replace("WIDEu", &format!("{wide}u"));
        let code = code.replace("ELEMENT", self.element());
        let parts = TILE_DEPTH / 4 / vectors;
        let all = wide * parts;
        let load = |index: usize| {
            // Of a narrow tile with vectors in pairs, half of the invocations load something.
            let some = match all < Self::INVOCATIONS as usize {
                true => format!("if (invocation < {all}u) "),
                false => String::new(),
            };
            format!(
                "        {some}{{
            let load = invocation + {}u;
            let column = load / {parts}u;
            let part = load % {parts}u;
            let row = weight_row(column);
            let inside = row < columns;
            {code}
        }}\n",
                index * Self::INVOCATIONS as usize
            )
        };
        each(all.div_ceil(Self::INVOCATIONS as usize), load)
    }

    /// Rows of a tile in one invocation, 4 or 8.
    fn rows_each(&self) -> usize {
        self.tile_rows / self.down()
    }

    /// Where an invocation finds a vector of its row `i` in workgroup memory.
    fn row(&self, i: usize) -> String {
        format!(
            "tile_a[k * {}u + ty + {}u]",
            self.tile_rows,
            i * self.down()
        )
    }

    /// The same for its column `j`.
    fn column(&self, j: usize) -> String {
        let wide = self.tile_columns;
        format!("tile_b[k * {wide}u + tx + {}u]", j * self.across())
    }

    /// Code that adds the products of a step to the sums.
    fn products(&self) -> String {
        if self.half {
            let firsts = (0..self.rows_each()).step_by(4);
            return firsts.map(|first| self.half_products(first)).collect();
        }
        let columns: Vec<String> = (0..4).map(|j| self.column(j)).collect();
        let columns = columns.join(", ");
        let products = each(self.rows_each(), |i| {
            format!("            sum_{i} += {} * b;\n", self.row(i))
        });
        format!(
            "        for (var k = 0u; k < 4u; k++) {{
            let b = mat4x4<f32>({columns});
{products}        }}\n"
        )
    }

    /// The same in half precision for four rows: eight at a time take so many registers that half as many
    /// waves fit.
    fn half_products(&self, first: usize) -> String {
        let for_parts = |text: &dyn Fn(usize, usize) -> String| -> String {
            let rows = first..first + 4;
            rows.map(|i| each(4, |j| text(i, j))).collect()
        };
        let zeros = for_parts(&|i, j| format!("            var part_{i}_{j} = vec2<f16>();\n"));
        let operands = each(4, |n| {
            let (row, column) = (self.row(first + n), self.column(n));
            format!(
                "                let a_{} = {row};\n                let b_{n} = {column};\n",
                first + n
            )
        });
        // Neighbouring inputs lie side by side in both operands, as arithmetic on pairs needs.
        let products = for_parts(&|i, j| {
            format!(
                "                part_{i}_{j} = fma(a_{i}.xy, b_{j}.xy, part_{i}_{j});
                part_{i}_{j} = fma(a_{i}.zw, b_{j}.zw, part_{i}_{j});\n"
            )
        });
        let sums = for_parts(&|i, j| {
            format!("            sum_{i}[{j}] += f32(part_{i}_{j}.x) + f32(part_{i}_{j}.y);\n")
        });
        format!(
            "        {{
{zeros}            for (var k = 0u; k < 4u; k++) {{
{operands}{products}            }}
{sums}        }}\n"
        )
    }

    /// How many vectors of the input an invocation loads.
    fn input_loads(&self) -> usize {
        self.tile_rows * TILE_DEPTH / 4 / Self::INVOCATIONS as usize
    }
}

impl Wgsl for Gemm {
    const INVOCATIONS: u32 = 128;

    fn half_precision(&self) -> bool {
        self.half
    }

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        let (input, weight) = match self.storage {
            Storage::Numbers => ("f32", "f32"),
            Storage::F32 => ("vec4<f32>", "vec4<f32>"),
            Storage::F16 => ("vec4<f32>", "vec2<u32>"),
            Storage::Q8 | Storage::Q4 => ("vec4<f32>", "u32"),
        };
        let mut bindings = vec![
            ("x", input),
            ("weight", weight),
            ("bias", "f32"),
            ("shift", "f32"),
            ("residual", "f32"),
        ];
        if matches!(self.storage, Storage::Q8 | Storage::Q4) {
            bindings.push(("scales", "u32"));
        }
        bindings.push(("out", "f32"));
        bindings
    }

    fn body(&self) -> String {
        let (tile_rows, wide) = (self.tile_rows, self.tile_columns);
        let (across, down) = (self.across(), self.down());
        let rows_each = self.rows_each();
        // Half of a gated tile is gates.
        let half = wide / 2;
        let loads = self.input_loads();
        let pixels = each(loads, |load| {
            format!(
                "    let pixel_{load} = place(first_row + (invocation + {}u) / 4u, rows);
    var base_{load} = 0u;
    var inside_{load} = false;\n",
                load * 128
            )
        });
        let taps = each(loads, |load| {
            format!(
                "            {{
                let p = source(pixel_{load}, tap);
                inside_{load} = p.y != 0u;
                base_{load} = p.x;
            }}\n"
            )
        });
        let number = match self.storage {
            Storage::Numbers => {
                "for (var i = 0u; i < 4u; i++) {
                    if (at + i < inputs) { v[i] = x[BASE * inputs + at + i]; }
                }"
            }
            _ => "if (at < inputs) { v = x[(BASE * inputs + at) / 4u]; }",
        };
        // What is beyond half precision's range stays as near as it can.
        let stored = match self.half {
            true => "vec4<f16>(clamp(v, vec4<f32>(-65504.0), vec4<f32>(65504.0)))",
            false => "v",
        };
        let load_input = each(loads, |load| {
            let number = number.replace("BASE", &format!("base_{load}"));
            format!(
                "        {{
            let load = invocation + {}u;
            let at = channel + load % 4u * 4u;
            var v = vec4<f32>(0.0);
            if (inside_{load}) {{ {number} }}
            tile_a[load % 4u * {tile_rows}u + load / 4u] = {stored};
        }}\n",
                load * 128
            )
        });
        let sums = each(rows_each, |i| {
            format!("    var sum_{i} = vec4<f32>(0.0);\n")
        });
        let next = each(rows_each - 1, |i| format!("sum_{i} = sum_{}; ", i + 1));
        let load_weights = self.load_weights();
        let (element, products) = (self.element(), self.products());
        let scale_of = match self.storage {
            Storage::Q4 | Storage::Q8 => {
                "fn scale_of(word: u32) -> f32 {
    let group = word / info(17u);
    let pair = unpack2x16float(scales[group / 2u]);
    return select(pair.x, pair.y, (group & 1u) == 1u);
}"
            }
            _ => "",
        };
        format!(
            "\
var<workgroup> tile_a: array<vec4<{element}>, {}>;
var<workgroup> tile_b: array<vec4<{element}>, {}>;

{GELU}
{scale_of}

// Picture, row and column of an output pixel; the last component is 0 beyond the last.
fn place(pixel: u32, rows: u32) -> vec4<u32> {{
    let area = info(3u);
    let width = info(4u);
    let rest = pixel % area;
    return vec4<u32>(pixel / area, rest / width, rest % width, select(0u, 1u, pixel < rows));
}}

// Which input pixel a tap of the kernel sees, and whether there is one.
fn source(pixel: vec4<u32>, tap: u32) -> vec2<u32> {{
    let kernel_width = info(7u);
    let stride = info(9u);
    let height = info(5u);
    let width = info(6u);
    let enlarged = info(14u);
    let y = pixel.y * stride + tap / kernel_width;
    let x = pixel.z * stride + tap % kernel_width;
    let top = info(10u);
    let left = info(11u);
    let inside = pixel.w == 1u && y >= top && x >= left && y - top < info(12u)
        && x - left < info(13u);
    let at = (pixel.x * height + ((y - top + info(21u)) >> enlarged)) * width + ((x - left) >> enlarged);
    return vec2<u32>(select(0u, at, inside), select(0u, 1u, inside));
}}

fn store(row: u32, column: u32, sum: f32, split: u32) {{
    let columns = info(1u);
    if (column >= columns) {{ return; }}
    let flags = info(16u);
    var value = sum;
    if ((flags & 1u) != 0u) {{ value += bias[column]; }}
    let picture = row / info(3u);
    let pixel = row - picture * info(3u);
    if ((flags & 2u) != 0u) {{ value += shift[info(19u) + picture * info(20u) + column]; }}
    if ((flags & 4u) != 0u) {{
        value += residual[(picture * info(22u) + info(23u) + pixel) * columns + column];
    }}
    let first = split * info(0u) + picture * info(24u) + info(25u);
    out[(first + pixel) * columns + column] = value;
}}

fn store_gated(row: u32, column: u32, sum: f32, gate: f32) {{
    let columns = info(1u) / 2u;
    if (column >= columns) {{ return; }}
    var value = sum;
    var gated = gate;
    if ((info(16u) & 1u) != 0u) {{
        value += bias[column];
        gated += bias[columns + column];
    }}
    out[row * columns + column] = value * gelu(gated);
}}

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>,
        @builtin(local_invocation_index) invocation: u32) {{
    let rows = info(0u);
    let columns = info(1u);
    let inputs = info(2u);
    let taps = info(8u);
    let flags = info(16u);
    let column_tiles = info(18u);
    let number = workgroup.x + workgroup.y * workgroups.x;
    let tile_column = number % column_tiles;
    let first_row = number / column_tiles * {tile_rows}u;
    let split = workgroup.z;
    let tx = invocation % {across}u;
    let ty = invocation / {across}u;
{pixels}{sums}
    let steps_a_tap = (inputs + 15u) / 16u;
    let first_step = split * info(15u);
    let end = min(first_step + info(15u), taps * steps_a_tap);
    var tap = first_step / steps_a_tap;
    var channel = first_step % steps_a_tap * 16u;
    var new_tap = true;
    for (var step = first_step; step < end; step++) {{
        if (new_tap) {{
{taps}        }}
{load_input}{load_weights}        workgroupBarrier();
{products}        workgroupBarrier();
        channel += 16u;
        new_tap = channel >= inputs;
        if (new_tap) {{
            channel = 0u;
            tap++;
        }}
    }}
    // A loop over the rows of sums, which move up: a compiler takes long for what is written out.
    for (var row = first_row + ty; row < min(first_row + {tile_rows}u, rows); row += {down}u) {{
        for (var j = 0u; j < 4u; j++) {{
            if ((flags & 8u) == 0u) {{
                store(row, tile_column * {wide}u + tx + j * {across}u, sum_0[j], split);
            }} else if (j < 2u) {{
                store_gated(row, tile_column * {half}u + tx + j * {across}u, sum_0[j], sum_0[j + 2u]);
            }}
        }}
        {next}
    }}
}}
",
            tile_rows * 4,
            wide * 4,
        )
        .replace(
            "weight_row(column)",
            &format!(
                "select(tile_column * {wide}u + column, \
                 tile_column * {half}u + select(column, columns / 2u + column - {half}u, column >= {half}u), \
                 (flags & 8u) != 0u)"
            ),
        )
    }
}

/// The exact GELU, by the error function (Abramowitz and Stegun, 7.1.26: off by 1.5e-7 at most).
pub(in crate::kernels) const GELU: &str = "\
fn gelu(x: f32) -> f32 {
    let z = abs(x) * 0.7071067811865476;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027
        + t * 1.061405429))));
    let erf = 1.0 - p * exp(-z * z);
    return 0.5 * x * (1.0 + select(erf, -erf, x < 0.0));
}
";

/// Adds up what the parts of the inputs gave, and the addends. One output an invocation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(in crate::kernels) struct SumSplits;

impl Wgsl for SumSplits {
    const INVOCATIONS: u32 = 256;

    fn bindings(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("partial", "f32"),
            ("bias", "f32"),
            ("shift", "f32"),
            ("residual", "f32"),
            ("out", "f32"),
        ]
    }

    fn body(&self) -> String {
        let total = "\
fn total(row: u32, column: u32) -> f32 {
    let columns = info(2u);
    var sum = 0.0;
    for (var split = 0u; split < info(4u); split++) {
        sum += partial[(split * info(5u) + row) * columns + column];
    }
    if ((info(6u) & 1u) != 0u) { sum += bias[column]; }
    return sum;
}
";
        let main = elementwise::<Self>(
            "\
    let width = info(1u);
    let row = at / width;
    let column = at % width;
    let flags = info(6u);
    var value = total(row, column);
    let picture = row / info(3u);
    let pixel = row - picture * info(3u);
    if ((flags & 2u) != 0u) { value += shift[info(7u) + picture * info(8u) + column]; }
    if ((flags & 4u) != 0u) {
        value += residual[(picture * info(9u) + info(10u) + pixel) * width + column];
    }
    if ((flags & 8u) != 0u) { value *= gelu(total(row, width + column)); }
    out[(picture * info(11u) + info(12u) + pixel) * width + column] = value;
",
        );
        format!("{GELU}{total}{main}")
    }
}
