use std::collections::BTreeMap;

use serde_json::Value;

/// Channels of a latent.
pub const LATENT: usize = 4;

/// Shapes of tensors by name, as PyTorch orders their axes.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Why a network cannot be run.
#[derive(Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It lacks a tensor.
    Missing(String),
    /// Something is there that the network does not have or cannot use.
    Unsupported(String),
}

pub type Checked<T> = std::result::Result<T, Flaw>;

/// `Err` with what `reason` says, unless `condition` holds.
pub fn ensure(condition: bool, reason: impl FnOnce() -> String) -> Checked<()> {
    match condition {
        true => Ok(()),
        false => Err(Flaw::Unsupported(reason())),
    }
}

/// A place in the tree of tensor names, as [`Weights`](crate::weights::Weights) is when the network is
/// loaded.
#[derive(Clone)]
pub struct Place<'a> {
    shapes: &'a Shapes,
    prefix: String,
}

impl<'a> Place<'a> {
    pub fn new(shapes: &'a Shapes, prefix: &str) -> Self {
        let prefix = prefix.to_string();
        Self { shapes, prefix }
    }

    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: self.full(name),
            ..*self
        }
    }

    fn full(&self, name: impl std::fmt::Display) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The name of this place, for messages.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    pub fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(&self.full(name))
    }

    /// Whether any tensor is below `name`.
    pub fn has_below(&self, name: impl std::fmt::Display) -> bool {
        let start = format!("{}.", self.full(name));
        let mut from = self.shapes.range(start.clone()..);
        from.next().is_some_and(|(key, _)| key.starts_with(&start))
    }

    /// How many of `name.0`, `name.1`, ... there are.
    pub fn count(&self, name: &str) -> usize {
        let is_there = |index: &usize| self.has_below(format!("{name}.{index}"));
        (0..).take_while(is_there).count()
    }

    pub fn shape(&self, name: &str) -> Checked<&'a [usize]> {
        let name = self.full(name);
        let shape = self.shapes.get(&name).map(Vec::as_slice);
        shape.ok_or(Flaw::Missing(name))
    }

    /// The first axis of tensor `name`: the features that a layer gives.
    pub fn outputs(&self, name: &str) -> Checked<usize> {
        match self.shape(name)? {
            [outputs, ..] if *outputs > 0 => Ok(*outputs),
            shape => Err(Flaw::Unsupported(format!(
                "{} is {shape:?}",
                self.full(name)
            ))),
        }
    }

    /// Tensor `name` must be there and of `expected` shape.
    pub fn expect(&self, name: &str, expected: &[usize]) -> Checked<()> {
        let shape = self.shape(name)?;
        ensure(shape == expected, || {
            format!(
                "{} is {shape:?} where {expected:?} is needed",
                self.full(name)
            )
        })
    }

    /// A convolution of `inputs` channels with its bias; gives its output channels.
    pub fn conv(&self, name: &str, inputs: usize, kernel: usize) -> Checked<usize> {
        let outputs = self.conv_weight(name, inputs, kernel)?;
        self.expect(&format!("{name}.bias"), &[outputs])?;
        Ok(outputs)
    }

    /// As [`Place::conv`]; the bias may be missing.
    pub fn conv_weight(&self, name: &str, inputs: usize, kernel: usize) -> Checked<usize> {
        let weight = format!("{name}.weight");
        let outputs = self.outputs(&weight)?;
        self.expect(&weight, &[outputs, inputs, kernel, kernel])?;
        self.optional_bias(name, outputs)?;
        Ok(outputs)
    }

    /// A linear layer of `inputs` features with its bias; gives its output features.
    pub fn linear(&self, name: &str, inputs: usize) -> Checked<usize> {
        let outputs = self.linear_weight(name, inputs)?;
        self.expect(&format!("{name}.bias"), &[outputs])?;
        Ok(outputs)
    }

    /// As [`Place::linear`]; the bias may be missing. The weight may be a 1x1 convolution's.
    pub fn linear_weight(&self, name: &str, inputs: usize) -> Checked<usize> {
        let weight = format!("{name}.weight");
        let outputs = self.outputs(&weight)?;
        match self.shape(&weight)? {
            [_, _, 1, 1] => self.expect(&weight, &[outputs, inputs, 1, 1])?,
            _ => self.expect(&weight, &[outputs, inputs])?,
        }
        self.optional_bias(name, outputs)?;
        Ok(outputs)
    }

    fn optional_bias(&self, name: &str, outputs: usize) -> Checked<()> {
        let bias = format!("{name}.bias");
        match self.has(&bias) {
            true => self.expect(&bias, &[outputs]),
            false => Ok(()),
        }
    }

    /// Scale and shift of a norm over `channels`.
    pub fn norm(&self, name: &str, channels: usize) -> Checked<()> {
        self.expect(&format!("{name}.weight"), &[channels])?;
        self.expect(&format!("{name}.bias"), &[channels])
    }

    /// A norm over `groups` groups of `channels`.
    pub fn group_norm(&self, name: &str, channels: usize, groups: usize) -> Checked<()> {
        self.norm(name, channels)?;
        ensure(groups > 0 && channels.is_multiple_of(groups), || {
            let name = self.full(name);
            format!("{name} has {channels} channels, which are not a multiple of {groups} groups")
        })
    }

    /// A residual block of two 3x3 convolutions from `inputs` channels; gives its output channels.
    /// `time` is the width of the time embedding that shifts it, if one does.
    pub fn resnet(&self, inputs: usize, groups: usize, time: Option<usize>) -> Checked<usize> {
        self.group_norm("norm1", inputs, groups)?;
        let outputs = self.conv("conv1", inputs, 3)?;
        if let Some(time) = time {
            let shift = self.linear("time_emb_proj", time)?;
            self.same("time_emb_proj", shift, outputs)?;
        }
        self.group_norm("norm2", outputs, groups)?;
        let back = self.conv("conv2", outputs, 3)?;
        self.same("conv2", back, outputs)?;
        if inputs != outputs || self.has("conv_shortcut.weight") {
            let shortcut = self.conv("conv_shortcut", inputs, 1)?;
            self.same("conv_shortcut", shortcut, outputs)?;
        }
        Ok(outputs)
    }

    /// Layer `name` must give as many features as are needed.
    pub fn same(&self, name: &str, outputs: usize, needed: usize) -> Checked<()> {
        ensure(outputs == needed, || {
            let name = self.full(name);
            format!("{name} gives {outputs} features where {needed} are needed")
        })
    }

    /// Self-attention over the cells of a map, around a residual.
    pub fn attention_block(&self, channels: usize, heads: usize, groups: usize) -> Checked<()> {
        self.group_norm("group_norm", channels, groups)?;
        let inner = self.linear("to_q", channels)?;
        for name in ["to_k", "to_v"] {
            self.same(name, self.linear(name, channels)?, inner)?;
        }
        self.same("to_out.0", self.linear("to_out.0", inner)?, channels)?;
        self.heads(inner, heads)
    }

    /// The features of an attention must fall into `heads`.
    pub fn heads(&self, features: usize, heads: usize) -> Checked<()> {
        ensure(heads > 0 && features.is_multiple_of(heads), || {
            let name = &self.prefix;
            format!("{name} has {features} features, which are not a multiple of {heads} heads")
        })
    }
}

