//! Python's pickles as `torch.save` writes them, read without running anything.
//!
//! A pickle is a program for a small machine that can import and call anything. This machine knows
//! the few classes and functions that a dictionary of tensors needs, and makes plain data of them;
//! whatever else a pickle names is refused by its name.

use super::safetensors::Dtype;

/// The most values that a pickle may have: far above any checkpoint, far below what fills memory.
const MAX_VALUES: usize = 1 << 20;

/// Why a pickle is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not whole, or not a pickle.
    Damaged(String),
    /// It names something that tensors do not need.
    Foreign(String),
}

type Result<T> = std::result::Result<T, Refusal>;

/// A value's place in its [`Pickle`].
pub(super) type Id = usize;

/// A value of a pickle.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// What has no meaning for tensors: numbers with a fraction, sets, hooks.
    Other,
    None,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A module whose fields hold its tensors.
    Object(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(RawTensor),
}

/// What a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    Set,
    ParameterDict,
    /// Makes a tensor of a storage, an offset, sizes and strides.
    RebuildTensor,
    /// Makes a parameter of a tensor.
    RebuildParameter,
    Storage(Dtype),
    /// Notes on a training beside the tensors, of which nothing is kept.
    Note,
}

/// Numbers beside the pickle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub dtype: Dtype,
    /// The name by which they are found.
    pub key: String,
    pub count: u64,
}

/// A view of a storage. It lies within it, and is no larger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawTensor {
    pub storage: Storage,
    /// Its first element.
    pub offset: u64,
    pub shape: Vec<usize>,
    /// Elements from one entry to the next, of each axis.
    pub strides: Vec<u64>,
}

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Reads the pickle that `bytes` begin with, and says where it ends.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut machine = Machine {
            bytes,
            position: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: std::collections::HashMap::new(),
        };
        let root = machine.run()?;
        let values = machine.values;
        Ok((Self { values, root }, machine.position))
    }

    /// What it holds.
    pub fn root(&self) -> &Value {
        &self.values[self.root]
    }

    pub fn value(&self, id: Id) -> &Value {
        &self.values[id]
    }

    /// The tensors by the keys of the dictionaries around them, joined with dots.
    pub fn tensors(&self) -> Result<Vec<(String, RawTensor)>> {
        let mut tensors = Vec::new();
        let mut pending = vec![(String::new(), self.root)];
        let mut visits = 0;
        while let Some((name, id)) = pending.pop() {
            // Dictionaries that hold each other, or the same one many times, would not end.
            visits += 1;
            if visits > self.values.len() {
                return Err(damaged("its dictionaries hold each other"));
            }
            match self.value(id) {
                Value::Tensor(tensor) => tensors.push((name, tensor.clone())),
                Value::Dict(entries) | Value::Object(entries) => {
                    for (key, value) in entries {
                        let key = match self.value(*key) {
                            Value::Text(key) => key.clone(),
                            Value::Int(key) => key.to_string(),
                            _ => continue,
                        };
                        let dot = if name.is_empty() { "" } else { "." };
                        pending.push((format!("{name}{dot}{key}"), *value));
                    }
                }
                _ => {}
            }
        }
        Ok(tensors)
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    position: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: std::collections::HashMap<u32, Id>,
}

