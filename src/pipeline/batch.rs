//! Several pictures of one request.

use super::engine::{Engine, Generation};
use super::observer::{Event, Observer};
use super::request::{Request, check_count};
use crate::Result;
use crate::pack::PackSource;

/// The most pictures of which the UNet sees the rows at once: what more would save is little.
const LARGEST: usize = 8;

impl<S: PackSource> Engine<S> {
    /// As [`Engine::generate`], so many pictures, each from the seed after those of the one before. On a GPU the
    /// UNet sees several at once, as many as the memory limit allows; on a CPU that would save nothing.
    ///
    /// # Errors
    /// `bad_option` for noise that all would have; as [`Engine::generate`].
    pub async fn generate_all(
        &mut self,
        request: &Request,
        count: usize,
        observer: &mut impl Observer,
    ) -> Result<Vec<Generation>> {
        check_count(request, count)?;
        let mut made = Vec::new();
        let mut request = request.clone();
        while made.len() < count {
            let size = self.batch_size(&request, count - made.len())?;
            let mut counted = Counted {
                inner: &mut *observer,
                count,
                made: made.len(),
                size,
            };
            let batch = self.generate_batch(&request, size, &mut counted).await?;
            let frames: usize = batch.iter().map(|one| one.latent.values.shape[0]).sum();
            request.seed = request.seed.wrapping_add(frames as u64);
            made.extend(batch);
        }
        Ok(made)
    }

    async fn generate_batch<O: Observer>(
        &mut self,
        request: &Request,
        size: usize,
        observer: &mut Counted<'_, O>,
    ) -> Result<Vec<Generation>> {
        if size == 1 {
            return Ok(vec![self.generate(request, observer).await?]);
        }
        let mut made = Vec::new();
        for sampled in self.sample_batch(request, size, observer).await? {
            made.push(self.finish(request, sampled, observer).await?);
            observer.size -= 1;
            observer.made += 1;
        }
        Ok(made)
    }

    /// How many of `left` pictures the UNet sees at once.
    ///
    /// # Errors
    /// As [`Engine::generate`] finds out about the request.
    pub(crate) fn batch_size(&self, request: &Request, left: usize) -> Result<usize> {
        if !self.shares_batches() || request.hires.is_some() || request.dump {
            return Ok(1);
        }
        self.pictures_at_once(request, left.min(LARGEST))
    }
}

/// Hears of the pictures of a request one batch after the other, and counts them as one piece of work.
pub(crate) struct Counted<'a, O> {
    pub inner: &'a mut O,
    /// Pictures in all.
    pub count: usize,
    /// Pictures that are whole.
    pub made: usize,
    /// Pictures of which the UNet sees the rows at once, without those of them that are whole.
    pub size: usize,
}

impl<O: Observer> Observer for Counted<'_, O> {
    async fn report(&mut self, event: Event) -> bool {
        let event = match event {
            Event::Denoising {
                step,
                steps,
                preview,
            } => Event::Denoising {
                step: self.made * steps + self.size * step,
                steps: self.count * steps,
                preview,
            },
            Event::Decoding { pass, passes } => Event::Decoding {
                pass: self.made * passes + pass,
                passes: self.count * passes,
            },
            event => event,
        };
        self.inner.report(event).await
    }
}
