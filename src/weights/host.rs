use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use crate::{Error, ErrorCode, Result};

/// A tensor of `f32` in ordinary memory, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// Sizes of the axes, outermost first.
    pub shape: Vec<usize>,
    /// The values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

impl HostTensor {
    /// A tensor of `shape` over `data`. Panics if their sizes disagree.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "shape {shape:?} does not hold {} values",
            data.len()
        );
        Self { shape, data }
    }

    /// A convolution's weight, `[out, in, height, width]`, as it is stored and computed with:
    /// `[out, height, width, in]`. Anything else stays as it is.
    pub fn channels_last(self) -> Self {
        let [out, inputs, height, width] = self.shape[..] else {
            return self;
        };
        let area = height * width;
        let mut data = Vec::with_capacity(self.data.len());
        for row in self.data.chunks_exact((inputs * area).max(1)) {
            for tap in 0..area {
                data.extend((0..inputs).map(|input| row[input * area + tap]));
            }
        }
        Self::new([out, height, width, inputs], data)
    }

    /// The reverse of [`HostTensor::channels_last`]: `[out, height, width, in]` as checkpoints hold
    /// it. Anything without four axes stays as it is.
    pub fn channels_first(self) -> Self {
        let [out, height, width, inputs] = self.shape[..] else {
            return self;
        };
        let area = height * width;
        let mut data = Vec::with_capacity(self.data.len());
        for row in self.data.chunks_exact((inputs * area).max(1)) {
            for input in 0..inputs {
                data.extend((0..area).map(|tap| row[tap * inputs + input]));
            }
        }
        Self::new([out, inputs, height, width], data)
    }

    /// Whether no value is NaN or infinity.
    pub fn is_finite(&self) -> bool {
        self.data.iter().all(|value| value.is_finite())
    }

    /// Rejects NaN and infinity, naming `what` holds them.
    pub fn check_finite(&self, what: &str) -> Result<()> {
        if self.is_finite() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::NonFinite,
            format!("{what} contains NaN or infinity"),
            "the model's weights may be damaged or overflow on this device; try the other device",
        ))
    }
}

/// `a · b` for row-major matrices `[m, k]` and `[k, n]`, accumulated in `f64`.
///
/// For preparing weights only; inference multiplies on the device.
pub(crate) fn matmul(a: &HostTensor, b: &HostTensor) -> HostTensor {
    let (m, k, n) = (a.shape[0], a.shape[1], b.shape[1]);
    assert_eq!(k, b.shape[0], "matmul of {:?} and {:?}", a.shape, b.shape);
    let mut out = Vec::with_capacity(m * n);
    let mut row = vec![0f64; n];
    for i in 0..m {
        row.fill(0.0);
        for j in 0..k {
            let factor = f64::from(a.data[i * k + j]);
            let source = &b.data[j * n..(j + 1) * n];
            for (sum, value) in row.iter_mut().zip(source) {
                *sum += factor * f64::from(*value);
            }
        }
        out.extend(row.iter().map(|value| *value as f32));
    }
    HostTensor::new([m, n], out)
}

/// The values read back from a device.
pub(crate) fn host_values(
    data: std::result::Result<TensorData, ExecutionError>,
) -> Result<Vec<f32>> {
    let data = data.map_err(|error| {
        Error::new(
            ErrorCode::DeviceLost,
            format!("the device stopped answering: {error}"),
            "try again, a smaller size, or the CPU device",
        )
    })?;
    data.convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| {
            Error::new(
                ErrorCode::Internal,
                format!("unexpected data from the device: {error:?}"),
                "",
            )
        })
}

/// A tensor of `D` axes on `device`.
pub(crate) fn to_device<const D: usize>(tensor: &HostTensor, device: &Device) -> Tensor<D> {
    let data = TensorData::new(tensor.data.clone(), tensor.shape.clone());
    Tensor::from_data(data, device)
}
