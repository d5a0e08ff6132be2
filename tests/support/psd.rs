//! PSD files by hand, after Adobe's specification.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// A file.
pub struct Psd {
    /// 1, or 2 for PSB.
    pub version: u16,
    /// Of the merged picture.
    pub channels: u16,
    pub size: [u32; 2],
    pub bits: u16,
    pub mode: u16,
    pub resources: Vec<u8>,
    pub layers: Vec<PsdLayer>,
    /// Whether the merged picture has transparency.
    pub transparent: bool,
    /// Whether the layers are in the block for 16 bits.
    pub in_block: bool,
    /// The merged picture, beginning with its compression.
    pub merged: Vec<u8>,
}

/// A layer, or an end of a group.
#[derive(Clone)]
pub struct PsdLayer {
    pub name: &'static str,
    /// Top, left, bottom, right.
    pub area: [i32; 4],
    /// Each with how it is compressed in front.
    pub channels: Vec<(i16, Vec<u8>)>,
    pub blend: [u8; 4],
    pub opacity: u8,
    pub clipped: bool,
    pub flags: u8,
    pub mask: Vec<u8>,
    pub ranges: Vec<u8>,
    pub blocks: Vec<([u8; 4], Vec<u8>)>,
}

impl Default for PsdLayer {
    fn default() -> Self {
        Self {
            name: "layer",
            area: [0; 4],
            channels: Vec::new(),
            blend: *b"norm",
            opacity: 255,
            clipped: false,
            flags: 0,
            mask: Vec::new(),
            ranges: Vec::new(),
            blocks: Vec::new(),
        }
    }
}

impl PsdLayer {
    /// A layer of one colour at this place, not compressed.
    pub fn plain(name: &'static str, area: [i32; 4], [red, green, blue, alpha]: [u8; 4]) -> Self {
        let pixels = ((area[2] - area[0]) * (area[3] - area[1])) as usize;
        let plane = |value: u8| raw(&vec![value; pixels]);
        Self {
            name,
            area,
            channels: vec![
                (-1, plane(alpha)),
                (0, plane(red)),
                (1, plane(green)),
                (2, plane(blue)),
            ],
            ..Self::default()
        }
    }

    /// The lower end of a group.
    pub fn end() -> Self {
        Self {
            name: "</Layer group>",
            blocks: vec![(*b"lsct", 3u32.to_be_bytes().to_vec())],
            ..Self::default()
        }
    }

    /// The head of a group, with its blend mode.
    pub fn head(name: &'static str, blend: &[u8; 4]) -> Self {
        let block = [&1u32.to_be_bytes()[..], b"8BIM", blend].concat();
        Self {
            name,
            blocks: vec![(*b"lsct", block)],
            ..Self::default()
        }
    }
}

/// A channel that is not compressed.
pub fn raw(plane: &[u8]) -> Vec<u8> {
    [&[0, 0], plane].concat()
}

/// A channel by zlib: 2, or 3 for one of differences.
pub fn zipped(kind: u8, plane: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(vec![0, kind], Compression::default());
    encoder.write_all(plane).unwrap();
    encoder.finish().unwrap()
}

/// A channel by PackBits, in literals only. `wide` is for PSB.
pub fn packed(plane: &[u8], row: usize, wide: bool) -> Vec<u8> {
    let rows = plane.chunks(row).map(|row| {
        let pieces = row.chunks(128);
        let pieces = pieces.flat_map(|piece| [&[(piece.len() - 1) as u8], piece].concat());
        pieces.collect::<Vec<u8>>()
    });
    let rows: Vec<Vec<u8>> = rows.collect();
    let lengths = rows.iter().flat_map(|row| match wide {
        true => (row.len() as u32).to_be_bytes().to_vec(),
        false => (row.len() as u16).to_be_bytes().to_vec(),
    });
    [&[0, 1], &lengths.collect::<Vec<u8>>()[..], &rows.concat()].concat()
}

