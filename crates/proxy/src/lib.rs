//! .
pub mod dial;
pub mod handshake;
pub mod hashing;
mod inbox;
pub mod secrets;
pub mod stream;
pub mod tls;
