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

    /// Opens the file anew, because it was moved away. False where there is none, or that fails: then
    /// it goes on with the old one.
    pub(super) fn reopen(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        match open(path) {
            Ok(file) => {
                self.file = file;
                true
            }
            Err(error) => {
                let path = path.display();
                tracing::error!(%error, %path, "the request log can not be opened anew; the old file stays in use");
                false
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_file_is_not_for_everybody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kfgate.log");
        Sink::file(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        // The umask may take more away.
        assert_eq!((mode & 0o600, mode & !MODE), (0o600, 0));
    }

    #[test]
    fn a_file_that_is_there_is_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kfgate.log");
        fs::write(&path, "old\n").unwrap();
        Sink::file(&path).unwrap().write(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old\nnew\n");
    }

    #[test]
    fn half_a_line_can_be_taken_back_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kfgate.log");
        let mut sink = Sink::file(&path).unwrap();
        sink.write(b"one\ntw").unwrap();
        assert!(sink.take_back(2));
        sink.write(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn nothing_can_be_taken_back_from_a_pipe() {
        let (_reader, writer) = io::pipe().unwrap();
        assert!(!Sink::pipe(writer).take_back(0));
    }

    #[test]
    fn what_has_no_path_is_not_opened_anew() {
        let (_reader, writer) = io::pipe().unwrap();
        assert!(!Sink::pipe(writer).reopen());
    }
}
