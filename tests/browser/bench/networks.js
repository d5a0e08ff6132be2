// Stable Diffusion's networks and LayerDiffuse's decoder as ONNX graphs. Levels, widths and layers are
// read from the tensors, as in the crate.

/** Sinusoidal features of a timestep for the UNet's first layer, in every row of a batch. */
export function timeFeatures(timestep, tensors, batch) {
  const width = tensors.get("unet.time_embedding.linear_1.weight").shape[1];
  const half = width / 2;
  const angles = Array.from({ length: half }, (_, index) => timestep * 10000 ** (-index / half));
  const row = [...angles.map(Math.cos), ...angles.map(Math.sin)];
  return { shape: [batch, width], data: Float32Array.from({ length: batch * width }, (_, i) => row[i % width]) };
}

/** Epsilon of `latent`, given the features of its `time` and those of a prompt. */
export function unet(layers, config, { latent, time, context }) {
  const net = layers.at("unet");
  const [groups, epsilon] = [config.norm_num_groups ?? 32, config.norm_eps ?? 1e-5];
  const levels = net.count("down_blocks");
  const heads = (level) => config.attention_head_dim[level] ?? config.attention_head_dim;
  const embedded = net.at("time_embedding.linear_1").linear(time);
  const shift = net.silu(net.at("time_embedding.linear_2").linear(net.silu(embedded)));
  const resnetOf = (place, x) => resnet(place, x, groups, epsilon, shift);
  const layer = (block, index, level, x) => {
    const made = resnetOf(block.at(`resnets.${index}`), x);
    const attention = block.at(`attentions.${index}`);
    return attention.has("norm.weight") ? transformer(attention, made, groups, heads(level), context) : made;
  };

  let x = net.at("conv_in").conv(latent);
  const skips = [x];
  for (let level = 0; level < levels; level++) {
    const block = net.at(`down_blocks.${level}`);
    for (let index = 0; index < block.count("resnets"); index++) {
      x = layer(block, index, level, x);
      skips.push(x);
    }
    const downsample = block.at("downsamplers.0.conv");
    if (downsample.has("weight")) {
      x = downsample.conv(x, { stride: 2 });
      skips.push(x);
    }
  }
  const middle = net.at("mid_block");
  x = resnetOf(middle.at("resnets.1"), layer(middle, 0, levels - 1, x));
  for (let level = levels - 1; level >= 0; level--) {
    const block = net.at(`up_blocks.${levels - 1 - level}`);
    for (let index = 0; index < block.count("resnets"); index++) {
      x = layer(block, index, level, net.concatChannels(x, skips.pop()));
    }
    x = upsampled(block, x);
  }
  return net.at("conv_out").conv(net.silu(net.at("conv_norm_out").groupNorm(x, groups, epsilon)));
}

/** The picture, about -1 to 1, of an unscaled latent. */
export function vaeDecoder(layers, config, latent) {
  const [groups, epsilon] = [config.norm_num_groups ?? 32, 1e-6];
  const net = layers.at("vae.decoder");
  const middle = net.at("mid_block");
  let x = net.at("conv_in").conv(layers.at("vae.post_quant_conv").conv(latent));
  x = resnet(middle.at("resnets.0"), x, groups, epsilon);
  x = attentionBlock(middle.at("attentions.0"), x, groups, epsilon, 1);
  x = resnet(middle.at("resnets.1"), x, groups, epsilon);
  for (let level = 0; level < net.count("up_blocks"); level++) {
    const block = net.at(`up_blocks.${level}`);
    for (let index = 0; index < block.count("resnets"); index++) {
      x = resnet(block.at(`resnets.${index}`), x, groups, epsilon);
    }
    x = upsampled(block, x);
  }
  return net.at("conv_out").conv(net.silu(net.at("conv_norm_out").groupNorm(x, groups, epsilon)));
}

/** Alpha, red, green and blue, from a picture in 0 to 1 and its unscaled latent. */
export function transparencyDecoder(layers, { pixels, latent }) {
  const [groups, epsilon, headChannels, latentLevel] = [4, 1e-5, 8, 3];
  const net = layers.at("transparency_decoder");
  const attend = (place, x) => attentionBlock(place, x, groups, epsilon, x.shape[1] / headChannels);
  const layer = (block, index, x) => {
    const made = resnet(block.at(`resnets.${index}`), x, groups, epsilon);
    const attention = block.at(`attentions.${index}`);
    return attention.has("group_norm.weight") ? attend(attention, made) : made;
  };

  let x = net.at("conv_in").conv(pixels);
  const skips = [x];
  for (let level = 0; level < net.count("down_blocks"); level++) {
    if (level === latentLevel) x = net.add(x, net.at("latent_conv_in").conv(latent));
    const block = net.at(`down_blocks.${level}`);
    for (let index = 0; index < block.count("resnets"); index++) {
      x = layer(block, index, x);
      skips.push(x);
    }
    const downsample = block.at("downsamplers.0.conv");
    if (downsample.has("weight")) {
      x = downsample.conv(x, { stride: 2 });
      skips.push(x);
    }
  }
  const middle = net.at("mid_block");
  x = layer(middle, 0, x);
  x = resnet(middle.at("resnets.1"), x, groups, epsilon);
  for (let level = 0; level < net.count("up_blocks"); level++) {
    const block = net.at(`up_blocks.${level}`);
    for (let index = 0; index < block.count("resnets"); index++) {
      x = layer(block, index, net.concatChannels(x, skips.pop()));
    }
    x = upsampled(block, x);
  }
  return net.at("conv_out").conv(net.silu(net.at("conv_norm_out").groupNorm(x, groups, epsilon)));
}

