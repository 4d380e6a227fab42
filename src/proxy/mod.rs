//! Floor 5: the shell around the decision. It reads, forwards, answers and logs; it decides nothing.
//!
//! One thread a worker, each with its own runtime, connections and pool of upstream connections
//! ([`server`]). A client's connection ([`connection`]) goes to and fro between the two ways of an exchange: callbacks
//! travel whole ([`whole`]), all else is streamed by hyper ([`handler`]); the decision around both is [`exchange`].

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
mod frames;
mod framing;
mod handler;
mod header;
mod http2;
mod inherit;
mod input;
mod listen;
mod memory;
mod reply;
mod rewound;
pub mod server;
mod stream;
mod streamed;
mod tap;
mod tapped;
mod terminate;
mod tls;
mod transport;
mod tunnel;
mod upgrade;
mod upstream;
mod whole;
mod wire;
mod worker;

pub use inherit::{InheritError, listen as listen_on};
pub use listen::{BindError, Listener, bind};
pub use server::{Stop, serve};
pub use tls::system_config as system_tls;
