use serde_json::{Value, json};

use super::place::{Checked, Flaw, LATENT, Place, agrees, ensure, only};
use super::skips::{Skips, check_resampler, count_resnets};
use crate::unet::{INPAINTING_CHANNELS, UnetConfig};

/// The side of the largest latent that is made: it becomes the default.
const MAX_SAMPLE_SIZE: usize = 512;

/// What the rest of a pack needs to know of a UNet.
pub struct UnetSummary {
    /// Width of the text's features.
    pub context: usize,
    /// Every attention.
    pub attentions: Vec<Attention>,
    /// Channels of the maps that the way down leaves.
    pub skips: Vec<usize>,
    /// Channels of the middle.
    pub middle: usize,
}

/// An attention of a UNet.
pub struct Attention {
    /// Its place in the UNet, such as `mid_block.attentions.0.transformer_blocks.0.attn1`.
    pub path: String,
    pub level: usize,
    pub heads: usize,
    /// Features of the tokens.
    pub channels: usize,
    /// Features of queries, keys and values.
    pub inner: usize,
    /// Features of what keys and values are made from.
    pub source: usize,
}

/// What all parts of a walk through a UNet share.
struct Walk<'a> {
    settings: &'a UnetConfig,
    config: &'a Value,
    /// Width of the time embedding.
    time: usize,
    context: Option<usize>,
    attentions: Vec<Attention>,
}

/// The whole UNet.
pub fn check(config: &Value, settings: &UnetConfig, place: &Place) -> Checked<UnetSummary> {
    check_config(config)?;
    only(config, "out_channels", &[json!(LATENT)])?;
    let side = settings.sample_size;
    ensure((1..=MAX_SAMPLE_SIZE).contains(&side), || {
        format!("its config has sample_size {side}")
    })?;
    let groups = settings.norm_num_groups;
    let first = place.outputs("conv_in.weight")?;
    let (mut walk, mut skips, mut channels) = way_down(config, settings, place)?;
    let summary = (skips.channels().collect(), channels);
    let levels = place.count("down_blocks");
    let up = place.count("up_blocks");
    ensure(up == levels, || {
        format!("{} has {levels} levels down and {up} up", place.name())
    })?;
    for index in 0..levels {
        let (level, at) = (place.at(format!("up_blocks.{index}")), levels - 1 - index);
        let kinds = ["UpBlock2D", "CrossAttnUpBlock2D"];
        let kind = walk.kind("up_block_types", index, kinds)?;
        for layer in 0..count_resnets(&level)? {
            let skip = skips.pop(&level, at)?;
            channels = walk.layer(&level, layer, at, channels + skip, kind)?;
        }
        check_resampler(&level, "upsamplers.0.conv", index + 1 == levels, channels)?;
    }
    skips.finish(place)?;
    place.same("up_blocks", channels, first)?;
    place.group_norm("conv_norm_out", channels, groups)?;
    place.same("conv_out", place.conv("conv_out", channels, 3)?, LATENT)?;
    let (skips, middle) = summary;
    Ok(UnetSummary {
        context: walk.context()?,
        attentions: walk.attentions,
        skips,
        middle,
    })
}

/// The way down of a ControlNet, which is a UNet's.
pub fn check_contracting(
    config: &Value,
    settings: &UnetConfig,
    place: &Place,
) -> Checked<UnetSummary> {
    check_config(config)?;
    let (walk, skips, middle) = way_down(config, settings, place)?;
    Ok(UnetSummary {
        context: walk.context()?,
        attentions: walk.attentions,
        skips: skips.channels().collect(),
        middle,
    })
}

