//! One change of an image: a field of the description, of a record in it, or of a block, in a way that an accident or a villain would choose.
//!
//! Pure: the same seed makes the same change. Relies on descriptions being maps with field names, and on records being MessagePack again.

use rmpv::Value;

use super::image::{Image, half, word};

/// A small random number generator (splitmix64); the same numbers for the same seed everywhere.
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// Changes `image`, and says where.
pub fn mutate(image: &mut Image, dice: &mut Dice) -> String {
    if dice.below(5) == 0 && !image.blocks.is_empty() {
        return mutate_block(image, dice);
    }
    let donor = image.description.clone();
    let mut path = String::new();
    descend(&mut image.description, &donor, dice, &mut path);
    path
}

fn mutate_block(image: &mut Image, dice: &mut Dice) -> String {
    let at = dice.below(image.blocks.len());
    let (page, data) = &mut image.blocks[at];
    let runs = (half(page, 16) as usize).min(250);
    let run = 64 + 16 * dice.below(runs.max(1));
    match dice.below(7) {
        0 => {
            let value = number(word(page, run), dice);
            page[run..run + 8].copy_from_slice(&value.to_le_bytes());
            format!("block {at}: page {value:#x}")
        }
        1 | 2 => {
            let kind = u32::try_from(dice.below(3)).expect("below three");
            let count = dice.one_of(&[1, 2, 255, 256, 1 << 20, u32::MAX, half(page, run + 8)]);
            page[run + 8..run + 12].copy_from_slice(&count.to_le_bytes());
            page[run + 12..run + 16].copy_from_slice(&kind.to_le_bytes());
            // A block that counts its pages rightly gets further.
            let all = (0..runs).filter(|run| half(page, 76 + 16 * run) == 0).map(|run| half(page, 72 + 16 * run) as usize);
            let pages = all.fold(0, usize::saturating_add).min(256);
            data.resize(pages * 4096, 0x5a);
            let pages = u32::try_from(pages).expect("at most 256").to_le_bytes();
            page[20..24].copy_from_slice(&pages);
            page[24..28].copy_from_slice(&pages);
            format!("block {at}: a run of {count} of kind {kind}")
        }
        3 => {
            let space = ((dice.next() % 6) << 32) | (dice.next() % 4);
            page[8..16].copy_from_slice(&space.to_le_bytes());
            format!("block {at}: space {space:#x}")
        }
        4 => {
            let value = u32::try_from(dice.below(300)).expect("small");
            page[16..20].copy_from_slice(&value.to_le_bytes());
            format!("block {at}: {value} runs")
        }
        5 => {
            image.blocks.remove(at);
            format!("block {at} removed")
        }
        _ => {
            let twin = image.blocks[at].clone();
            let place = dice.below(image.blocks.len() + 1);
            image.blocks.insert(place, twin);
            format!("block {at} doubled")
        }
    }
}

/// Walks down to a field, by chance, and changes it.
fn descend(value: &mut Value, donor: &Value, dice: &mut Dice, path: &mut String) {
    let stops = dice.below(8) == 0;
    match value {
        Value::Map(entries) if !entries.is_empty() && !stops => {
            let (name, below) = {
                let at = dice.below(entries.len());
                (entries[at].0.to_string(), &mut entries[at].1)
            };
            path.push_str(&format!("/{name}"));
            descend(below, donor, dice, path);
        }
        Value::Array(items) if !items.is_empty() && !stops => {
            let at = dice.below(items.len());
            path.push_str(&format!("/{at}"));
            descend(&mut items[at], donor, dice, path);
        }
        Value::Binary(bytes) if dice.below(4) != 0 => match rmpv::decode::read_value(&mut bytes.as_slice()) {
            // A record: the same inside.
            Ok(mut inner) if matches!(inner, Value::Map(_)) => {
                descend(&mut inner, donor, dice, path);
                let mut changed = Vec::new();
                if rmpv::encode::write_value(&mut changed, &inner).is_ok() {
                    *bytes = changed;
                }
            }
            _ => change(value, donor, dice, path),
        },
        _ => change(value, donor, dice, path),
    }
}

fn change(value: &mut Value, donor: &Value, dice: &mut Dice, path: &mut String) {
    if dice.below(12) == 0 {
        *value = pick(donor, dice);
        path.push_str(" = something else");
        return;
    }
    match value {
        Value::Integer(old) => {
            let old = old.as_i64().map(i64::cast_unsigned).or(old.as_u64()).unwrap_or(0);
            let new = number(old, dice);
            // Most numbers are read as signed ones, and too large ones go no further than the decoder.
            *value = if dice.below(2) == 0 { Value::from(new) } else { Value::from(new.cast_signed()) };
        }
        Value::Boolean(old) => *old = !*old,
        Value::String(old) => {
            let old = old.as_str().unwrap_or_default().to_owned();
            let long = "x".repeat(5000);
            let new =
                [String::new(), long, format!("{old}\0{old}"), format!("{old}/../{old}"), format!("{old} (deleted)"), "[vdso]".into()];
            *value = if dice.below(2) == 0 { pick_string(donor, dice) } else { dice.one_of(&new).into() };
        }
        Value::Binary(bytes) => match dice.below(4) {
            0 => bytes.truncate(dice.below(bytes.len() + 1)),
            1 => bytes.resize(dice.one_of(&[bytes.len() + 1, 4096, 70_000, 2 << 20]), 0xff),
            2 => bytes.clear(),
            _ if bytes.is_empty() => bytes.push(0xc0),
            _ => {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
        },
        Value::Array(items) => match dice.below(4) {
            _ if items.is_empty() => items.push(pick(donor, dice)),
            0 => drop(items.remove(dice.below(items.len()))),
            1 => {
                let at = dice.below(items.len());
                items.insert(at, items[at].clone());
            }
            2 => {
                let (a, b) = (dice.below(items.len()), dice.below(items.len()));
                items.swap(a, b);
            }
            _ => items.clear(),
        },
        Value::Map(entries) if !entries.is_empty() => {
            let at = dice.below(entries.len());
            match dice.below(2) {
                0 => drop(entries.remove(at)),
                _ => entries[at].1 = pick(donor, dice),
            }
        }
        _ => *value = pick(donor, dice),
    }
    let shown = value.to_string();
    path.push_str(&format!(" = {}", shown.get(..60).unwrap_or(&shown)));
}

fn number(old: u64, dice: &mut Dice) -> u64 {
    let signed =
        [0i64, 1, 2, -1, 64, 65, 127, 4095, 4096, 4097, 65536, i32::MAX.into(), i32::MIN.into(), u32::MAX.into(), i64::MAX, i64::MIN];
    match dice.below(5) {
        0 => old.wrapping_add(1),
        1 => old.wrapping_sub(1),
        2 => old ^ 1 << dice.below(64),
        3 => old.wrapping_add(dice.one_of(&[4096, 1 << 20, 1 << 40, 0u64.wrapping_sub(4096)])),
        _ => dice.one_of(&signed).cast_unsigned(),
    }
}

/// Some value of the same description.
fn pick(donor: &Value, dice: &mut Dice) -> Value {
    let below = match donor {
        Value::Map(entries) if !entries.is_empty() => &entries[dice.below(entries.len())].1,
        Value::Array(items) if !items.is_empty() => &items[dice.below(items.len())],
        other => return other.clone(),
    };
    if dice.below(4) == 0 { below.clone() } else { pick(below, dice) }
}

fn pick_string(donor: &Value, dice: &mut Dice) -> Value {
    (0..20).map(|_| pick(donor, dice)).find(|value| matches!(value, Value::String(_))).unwrap_or(Value::Nil)
}
