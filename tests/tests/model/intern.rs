//! Small numbers for large values, so that a state of the model is a few words.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
    rc::Rc,
};

/// A fast hash: nothing here comes from somebody who would look for collisions.
#[derive(Default)]
pub struct Fast(u64);

impl Hasher for Fast {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u8(&mut self, it: u8) {
        self.write_u64(u64::from(it));
    }

    fn write_u16(&mut self, it: u16) {
        self.write_u64(u64::from(it));
    }

    fn write_u32(&mut self, it: u32) {
        self.write_u64(u64::from(it));
    }

    fn write_usize(&mut self, it: usize) {
        self.write_u64(it as u64);
    }
}

pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Fast>>;

/// Values of one kind, each once.
pub struct Interned<T> {
    by_value: FastMap<Rc<T>, u32>,
    all: Vec<Rc<T>>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { by_value: FastMap::default(), all: vec![] }
    }
}

impl<T: Eq + Hash> Interned<T> {
    pub fn of(&mut self, value: T) -> u32 {
        if let Some(known) = self.by_value.get(&value) {
            return *known;
        }
        let value = Rc::new(value);
        let id = u32::try_from(self.all.len()).expect("a number for each");
        self.all.push(Rc::clone(&value));
        self.by_value.insert(value, id);
        id
    }

    pub fn get(&self, id: u32) -> &Rc<T> {
        &self.all[id as usize]
    }
}