fn check_config(config: &Value) -> Checked<()> {
    only(
        config,
        "in_channels",
        &[json!(LATENT), json!(INPAINTING_CHANNELS)],
    )?;
    let classes = ["UNet2DConditionModel", "ControlNetModel"].map(|class| json!(class));
    only(config, "_class_name", &classes)?;
    only(config, "act_fn", &[json!("silu"), json!("swish")])?;
    only(config, "resnet_time_scale_shift", &[json!("default")])?;
    only(config, "time_embedding_type", &[json!("positional")])?;
    only(config, "attention_type", &[json!("default")])?;
    only(config, "flip_sin_to_cos", &[json!(true)])?;
    for (field, value) in [
        ("freq_shift", 0),
        ("conv_in_kernel", 3),
        ("conv_out_kernel", 3),
        ("downsample_padding", 1),
        ("mid_block_scale_factor", 1),
        ("resnet_out_scale_factor", 1),
    ] {
        only(config, field, &[json!(value)])?;
    }
    for field in [
        "only_cross_attention",
        "mid_block_only_cross_attention",
        "dual_cross_attention",
        "center_input_sample",
        "resnet_skip_time_act",
        "class_embeddings_concat",
    ] {
        only(config, field, &[json!(false)])?;
    }
    // Networks that these add are not run.
    for field in [
        "class_embed_type",
        "num_class_embeds",
        "addition_embed_type",
        "addition_time_embed_dim",
        "encoder_hid_dim",
        "encoder_hid_dim_type",
        "cross_attention_norm",
        "timestep_post_act",
        "time_embedding_act_fn",
    ] {
        only(config, field, &[])?;
    }
    let same_heads = config["num_attention_heads"] == config["attention_head_dim"];
    ensure(
        same_heads || config["num_attention_heads"].is_null(),
        || {
            let heads = &config["num_attention_heads"];
            format!("its config has num_attention_heads {heads} beside attention_head_dim")
        },
    )
}

fn way_down<'a>(
    config: &'a Value,
    settings: &'a UnetConfig,
    place: &Place,
) -> Checked<(Walk<'a>, Skips, usize)> {
    let epsilon = settings.norm_eps;
    ensure(epsilon > 0.0 && epsilon.is_finite(), || {
        format!("its config has norm_eps {epsilon}")
    })?;
    let mut channels = place.conv("conv_in", settings.in_channels, 3)?;
    let mut walk = Walk {
        settings,
        config,
        time: check_time(config, settings, place)?,
        context: None,
        attentions: Vec::new(),
    };
    let mut skips = Skips::new(channels);
    let levels = place.count("down_blocks");
    if levels == 0 {
        return Err(Flaw::Missing(format!("{}.down_blocks.0", place.name())));
    }
    let (mut widths, mut layers) = (Vec::new(), Vec::new());
    for index in 0..levels {
        let (level, is_last) = (
            place.at(format!("down_blocks.{index}")),
            index + 1 == levels,
        );
        let kinds = ["DownBlock2D", "CrossAttnDownBlock2D"];
        let kind = walk.kind("down_block_types", index, kinds)?;
        let resnets = count_resnets(&level)?;
        for layer in 0..resnets {
            channels = walk.layer(&level, layer, index, channels, kind)?;
            skips.push(channels, index);
        }
        check_resampler(&level, "downsamplers.0.conv", is_last, channels)?;
        if !is_last {
            skips.push(channels, index + 1);
        }
        widths.push(channels);
        layers.push(resnets);
    }
    agrees(config, "block_out_channels", &widths)?;
    agrees(config, "layers_per_block", &layers)?;
    walk.middle(&place.at("mid_block"), levels - 1, channels)?;
    Ok((walk, skips, channels))
}

/// The time embedding; gives its width.
fn check_time(config: &Value, settings: &UnetConfig, place: &Place) -> Checked<usize> {
    let time = place.at("time_embedding");
    let features = match *time.shape("linear_1.weight")? {
        [_, features] if features > 0 && features.is_multiple_of(2) => features,
        ref shape => {
            let name = time.name();
            return ensure(false, || format!("{name}.linear_1.weight is {shape:?}")).map(|()| 0);
        }
    };
    if let Some(guidance) = settings.time_cond_proj_dim {
        let outputs = time.linear_weight("cond_proj", guidance)?;
        time.same("cond_proj", outputs, features)?;
    } else {
        ensure(!time.has("cond_proj.weight"), || {
            "its config has no time_cond_proj_dim for its guidance embedding".into()
        })?;
    }
    let hidden = time.linear("linear_1", features)?;
    let width = time.linear("linear_2", hidden)?;
    agrees(config, "time_embedding_dim", &[width])?;
    Ok(width)
}

