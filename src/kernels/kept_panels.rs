use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a CPU last packed a weight to, if that is kept for the next time: for a few dozen rows packing takes half as long as
/// multiplying. It is four times the bytes of a weight of 8 bits, or seven.
#[derive(Clone, Default)]
pub struct KeptPanels(Option<Arc<Mutex<Kept>>>);

#[derive(Default)]
struct Kept {
    packing: Option<Packing>,
    blocks: BTreeMap<usize, Arc<Vec<f32>>>,
}

/// How a weight lies where it is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// In panels of the right matrix's columns, with so many features of one block beside each other.
    Columns { parts: usize },
    /// In panels of the left matrix's rows.
    Rows,
    /// In panels of rows for each number that a kernel of 3 x 3 is transformed to.
    Winograd,
}

impl KeptPanels {
    /// Of a weight whose panels are kept.
    pub fn keeping() -> Self {
        Self(Some(Arc::default()))
    }

    /// Of another weight, kept if these are.
    pub fn anew(&self) -> Self {
        match self.0 {
            Some(_) => Self::keeping(),
            None => Self(None),
        }
    }

    /// A block of a weight, packed by `pack` unless it is kept. A weight that is packed in another way than before is not
    /// kept both ways.
    pub(super) fn block(
        &self,
        packing: Packing,
        index: usize,
        pack: impl FnOnce() -> Vec<f32>,
    ) -> Arc<Vec<f32>> {
        let Some(kept) = &self.0 else {
            return Arc::new(pack());
        };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.packing != Some(packing) {
            *kept = Kept {
                packing: Some(packing),
                blocks: BTreeMap::new(),
            };
        }
        let block = kept.blocks.entry(index);
        Arc::clone(block.or_insert_with(|| Arc::new(pack())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_packed_once_for_each_packing_in_a_row() {
        let (kept, mut packed) = (KeptPanels::keeping(), 0);
        let mut block = |kept: &KeptPanels, packing, index| {
            kept.block(packing, index, || {
                packed += 1;
                vec![packed as f32]
            })[0]
        };
        assert_eq!(block(&kept, Packing::Rows, 0), 1.0);
        assert_eq!(block(&kept, Packing::Rows, 1), 2.0);
        assert_eq!(block(&kept.clone(), Packing::Rows, 0), 1.0);
        assert_eq!(block(&kept.anew(), Packing::Rows, 0), 3.0);
        assert_eq!(block(&kept, Packing::Winograd, 0), 4.0);
        assert_eq!(block(&kept, Packing::Rows, 0), 5.0);
        assert_eq!(block(&KeptPanels::default(), Packing::Rows, 0), 6.0);
        assert_eq!(block(&KeptPanels::default().anew(), Packing::Rows, 0), 7.0);
    }
}
