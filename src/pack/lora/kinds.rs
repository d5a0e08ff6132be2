//! The kinds of updates: which tensors make one up, and the matrix that they stand for.
//!
//! | kind | update of a weight of `rows` outputs and `columns` inputs |
//! |---|---|
//! | LoRA, LoCon | `up · down` |
//! | LoCon, Tucker | `up · (mid ×₂ down)` |
//! | LoHa | `(w1_a · w1_b) ⊙ (w2_a · w2_b)` |
//! | LoKr | `w1 ⊗ w2` |
//! | difference | itself |
//!
//! A convolution counts as the matrix of its outputs by its inputs at all places of the kernel.

use std::collections::BTreeMap;

use super::names::Part;
use crate::weights::host::matmul;
use crate::weights::{HostTensor, TensorInfo};

/// A matrix as a file holds it.
#[derive(Debug, Clone)]
enum Matrix {
    Whole(String),
    Product {
        a: String,
        b: String,
        /// The core of a Tucker decomposition, whose factors are stored with the rank first.
        core: Option<String>,
    },
}

#[derive(Debug, Clone)]
enum Kind {
    LowRank {
        up: String,
        down: String,
        mid: Option<String>,
    },
    Hadamard([Matrix; 2]),
    Kronecker([Matrix; 2]),
    Difference(String),
}

/// How a layer's weight or bias is changed: the tensors that say it, and the size of the matrix
/// that they stand for.
#[derive(Debug, Clone)]
pub struct Change {
    kind: Kind,
    /// Outputs of the layer.
    pub rows: usize,
    /// Inputs of the layer, at each place of a kernel.
    pub columns: usize,
    /// What alpha is divided by; `None` where there is nothing to scale.
    pub rank: Option<usize>,
}

/// What is added to a weight.
pub enum Update {
    /// `up · down`.
    LowRank {
        /// `[rows, rank]`
        up: HostTensor,
        /// `[rank, columns]`
        down: HostTensor,
    },
    /// The matrix itself, `[rows, columns]`.
    Dense(HostTensor),
}

impl Update {
    /// The update as one matrix, `[rows, columns]`.
    pub fn dense(self) -> HostTensor {
        match self {
            Self::LowRank { up, down } => matmul(&up, &down),
            Self::Dense(matrix) => matrix,
        }
    }
}

/// The tensors of one layer.
pub struct LayerTensors<'a> {
    /// Names by what they are to the layer.
    pub parts: &'a BTreeMap<Part, String>,
    /// Headers of the file's tensors.
    pub tensors: &'a BTreeMap<String, TensorInfo>,
}

