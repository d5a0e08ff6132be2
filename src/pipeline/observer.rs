use crate::image::Picture;
use crate::pack::LoadEvent;

/// What happens while an engine works. Counters never go back, but for those of loading, which
/// begin anew with each stage that is loaded.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Weights are read from the pack.
    Loading {
        /// Bytes of shards read and checked so far.
        loaded_bytes: u64,
        /// Bytes that will be read.
        total_bytes: u64,
    },
    /// The prompts go through the text encoder.
    Encoding,
    /// The latent is being denoised.
    Denoising {
        /// Steps done.
        step: usize,
        /// Steps in all.
        steps: usize,
        /// A rough picture of the latent, where one was asked for: of the output's size if the
        /// pack holds TAESD, else an eighth of it.
        preview: Option<Picture>,
    },
    /// The latent becomes pixels.
    Decoding {
        /// Passes of the transparency decoder done.
        pass: usize,
        /// Passes in all.
        passes: usize,
    },
}

impl From<LoadEvent> for Event {
    fn from(progress: LoadEvent) -> Self {
        Self::Loading {
            loaded_bytes: progress.loaded_bytes,
            total_bytes: progress.total_bytes,
        }
    }
}

/// Hears of progress and may stop the work.
#[allow(async_fn_in_trait)]
pub trait Observer {
    /// Awaited at least once a shard, denoising step and decode pass. Returning false aborts.
    async fn report(&mut self, event: Event) -> bool;
}

/// An observer that lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Observer for NoProgress {
    async fn report(&mut self, _: Event) -> bool {
        true
    }
}
