use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Tensor;

/// The text that steers a UNet: its features `[batch, tokens, features]`, and what the attentions
/// make of them, which stays the same over all steps.
pub struct TextContext {
    features: Tensor<3>,
    projected: RefCell<HashMap<ProjectionId, Tensor<3>>>,
}

impl From<Tensor<3>> for TextContext {
    fn from(features: Tensor<3>) -> Self {
        Self {
            features,
            projected: RefCell::default(),
        }
    }
}

impl TextContext {
    /// The features.
    pub fn features(&self) -> &Tensor<3> {
        &self.features
    }

    /// What `project` makes of the features, the first time that `id` asks.
    pub(super) fn projected(
        &self,
        id: ProjectionId,
        project: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let mut projected = self.projected.borrow_mut();
        let kept = projected.entry(id);
        kept.or_insert_with(|| project(self.features.clone()))
            .clone()
    }
}

/// Tells one layer from all others of the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ProjectionId(usize);

impl ProjectionId {
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