impl LayerTensors<'_> {
    /// How the layer's weight is changed, if it is.
    ///
    /// # Errors
    /// What is missing or does not go together.
    pub fn weight(&self) -> Result<Option<Change>, String> {
        use Part::*;
        let has = |parts: &[Part]| parts.iter().any(|part| self.parts.contains_key(part));
        let kinds = [
            has(&[Down, Up, Mid]).then(|| self.low_rank()),
            has(&[HadaW1A, HadaW1B, HadaW2A, HadaW2B, HadaT1, HadaT2]).then(|| self.hadamard()),
            has(&[KronW1, KronW1A, KronW1B, KronW2, KronW2A, KronW2B, KronT2])
                .then(|| self.kronecker()),
            has(&[Weight]).then(|| self.difference(Weight)),
        ];
        let mut found = kinds.into_iter().flatten();
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(change), None) => change.map(Some),
            _ => Err("it changes the same weight in two ways".into()),
        }
    }

    /// How the layer's bias is changed, if it is, and whether by as much as the weight.
    ///
    /// # Errors
    /// As [`LayerTensors::weight`].
    pub fn bias(&self) -> Result<Option<(Change, bool)>, String> {
        let [own, scaled] = [Part::Bias, Part::UpBias].map(|part| self.parts.contains_key(&part));
        match (own, scaled) {
            (false, false) => Ok(None),
            (true, true) => Err("it changes the same bias in two ways".into()),
            (true, false) => Ok(Some((self.difference(Part::Bias)?, false))),
            (false, true) => Ok(Some((self.difference(Part::UpBias)?, true))),
        }
    }

    fn low_rank(&self) -> Result<Change, String> {
        let (up, down) = (self.name(Part::Up)?, self.name(Part::Down)?);
        let mid = self.parts.get(&Part::Mid).cloned();
        let ([rows, rank], [down_rank, inputs]) = (self.size(&up), self.size(&down));
        let (expected, places) = match &mid {
            None => ([rank, rank], 1),
            Some(mid) => self.core(mid)?,
        };
        if expected != [rank, down_rank] {
            return Err(self.do_not_fit(&[Some(&up), mid.as_ref(), Some(&down)]));
        }
        Ok(Change {
            kind: Kind::LowRank { up, down, mid },
            rows,
            columns: inputs.saturating_mul(places),
            rank: Some(down_rank),
        })
    }

    fn hadamard(&self) -> Result<Change, String> {
        use Part::*;
        if self.parts.contains_key(&HadaT1) != self.parts.contains_key(&HadaT2) {
            self.name(HadaT1)?;
            self.name(HadaT2)?;
        }
        let (first, size, rank) = self.product(HadaW1A, HadaW1B, Some(HadaT1))?;
        let (second, other, _) = self.product(HadaW2A, HadaW2B, Some(HadaT2))?;
        if size != other {
            return Err(format!(
                "its factors stand for matrices of {size:?} and {other:?}"
            ));
        }
        Ok(Change {
            kind: Kind::Hadamard([first, second]),
            rows: size[0],
            columns: size[1],
            rank: Some(rank),
        })
    }

    fn kronecker(&self) -> Result<Change, String> {
        use Part::*;
        let factor = |whole: Part, [a, b]: [Part; 2], core: Option<Part>| {
            let Some(name) = self.parts.get(&whole) else {
                let (matrix, size, rank) = self.product(a, b, core)?;
                return Ok((matrix, size, Some(rank)));
            };
            let mut others = [Some(a), Some(b), core].into_iter().flatten();
            match others.find(|part| self.parts.contains_key(part)) {
                None => Ok((Matrix::Whole(name.clone()), self.size(name), None)),
                Some(_) => Err(format!("{name} is there whole and in parts")),
            }
        };
        let (first, size, rank) = factor(KronW1, [KronW1A, KronW1B], None)?;
        let (second, other, own) = factor(KronW2, [KronW2A, KronW2B], Some(KronT2))?;
        Ok(Change {
            kind: Kind::Kronecker([first, second]),
            rows: size[0].saturating_mul(other[0]),
            columns: size[1].saturating_mul(other[1]),
            rank: own.or(rank),
        })
    }

    /// `a · b`, or with a core `core ×₁ a ×₂ b`: the matrix, its size and the rank.
    fn product(
        &self,
        a: Part,
        b: Part,
        core: Option<Part>,
    ) -> Result<(Matrix, [usize; 2], usize), String> {
        let (a, b) = (self.name(a)?, self.name(b)?);
        let core = core.and_then(|core| self.parts.get(&core).cloned());
        let ([rows, inner], [rank, columns]) = (self.size(&a), self.size(&b));
        let (fits, size) = match &core {
            None => (inner == rank, [rows, columns]),
            Some(core) => {
                let (sizes, places) = self.core(core)?;
                (
                    sizes == [rows, rank],
                    [inner, columns.saturating_mul(places)],
                )
            }
        };
        match fits {
            true => Ok((Matrix::Product { a, b, core }, size, rank)),
            false => Err(self.do_not_fit(&[Some(&a), core.as_ref(), Some(&b)])),
        }
    }

    fn difference(&self, part: Part) -> Result<Change, String> {
        let name = self.name(part)?;
        let [rows, columns] = self.size(&name);
        Ok(Change {
            kind: Kind::Difference(name),
            rows,
            columns,
            rank: None,
        })
    }

    fn name(&self, part: Part) -> Result<String, String> {
        let found = self.parts.get(&part).cloned();
        found.ok_or_else(|| {
            let other = self.parts.values().next().map_or("", String::as_str);
            format!("{other} is there without {}", part.as_str())
        })
    }

    /// The size of a tensor as a matrix of its first axis by all others.
    fn size(&self, name: &str) -> [usize; 2] {
        let shape = &self.tensors[name].shape;
        let rows = shape.first().copied().unwrap_or(1);
        [rows, shape.iter().skip(1).product()]
    }

    /// The ranks that a core joins, and the places of its kernel.
    fn core(&self, name: &str) -> Result<([usize; 2], usize), String> {
        match self.tensors[name].shape.as_slice() {
            [first, second, kernel @ ..] => Ok(([*first, *second], kernel.iter().product())),
            shape => Err(format!("{name} is of {shape:?}")),
        }
    }

    fn do_not_fit(&self, names: &[Option<&String>]) -> String {
        let of = |name: &&String| format!("{name} of {:?}", self.tensors[*name].shape);
        let all: Vec<_> = names.iter().flatten().map(of).collect();
        format!("the ranks differ: {}", all.join(", "))
    }
}

