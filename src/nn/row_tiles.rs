use std::ops::Range;

use burn::tensor::Tensor;

use crate::kernels::{concat_channels, concat_rows, slice_rows};

/// What a tile takes at most, in bytes: the smaller, the less of a map is there beside what it
/// becomes.
#[cfg(not(test))]
const TILE_BYTES: usize = 32 << 20;
/// So little that the small maps of the tests beside the layers are cut too.
#[cfg(test)]
const TILE_BYTES: usize = 1 << 10;

/// A feature map `[batch, channels, height, width]` cut into horizontal tiles, each small enough
/// for any device, top tile first.
///
/// Pictures need it: the VAE's maps of 512 x 512 pixels are larger than WebGPU's smallest binding.
#[derive(Clone)]
pub struct RowTiles {
    tiles: Vec<Tensor<4>>,
    /// Rows above the first tile that is still here.
    forgotten: usize,
}

impl From<Tensor<4>> for RowTiles {
    fn from(whole: Tensor<4>) -> Self {
        Self {
            tiles: vec![whole],
            forgotten: 0,
        }
    }
}

impl From<Vec<Tensor<4>>> for RowTiles {
    /// Tiles in order, the top one first; there is at least one.
    fn from(tiles: Vec<Tensor<4>>) -> Self {
        Self {
            tiles,
            forgotten: 0,
        }
    }
}

impl RowTiles {
    /// A map of `height` rows made tile by tile: `make` is given the rows of each. `row_bytes` is
    /// the size of a row or, if that is more, of what a row is made from.
    pub fn from_fn(
        height: usize,
        row_bytes: usize,
        make: impl FnMut(Range<usize>) -> Tensor<4>,
    ) -> Self {
        let rows = (TILE_BYTES / row_bytes.max(1)).clamp(1, height);
        // Of one height, as far as possible: each other one takes memory of its own.
        let rows = height.div_ceil(height.div_ceil(rows));
        let starts = (0..height).step_by(rows);
        let tiles = starts.map(|start| start..(start + rows).min(height));
        Self {
            tiles: tiles.map(make).collect(),
            forgotten: 0,
        }
    }

    /// The map that has first the channels of `a`, then those of `b`.
    pub fn concat_channels(a: Tensor<4>, b: Tensor<4>) -> Self {
        let [batch, channels, height, width] = a.dims();
        let row_bytes = 4 * batch * (channels + b.dims()[1]) * width;
        let (a, b) = (Self::from(a), Self::from(b));
        Self::from_fn(height, row_bytes, |rows| {
            concat_channels(a.rows(rows.clone()), b.rows(rows))
        })
    }

    /// The size of the whole map.
    pub fn dims(&self) -> [usize; 4] {
        let [batch, channels, _, width] = self.tiles[0].dims();
        let height: usize = self.tiles.iter().map(|tile| tile.dims()[2]).sum();
        [batch, channels, self.forgotten + height, width]
    }

    /// The tiles in order.
    pub fn tiles(&self) -> &[Tensor<4>] {
        &self.tiles
    }

    /// Lets go of the tiles that lie above `row`, which are asked for no more: so that a map takes
    /// no more memory than what is still to be read of it.
    pub fn forget_above(&mut self, row: usize) {
        while let [first, _, ..] = self.tiles.as_slice() {
            let end = self.forgotten + first.dims()[2];
            if end > row {
                break;
            }
            self.forgotten = end;
            self.tiles.remove(0);
        }
    }

    /// Some of the map's rows.
    pub fn rows(&self, rows: Range<usize>) -> Tensor<4> {
        self.cut(rows).concat()
    }

    /// Some of the map's rows as a map.
    pub fn cut(&self, rows: Range<usize>) -> Self {
        let parts = self.parts(rows).into_iter();
        let parts = parts.map(|(tile, rows)| slice_rows(tile, rows));
        parts.collect::<Vec<_>>().into()
    }

    /// The tiles in which some of the map's rows are, and which of each tile's rows those are.
    pub fn parts(&self, rows: Range<usize>) -> Vec<(Tensor<4>, Range<usize>)> {
        assert!(rows.start >= self.forgotten, "rows that were let go of");
        let mut parts = Vec::new();
        let mut top = self.forgotten;
        for tile in &self.tiles {
            let height = tile.dims()[2];
            let start = rows.start.max(top) - top;
            let end = rows.end.min(top + height).saturating_sub(top);
            if start < end {
                parts.push((tile.clone(), start..end));
            }
            top += height;
        }
        parts
    }

    /// The tile in which some of the map's rows are, and where in it they begin, or a copy of them
    /// where they are in several.
    pub fn rows_within(&self, rows: Range<usize>) -> (Tensor<4>, usize) {
        let mut parts = self.parts(rows.clone());
        match parts.len() {
            1 => {
                let (tile, rows) = parts.remove(0);
                (tile, rows.start)
            }
            _ => (self.rows(rows), 0),
        }
    }

    /// The whole map.
    pub fn concat(self) -> Tensor<4> {
        concat_rows(self.tiles)
    }
}

