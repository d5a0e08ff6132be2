//! What a request's prompts are at every step, and their features.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;

use super::request::{Request, ResolvedRequest};
use crate::pack::{Manifest, Role};
use crate::text::{
    Embedding, Prompt, PromptPart, PromptSchedule, TextEncoder, TextFeatures, Tokenizer,
    check_names, take_tags, unknown_words,
};
use crate::unet::TextContext;
use crate::weights::HostTensor;
use crate::weights::host::to_device;
use crate::{Error, ErrorCode, Result};

/// The longest prompt, in letters.
const MAX_LETTERS: usize = 20_000;

/// The most parts of a prompt between `AND`, each of which the UNet sees as a row of its own.
const MAX_PARTS: usize = 16;

/// The largest weight of such a part.
const MAX_PART_WEIGHT: f64 = 100.0;

/// The most chunks that all steps' texts may have together, so that their features fit in memory.
const MAX_ALL_CHUNKS: usize = 1024;

/// How many chunks prompts of different lengths may be repeated to, where none is a multiple of the
/// others.
const MAX_COMMON_CHUNKS: usize = 12;

/// The prompts of a request, taken apart and checked.
pub(super) struct Conditioning<'a> {
    /// The negative prompt, if there is guidance.
    negative: Option<PromptSchedule>,
    /// What the parts of `AND` are for each frame.
    parts: Vec<Vec<PromptSchedule>>,
    weights: Vec<f32>,
    /// The main prompt's first part, as it is without what is said of frames.
    main: PromptSchedule,
    embeddings: &'a [Embedding],
    clip_skip: usize,
    /// Tokens of a chunk, with the markers.
    length: usize,
    warnings: Vec<String>,
}

impl<'a> Conditioning<'a> {
    /// Reads the prompts of `request`, all but what their tags say.
    ///
    /// # Errors
    /// `bad_option` for what is too long, too deep or contradicts other options;
    /// `model_unsupported` if an embedding is for another model.
    pub fn read(request: &'a Request, plan: &ResolvedRequest, manifest: &Manifest) -> Result<Self> {
        let mut warnings = Vec::new();
        let text = |what: &str, prompt: &str| -> Result<String> {
            check_length(what, prompt)?;
            Ok(take_tags(prompt).0)
        };
        let main = text("prompt", &request.prompt)?;
        let negative = text("negative prompt", &request.negative_prompt)?;
        let own = plan.mode.roles().iter().map(|role| match role {
            Role::Foreground => text("foreground's prompt", &request.foreground_prompt),
            Role::Background => text("background's prompt", &request.background_prompt),
            Role::Blended => text("blended picture's prompt", &request.blended_prompt),
            Role::Image => Ok(String::new()),
        });
        let own: Vec<_> = own.collect::<Result<_>>()?;
        let shown = [std::slice::from_ref(&main), &own].concat().join(" ");
        warnings.extend(unknown_warning(&shown, manifest, &request.embeddings));
        let divided = PromptPart::split(&main);
        warnings.extend(check_parts(&divided, plan)?);
        let parts = divided.iter().map(|part| {
            let frames = own.iter().map(|own| match own.as_str() {
                "" => PromptSchedule::parse(&part.text),
                own => PromptSchedule::parse(&format!("{own}, {}", part.text)),
            });
            frames.collect::<Result<_>>()
        });
        let guided = plan.has_negative_rows;
        let length = manifest.text_encoder()?.max_position_embeddings;
        check_embeddings(&request.embeddings, manifest, length.saturating_sub(2))?;
        Ok(Self {
            negative: guided
                .then(|| PromptSchedule::parse(&negative))
                .transpose()?,
            parts: parts.collect::<Result<_>>()?,
            weights: divided.iter().map(|part| part.weight as f32).collect(),
            main: PromptSchedule::parse(&divided[0].text)?,
            embeddings: &request.embeddings,
            clip_skip: plan.clip_skip,
            length,
            warnings,
        })
    }

    /// How many rows the UNet sees for each frame.
    pub fn rows(&self) -> usize {
        self.parts.len() + usize::from(self.negative.is_some())
    }