impl Change {
    /// Whether it is stored as it is, so that there is no alpha for it.
    pub fn is_difference(&self) -> bool {
        matches!(self.kind, Kind::Difference(_))
    }

    /// How many numbers it is computed with: those of its factors, or the matrix's.
    pub fn count(&self) -> usize {
        match (&self.kind, self.rank) {
            (Kind::LowRank { .. }, Some(rank)) => {
                rank.saturating_mul(self.rows.saturating_add(self.columns))
            }
            _ => self.rows.saturating_mul(self.columns),
        }
    }

    /// One of the tensors that say it, for messages.
    pub fn first_tensor(&self) -> &str {
        match &self.kind {
            Kind::LowRank { down, .. } => down,
            Kind::Hadamard([first, _]) | Kind::Kronecker([first, _]) => match first {
                Matrix::Whole(name) | Matrix::Product { a: name, .. } => name,
            },
            Kind::Difference(name) => name,
        }
    }

    /// The update, of tensors that `read` gives.
    pub fn update<E>(
        &self,
        mut read: impl FnMut(&str) -> Result<HostTensor, E>,
    ) -> Result<Update, E> {
        Ok(match &self.kind {
            Kind::LowRank { up, down, mid } => {
                let (up, mut down) = (matrix(read(up)?), matrix(read(down)?));
                if let Some(mid) = mid {
                    down = expand(&read(mid)?, &down);
                }
                Update::LowRank { up, down }
            }
            Kind::Hadamard([first, second]) => {
                let mut product = first.read(&mut read)?;
                let second = second.read(&mut read)?;
                for (value, factor) in product.data.iter_mut().zip(second.data) {
                    *value *= factor;
                }
                Update::Dense(product)
            }
            Kind::Kronecker([first, second]) => {
                Update::Dense(kronecker(&first.read(&mut read)?, &second.read(&mut read)?))
            }
            Kind::Difference(name) => Update::Dense(matrix(read(name)?)),
        })
    }
}

impl Matrix {
    fn read<E>(
        &self,
        read: &mut impl FnMut(&str) -> Result<HostTensor, E>,
    ) -> Result<HostTensor, E> {
        Ok(match self {
            Self::Whole(name) => matrix(read(name)?),
            Self::Product { a, b, core: None } => matmul(&matrix(read(a)?), &matrix(read(b)?)),
            Self::Product {
                a,
                b,
                core: Some(core),
            } => {
                let inner = expand(&read(core)?, &matrix(read(b)?));
                matmul(&transposed(&matrix(read(a)?)), &inner)
            }
        })
    }
}

/// A tensor as a matrix of its first axis by all others.
fn matrix(mut tensor: HostTensor) -> HostTensor {
    let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
    tensor.shape = vec![rows, tensor.data.len() / rows];
    tensor
}

fn transposed(matrix: &HostTensor) -> HostTensor {
    let [rows, columns] = [matrix.shape[0], matrix.shape[1]];
    let column = |column: usize| (0..rows).map(move |row| matrix.data[row * columns + column]);
    HostTensor::new([columns, rows], (0..columns).flat_map(column).collect())
}

/// `core ×₂ b`: of a core `[m, n, ...]` and `b` of `[n, columns]` the matrix
/// `[m, columns · places]`, the places of the kernel innermost.
fn expand(core: &HostTensor, b: &HostTensor) -> HostTensor {
    let [outer, inner] = [core.shape[0], core.shape[1]];
    let places = core.data.len() / (outer * inner);
    let columns = b.shape[1];
    let mut out = Vec::with_capacity(outer * columns * places);
    for slice in core.data.chunks_exact(inner * places) {
        let slice = HostTensor::new([inner, places], slice.to_vec());
        // Columns by places, as a convolution's row has them.
        out.extend(matmul(&transposed(b), &slice).data);
    }
    HostTensor::new([outer, columns * places], out)
}

fn kronecker(first: &HostTensor, second: &HostTensor) -> HostTensor {
    let size = [0, 1].map(|axis| first.shape[axis] * second.shape[axis]);
    let mut out = Vec::with_capacity(size[0] * size[1]);
    for outer in first.data.chunks_exact(first.shape[1]) {
        for inner in second.data.chunks_exact(second.shape[1]) {
            out.extend(outer.iter().flat_map(|a| inner.iter().map(move |b| a * b)));
        }
    }
    HostTensor::new(size, out)
}
