//! Quantized packs come near what they were made from.

use crate::support::{Case, model, values_of};
use burn::tensor::Device;
use glassine::internals::unet::Unet;
use glassine::internals::weights::{Quantization, StoredType, Weights};
use glassine::pack::{FolderSource, Pack, Precision};

fn packed(out: &str, precision: Precision) -> Pack<FolderSource> {
    let mut options = model::options();
    options.precision = precision;
    let folder = model::scratch().join(out);
    model::pack_as(&options, &folder).unwrap();
    pollster::block_on(Pack::open(FolderSource::new(folder))).unwrap()
}

fn loaded(pack: &Pack<FolderSource>) -> Weights {
    let weights = Weights::new(&Device::flex());
    pollster::block_on(pack.load(&weights, |_| true, async |_| true)).unwrap();
    weights
}

fn epsilon_cosine(pack: &Pack<FolderSource>) -> f64 {
    let unet = pack.manifest().unet().unwrap();
    let unet = Unet::load(&unet, &loaded(pack).at("unet"), None).unwrap();
    let case = Case::load("unet/wide");
    let context = case.on_device::<3>("context");
    let timesteps = vec![500.0; context.dims()[0]];
    let epsilon = unet.forward(
        case.on_device("latent"),
        &timesteps,
        &context.clone().into(),
    );
    crate::support::cosine(&values_of(epsilon), &case.f32("eps_t500"))
}

#[test]
fn epsilon_stays_close() {
    let q8 = packed("q8", Precision::Q8);
    let cosine = epsilon_cosine(&q8);
    assert!(cosine > 0.9995, "q8: {cosine}");
    let q4 = packed("q4", Precision::Q4);
    let cosine = epsilon_cosine(&q4);
    // The tiny model has few weights to average over; full size keeps 0.99 and more.
    assert!(cosine > 0.97, "q4: {cosine}");
    assert!(q4.manifest().total_bytes() < q8.manifest().total_bytes());
}

#[test]
fn what_is_small_or_narrow_stays_in_half_precision() {
    let pack = packed("q4-types", Precision::Q4);
    let stored = |name: &str| pack.manifest().tensors[name].stored;
    assert_eq!(stored("unet.conv_in.weight"), StoredType::F16);
    assert_eq!(stored("unet.conv_norm_out.weight"), StoredType::F16);
    assert_eq!(
        stored("unet.time_embedding.linear_1.weight"),
        StoredType::Q8
    );
    let convolution = &pack.manifest().tensors["unet.mid_block.resnets.0.conv1.weight"];
    assert_eq!(convolution.quantization(), Some(Quantization::Q4));
}

#[test]
fn a_table_gives_rows_and_a_weight_gives_values() {
    let pack = packed("q8-table", Precision::Q8);
    let weights = loaded(&pack);
    let whole = loaded(&packed("f32-table", Precision::F32));
    let name = "text_encoder.text_model.embeddings.token_embedding.weight";
    let (table, exact) = (
        weights.take_table(name).unwrap(),
        whole.take_table(name).unwrap(),
    );
    assert_eq!(
        (table.rows(), table.columns()),
        (exact.rows(), exact.columns())
    );
    for row in [0, 320, 49_407] {
        let (got, expected) = (table.row(row).unwrap(), exact.row(row).unwrap());
        let peak = expected
            .iter()
            .fold(0f32, |peak, value| peak.max(value.abs()));
        for (got, expected) in got.iter().zip(&expected) {
            assert!(
                (got - expected).abs() <= peak / 120.0,
                "{got} for {expected}"
            );
        }
    }
    assert_eq!(table.row(49_408), None);
}