    /// Cuts what the prompts are at each of `steps` into tokens. `dump` adds what only the dump needs.
    ///
    /// # Errors
    /// `bad_option` if they are too long.
    pub fn tokenize(self, tokenizer: &Tokenizer, steps: usize, dump: bool) -> Result<StepPrompts> {
        let mut texts = Texts::default();
        let mut prompt = |text: String| texts.add(text, tokenizer, self.length, self.embeddings);
        let frames = self.parts[0].len();
        let mut rows = Vec::new();
        for step in 0..steps {
            let mut row = Vec::new();
            if let Some(negative) = &self.negative {
                row.extend(vec![prompt(negative.at(step, steps))?; frames]);
            }
            for schedule in self.parts.iter().flatten() {
                row.push(prompt(schedule.at(step, steps))?);
            }
            rows.push(row);
        }
        let main = dump.then(|| prompt(self.main.at(0, steps))).transpose()?;
        let apart = |row: &Vec<usize>| {
            let of_frames = |frames: &[usize]| common_chunks(&texts.chunks(frames)).is_none();
            row.chunks(frames).any(of_frames)
        };
        let padding = rows.iter().any(apart);
        let padding =
            padding.then(|| texts.add(String::new(), tokenizer, self.length, self.embeddings));
        let mut warnings = self.warnings;
        warnings.extend(texts.warnings(self.embeddings));
        Ok(StepPrompts {
            prompts: texts.prompts,
            rows,
            frames,
            guided: self.negative.is_some(),
            weights: self.weights,
            main,
            padding: padding.transpose()?,
            clip_skip: self.clip_skip,
            embeddings: texts
                .used
                .iter()
                .map(|place| self.embeddings[*place].name().into())
                .collect(),
            warnings,
        })
    }
}

/// What is said of words that a model of few words does not know.
fn unknown_warning(prompt: &str, manifest: &Manifest, embeddings: &[Embedding]) -> Option<String> {
    let names = embeddings.iter().map(Embedding::name);
    let unknown = unknown_words(prompt, &manifest.words, names);
    (!unknown.is_empty()).then(|| {
        let unknown = unknown.join(", ");
        format!(
            "{} was not taught: {unknown}; such words are drawn as something else, or not at all",
            manifest.name
        )
    })
}

fn check_length(what: &str, prompt: &str) -> Result<()> {
    let letters = prompt.chars().count();
    if letters <= MAX_LETTERS {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::BadOption,
        format!("the {what} has {letters} letters"),
        format!("at most {MAX_LETTERS} are possible; shorten it"),
    ))
}

/// Refuses parts of `AND` that cannot be added. A warning where a prompt without `AND` has a weight.
fn check_parts(parts: &[PromptPart], plan: &ResolvedRequest) -> Result<Option<String>> {
    let bad = |message: String, hint: &str| Err(Error::new(ErrorCode::BadOption, message, hint));
    let heavy = parts
        .iter()
        .find(|part| part.weight.abs() > MAX_PART_WEIGHT);
    if let Some(part) = heavy {
        return bad(
            format!(
                "a prompt that ends in :{} has that weight, which is not possible",
                part.weight
            ),
            "use -100 to 100, or write a comma behind the number if it is text",
        );
    }
    match parts {
        [part] if part.weight == 1.0 => Ok(None),
        [part] => Ok(Some(format!(
            "the prompt ends in :{}, which is its weight, as in the web UIs; write a comma behind it \
             if it is text",
            part.weight
        ))),
        parts if parts.len() > MAX_PARTS => bad(
            format!("the prompt has {} parts between AND", parts.len()),
            "use at most 16",
        ),
        _ if !plan.has_negative_rows && plan.guidance != 1.0 => bad(
            "AND in a prompt is not possible with a model that is told the guidance".into(),
            "use a comma instead of AND",
        ),
        _ if plan.guidance <= 1.0 => bad(
            format!(
                "AND in a prompt is not possible with guidance {}",
                plan.guidance
            ),
            "use guidance above 1, or a comma instead of AND",
        ),
        _ => Ok(None),
    }
}

fn check_embeddings(embeddings: &[Embedding], manifest: &Manifest, room: usize) -> Result<()> {
    check_names(embeddings)?;
    let width = manifest.embedding_width();
    embeddings
        .iter()
        .try_for_each(|embedding| embedding.check_fits(width, room))
}

