//! Products of matrices in panels: what a processor reads of them lies in the order in which it reads it.
//!
//! A panel of the left matrix is a few of its rows, one of the right matrix a few of its columns, and both lie
//! with what belongs to one step of the sum together (Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008). The sums of one panel with another stay in registers.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use crate::kernels::HostWeight;
use crate::kernels::flex::{for_each_chunk, for_each_chunk_with};
use crate::lanes::{Lanes, map_lanes};

/// Rows of the left matrix in a panel. With [`VECTORS`] it makes eight sums. Twelve would fit into sixteen registers too,
/// but browsers keep some for themselves, and the sums that go to memory instead cost a third of the speed.
pub const ROWS: usize = 4;

/// Vectors of the right matrix's columns in a panel.
const VECTORS: usize = 2;

/// Numbers of a right matrix that are multiplied with all of the left one before the next are packed: a processor's second
/// cache holds them.
pub const BLOCK: usize = 1 << 18;

/// Columns of the right matrix in a panel, which depends on the processor.
pub fn columns() -> usize {
    struct Columns;
    impl WithSimd for Columns {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            VECTORS * S::F32_LANES
        }
    }
    Arch::new().dispatch(Columns)
}

/// Calls a function that takes the number of [`columns`] as a constant.
macro_rules! by_columns {
    ($function:ident($($argument:expr),*)) => {
        match $crate::kernels::panels::columns() {
            2 => $function::<2>($($argument),*),
            4 => $function::<4>($($argument),*),
            8 => $function::<8>($($argument),*),
            16 => $function::<16>($($argument),*),
            columns => unreachable!("panels of {columns} columns"),
        }
    };
}
pub(super) use by_columns;

/// `count` rows of `depth` numbers in panels of `lanes` rows; the last panel is filled up with zeros.
pub fn pack<'a>(
    row: impl Fn(usize) -> &'a [f32] + Sync,
    count: usize,
    depth: usize,
    lanes: usize,
) -> Vec<f32> {
    let mut packed = vec![0f32; count.next_multiple_of(lanes) * depth];
    for_each_chunk(&mut packed, lanes * depth, |panel, packed| {
        let first = panel * lanes;
        pack_panel(
            |lane| row(first + lane),
            lanes.min(count - first),
            lanes,
            packed,
        );
    });
    packed
}

/// As [`pack`], for some rows of a weight.
pub fn pack_weight(
    weight: &HostWeight,
    rows: Range<usize>,
    depth: usize,
    lanes: usize,
) -> Vec<f32> {
    let mut packed = vec![0f32; rows.len().next_multiple_of(lanes) * depth];
    let pack = |room: &mut Vec<f32>, panel: usize, packed: &mut [f32]| {
        let first = rows.start + panel * lanes;
        let end = rows.end.min(first + lanes);
        let values = weight.values(first * depth..end * depth, room);
        pack_panel(
            |lane| &values[lane * depth..][..depth],
            end - first,
            lanes,
            packed,
        );
    };
    for_each_chunk_with(&mut packed, lanes * depth, 1, Vec::new, pack);
    packed
}

/// As [`pack`], for one panel.
pub fn pack_panel<'a>(
    row: impl Fn(usize) -> &'a [f32],
    count: usize,
    lanes: usize,
    packed: &mut [f32],
) {
    for lane in (0..count).step_by(4) {
        if lane + 4 <= count {
            pack_four(
                [0, 1, 2, 3].map(|index| row(lane + index)),
                lanes,
                &mut packed[lane..],
            );
            continue;
        }
        for lane in lane..count {
            for (packed, value) in packed[lane..].iter_mut().step_by(lanes).zip(row(lane)) {
                *packed = *value;
            }
        }
    }
}

/// Four rows, from one to the next of whose columns there are `lanes` numbers.
fn pack_four([a, b, c, d]: [&[f32]; 4], lanes: usize, packed: &mut [f32]) {
    let mut columns = packed.chunks_mut(lanes);
    let rows = a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0);
    let rows = rows.zip(c.as_chunks::<4>().0).zip(d.as_chunks::<4>().0);
    for (((a, b), c), d) in rows {
        for column in Lanes::transpose([
            Lanes::new(*a),
            Lanes::new(*b),
            Lanes::new(*c),
            Lanes::new(*d),
        ]) {
            let packed = columns.next().and_then(<[f32]>::first_chunk_mut);
            *packed.expect("as many columns as numbers") = column.to_array();
        }
    }
    let first = a.len() / 4 * 4;
    for (index, column) in (first..a.len()).zip(columns) {
        for (packed, row) in column.iter_mut().zip([a, b, c, d]) {
            *packed = row[index];
        }
    }
}

/// Rows of a right matrix of `width` columns, in panels; the last panel is filled up with zeros.
pub fn pack_columns<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>, width: usize) -> Vec<f32> {
    let (depth, lanes) = (rows.len(), columns());
    let mut packed = vec![0f32; width.next_multiple_of(lanes) * depth];
    for (index, row) in rows.enumerate() {
        let panels = packed.chunks_exact_mut(lanes * depth);
        for (packed, values) in panels.zip(row.chunks(lanes)) {
            copy(values, &mut packed[index * lanes..]);
        }
    }
    packed
}

/// Copies numbers in fours: WebAssembly's instruction for copying, which a slice's method becomes, takes too long for
/// a few.
#[inline(always)]
pub fn copy(from: &[f32], to: &mut [f32]) {
    map_lanes(from, to, |four| four);
}

/// The product of a panel of rows with some panels of columns, row by row; `depth` is the length of the sums, and a panel
/// begins `stride` numbers behind the one before.
pub fn multiply(left: &[f32], right: &[f32], stride: usize, depth: usize, product: &mut [f32]) {
    Arch::new().dispatch(Multiply {
        left,
        right,
        stride,
        depth,
        product,
    });
}

struct Multiply<'a> {
    left: &'a [f32],
    right: &'a [f32],
    stride: usize,
    depth: usize,
    product: &'a mut [f32],
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let columns = VECTORS * S::F32_LANES;
        let width = self.product.len() / ROWS;
        for (panel, right) in self.right.chunks(self.stride).enumerate() {
            let sums = multiply_panels(simd, self.left, &right[..columns * self.depth]);
            for (row, sums) in self.product.chunks_exact_mut(width).zip(sums) {
                let (row, _) = S::as_mut_simd_f32s(&mut row[panel * columns..][..columns]);
                // Not copied as a slice: WebAssembly's instruction for that takes too long for a few.
                [row[0], row[1]] = sums;
            }
        }
    }
}

#[inline(always)]
fn multiply_panels<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> [[S::f32s; VECTORS]; ROWS] {
    let (left, _) = left.as_chunks::<ROWS>();
    let (right, _) = S::as_simd_f32s(right);
    let (right, _) = right.as_chunks::<VECTORS>();
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    for (left, right) in left.iter().zip(right) {
        // Written out, since a loop would not be unrolled where the build is optimised for size.
        macro_rules! add_row {
            ($row:literal) => {
                let value = simd.splat_f32s(left[$row]);
                sums[$row][0] = simd.mul_add_e_f32s(value, right[0], sums[$row][0]);
                sums[$row][1] = simd.mul_add_e_f32s(value, right[1], sums[$row][1]);
            };
        }
        add_row!(0);
        add_row!(1);
        add_row!(2);
        add_row!(3);
    }
    sums
}
