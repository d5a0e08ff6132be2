use std::ops::Range;

use burn::tensor::Tensor;

use super::LARGEST;

/// A feature map `[batch, channels, height, width]` cut into horizontal bands, each small enough
/// for any device, top band first.
///
/// Pictures need it: the VAE's maps of 512 x 512 pixels are larger than WebGPU's smallest binding.
#[derive(Clone)]
pub struct Bands {
    bands: Vec<Tensor<4>>,
}

impl From<Tensor<4>> for Bands {
    fn from(whole: Tensor<4>) -> Self {
        Self { bands: vec![whole] }
    }
}

impl Bands {
    /// A map of `height` rows made band by band: `make` is given the rows of each. `row_bytes` is
    /// the size of a row or, if that is more, of what a row is made from.
    pub fn make(
        height: usize,
        row_bytes: usize,
        make: impl FnMut(Range<usize>) -> Tensor<4>,
    ) -> Self {
        let rows = (LARGEST / row_bytes.max(1)).clamp(1, height);
        // Of one height, as far as possible: each other one takes kernels and memory of its own.
        let rows = height.div_ceil(height.div_ceil(rows));
        let starts = (0..height).step_by(rows);
        let bands = starts.map(|start| start..(start + rows).min(height));
        Self {
            bands: bands.map(make).collect(),
        }
    }

    /// The size of the whole map.
    pub fn dims(&self) -> [usize; 4] {
        let [batch, channels, _, width] = self.bands[0].dims();
        let height = self.bands.iter().map(|band| band.dims()[2]).sum();
        [batch, channels, height, width]
    }

    /// The bands in order.
    pub fn iter(&self) -> impl Iterator<Item = &Tensor<4>> {
        self.bands.iter()
    }

    /// Each band changed in the same way.
    pub fn map(self, change: impl FnMut(Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            bands: self.bands.into_iter().map(change).collect(),
        }
    }

    /// A run of the map's rows.
    pub fn rows(&self, rows: Range<usize>) -> Tensor<4> {
        let mut parts = Vec::new();
        let mut top = 0;
        for band in &self.bands {
            let height = band.dims()[2];
            let start = rows.start.max(top) - top;
            let end = rows.end.min(top + height).saturating_sub(top);
            match end.saturating_sub(start) {
                0 => {}
                all if all == height => parts.push(band.clone()),
                some => parts.push(band.clone().narrow(2, start, some)),
            }
            top += height;
        }
        join(parts)
    }

    /// The whole map.
    pub fn join(self) -> Tensor<4> {
        join(self.bands)
    }
}

impl std::ops::Add for Bands {
    type Output = Self;

    /// The sum of two maps of one size.
    fn add(self, other: Self) -> Self {
        let mut top = 0;
        let bands = self.bands.into_iter().map(|band| {
            let rows = top..top + band.dims()[2];
            top = rows.end;
            band + other.rows(rows)
        });
        Self {
            bands: bands.collect(),
        }
    }
}

fn join(mut bands: Vec<Tensor<4>>) -> Tensor<4> {
    match bands.len() {
        1 => bands.remove(0),
        _ => Tensor::cat(bands, 2),
    }
}