impl Walk<'_> {
    fn context(&self) -> Checked<usize> {
        let context = self.context.unwrap_or(0);
        ensure(context > 0, || "it has no attention to the text".into())?;
        agrees(self.config, "cross_attention_dim", &[context])?;
        Ok(context)
    }

    /// Whether the level `index` has attentions, where the config says so by its block's type.
    fn kind(&self, field: &str, index: usize, kinds: [&str; 2]) -> Checked<Option<bool>> {
        let [plain, attending] = kinds;
        only(self.config, field, &[json!(plain), json!(attending)])?;
        let kind = &self.config[field][index];
        Ok(kind.as_str().map(|kind| kind == attending))
    }

    /// One resnet, and the transformer that may follow; gives the channels.
    fn layer(
        &mut self,
        place: &Place,
        layer: usize,
        level: usize,
        inputs: usize,
        attends: Option<bool>,
    ) -> Checked<usize> {
        let groups = self.settings.norm_num_groups;
        let resnet = place.at(format!("resnets.{layer}"));
        let channels = resnet.resnet(inputs, groups, Some(self.time))?;
        let name = format!("attentions.{layer}");
        let transformer = place.at(&name);
        let is_there = transformer.has_below("norm");
        match attends {
            Some(false) if is_there => ensure(false, || {
                format!("its config has no attention at {}", transformer.name())
            })?,
            Some(true) if !is_there => {
                return Err(Flaw::Missing(format!("{}.norm.weight", transformer.name())));
            }
            _ if is_there => self.transformer(&transformer, level, channels)?,
            _ => {}
        }
        Ok(channels)
    }

    /// The middle, which the config may say is not there.
    fn middle(&mut self, mid: &Place, level: usize, channels: usize) -> Checked<()> {
        let field = "mid_block_type";
        let kinds = [json!("UNetMidBlock2DCrossAttn"), json!("UNetMidBlock2D")];
        only(self.config, field, &kinds)?;
        let kind = self.config.get(field);
        if kind.is_some_and(Value::is_null) {
            return ensure(!mid.has_below("resnets"), || {
                format!(
                    "its config has {field} null, but its tensors {}",
                    mid.name()
                )
            });
        }
        let attends = kind != Some(&kinds[1]);
        for layer in 0..count_resnets(mid)? {
            let first = (layer == 0).then_some(attends);
            let outputs = self.layer(mid, layer, level, channels, first)?;
            mid.same(&format!("resnets.{layer}"), outputs, channels)?;
        }
        Ok(())
    }

    fn transformer(&mut self, place: &Place, level: usize, channels: usize) -> Checked<()> {
        place.group_norm("norm", channels, self.settings.norm_num_groups)?;
        let width = place.linear("proj_in", channels)?;
        let blocks = place.count("transformer_blocks");
        if blocks == 0 {
            return Err(Flaw::Missing(format!(
                "{}.transformer_blocks.0",
                place.name()
            )));
        }
        if self.config["transformer_layers_per_block"].is_number() {
            agrees(self.config, "transformer_layers_per_block", &[blocks])?;
        }
        for index in 0..blocks {
            let block = place.at(format!("transformer_blocks.{index}"));
            block.norm("norm1", width)?;
            self.attention(&block.at("attn1"), level, width, width)?;
            block.norm("norm2", width)?;
            let context = self.context_of(&block.at("attn2"))?;
            self.attention(&block.at("attn2"), level, width, context)?;
            block.norm("norm3", width)?;
            let expanded = block.linear("ff.net.0.proj", width)?;
            ensure(expanded.is_multiple_of(2), || {
                format!(
                    "{}.ff.net.0.proj has an odd number of features",
                    block.name()
                )
            })?;
            block.same("ff.net.2", block.linear("ff.net.2", expanded / 2)?, width)?;
        }
        place.same("proj_out", place.linear("proj_out", width)?, channels)
    }

    /// Width of the text's features, which is the same everywhere.
    fn context_of(&mut self, attention: &Place) -> Checked<usize> {
        let context = match *attention.shape("to_k.weight")? {
            [_, context] if context > 0 => context,
            ref shape => {
                let name = attention.name();
                return ensure(false, || format!("{name}.to_k.weight is {shape:?}")).map(|()| 0);
            }
        };
        let known = *self.context.get_or_insert(context);
        ensure(context == known, || {
            let name = attention.name();
            format!("{name} is for texts of {context} features, others for {known}")
        })?;
        Ok(known)
    }

    fn attention(
        &mut self,
        place: &Place,
        level: usize,
        channels: usize,
        source: usize,
    ) -> Checked<()> {
        let inner = place.linear_weight("to_q", channels)?;
        for name in ["to_k", "to_v"] {
            place.same(name, place.linear_weight(name, source)?, inner)?;
        }
        place.same("to_out.0", place.linear("to_out.0", inner)?, channels)?;
        let heads = self.settings.attention_head_dim.at(level);
        let heads = heads.map_err(|error| Flaw::Unsupported(error.message))?;
        place.heads(inner, heads)?;
        let path = place.name().split_once('.').map_or("", |(_, path)| path);
        self.attentions.push(Attention {
            path: path.to_string(),
            level,
            heads,
            channels,
            inner,
            source,
        });
        Ok(())
    }
}
