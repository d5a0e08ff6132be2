use super::place::{Checked, Flaw, Place, ensure};

/// The maps that a network's way down leaves for its way up.
pub struct Skips {
    /// Channels, and how often the size was halved.
    maps: Vec<(usize, usize)>,
}

impl Skips {
    /// The first of them, of full size.
    pub fn new(channels: usize) -> Self {
        let maps = vec![(channels, 0)];
        Self { maps }
    }

    pub fn push(&mut self, channels: usize, halvings: usize) {
        self.maps.push((channels, halvings));
    }

    /// Channels of all of them, in order.
    pub fn channels(&self) -> impl Iterator<Item = usize> {
        self.maps.iter().map(|(channels, _)| *channels)
    }

    /// Channels of the last one, which `level` takes at a size of so many `halvings`.
    pub fn pop(&mut self, level: &Place, halvings: usize) -> Checked<usize> {
        match self.maps.pop() {
            Some((channels, at)) if at == halvings => Ok(channels),
            _ => {
                let name = level.name();
                Err(Flaw::Unsupported(format!(
                    "{name} has more layers than the way down left maps for"
                )))
            }
        }
    }

    /// All of them must have been taken.
    pub fn finish(self, place: &Place) -> Checked<()> {
        ensure(self.maps.is_empty(), || {
            format!(
                "{} has fewer layers on its way up than on its way down",
                place.name()
            )
        })
    }
}

/// The number of layers of a level, which has at least one.
pub fn count_resnets(level: &Place) -> Checked<usize> {
    match level.count("resnets") {
        0 => Err(Flaw::Missing(format!("{}.resnets.0", level.name()))),
        count => Ok(count),
    }
}

/// A level's change of size by the convolution `conv` below it: all levels but the last have one.
pub fn check_resampler(level: &Place, conv: &str, is_last: bool, channels: usize) -> Checked<()> {
    match is_last {
        false => level.same(conv, level.conv(conv, channels, 3)?, channels),
        true => ensure(!level.has_below(conv), || {
            format!("{} is the last and has a {conv}", level.name())
        }),
    }
}