/// In lots of how many rows to make a map of `height` from rows of `row_bytes`: in one if they are
/// small together, else in smaller ones than would be needed, since they are in memory beside whole
/// maps.
pub fn chunk_rows(row_bytes: usize, height: usize) -> usize {
    match row_bytes * height <= TILE_BYTES {
        true => height,
        false => (TILE_BYTES / 2 / row_bytes.max(1)).clamp(1, height),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use super::*;
    use crate::nn::{Conv2d, Downsample, DownsamplePadding, GroupNorm, ResnetBlock, Upsample};
    use crate::weights::{HostTensor, Weights};

    const MAP: [usize; 4] = [2, 4, 44, 6];

    fn cut() -> RowTiles {
        let whole = random(MAP);
        RowTiles::from_fn(MAP[2], 150, |rows| whole.clone().slice_dim(2, rows))
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Default, &Device::flex())
    }

    fn insert(weights: &Weights, name: &str, shape: &[usize]) {
        let length = shape.iter().product();
        let data = random([length]).into_data().try_into_vec().unwrap();
        weights.insert(name, HostTensor::new(shape, data));
    }

    fn convolution(weights: &Weights, name: &str, size: usize) -> Weights {
        let place = weights.at(name);
        insert(&place, "weight", &[4, 4, size, size]);
        insert(&place, "bias", &[4]);
        place
    }

    fn norm(weights: &Weights, name: &str) -> Weights {
        let place = weights.at(name);
        insert(&place, "weight", &[4]);
        insert(&place, "bias", &[4]);
        place
    }

    /// Tiles where there should be some, which together are the expected map.
    fn check(tiles: RowTiles, expected: Tensor<4>) {
        assert!(tiles.tiles.len() > 1);
        assert_eq!(tiles.dims(), expected.dims());
        let off: f32 = (tiles.concat() - expected).abs().max().into_scalar();
        assert!(off < 1e-4, "off by {off}");
    }

    #[test]
    fn rows_cross_the_borders_of_tiles() {
        let map = cut();
        let whole = map.clone().concat();
        assert!(map.tiles.len() > 2);
        for rows in [0..1, 3..4, 5..9, 2..20, 0..20] {
            let expected = whole.clone().slice_dim(2, rows.clone());
            assert_eq!(map.rows(rows).into_data(), expected.into_data());
        }
    }

    #[test]
    fn channels_of_two_maps_are_put_beside_each_other() {
        let (a, b) = (random(MAP), random(MAP));
        let expected = Tensor::cat(vec![a.clone(), b.clone()], 1);
        check(RowTiles::concat_channels(a, b), expected);
    }

    #[test]
    fn a_convolution_does_not_see_where_a_map_is_cut() {
        let weights = Weights::new(&Device::flex());
        for (size, stride, padding) in [
            (3, 1, (1, 1)),
            (1, 1, (0, 0)),
            (3, 2, (1, 1)),
            (3, 2, (0, 1)),
        ] {
            let place = convolution(&weights, "conv", size);
            let conv = Conv2d::with_options(&place, stride, padding).unwrap();
            let map = cut();
            let tiles = conv.forward_tiled(MAP, |rows| map.rows(rows));
            check(tiles, conv.forward(map.concat()));
        }
    }

    #[test]
    fn maps_in_tiles_are_enlarged_and_reduced() {
        let weights = Weights::new(&Device::flex());
        let map = cut();
        convolution(&weights, "conv", 3);
        let upsample = Upsample::load(&weights).unwrap();
        let expected = upsample.forward(map.clone().concat());
        check(upsample.forward_tiled(map.clone()), expected);
        convolution(&weights, "conv", 3);
        let downsample = Downsample::load(&weights, DownsamplePadding::RightAndBottom).unwrap();
        let expected = downsample.forward(map.clone().concat());
        check(downsample.forward_tiled(map), expected);
    }

    #[test]
    fn a_group_norm_has_the_statistics_of_all_tiles() {
        let weights = Weights::new(&Device::flex());
        let norm = GroupNorm::load(&norm(&weights, "norm"), 2, 1e-5).unwrap();
        let map = cut();
        let fitted = norm.statistics(&map);
        let expected = norm.forward(map.clone().concat());
        let rows = |rows| fitted.forward(map.rows(rows));
        check(RowTiles::from_fn(MAP[2], 150, rows), expected);
        let expected = norm.forward_silu(map.clone().concat());
        let rows = |rows| fitted.forward_silu_rows(&map, rows);
        check(RowTiles::from_fn(MAP[2], 130, rows), expected);
    }

    #[test]
    fn a_resnet_gives_the_same_in_tiles() {
        for shortcut in [false, true] {
            let weights = Weights::new(&Device::flex());
            for index in [1, 2] {
                norm(&weights, &format!("norm{index}"));
                convolution(&weights, &format!("conv{index}"), 3);
            }
            if shortcut {
                convolution(&weights, "conv_shortcut", 1);
            }
            let resnet = ResnetBlock::load(&weights, 2, 1e-5).unwrap();
            let map = cut();
            let expected = resnet.forward(map.clone().concat(), None);
            check(resnet.forward_tiled(map, None), expected);
        }
    }
}
