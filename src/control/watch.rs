//! Notices that a file may have changed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Tells when something happened in the folders of the files in use.
///
/// Folders and not files are watched: editors replace a file by renaming another over it, and a Kubernetes
/// `ConfigMap` swaps the link `..data` that all its files are reached by. Whether anything really changed is for the reader to find
/// out by content. Where watching fails (no inotify instance left, an odd file system), a slow poll is what remains.
#[derive(Debug)]
pub(super) struct FileWatch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    names: std::sync::Arc<std::sync::Mutex<BTreeSet<OsString>>>,
}

impl FileWatch {
    /// A watch on nothing yet; `noticed` gets a message when something happened.
    pub(super) fn new(noticed: mpsc::Sender<()>) -> Self {
        let names = std::sync::Arc::<std::sync::Mutex<BTreeSet<OsString>>>::default();
        let ours = std::sync::Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let names = ours.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if event.is_ok_and(|event| may_matter(&event, &names)) {
                // A full channel means that a look is due already.
                let _ = noticed.try_send(());
            }
        });
        let watcher = watcher
            .inspect_err(
                |error| tracing::warn!(%error, "files cannot be watched; they are read again every few seconds"),
            )
            .ok();
        Self { watcher, folders: BTreeSet::new(), names }
    }

    /// Watches the folders of exactly these files, and of what they link to.
    pub(super) fn follow<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        let files: Vec<PathBuf> =
            files.flat_map(|file| std::iter::once(file.to_owned()).chain(file.canonicalize().ok())).collect();
        *self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            files.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect();
        let wanted: BTreeSet<PathBuf> = files.iter().map(|file| folder(file)).collect();
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.folders.difference(&wanted) {
            // A folder that was removed is not watched any more anyway.
            let _ = watcher.unwatch(gone);
        }
        self.folders.retain(|folder| wanted.contains(folder));
        for new in &wanted {
            if self.folders.contains(new) {
                continue;
            }
            match watcher.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.folders.insert(new.clone());
                }
                Err(error) => tracing::warn!(folder = %new.display(), %error, "a folder cannot be watched"),
            }
        }
    }
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether an event may mean that one of the files named `names` has other content. Reading a file makes events too:
/// those must not count, or every look would cause the next. A write to some other file in the folder does not count.
fn may_matter(event: &Event, names: &BTreeSet<OsString>) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Data(_)) => {
            event.paths.iter().any(|path| path.file_name().is_some_and(|name| names.contains(name)))
        }
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}