impl Machine<'_> {
    /// Runs to the end of the pickle, and gives what it leaves.
    fn run(&mut self) -> Result<Id> {
        loop {
            let [opcode] = self.array()?;
            if opcode == b'.' {
                return self.pop();
            }
            if self.values.len() >= MAX_VALUES {
                return Err(damaged("it has too many values"));
            }
            self.step(opcode)?;
        }
    }

    /// Carries out one instruction.
    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // PROTO, FRAME
            0x80 => self.array::<1>().map(drop),
            0x95 => self.array::<8>().map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Other),
            b'J' | b'K' | b'M' | 0x8a => self.integer(opcode),
            b'G' => {
                self.array::<8>()?;
                self.push(Value::Other)
            }
            b'X' | 0x8c | 0x8d | b'U' | b'T' => self.text(opcode),
            b'C' | b'B' | 0x8e => {
                self.counted(opcode)?;
                self.push(Value::Other)
            }
            b'c' | 0x93 | b'i' => self.global(opcode),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let items = self.pop_many(count)?;
                self.push(Value::Tuple(items))
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items))
            }
            b']' => self.push(Value::List(Vec::new())),
            b'l' => {
                let items = self.pop_mark()?;
                self.push(Value::List(items))
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b'd' => {
                let entries = pairs(self.pop_mark()?)?;
                self.push(Value::Dict(entries))
            }
            0x8f => self.push(Value::Other),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.append(items)
            }
            b's' => {
                let entry = self.pop_many(2)?;
                self.set_items(entry)
            }
            b'u' => {
                let entries = self.pop_mark()?;
                self.set_items(entries)
            }
            b'0' => self.pop().map(drop),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(opcode),
            b'Q' => self.persistent(),
            b'R' => self.call(),
            0x81 => self.new_object(),
            b'b' => self.build(),
            other => Err(damaged(&format!("it has the instruction {other:#04x}"))),
        }
    }

    fn integer(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'J' => i64::from(i32::from_le_bytes(self.array()?)),
            b'K' => i64::from(self.array::<1>()?[0]),
            b'M' => i64::from(u16::from_le_bytes(self.array()?)),
            _ => {
                let [count] = self.array()?;
                let bytes = self.take(usize::from(count))?;
                let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
                let mut wide = [if negative { 0xff } else { 0 }; 8];
                if bytes.len() > wide.len() {
                    // Such as torch's magic number, which its reader compares by its bytes.
                    return self.push(Value::Other);
                }
                wide[..bytes.len()].copy_from_slice(bytes);
                i64::from_le_bytes(wide)
            }
        };
        self.push(Value::Int(value))
    }

    fn text(&mut self, opcode: u8) -> Result<()> {
        let bytes = self.counted(opcode)?;
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("a text is not UTF-8"))?;
        let text = Value::Text(text.into());
        self.push(text)
    }

    /// The bytes that follow their number, which has one, four or eight bytes.
    fn counted(&mut self, opcode: u8) -> Result<&[u8]> {
        let count = match opcode {
            0x8c | b'U' | b'C' => u64::from(self.array::<1>()?[0]),
            b'X' | b'T' | b'B' => u64::from(u32::from_le_bytes(self.array()?)),
            _ => u64::from_le_bytes(self.array()?),
        };
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn global(&mut self, opcode: u8) -> Result<()> {
        let (module, name) = if opcode == 0x93 {
            let names = self.pop_many(2)?;
            match (&self.values[names[0]], &self.values[names[1]]) {
                (Value::Text(module), Value::Text(name)) => (module.clone(), name.clone()),
                _ => return Err(damaged("it names something by a value")),
            }
        } else {
            (self.line()?, self.line()?)
        };
        let global = known(&module, &name).filter(|_| opcode != b'i');
        let global = global.ok_or_else(|| Refusal::Foreign(format!("{module}.{name}")))?;
        self.push(Value::Global(global))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        match self.top()? {
            Value::List(list) => list.extend(items),
            // A set.
            Value::Other => {}
            _ => return Err(damaged("it adds to what is no list")),
        }
        Ok(())
    }

    fn set_items(&mut self, entries: Vec<Id>) -> Result<()> {
        let entries = pairs(entries)?;
        match self.top()? {
            Value::Dict(dict) => dict.extend(entries),
            _ => return Err(damaged("it adds to what is no dictionary")),
        }
        Ok(())
    }

    /// Puts the last value into the memo, or a value from there onto the stack.
    fn remember(&mut self, opcode: u8) -> Result<()> {
        let place = match opcode {
            b'q' | b'h' => u32::from(self.array::<1>()?[0]),
            b'r' | b'j' => u32::from_le_bytes(self.array()?),
            _ => self.memo.len() as u32,
        };
        if matches!(opcode, b'h' | b'j') {
            let value = self.memo.get(&place);
            self.stack
                .push(*value.ok_or_else(|| damaged("it recalls what it never kept"))?);
        } else {
            let last = *self.stack.last().ok_or_else(empty)?;
            self.memo.insert(place, last);
        }
        Ok(())
    }

    /// `("storage", class, key, place, count)`: numbers beside the pickle. Older files have a sixth
    /// entry, for views.
    fn persistent(&mut self) -> Result<()> {
        let id = self.pop()?;
        let fields = self.items(id)?;
        let wrong = || damaged("it refers to something other than a storage");
        let field = |index: usize| fields.get(index).map(|id| &self.values[*id]);
        let storage = match (field(0), field(1), field(2), field(4), field(5)) {
            (
                Some(Value::Text(kind)),
                Some(Value::Global(Global::Storage(dtype))),
                Some(Value::Text(key)),
                Some(Value::Int(count)),
                None | Some(Value::None),
            ) if kind == "storage" => Storage {
                dtype: *dtype,
                key: key.clone(),
                count: u64::try_from(*count).map_err(|_| wrong())?,
            },
            _ => return Err(wrong()),
        };
        self.push(Value::Storage(storage))
    }

    fn call(&mut self) -> Result<()> {
        let called = self.pop_many(2)?;
        let arguments = self.items(called[1])?;
        let wrong = || damaged("a tensor is not described as torch does");
        let made = match (&self.values[called[0]], arguments.len()) {
            (Value::Global(Global::OrderedDict), 0) => Value::Dict(Vec::new()),
            (Value::Global(Global::Set | Global::Note), _) => Value::Other,
            (Value::Global(Global::RebuildTensor), 4..) => {
                Value::Tensor(self.tensor(&arguments).ok_or_else(wrong)?)
            }
            (Value::Global(Global::RebuildParameter), 1..) => self.values[arguments[0]].clone(),
            _ => return Err(damaged("it calls what is not to be called so")),
        };
        self.push(made)
    }

    /// The tensor of a storage, an offset, sizes and strides.
    fn tensor(&self, arguments: &[Id]) -> Option<RawTensor> {
        let Value::Storage(storage) = &self.values[arguments[0]] else {
            return None;
        };
        let number = |id: &Id| match self.values[*id] {
            Value::Int(number) => u64::try_from(number).ok(),
            _ => None,
        };
        let numbers =
            |id: Id| -> Option<Vec<u64>> { self.items(id).ok()?.iter().map(number).collect() };
        let offset = number(&arguments[1])?;
        let (sizes, strides) = (numbers(arguments[2])?, numbers(arguments[3])?);
        if sizes.len() != strides.len() || sizes.len() > 8 {
            return None;
        }
        let count = sizes
            .iter()
            .try_fold(1u64, |product, size| product.checked_mul(*size))?;
        let last = sizes
            .iter()
            .zip(&strides)
            .try_fold(offset, |last, (size, stride)| {
                last.checked_add(size.saturating_sub(1).checked_mul(*stride)?)
            })?;
        // A view that repeats its storage could be of any size.
        let fits = count <= storage.count && (count == 0 || last < storage.count);
        let shape = sizes.iter().map(|size| usize::try_from(*size).ok());
        Some(RawTensor {
            storage: storage.clone(),
            offset,
            shape: shape.collect::<Option<_>>().filter(|_| fits)?,
            strides,
        })
    }

    fn new_object(&mut self) -> Result<()> {
        let made = self.pop_many(2)?;
        let object = match &self.values[made[0]] {
            Value::Global(Global::ParameterDict) => Value::Object(Vec::new()),
            Value::Global(Global::OrderedDict) => Value::Dict(Vec::new()),
            _ => return Err(damaged("it makes what is not to be made so")),
        };
        self.push(object)
    }

    /// Gives an object its fields. Those of dictionaries are notes beside what they hold.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let state = self.values[state].clone();
        match (self.top()?, state) {
            (Value::Object(fields), Value::Dict(state)) => fields.extend(state),
            (Value::Dict(_) | Value::Other, _) => {}
            _ => return Err(damaged("it sets fields of what has none")),
        }
        Ok(())
    }

    /// The entries of a tuple or list.
    fn items(&self, id: Id) -> Result<Vec<Id>> {
        match &self.values[id] {
            Value::Tuple(items) | Value::List(items) => Ok(items.clone()),
            _ => Err(damaged("a list of values is missing")),
        }
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn top(&mut self) -> Result<&mut Value> {
        let last = self.stack.last().ok_or_else(empty)?;
        Ok(&mut self.values[*last])
    }

    fn pop(&mut self) -> Result<Id> {
        self.stack.pop().ok_or_else(empty)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>> {
        let start = self.stack.len().checked_sub(count).ok_or_else(empty)?;
        Ok(self.stack.split_off(start))
    }

    /// What lies above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or_else(empty)?))
    }

    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let end = self.position.saturating_add(count);
        let bytes = self.bytes.get(self.position..end);
        let bytes = bytes.ok_or_else(|| damaged("it is cut short"))?;
        self.position = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("as many bytes"))
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.position..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or_else(|| damaged("it is cut short"))?)?;
        let line = String::from_utf8_lossy(line).into_owned();
        self.position += 1;
        Ok(line)
    }
}

/// What `module.name` stands for, if it is one of those that tensors need.
fn known(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("__builtin__" | "builtins", "set") => Global::Set,
        ("torch.nn.modules.container", "ParameterDict") => Global::ParameterDict,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Global::RebuildParameter,
        ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
        | ("numpy", "dtype")
        | ("_codecs", "encode") => Global::Note,
        ("torch", storage) => Global::Storage(match storage {
            "DoubleStorage" => Dtype::F64,
            "FloatStorage" => Dtype::F32,
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::BF16,
            "LongStorage" => Dtype::I64,
            "IntStorage" => Dtype::I32,
            "ShortStorage" => Dtype::I16,
            "CharStorage" => Dtype::I8,
            "ByteStorage" => Dtype::U8,
            "BoolStorage" => Dtype::BOOL,
            _ => return None,
        }),
        _ => return None,
    })
}

/// Keys and values that follow each other.
fn pairs(items: Vec<Id>) -> Result<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    match rest {
        [] => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err(damaged("a key has no value")),
    }
}

fn empty() -> Refusal {
    damaged("it takes a value where there is none")
}

fn damaged(reason: &str) -> Refusal {
    Refusal::Damaged(reason.into())
}
