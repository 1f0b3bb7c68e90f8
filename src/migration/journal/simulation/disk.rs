//! A disk that forgets what was not synced when the power goes, tears what it was writing, runs full, and fails to sync.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::migration::journal::store::Disk;

/// The unit that is written whole or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
pub(super) struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    current: Image,
    fresh: Image,
    full: bool,
    no_sync: bool,
    /// Grows with each crash: whoever has bytes of an older one can do nothing.
    life: u32,
    random: fastrand::Rng,
}

/// A file as it is read, and as it is on the disk.
#[derive(Debug, Clone, Default)]
struct Image {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Tells one file from another that has taken its name.
    file: u32,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug)]
pub(super) struct Bytes {
    disk: SimDisk,
    file: u32,
    life: u32,
}

impl SimDisk {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            current: Image { file: 1, ..Image::default() },
            fresh: Image::default(),
            full: false,
            no_sync: false,
            life: 0,
            random: fastrand::Rng::with_seed(seed),
        })))
    }

    pub(super) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    pub(super) fn set_no_sync(&self, no_sync: bool) {
        self.state().no_sync = no_sync;
    }

    /// From now on nobody who has it open can do anything, not even close it in order.
    pub(super) fn cut_off(&self) {
        self.state().life += 1;
    }

    /// What is found after the power was gone.
    pub(super) fn crash(&self) {
        let state = &mut *self.state();
        let pending = std::mem::take(&mut state.current.pending);
        let mut found = std::mem::take(&mut state.current.durable);
        for change in pending {
            match change {
                _ if state.random.bool() => {}
                Change::Length(length) => set_length(&mut found, length),
                Change::Write(offset, bytes) => {
                    // Some of its sectors, in any order.
                    let whole = state.random.bool();
                    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
                        if whole || state.random.bool() {
                            write(&mut found, offset + number * SECTOR, sector);
                        }
                    }
                }
            }
        }
        state.current = Image { live: found.clone(), durable: found, pending: Vec::new(), file: state.current.file };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with the disk in hand")
    }

    fn open(&self, file: u32) -> Bytes {
        Bytes { disk: self.clone(), file, life: self.state().life }
    }
}

impl Disk for SimDisk {
    type Bytes = Bytes;

    fn current(&self) -> io::Result<Bytes> {
        let file = self.state().current.file;
        Ok(self.open(file))
    }

    fn fresh(&self) -> io::Result<Bytes> {
        let file = {
            let state = &mut *self.state();
            let file = state.current.file.max(state.fresh.file) + 1;
            state.fresh = Image { file, ..Image::default() };
            file
        };
        Ok(self.open(file))
    }

    fn install(&self) -> io::Result<()> {
        let state = &mut *self.state();
        if state.no_sync {
            return Err(io::Error::other("the folder cannot be synced"));
        }
        state.current = std::mem::take(&mut state.fresh);
        Ok(())
    }
}

impl Bytes {
    fn with<T>(&self, work: impl FnOnce(&mut Image, &mut fastrand::Rng, [bool; 2]) -> io::Result<T>) -> io::Result<T> {
        let state = &mut *self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("the power is gone"));
        }
        let faults = [state.full, state.no_sync];
        let image = [&mut state.current, &mut state.fresh].into_iter().find(|image| image.file == self.file);
        work(image.ok_or_else(|| io::Error::other("the file is gone"))?, &mut state.random, faults)
    }
}

impl StorageBackend for Bytes {
    fn len(&self) -> Result<u64, io::Error> {
        self.with(|image, _, _| Ok(image.live.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.with(|image, _, _| {
            let found = image.live.get(offset as usize..offset as usize + out.len());
            out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> Result<(), io::Error> {
        self.with(|image, _, [full, _]| {
            let length = length as usize;
            if full && length > image.live.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            set_length(&mut image.live, length);
            image.pending.push(Change::Length(length));
            Ok(())
        })
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.with(|image, random, [_, no_sync]| {
            if no_sync {
                // What the system drops then it does not try again.
                image.pending.retain(|_| random.bool());
                return Err(io::Error::other("an I/O error"));
            }
            image.durable.clone_from(&image.live);
            image.pending.clear();
            Ok(())
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), io::Error> {
        self.with(|image, random, [full, _]| {
            if full {
                // Also one that is half done.
                let part = random.usize(..=bytes.len());
                if part < bytes.len() {
                    image.pending.push(Change::Write(offset as usize, bytes[..part].to_vec()));
                    write(&mut image.live, offset as usize, &bytes[..part]);
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
            write(&mut image.live, offset as usize, bytes);
            image.pending.push(Change::Write(offset as usize, bytes.to_vec()));
            Ok(())
        })
    }
}

/// `resize`, which takes its time byte by byte where nothing is optimised.
fn set_length(image: &mut Vec<u8>, length: usize) {
    image.truncate(length);
    image.extend_from_slice(&vec![0; length - image.len()]);
}

fn write(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if image.len() < offset + bytes.len() {
        set_length(image, offset + bytes.len());
    }
    image[offset..offset + bytes.len()].copy_from_slice(bytes);
}
