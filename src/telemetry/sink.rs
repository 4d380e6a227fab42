//! Where lines end up: a file of the log's own, or stdout.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Readable for the group, so that a log shipper need not be root.
const MODE: u32 = 0o640;

#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    /// None for stdout, which can not be opened anew.
    path: Option<PathBuf>,
}

impl Sink {
    /// Stdout without Rust's buffer, which would cut lines.
    pub(super) fn stdout() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self { file: stdout.into(), path: None })
    }

    /// The file at `path`, made if it is not there.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        Ok(Self { file: open(path)?, path: Some(path.to_owned()) })
    }

    #[cfg(test)]
    pub(super) fn pipe(writer: io::PipeWriter) -> Self {
        Self { file: std::os::fd::OwnedFd::from(writer).into(), path: None }
    }

    /// Writes some of `bytes`: at least one, or it is an error.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }

    /// Opens the file anew, because it was moved away. Goes on with the old one where that fails.
    pub(super) fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match open(path) {
            Ok(file) => self.file = file,
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "the request log can not be opened anew; the old file stays in use");
            }
        }
    }

    /// Takes the last `bytes` written back, where the sink is a file of the log's own. False where
    /// they are out for good.
    pub(super) fn take_back(&mut self, bytes: u64) -> bool {
        if self.path.is_none() {
            return false;
        }
        let Ok(metadata) = self.file.metadata() else { return false };
        metadata.is_file() && self.file.set_len(metadata.len().saturating_sub(bytes)).is_ok()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}
