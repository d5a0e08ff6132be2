//! A picture in two passes: what the first makes is enlarged, with its alpha, and the second adds
//! detail by image to image at the larger size.

use serde::Deserialize;

use super::observer::{Event, Observer};
use crate::{Error, ErrorCode, Result};

/// How a second pass enlarges what the first one made.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hires {
    /// The larger size by the first, above 1 and at most 8.
    pub scale: f64,
    /// How much of the enlarged picture is given up, above 0 and at most 1; 0.5 is usual.
    #[serde(default = "Hires::usual_strength")]
    pub strength: f64,
}

impl Hires {
    /// A second pass of the usual strength.
    pub fn new(scale: f64) -> Self {
        Self {
            scale,
            strength: Self::usual_strength(),
        }
    }

    pub(super) const USUAL_STRENGTH: f64 = 0.5;

    fn usual_strength() -> f64 {
        Self::USUAL_STRENGTH
    }

    /// The size of the second pass, the nearest to `scale` times the first one's whose sides are
    /// multiples of `multiple`, up to `largest`.
    ///
    /// # Errors
    /// `bad_option` if that is no larger than the first, or larger than any picture.
    pub(super) fn size(
        &self,
        first: (usize, usize),
        multiple: usize,
        largest: usize,
    ) -> Result<(usize, usize)> {
        let bad =
            |message: String, hint: String| Err(Error::new(ErrorCode::BadOption, message, hint));
        if !(self.scale > 1.0 && self.scale <= 8.0) {
            let message = format!("enlarging by {} is not possible", self.scale);
            return bad(message, "use a number above 1, up to 8; 2 is usual".into());
        }
        if !(self.strength > 0.0 && self.strength <= 1.0) {
            let message = format!(
                "a second pass of strength {} is not possible",
                self.strength
            );
            return bad(
                message,
                "use a number above 0, up to 1; 0.5 is usual".into(),
            );
        }
        let side = |side: usize| {
            let wanted = side as f64 * self.scale / multiple as f64;
            (wanted.round() as usize).max(1) * multiple
        };
        let (width, height) = (side(first.0), side(first.1));
        if width.max(height) > largest {
            let message = format!("enlarged, the picture would be {width} x {height}");
            return bad(
                message,
                format!("use a smaller scale: sides up to {largest} are possible"),
            );
        }
        if (width, height) == first {
            let message = format!(
                "enlarging {width} x {height} by {} changes nothing",
                self.scale
            );
            return bad(
                message,
                format!("sides are multiples of {multiple}: use a larger scale"),
            );
        }
        Ok((width, height))
    }
}

/// Hears of one of two passes, and counts them as one.
pub(super) struct PassObserver<'a, O> {
    pub inner: &'a mut O,
    pub is_second: bool,
    /// Steps of the first pass and of the second.
    pub steps: [usize; 2],
}

impl<O: Observer> Observer for PassObserver<'_, O> {
    async fn report(&mut self, event: Event) -> bool {
        let before = |count: usize| if self.is_second { count } else { 0 };
        let event = match event {
            Event::Denoising { step, preview, .. } => Event::Denoising {
                step: before(self.steps[0]) + step,
                steps: self.steps.iter().sum(),
                preview,
            },
            // Both are decoded alike.
            Event::Decoding { pass, passes } => Event::Decoding {
                pass: before(passes) + pass,
                passes: 2 * passes,
            },
            event => event,
        };
        self.inner.report(event).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_the_nearest_that_the_networks_take() {
        assert_eq!(
            Hires::new(1.3).size((512, 512), 64, 4096).unwrap(),
            (640, 640)
        );
        assert_eq!(
            Hires::new(2.0).size((512, 768), 8, 4096).unwrap(),
            (1024, 1536)
        );
        for (scale, first) in [
            (1.0, 512),
            (f64::NAN, 512),
            (9.0, 64),
            (1.01, 512),
            (8.0, 1024),
        ] {
            let error = Hires::new(scale)
                .size((first, first), 64, 4096)
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::BadOption, "{error}");
        }
    }
}
