//! Where a layer lies in its scene.

/// A similarity: translation, rotation, uniform scale and mirroring of the plane.
///
/// Coordinates are in pixels from the top left corner, y downwards; the pixel in column 0 covers 0
/// to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform {
    /// What the x of a point adds to x and y.
    pub x_axis: [f64; 2],
    /// What the y of a point adds to x and y.
    pub y_axis: [f64; 2],
    /// Where the origin goes.
    pub origin: [f64; 2],
}

impl Transform {
    /// The transform that moves nothing.
    pub const IDENTITY: Self = Self {
        x_axis: [1.0, 0.0],
        y_axis: [0.0, 1.0],
        origin: [0.0, 0.0],
    };

    /// Mirrors left and right if `flip`, scales by `scale`, rotates clockwise by `degrees`, all
    /// about the point `centre`, then moves that point by `shift`.
    pub fn about(centre: [f64; 2], flip: bool, scale: f64, degrees: f64, shift: [f64; 2]) -> Self {
        let (sine, cosine) = sine_and_cosine(degrees);
        let across = if flip { -scale } else { scale };
        let turned = Self {
            x_axis: [cosine * across, sine * across],
            y_axis: [-sine * scale, cosine * scale],
            origin: [0.0, 0.0],
        };
        let moved = turned.apply(centre);
        let origin = [0, 1].map(|axis| centre[axis] - moved[axis] + shift[axis]);
        Self { origin, ..turned }
    }

    /// Where `point` goes.
    #[inline(always)]
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [
            x * self.x_axis[0] + y * self.y_axis[0] + self.origin[0],
            x * self.x_axis[1] + y * self.y_axis[1] + self.origin[1],
        ]
    }

    /// First `inner`, then this transform.
    pub fn after(&self, inner: &Self) -> Self {
        let turn = |axis: [f64; 2]| {
            [0, 1].map(|index| axis[0] * self.x_axis[index] + axis[1] * self.y_axis[index])
        };
        Self {
            x_axis: turn(inner.x_axis),
            y_axis: turn(inner.y_axis),
            origin: self.apply(inner.origin),
        }
    }

    /// The factor on lengths.
    pub fn scale(&self) -> f64 {
        self.determinant().abs().sqrt()
    }

    /// The transform that undoes this one.
    pub(super) fn inverse(&self) -> Self {
        let determinant = self.determinant();
        let x_axis = [self.y_axis[1] / determinant, -self.x_axis[1] / determinant];
        let y_axis = [-self.y_axis[0] / determinant, self.x_axis[0] / determinant];
        let [x, y] = self.origin;
        let origin = [0, 1].map(|axis| -(x * x_axis[axis] + y * y_axis[axis]));
        Self {
            x_axis,
            y_axis,
            origin,
        }
    }

    /// The shift in whole pixels, if this transform is nothing else.
    pub(super) fn whole_shift(&self) -> Option<[i64; 2]> {
        let only_moves =
            self.x_axis == Self::IDENTITY.x_axis && self.y_axis == Self::IDENTITY.y_axis;
        // Far beyond any scene, so that sums with it do not overflow.
        let whole = |value: &f64| value.fract() == 0.0 && value.abs() < 1e9;
        (only_moves && self.origin.iter().all(whole)).then(|| self.origin.map(|value| value as i64))
    }

    fn determinant(&self) -> f64 {
        self.x_axis[0] * self.y_axis[1] - self.x_axis[1] * self.y_axis[0]
    }
}

/// Sine and cosine, exact for quarter turns, which are to move pixels without mixing them.
fn sine_and_cosine(degrees: f64) -> (f64, f64) {
    let degrees = degrees.rem_euclid(360.0);
    match degrees {
        0.0 | 360.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        _ => degrees.to_radians().sin_cos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turn_is_clockwise_about_the_centre() {
        let turn = Transform::about([2.0, 1.0], false, 1.0, 90.0, [10.0, 0.0]);
        assert_eq!(turn.apply([2.0, 1.0]), [12.0, 1.0]);
        // To the right of the centre becomes below it.
        assert_eq!(turn.apply([4.0, 1.0]), [12.0, 3.0]);
    }

    #[test]
    fn inverse_undoes() {
        let transform = Transform::about([3.0, 5.0], true, 0.7, 33.0, [-4.0, 2.5]);
        let both = transform.inverse().after(&transform);
        for (point, expected) in [([0.0, 0.0], [0.0, 0.0]), ([7.0, -2.0], [7.0, -2.0])] {
            let [x, y] = both.apply(point);
            assert!((x - expected[0]).abs() < 1e-9 && (y - expected[1]).abs() < 1e-9);
        }
        assert!((transform.scale() - 0.7).abs() < 1e-12);
    }

    #[test]
    fn whole_shifts_are_recognised() {
        let shift = |x| Transform::about([1.5, 1.5], false, 1.0, 360.0, [x, -2.0]).whole_shift();
        assert_eq!(shift(3.0), Some([3, -2]));
        assert_eq!(shift(3.5), None);
        let flipped = Transform::about([1.5, 1.5], true, 1.0, 0.0, [0.0, 0.0]);
        assert_eq!(flipped.whole_shift(), None);
    }
}