/// Texts that are encoded, each once.
#[derive(Default)]
struct Texts {
    places: BTreeMap<String, usize>,
    prompts: Vec<Prompt>,
    /// Places of the embeddings that they name.
    used: BTreeSet<usize>,
    all_chunks: usize,
}

impl Texts {
    /// The place of `text` among the prompts.
    fn add(
        &mut self,
        text: String,
        tokenizer: &Tokenizer,
        length: usize,
        embeddings: &[Embedding],
    ) -> Result<usize> {
        if let Some(place) = self.places.get(&text) {
            return Ok(*place);
        }
        let prompt = Prompt::new(&text, tokenizer, length, embeddings)?;
        self.used.extend(&prompt.embeddings);
        self.all_chunks += prompt.chunks();
        if self.all_chunks > MAX_ALL_CHUNKS {
            return Err(Error::new(
                ErrorCode::BadOption,
                "the prompts are too many different ones over the steps",
                "use fewer steps, or fewer changes while sampling",
            ));
        }
        let place = self.prompts.len();
        self.prompts.push(prompt);
        self.places.insert(text, place);
        Ok(place)
    }

    fn chunks(&self, places: &[usize]) -> Vec<usize> {
        let chunks = places.iter().map(|place| self.prompts[*place].chunks());
        chunks.collect()
    }

    fn warnings(&self, embeddings: &[Embedding]) -> Vec<String> {
        let names: Vec<_> = embeddings.iter().map(Embedding::name).collect();
        let there = match &names[..] {
            [] => "none was given".into(),
            names => format!("{} were given", names.join(", ")),
        };
        let unknown: BTreeSet<_> = self
            .prompts
            .iter()
            .flat_map(|prompt| &prompt.unknown)
            .collect();
        let unknown = unknown
            .into_iter()
            .map(|name| format!("there is no embedding {name:?}: {there}"));
        let idle = names.iter().enumerate();
        let idle = idle.filter(|(place, _)| !self.used.contains(place));
        let idle = idle.map(|(_, name)| format!("no prompt names the embedding {name:?}"));
        unknown.chain(idle).collect()
    }
}

/// The length to which prompts of so many chunks can be repeated; `None` if it is too much.
///
/// Attention sees no difference between tokens and the same tokens twice.
fn common_chunks(chunks: &[usize]) -> Option<usize> {
    let longest = chunks.iter().copied().max()?;
    let divides_all = |length: &usize| chunks.iter().all(|chunks| length.is_multiple_of(*chunks));
    let multiples = (1..).map(|times| times * longest);
    let possible =
        multiples.take_while(|length| *length == longest || *length <= MAX_COMMON_CHUNKS);
    possible.into_iter().find(divides_all)
}

/// The prompts of a request at every step, in tokens.
pub(super) struct StepPrompts {
    prompts: Vec<Prompt>,
    /// For each step the UNet's rows, by places in `prompts`: the negative prompt for each frame, if
    /// there is guidance, then each part's frames.
    rows: Vec<Vec<usize>>,
    frames: usize,
    guided: bool,
    weights: Vec<f32>,
    main: Option<usize>,
    /// The empty prompt, where frames' prompts have no common length.
    padding: Option<usize>,
    clip_skip: usize,
    /// The names of the embeddings that the prompts name.
    pub embeddings: Vec<String>,
    /// What the prompts say that has no effect.
    pub warnings: Vec<String>,
}

impl StepPrompts {
    /// Runs the text encoder on each text once. The features are read back, so that no work is left
    /// that needs it, and it may be freed.
    pub async fn encode(self, encoder: &TextEncoder) -> Result<StepFeatures> {
        let mut features = Vec::with_capacity(self.prompts.len());
        for prompt in &self.prompts {
            features.push(prompt.encode(encoder, self.clip_skip).await?);
        }
        Ok(StepFeatures {
            features,
            plan: self,
        })
    }
}

/// The features of a request's prompts at every step.
pub(super) struct StepFeatures {
    features: Vec<TextFeatures>,
    plan: StepPrompts,
}

