//! A bot that reads by the strict reader alone, and answers with what it has read: whatever reaches it that could be
//! read in two ways is a fault of the gate.

use std::io::{Read as _, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::PATIENCE;
use super::strict::{self, Read, Request};

pub(crate) struct Recorder {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    faults: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Recorder {
    /// Answers each request with these bytes; `true` closes the connection behind them.
    pub(crate) fn answering(answer: impl Fn(&Request) -> (Vec<u8>, bool) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, faults, is_over) = (Arc::default(), Arc::default(), Arc::new(AtomicBool::new(false)));
        let recorder = Self { address, seen, faults, is_over };
        let (seen, faults, is_over) = (recorder.seen.clone(), recorder.faults.clone(), recorder.is_over.clone());
        let answer = Arc::new(answer);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (seen, faults, answer) = (seen.clone(), faults.clone(), answer.clone());
                thread::spawn(move || serve(stream, &seen, &faults, &*answer));
            }
        });
        recorder
    }

    /// Answers each request with its target as the body.
    pub(crate) fn echoing() -> Self {
        Self::answering(|request| (echo(request), false))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has been read since this was asked last.
    pub(crate) fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.seen.lock().expect("nobody panicked"))
    }

    /// What could have been read in two ways.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

pub(crate) fn echo(request: &Request) -> Vec<u8> {
    let body = if request.method == "HEAD" { "" } else { &request.target };
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", request.target.len()).into_bytes()
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    faults: &Mutex<Vec<String>>,
    answer: &dyn Fn(&Request) -> (Vec<u8>, bool),
) {
    let (mut bytes, mut room) = (Vec::new(), [0; 16 * 1024]);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_nodelay(true);
    loop {
        match strict::one(&bytes) {
            Read::One(request, length) => {
                if bytes.len() > length || bytes.starts_with(b"\r\n") || request.is_1_0 {
                    let why = "more than the one request";
                    faults.lock().expect("nobody panicked").push(format!("{why}: {}", bytes.escape_ascii()));
                }
                bytes.drain(..length);
                let (reply, closes) = answer(&request);
                seen.lock().expect("nobody panicked").push(*request);
                if stream.write_all(&reply).is_err() || closes {
                    // A connection that breaks is a part of many tests.
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
            }
            odd @ (Read::Ambiguous(_) | Read::OddChunks(_)) => {
                return faults.lock().expect("nobody panicked").push(format!("{odd:?}: {}", bytes.escape_ascii()));
            }
            Read::Partial => match stream.read(&mut room) {
                Ok(read @ 1..) => bytes.extend_from_slice(&room[..read]),
                _ => return,
            },
        }
    }
}