/** The features of token ids, as CLIP's text model has them. */
export function textEncoder(layers, config, ids) {
  const net = layers.at("text_encoder.text_model");
  const [heads, epsilon] = [config.num_attention_heads, config.layer_norm_eps ?? 1e-5];
  let x = net.add(net.at("embeddings.token_embedding").lookUp(ids), net.constant("embeddings.position_embedding.weight"));
  for (let index = 0; index < net.count("encoder.layers"); index++) {
    const layer = net.at(`encoder.layers.${index}`);
    const attention = layer.at("self_attn");
    const normed = layer.at("layer_norm1").layerNorm(x, epsilon);
    const [query, key, value] = ["q_proj", "k_proj", "v_proj"].map((name) => attention.at(name).linear(normed));
    const attended = net.attention(query, key, value, heads, { causal: true });
    x = net.add(x, attention.at("out_proj").linear(attended));
    const expanded = layer.at("mlp.fc1").linear(layer.at("layer_norm2").layerNorm(x, epsilon));
    const activated = config.hidden_act === "gelu" ? net.gelu(expanded) : net.quickGelu(expanded);
    x = net.add(x, layer.at("mlp.fc2").linear(activated));
  }
  return net.at("final_layer_norm").layerNorm(x, epsilon);
}

function resnet(place, x, groups, epsilon, shift) {
  const convolved = (number, x) => {
    const normed = place.at(`norm${number}`).groupNorm(x, groups, epsilon);
    return place.at(`conv${number}`).conv(place.silu(normed));
  };
  let hidden = convolved(1, x);
  if (shift) {
    const moved = place.at("time_emb_proj").linear(shift);
    hidden = place.add(hidden, place.reshape(moved, [...moved.shape, 1, 1]));
  }
  const out = convolved(2, hidden);
  const shortcut = place.at("conv_shortcut");
  return place.add(out, shortcut.has("weight") ? shortcut.conv(x) : x);
}

function upsampled(block, x) {
  const upsample = block.at("upsamplers.0.conv");
  return upsample.has("weight") ? upsample.conv(block.upsample(x)) : x;
}

/** Attention among the cells of a map, around a residual. */
function attentionBlock(place, x, groups, epsilon, heads) {
  const normed = toTokens(place, place.at("group_norm").groupNorm(x, groups, epsilon));
  const [query, key, value] = ["to_q", "to_k", "to_v"].map((name) => place.at(name).linear(normed));
  const attended = place.at("to_out.0").linear(place.attention(query, key, value, heads));
  return place.add(toMap(place, attended, x.shape), x);
}

/** Attention among the cells of a map and to the text, around a residual. */
function transformer(place, x, groups, heads, context) {
  const projected = place.at("proj_in").conv(place.at("norm").groupNorm(x, groups, 1e-6));
  let tokens = toTokens(place, projected);
  for (let index = 0; index < place.count("transformer_blocks"); index++) {
    const block = place.at(`transformer_blocks.${index}`);
    const attend = (name, normed, source) => {
      const attention = block.at(name);
      const query = attention.at("to_q").linear(normed);
      const [key, value] = ["to_k", "to_v"].map((name) => attention.at(name).linear(source));
      return attention.at("to_out.0").linear(block.attention(query, key, value, heads));
    };
    const normed = block.at("norm1").layerNorm(tokens);
    tokens = block.add(tokens, attend("attn1", normed, normed));
    tokens = block.add(tokens, attend("attn2", block.at("norm2").layerNorm(tokens), context));
    const [value, gate] = block.graph.halves(block.at("ff.net.0.proj").linear(block.at("norm3").layerNorm(tokens)));
    const gated = block.graph.apply("Mul", [value, block.gelu(gate)], value.shape);
    tokens = block.add(tokens, block.at("ff.net.2").linear(gated));
  }
  return place.add(place.at("proj_out").conv(toMap(place, tokens, x.shape)), x);
}

function toTokens(place, x) {
  const [batch, channels, height, width] = x.shape;
  return place.reshape(place.transpose(x, [0, 2, 3, 1]), [batch, height * width, channels]);
}

function toMap(place, tokens, [batch, channels, height, width]) {
  return place.transpose(place.reshape(tokens, [batch, height, width, channels]), [0, 3, 1, 2]);
}