impl StepFeatures {
    /// Whether the prompts are others than in the step before.
    pub fn changes_at(&self, step: usize) -> bool {
        step == 0 || self.plan.rows[step] != self.plan.rows[step - 1]
    }

    /// How much of each part's direction is added.
    pub fn weights(&self) -> &[f32] {
        &self.plan.weights
    }

    /// What the UNet is to see at `step` of so many `pictures`: one batch of all rows, or several that
    /// follow each other where lengths do not go together.
    pub fn contexts(&self, step: usize, pictures: usize, device: &Device) -> Vec<TextContext> {
        let groups = self.plan.rows[step].chunks(self.plan.frames);
        let groups: Vec<_> = groups.map(|group| group.repeat(pictures)).collect();
        let lengths: Vec<_> = groups.iter().map(|group| self.common(group)).collect();
        let context = |rows: &[usize], chunks: usize| {
            TextContext::from(to_device(&self.tensor(rows, chunks), device))
        };
        if let Some(common) = common_chunks(&lengths) {
            return vec![context(&groups.concat(), common)];
        }
        let mut batches: Vec<(Vec<usize>, usize)> = Vec::new();
        for (group, length) in groups.into_iter().zip(lengths) {
            match batches.last_mut().filter(|(_, last)| *last == length) {
                Some((rows, _)) => rows.extend(group),
                None => batches.push((group, length)),
            }
        }
        let contexts = batches.iter().map(|(rows, length)| context(rows, *length));
        contexts.collect()
    }

    /// The chunks that the prompts of a group of frames come to.
    fn common(&self, group: &[usize]) -> usize {
        let chunks = group.iter().map(|place| self.features[*place].chunks);
        let chunks: Vec<_> = chunks.collect();
        common_chunks(&chunks).unwrap_or_else(|| chunks.into_iter().max().unwrap_or(1))
    }

    /// Features `[rows, tokens, hidden]` of so many chunks each, repeated or else filled up.
    fn tensor(&self, rows: &[usize], chunks: usize) -> HostTensor {
        let mut data = Vec::new();
        for row in rows {
            let own = &self.features[*row];
            let times = chunks / own.chunks;
            data.extend(own.values.repeat(times));
            if let Some(padding) = self.plan.padding {
                let filled = chunks - times * own.chunks;
                data.extend(self.features[padding].values.repeat(filled));
            }
        }
        let own = &self.features[rows[0]];
        let tokens = own.tokens / own.chunks * chunks;
        let hidden = own.values.len() / own.tokens;
        HostTensor::new([rows.len(), tokens, hidden], data)
    }

    /// The first step's features by their names in the dump.
    pub fn first(&self) -> Vec<(String, HostTensor)> {
        let frames = self.plan.frames;
        let mut first = Vec::new();
        let mut keep = |name: String, rows: &[usize]| {
            first.push((name, self.tensor(rows, self.common(rows))));
        };
        if let Some(main) = self.plan.main {
            keep("text.cond".into(), &[main]);
        }
        let (negative, parts) = self.plan.rows[0].split_at(match self.plan.guided {
            true => frames,
            false => 0,
        });
        if let Some(negative) = negative.first() {
            keep("text.uncond".into(), &[*negative]);
        }
        for (part, rows) in parts.chunks(frames).enumerate() {
            match part {
                0 if frames > 1 => keep("text.cond.frames".into(), rows),
                0 => {}
                part => keep(format!("text.cond.part.{part}"), rows),
            }
        }
        first
    }

    /// The names of the embeddings in the prompts, and what had no effect.
    pub fn notes(self) -> (Vec<String>, Vec<String>) {
        (self.plan.embeddings, self.plan.warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::common_chunks;

    #[test]
    fn lengths_are_repeated_where_that_is_little() {
        for (chunks, expected) in [
            (&[1, 1][..], Some(1)),
            (&[1, 2], Some(2)),
            (&[2, 3], Some(6)),
            (&[3, 4, 1], Some(12)),
            (&[1, 32], Some(32)),
            (&[16, 32], Some(32)),
            (&[4, 5], None),
            (&[31, 32], None),
        ] {
            assert_eq!(common_chunks(chunks), expected, "{chunks:?}");
        }
    }
}