/// Refuses a config in which `field` has another value than one of `allowed`, or a list of such. What
/// is not said, or `null`, is the default.
pub fn only(config: &Value, field: &str, allowed: &[Value]) -> Checked<()> {
    let is_allowed = |value: &Value| match value.as_f64() {
        Some(number) => allowed.iter().any(|other| other.as_f64() == Some(number)),
        None => value.is_null() || allowed.contains(value),
    };
    let value = &config[field];
    let fits = match value.as_array() {
        Some(values) => values.iter().all(is_allowed),
        None => is_allowed(value),
    };
    ensure(fits, || format!("its config has {field} {value}"))
}

/// Refuses a config in which `field` is a number, or a list with one for each of `sizes`, other than
/// those of the tensors.
pub fn agrees(config: &Value, field: &str, sizes: &[usize]) -> Checked<()> {
    let number = |value: &Value, size: usize| value.as_u64() == Some(size as u64);
    let value = &config[field];
    let fits = match value {
        Value::Null => true,
        Value::Array(values) => {
            let mut pairs = values.iter().zip(sizes);
            values.len() == sizes.len() && pairs.all(|(value, size)| number(value, *size))
        }
        _ => sizes.iter().all(|size| number(value, *size)),
    };
    ensure(fits, || {
        format!("its config has {field} {value}, but its tensors {sizes:?}")
    })
}
