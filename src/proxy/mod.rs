//! Floor 5: the shell around the decision. It reads, forwards, answers and logs; it decides nothing.
//!
//! One thread a worker, each with its own runtime, connections and pool of upstream connections
//! ([`server`]); a request goes top to bottom through [`handler`].

mod arrival;
mod asking;
mod body;
mod buffers;
mod client;
mod clock;
mod connection;
mod entry;
mod error;
mod exchange;
mod finish;
mod framing;
mod handler;
mod header;
mod input;
mod listen;
mod reply;
mod rewound;
pub mod server;
mod stream;
mod streamed;
mod tap;
mod tls;
mod transport;
mod upstream;
mod whole;
mod wire;
mod worker;

pub use listen::{BindError, Listener, bind};
pub use server::{Stop, serve};
pub use tls::system_config as system_tls;
