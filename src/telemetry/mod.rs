//! Floor 3: what the gate tells about itself, one line a request.
//!
//! A [`Record`] is filled along the path of a request and handed to the [`RequestLog`] at its end.
//! There it becomes a line at once, on the thread that served the request, and waits in a bounded
//! buffer that a thread of the log's own empties. Nothing here makes a request wait for a disk, a
//! pipe or a terminal: what does not fit into the buffer is dropped, and counted.

mod clock;
mod entropy;
mod escape;
mod id;
mod json;
mod layout;
mod openid;
mod queue;
mod record;
mod request_log;
#[cfg(test)]
mod samples;
mod sink;
mod text;
mod writer;

pub use entropy::Entropy;
pub use id::RequestId;
pub use record::{Client, Record, RequestPath};
pub use request_log::{OpenError, RequestLog};
