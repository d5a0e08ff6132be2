//! Seeded noise equals PyTorch's.

use crate::support::Case;
use glassine::internals::sampling::NoiseGenerator;

/// A golden key, such as `seed_7__1x4x8x8` or `seed_7__seq2_3`, split into seed, place in a
/// sequence of draws, shape and part.
struct Key<'a> {
    seed: u64,
    place: Option<usize>,
    length: usize,
    part: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn parse(key: &'a str) -> Self {
        let mut fields = key.split("__");
        let seed = fields.next().and_then(|field| field.strip_prefix("seed_"));
        let draw = fields.next().expect("a shape after the seed");
        let (place, shape) = match draw
            .strip_prefix("seq")
            .and_then(|rest| rest.split_once('_'))
        {
            Some((place, shape)) => (Some(place.parse().expect("a place")), shape),
            None => (None, draw),
        };
        Self {
            seed: seed.expect("a seed").parse().expect("a whole seed"),
            place,
            length: shape
                .split('x')
                .map(|side| side.parse::<usize>().expect("a side"))
                .product(),
            part: fields.next(),
        }
    }

    fn part_of<'b>(&self, values: &'b [f32]) -> &'b [f32] {
        match self.part {
            Some("first256") => &values[..256],
            Some("last16") => &values[values.len() - 16..],
            None => values,
            Some(other) => panic!("unknown part {other}"),
        }
    }
}

#[test]
fn first_draws_equal_pytorch() {
    let case = Case::load("noise");
    for name in case.expected_names() {
        let key = Key::parse(name);
        if key.place.is_none() {
            let values = NoiseGenerator::new(key.seed).normal(key.length);
            case.check(name, key.part_of(&values));
        }
    }
}

#[test]
fn successive_draws_equal_pytorch() {
    let case = Case::load("noise");
    let mut keys: Vec<(Key, &str)> = case
        .expected_names()
        .into_iter()
        .map(|name| (Key::parse(name), name))
        .filter(|(key, _)| key.place.is_some())
        .collect();
    keys.sort_by_key(|(key, _)| (key.seed, key.place));
    assert!(!keys.is_empty(), "the case has sequences");
    let mut generator = NoiseGenerator::new(0);
    for (key, name) in &keys {
        if key.place == Some(0) {
            generator = NoiseGenerator::new(key.seed);
        }
        case.check(name, &generator.normal(key.length));
    }
}

#[test]
fn only_the_low_half_of_a_seed_counts() {
    let low = NoiseGenerator::new(7).normal(20);
    assert_eq!(NoiseGenerator::new(7 + (1 << 32)).normal(20), low);
}

#[test]
fn no_values_can_be_drawn() {
    assert!(NoiseGenerator::new(7).normal(0).is_empty());
}