impl Psd {
    /// An RGB file of 8 bits, its merged picture transparent black.
    pub fn new(width: u32, height: u32, layers: Vec<PsdLayer>) -> Self {
        Self {
            version: 1,
            channels: 4,
            size: [width, height],
            bits: 8,
            mode: 3,
            resources: Vec::new(),
            layers,
            transparent: true,
            in_block: false,
            merged: raw(&vec![0; 4 * (width * height) as usize]),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let wide = self.version == 2;
        let mut file = b"8BPS".to_vec();
        file.extend(self.version.to_be_bytes());
        file.extend([0; 6]);
        file.extend(self.channels.to_be_bytes());
        file.extend(self.size[1].to_be_bytes());
        file.extend(self.size[0].to_be_bytes());
        file.extend(self.bits.to_be_bytes());
        file.extend(self.mode.to_be_bytes());
        file.extend(sized(&[], false));
        file.extend(sized(&self.resources, false));
        let info = self.layer_info(wide);
        let section = match self.in_block {
            false => [sized(&info, wide), sized(&[], false)].concat(),
            true => [
                sized(&[], wide),
                sized(&[], false),
                [&b"8BIMPatt"[..], &sized(&[1, 2, 3], false), &[0]].concat(),
                [&b"8BIMLr16"[..], &sized(&info, wide)].concat(),
            ]
            .concat(),
        };
        file.extend(sized(&section, wide));
        file.extend(&self.merged);
        file
    }

    fn layer_info(&self, wide: bool) -> Vec<u8> {
        if self.layers.is_empty() {
            return Vec::new();
        }
        let count = self.layers.len() as i16;
        let count = if self.transparent { -count } else { count };
        let mut info = count.to_be_bytes().to_vec();
        for layer in &self.layers {
            info.extend(layer.record(wide));
        }
        for (_, channel) in self.layers.iter().flat_map(|layer| &layer.channels) {
            info.extend(channel);
        }
        info.resize(info.len().next_multiple_of(4), 0);
        info
    }
}

impl PsdLayer {
    fn record(&self, wide: bool) -> Vec<u8> {
        let mut record: Vec<u8> = self
            .area
            .iter()
            .flat_map(|edge| edge.to_be_bytes())
            .collect();
        record.extend((self.channels.len() as u16).to_be_bytes());
        for (id, channel) in &self.channels {
            record.extend(id.to_be_bytes());
            match wide {
                true => record.extend((channel.len() as u64).to_be_bytes()),
                false => record.extend((channel.len() as u32).to_be_bytes()),
            }
        }
        record.extend(b"8BIM");
        record.extend(self.blend);
        record.extend([self.opacity, u8::from(self.clipped), self.flags, 0]);
        let mut extra = sized(&self.mask, false);
        extra.extend(sized(&self.ranges, false));
        let start = extra.len();
        extra.push(self.name.len() as u8);
        extra.extend(self.name.as_bytes());
        extra.resize(start + (extra.len() - start).next_multiple_of(4), 0);
        for (key, block) in &self.blocks {
            extra.extend(b"8BIM");
            extra.extend(key);
            extra.extend(sized(block, false));
        }
        record.extend(sized(&extra, false));
        record
    }
}

/// `bytes` with their length in front.
pub fn sized(bytes: &[u8], wide: bool) -> Vec<u8> {
    let length = match wide {
        true => (bytes.len() as u64).to_be_bytes().to_vec(),
        false => (bytes.len() as u32).to_be_bytes().to_vec(),
    };
    [length, bytes.to_vec()].concat()
}

/// A resource of a file.
pub fn resource(number: u16, data: &[u8]) -> Vec<u8> {
    let mut resource = b"8BIM".to_vec();
    resource.extend(number.to_be_bytes());
    resource.extend([0; 2]);
    resource.extend(sized(data, false));
    resource.resize(resource.len().next_multiple_of(2), 0);
    resource
}
